"""Measures speed, side by side in one process, and what predictions and the doctor find.

    python -m experiments.benchmark fmnist      # MLP-3, batch 64: seconds per epoch, as ratios
    python -m experiments.benchmark cifar10     # convolutional networks: ms per step, as ratios
    python -m experiments.benchmark transfer    # decoding, published networks, frozen or not
    python -m experiments.benchmark logistic    # run 8 against scikit-learn
    python -m experiments.benchmark start       # the main command, whole, several times
    python -m experiments.benchmark seeds       # seeds one at a time, and in one program
    python -m experiments.benchmark checkpoints # a training with checkpoints, and without
    python -m experiments.benchmark limits --data_dir=PHOTOS --weights=FILE --rounds=3
                                                # calibration, "unknown", sets of classes; settings
                                                # are those of experiments.transfer
    python -m experiments.benchmark predict --data_dir=PHOTOS --rounds=3
                                                # predictions beside decoding and network alone
    python -m experiments.benchmark doctor --data_dir=PHOTOS --model=mobilenet_v2 --weights=FILE
                                                # labels and copies spoilt on purpose
    python -m experiments.benchmark streaming --rounds=5
                                                # records of ImageNet's shape, beside Grain's loop
    python -m experiments.benchmark tfds        # which TFDS builders prepare without TensorFlow

PyTorch and Keras take part where they are installed; see `experiments.benchmarks.timing` for the
rules.
"""

if __name__ == "__main__":  # before anything heavy is imported
    from experiments.cli.beginning import begin

    begin()

import contextlib
import importlib.metadata
from collections.abc import Iterator

from absl import flags

from experiments.benchmarks import (
    checkpoints,
    cifar10,
    doctor,
    fmnist,
    grain_loop,
    limits,
    logistic,
    predict,
    seeds,
    start,
    transfer,
)
from experiments.benchmarks.builders import survey
from experiments.cli import flags as cli
from experiments.cli import out_flag, training
from imgcls_jax.errors import UserError
from imgcls_jax.workdir import environment

flags.adopt_module_key_flags(cli)
flags.adopt_module_key_flags(out_flag)
flags.adopt_module_key_flags(training)  # the settings of limits and doctor
_ROUNDS = flags.DEFINE_integer(
    "rounds", 7, "turns of each contender; limits, doctor: seeds", lower_bound=1
)

# By name: the module that measures and shows it, and the source of its data.
_BENCHMARKS = {
    "fmnist": (fmnist, lambda: cli.load_data("fashion_mnist")),
    "cifar10": (cifar10, lambda: cli.load_data("cifar10")),
    "transfer": (transfer, cli.photos_dir),
    "logistic": (logistic, lambda: cli.load_data("fashion_mnist")),
    "start": (start, cli.data_arguments),
    "seeds": (seeds, lambda: cli.load_data("fashion_mnist")),
    "checkpoints": (checkpoints, lambda: cli.load_data("fashion_mnist")),
    "limits": (limits, limits.asked),
    "predict": (predict, cli.photos_dir),
    "streaming": (grain_loop, lambda: None),
    "tfds": (survey, survey.asked),
    "doctor": (doctor, lambda: (cli.photos_dir(), cli.given_settings())),
}


def main(names: list[str]) -> None:
    """Measures the benchmark that is named, shows it and writes it to --out.

    Raises:
      UserError: unless exactly one known benchmark is named.
    """
    if len(names) != 1 or names[0] not in _BENCHMARKS:
        raise UserError(
            f"name one benchmark of {', '.join(_BENCHMARKS)}, not {' '.join(names) or 'none'}."
        )
    out_flag.require_writable()
    benchmark, measured_on = _BENCHMARKS[names[0]]
    result = benchmark.measure(measured_on(), rounds=_ROUNDS.value) | environment()
    benchmark.show(result)
    result["compared_with"] = dict(_peers())
    out_flag.write_json(result)


def _peers() -> Iterator[tuple[str, str]]:
    """Yields name and version of every library compared with that is installed."""
    for name in ("torch", "keras", "tensorflow", "tensorflow-cpu", "scikit-learn", "grain"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            yield name, importlib.metadata.version(name)


if __name__ == "__main__":
    cli.run(main, takes_arguments=True)
