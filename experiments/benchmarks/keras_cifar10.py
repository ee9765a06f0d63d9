"""Runs 10 and 11 as their documents print them, in Keras itself: the figures ours are held against.

    python -m experiments.benchmarks.keras_cifar10 --run=10 --seeds=5
    KERAS_BACKEND=torch python -m experiments.benchmarks.keras_cifar10 --run=11

Needs Keras 3 and one of its backends, which are no dependency of this project.
"""

if __name__ == "__main__":  # before anything heavy is imported
    from experiments.cli.beginning import begin

    begin()

import random
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from experiments.benchmarks.keras_network import documented_cnn
from experiments.cli import flags as cli
from experiments.cli import out_flag
from experiments.cli.out_flag import OUT
from experiments.documented import RUNS
from experiments.evidence import show
from experiments.evidence.store import Store, results_folder, said_of
from experiments.presets import choose
from imgcls_jax import metrics
from imgcls_jax.data import Dataset
from imgcls_jax.errors import UserError
from imgcls_jax.workdir import environment


def train(dataset: Dataset, *, run: int, epochs: int, seed: int) -> dict[str, Any]:
    """Trains as the program of one run does; the test set is its validation set, as documented.

    Returns:
      A seed's entry of a result file: the last epoch's figures (fractions, nats) and all epochs',
      the confusion matrix, the seconds of `fit` and the bytes of the saved network.
    """
    import keras

    # Weights and dropout are drawn from seeds that Python's generator gives. TensorFlow's own seed
    # stays unset, as in the documents: with it, Keras visits one order in every epoch.
    random.seed(seed)
    training, test = (
        (split.images.astype("float32") / 255.0, split.labels)
        for split in (dataset.train, dataset.test)
    )
    if run == 10:
        model = documented_cnn(softmax=False, dropout=0.0)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    else:
        model = documented_cnn(softmax=True, dropout=RUNS[run].settings["dropout"])
        loss = "categorical_crossentropy"
        training, test = ((x, np.eye(10, dtype="float32")[y]) for x, y in (training, test))
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    started = time.perf_counter()
    history = model.fit(*training, epochs=epochs, batch_size=32, validation_data=test, verbose=2)
    seconds = time.perf_counter() - started
    loss, accuracy = model.evaluate(*test, verbose=0)
    predicted = model.predict(test[0], verbose=0)
    matrix = metrics.confusion_matrix(dataset.test.labels, predicted, dataset.num_classes)
    return {
        "seed": seed,
        "parameters": model.count_params(),
        "test_accuracy": round(accuracy, 6),
        "test_loss": round(loss, 6),
        "train_accuracy": round(history.history["accuracy"][-1], 6),
        "train_loss": round(history.history["loss"][-1], 6),
        "confusion_matrix": matrix.tolist(),
        "fit_seconds": round(seconds, 3),
        "by_epoch": by_epoch(history.history),
        "saved_bytes": _saved_bytes(model),
    }


def by_epoch(history: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Returns Keras' history under this project's names, its validation set being the test set."""
    names = {
        f"{kind}{what}": f"{split}_{what}"
        for kind, split in (("", "train"), ("val_", "test"))
        for what in ("loss", "accuracy")
    }
    return {name: [round(value, 6) for value in history[of]] for of, name in names.items()}


def _saved_bytes(model: Any) -> dict[str, int]:
    """Returns the sizes of the files that Keras saves the network as."""
    with tempfile.TemporaryDirectory() as folder:
        sizes = {}
        for suffix in (".keras", ".h5"):
            model.save(Path(folder, f"model{suffix}"))
            sizes[suffix] = Path(folder, f"model{suffix}").stat().st_size
    return sizes


def main() -> None:
    """Trains every seed that the results' folder does not hold yet, and prints what came out.

    Raises:
      UserError: if Keras or its backend is not installed.
    """
    try:
        import keras
    except ImportError as error:
        raise UserError(
            f"Keras cannot be imported ({error}); pip install keras and a backend, and set "
            "KERAS_BACKEND to its name (tensorflow, torch or jax)."
        ) from None
    given = flags.FLAGS
    run = int(given.run)
    epochs = given.epochs or RUNS[run].settings["epochs"]
    dataset = cli.load_data("cifar10")
    store, stem = Store(OUT.value or results_folder()), f"keras_run{run}"
    header = {
        "run": run,
        "reading": "in Keras itself",
        "title": RUNS[run].title,
        "config": {"epochs": epochs, "backend": keras.backend.backend()},
        "documented": choose.report(RUNS[run], RUNS[run].readings[0]),
        "watched": "test",
    } | said_of(dataset)
    place = environment()
    place["versions"] |= {"keras": keras.__version__}
    for seed in range(given.seeds):
        if (None, seed) not in store.seeds(stem, header):
            entry = train(dataset, run=run, epochs=epochs, seed=seed)
            store.add(stem, header, entry, place)
    show.measured({stem: store.read(stem)})


if __name__ == "__main__":
    # Only here: other commands have flags of these names and use the network above.
    flags.adopt_module_key_flags(cli)
    flags.adopt_module_key_flags(out_flag)
    flags.DEFINE_enum("run", "10", ["10", "11"], "documented run")
    flags.DEFINE_integer("seeds", 1, "seeds, from 0", lower_bound=1)
    flags.DEFINE_integer("epochs", None, "epochs, by default the run's", lower_bound=1)
    cli.run(main)
