"""The recipe for a data set that no preset was made for, by what it is.

Small images train from scratch; photos, whose sides vary or exceed 96 pixels, give a published
network its features. The user says neither: the data set's description does.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from experiments.cli import flags as cli
from experiments.presets import choose
from experiments.presets.choose import Preset
from imgcls_jax import models
from imgcls_jax.config import Config
from imgcls_jax.data import Description
from imgcls_jax.errors import UserError

OF_PHOTOS = ("frozen", "fine_tuned")
FROM_SCRATCH_SIZE = 64  # pixels per side of photos that a network is trained on from scratch
_USUAL = "cnn"
# By network; any other has the preset `residual`.
_PRESET_OF = {
    "mlp": "mlp", "linear": "mlp", "cnn": "cnn", "documented_cnn": "cnn", "speednet": "fast"
}  # fmt: skip
# Examples that a preset's training sees, and the fewest and most epochs for that.
_SEEN = {
    "cnn": (600_000, 3, 60),
    "mlp": (900_000, 5, 60),
    "residual": (5_000_000, 20, 200),
    "fast": (200_000, 2, 40),
}
_STEPS = 10  # at least, per epoch
_MIRRORS = ("flip", "alternate_flip")


def train(number: int | None, name: str | None, given: Mapping[str, Any]) -> Preset:
    """Picks by the data set's description, which small images are prepared for, if need be.

    Args:
      number: what --run gives.
      name: what --preset gives, a key of NAMED["train"].
      given: the settings on the command line, the data set among them.

    Raises:
      UserError: no data set is named, or none that can be described, or the number of a run.
    """
    if number is not None:
        raise UserError(
            "documented runs are of the commands fmnist, cifar10 and transfer; leave out --run."
        )
    dataset = dataset_of(given)
    found = None if dataset == "folder" else cli.describe(dataset)
    if found is not None and not of_photos(found, name, given):
        config = Config.of(**{**recipe(found, name, given).settings, **given})
        found = cli.count(dataset, **config.data.options())
    return recipe(found, name, given)


def dataset_of(given: Mapping[str, Any]) -> str:
    """Returns the name of the data set; raises UserError where none is given."""
    if "dataset" not in given:
        raise UserError(
            "name a data set: --dataset=NAME, any of TFDS, or --dataset=folder and "
            "--data_dir=PHOTOS."
        )
    return given["dataset"]


def of_photos(found: Description | None, name: str | None, given: Mapping[str, Any]) -> bool:
    """Says whether images are resized, as those in folders (None) and those of varying sides."""
    sized = given.get("image_size") is not None or name in OF_PHOTOS
    return sized or found is None or found.photos


def recipe(found: Description | None, name: str | None, given: Mapping[str, Any]) -> Preset:
    """Returns the settings for a data set, less those of choices that the command line replaces.

    Args:
      found: what the data set is; None for a folder of photos.
      name: of the preset; None for the usual one.
      given: the settings on the command line.
    """
    photos, model = of_photos(found, name, given), given.get("model")
    from_weights = model in (None, *models.TRANSFERABLE) and given.get("weights") != "none"
    if name in OF_PHOTOS or (name is None and photos and from_weights):
        preset = choose.transfer(None, name, given)
        return dataclasses.replace(preset, settings=_of(preset.settings, given))
    name = name or _PRESET_OF.get(model or _USUAL, "residual")
    settings = _of(choose.named("train", name, given).settings, given)
    if photos:
        settings["image_size"] = FROM_SCRATCH_SIZE
    return Preset(name, settings if found is None else settings | _fitted(name, settings, found))


def _of(settings: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings for the data set that is named."""
    return {**settings, "dataset": given["dataset"]}


def _fitted(name: str, settings: Mapping[str, Any], found: Description) -> dict[str, Any]:
    """Returns the settings that depend on the data set's classes and its number of examples."""
    augment = tuple(settings.get("augment", ()))
    if _characters(found):
        augment = tuple(spec for spec in augment if spec not in _MIRRORS)
    fitted: dict[str, Any] = {"augment": augment} if "augment" in settings else {}
    if not found.counts:
        return fitted
    examples = found.counts.get("train") or max(found.counts.values())
    seen, fewest, most = _SEEN[name]
    fitted["epochs"] = min(max(round(seen / examples), fewest), most)
    fitted["batch_size"] = settings.get("batch_size", Config().train.batch_size)
    while fitted["batch_size"] > max(1, examples // _STEPS):
        fitted["batch_size"] //= 2
    return fitted


def _characters(found: Description) -> bool:
    """Says whether classes may be characters, whose mirror images are none or others.

    Classes without names are numbers here, and may be anything. Short names are syllables where
    images are grey, as in kmnist; in colour they may be a cat and a dog.
    """
    longest = 3 if found.image_shape[-1] == 1 else 1
    return all(len(name) <= longest or name.isdecimal() for name in found.class_names)


# By experiment: (number of a run, name of a preset, given settings) -> the settings to start from.
PICK: dict[str, Callable[[int | None, str | None, Mapping[str, Any]], Preset]] = {
    "train": train,
    "fmnist": choose.fashion_mnist,
    "cifar10": choose.cifar10,
    "transfer": choose.transfer,
}
