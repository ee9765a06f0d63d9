"""Writes a run's network as one file that runs without its code, on CPU and CUDA.

python -m experiments.export --checkpoint=RUN                     # RUN/model.stablehlo.zip
python -m experiments.export --checkpoint=ENSEMBLE                # all its members in one file
python -m experiments.export --checkpoint=RUN --out=birds.zip --platforms=cpu,cuda,tpu
python -m experiments.predict --checkpoint=RUN/model.stablehlo.zip photo.jpg

The preprocessing of pixels and the names of the classes are inside; JAX alone can run it, see
imgcls_jax/predict/export.py. The file is read back and compared with the network before its path is
printed.
"""

if __name__ == "__main__":  # before anything heavy is imported
    from experiments.cli.beginning import begin

    begin()

from pathlib import Path

from absl import flags

from experiments.cli import checkpoint_flag, out_flag
from experiments.cli import flags as cli
from experiments.cli.checkpoint_flag import CHECKPOINT
from experiments.cli.out_flag import require_writable
from imgcls_jax.errors import UserError
from imgcls_jax.predict import export, predictor
from imgcls_jax.report import console

flags.adopt_module_key_flags(checkpoint_flag)
flags.adopt_module_key_flags(out_flag)
_PLATFORMS = flags.DEFINE_list("platforms", list(export.PLATFORMS), "what the file is to run on")

_TOLERANCE = 1e-4  # of a probability, between two compilations of a network


def main() -> None:
    """Writes the file, compares it with the network and prints where and what it is.

    Raises:
      UserError: if --checkpoint names no folder of a run, or the file cannot be written.
    """
    if not CHECKPOINT.value:
        raise UserError("no run is given; add --checkpoint=RUN, the folder of a run.")
    folder = Path(CHECKPOINT.value).expanduser()
    if not folder.is_dir():
        raise UserError(f"{CHECKPOINT.value} is no folder; give that of a run as --checkpoint.")
    out = require_writable(usual=folder / "model.stablehlo.zip")
    network = predictor.load(CHECKPOINT.value)
    network.export(out, platforms=_PLATFORMS.value)
    console.heading("Exported")
    console.pairs(
        {
            "file": out,
            "size": f"{out.stat().st_size / 1e6:.3g} MB",
            "images": "uint8 {}x{}x{}, any number of them".format(*network.image_shape),
            "classes": len(network.class_names),
            "platforms": _PLATFORMS.value,
            "temperature": f"{network.limits.temperature:.3f}" if network.limits else None,
            "difference": _compared(out, network),
        }
    )


def _compared(out: Path, network: predictor.Predictor) -> str:
    """Compares the file with the network; returns the largest difference in words.

    Raises:
      UserError: if a probability differs by more than rounding; the file is then removed.
    """
    if not export.runs_here(_PLATFORMS.value):
        return "not compared: the file is for other platforms than this one"
    largest = export.difference(out, network.probabilities)
    if not largest < _TOLERANCE:
        out.unlink()
        raise UserError(
            f"the exported network's probabilities differ by {largest:.2g} from the run's; nothing "
            "was kept: please report this with the run's config.json."
        )
    return f"{largest:.1g} at most in a probability, on random images"


if __name__ == "__main__":
    cli.run(main)
