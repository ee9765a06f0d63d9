"""Every image-classification builder of TFDS: does it prepare without TensorFlow?

Those that `archives` can draw for are tried; of the others the source is read.
"""

import importlib.metadata
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from absl import flags
from tqdm.auto import tqdm

from experiments.benchmarks.builders import archives, uses
from imgcls_jax.data.catalog import preparing
from imgcls_jax.data.catalog.preparing import stand_in
from imgcls_jax.errors import UserError
from imgcls_jax.report import console

PREPARED = "prepared"
TENSORFLOW = "needs TensorFlow"
PACKAGE = "needs a package"
FAILED = "failed"
UNTRIED = "not tried"
_FOR = {"gcsfs": "gcsfs: its lists lie in gs://tfds-data, which it opens itself"}
_DIFFERENT = {
    "caltech101": "the 30 photos per class to train on are chosen in the order of names; with "
    "TensorFlow in that in which the file system lists them"
}


def asked() -> None:
    """Returns nothing: the archives are drawn.

    Raises:
      UserError: for --rounds, which would change nothing.
    """
    if flags.FLAGS["rounds"].present:
        raise UserError("--rounds does nothing beside tfds; leave it out.")


def measure(of: None, *, rounds: int) -> dict[str, Any]:
    """Tries every builder, or reads its source.

    Args:
      of: nothing, see `asked`.
      rounds: is of no use: nothing is timed.

    Returns:
      `builders`: name -> `outcome`, one of the five above; `why`, a clause where there is one to
      say; `tried`, the name with the configuration; `tensorflow`, the names that it uses of it;
      `by_hand`, what to download by hand, where a person has to.
    """
    del of, rounds
    drawn = {name.split("/")[0]: name for name in archives.ARCHIVES}
    found = {
        name: _of_builder(name, drawn.get(name))
        for name in tqdm(_classifiers(), desc="Builders", leave=False, disable=None)
    }
    if "tensorflow" in sys.modules:
        raise UserError("TensorFlow was imported: this is a mistake of preparing; report it.")
    return {
        "benchmark": "image-classification builders of TFDS without TensorFlow",
        "tensorflow_datasets": importlib.metadata.version("tensorflow-datasets"),
        "builders": found,
    }


def _classifiers() -> list[str]:
    """Returns the builders whose supervised keys begin with an image and a label, or have one each.

    Left out are those that cannot say what they have, such as those of robots in the cloud.
    """
    import tensorflow_datasets as tfds

    names = []
    with tempfile.TemporaryDirectory() as folder, stand_in.supplied():
        for name in tfds.list_builders(with_community_datasets=False):
            try:
                info = tfds.builder(name, data_dir=folder).info
            except Exception:  # each raises its own
                continue
            if _is_classification(info):
                names.append(name)
    return names


def _is_classification(info: Any) -> bool:
    import tensorflow_datasets as tfds

    if not isinstance(info.features, tfds.features.FeaturesDict):
        return False
    kinds = (tfds.features.Image, tfds.features.ClassLabel)
    features = dict(info.features.items())
    keys = info.supervised_keys or ()
    if len(keys) >= 2 and all(isinstance(key, str) for key in keys):
        named = [features.get(key) for key in keys[:2]]
        if all(isinstance(one, kind) for one, kind in zip(named, kinds, strict=True)):
            return True
    return all(sum(isinstance(one, kind) for one in features.values()) == 1 for kind in kinds)


def _of_builder(name: str, tried: str | None) -> dict[str, Any]:
    import tensorflow_datasets as tfds

    with stand_in.supplied():
        kind = tfds.builder_cls(name)
    used = uses.of(kind)
    found: dict[str, Any] = {"tensorflow": [f"tf.{one}" for one in used.supplied + used.missing]}
    if kind.MANUAL_DOWNLOAD_INSTRUCTIONS:
        found["by_hand"] = " ".join(kind.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
    if tried:
        return found | {"tried": tried} | _try(tried)
    why = [*(f"tf.{one}" for one in used.missing), *(_FOR.get(one, one) for one in used.packages)]
    if why:
        outcome = TENSORFLOW if used.missing else PACKAGE
        return found | {"outcome": outcome, "why": ", ".join(why)}
    return found | {"outcome": UNTRIED}


def _try(name: str) -> dict[str, Any]:
    import tensorflow_datasets as tfds

    with tempfile.TemporaryDirectory() as folder:
        builder = tfds.builder(name, data_dir=Path(folder, "data"))
        with archives.make(name).at_hand(builder, Path(folder, "files")) as files:
            try:
                made = preparing.prepare(
                    builder, download_dir=files, manual_dir=files, offline=True
                )
            except UserError as error:
                return {"outcome": FAILED, "why": str(error).replace(folder, "...")}
        splits = tfds.builder_from_directory(made).info.splits
        found = {
            "outcome": PREPARED,
            "examples": {split: of.num_examples for split, of in splits.items()},
        }
        return found | ({"why": _DIFFERENT[name]} if name in _DIFFERENT else {})


def show(result: dict[str, Any]) -> None:
    """Prints how many builders came to what, and each that failed."""
    builders = result["builders"]
    counts = Counter(found["outcome"] for found in builders.values())
    console.heading(f"{len(builders)} image-classification builders of TFDS")
    console.table(("outcome", "builders"), [(what, str(n)) for what, n in counts.most_common()])
    for name, found in builders.items():
        if found["outcome"] == FAILED:
            print(f"{name}: {found['why']}")
