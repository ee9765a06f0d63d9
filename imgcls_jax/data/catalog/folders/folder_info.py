"""A prepared TFDS folder as its own `dataset_info.json` and `features.json` tell it."""

import dataclasses
import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NotRequired, TypedDict

from imgcls_jax.data.catalog.description import Description
from imgcls_jax.errors import UserError, printable
from imgcls_jax.files.fit import misfit
from imgcls_jax.files.reading import content, read_json

_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"  # where the folder names none
FORMATS = ("array_record", "tfrecord")
_FIELD = re.compile(r"\{(\w+)\}")
_PLAIN = re.compile(r"[\w.+-]+")
# Far more examples in a file, classes, and pixels to a side than there are.
_MOST, _MOST_CLASSES, _MOST_PIXELS = 2**40, 2**20, 2**20


class Features(NamedTuple):
    """The two features that an example is read for.

    image, label: their names.
    image_shape: (H, W, C), None for sides that vary.
    classes: how many there are.
    """

    image: str
    label: str
    image_shape: tuple[int | None, ...]
    classes: int


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FolderInfo:
    """What stands in `data_dir/name[/config]/version`.

    Attributes:
      path: the folder.
      name, config, version: config is None for a data set without configurations.
      features: the image and the label.
      class_names: in the order of the label indices.
      shards: the lengths of each split's files, without splits that have no example.
      templates: how those are called, by split.
      file_format: "array_record" or "tfrecord".
      told: `dataset_info.json`.
    """

    path: Path
    name: str
    config: str | None
    version: str
    features: Features
    class_names: tuple[str, ...]
    shards: Mapping[str, tuple[int, ...]]
    templates: Mapping[str, str]
    file_format: str
    told: Mapping[str, Any]

    @property
    def title(self) -> str:
        """The name with its configuration."""
        return self.name if self.config is None else f"{self.name}/{self.config}"

    @functools.cached_property
    def counts(self) -> dict[str, int]:
        """Examples of each split."""
        return {name: sum(lengths) for name, lengths in self.shards.items()}

    def files(self, split: str) -> list[Path]:
        """Returns the files of a split, in the order of its examples."""
        count = len(self.shards[split])
        width = max(5, len(str(count)))
        fields = {"DATASET": self.name, "SPLIT": split, "FILEFORMAT": self.file_format}
        found = []
        for number in range(count):
            index, of = f"{number:0{width}}", f"{count:0{width}}"
            fields |= {"SHARD_X_OF_Y": f"{index}-of-{of}", "SHARD_INDEX": index, "NUM_SHARDS": of}
            found.append(self.path / _filled(self.templates[split], fields))
        return found

    def beside(self, kind: str, split: str) -> Path:
        """Returns where what was read of a split is kept."""
        return self.path.with_name(f"{kind}-{self.path.name}-{split}.npz")

    def state(self, split: str) -> str:
        """Returns a digest of the names, sizes and times of the files, and of what is told."""
        of: list[Any] = [self.told, self.features]
        for path in self.files(split):
            status = path.stat()
            of.append([path.name, status.st_size, status.st_mtime_ns])
        return hashlib.sha256(json.dumps(of).encode()).hexdigest()

    @property
    def description(self) -> Description:
        told = self.told
        location = told.get("location", {}).get("urls") or [""]
        return Description(
            name=self.title,
            version=self.version,
            class_names=self.class_names,
            counts=self.counts,
            image_shape=self.features.image_shape,
            download_bytes=int(told.get("downloadSize", 0)) or None,
            licence=told.get("redistributionInfo", {}).get("license", ""),
            homepage=location[0],
            citation=told.get("citation", ""),
            remarks=(f"It is prepared in {printable(self.path)}",),
        )


def _filled(template: str, fields: Mapping[str, str]) -> str:
    """Returns a template with its fields filled in; by `format` it might become of any length."""
    return _FIELD.sub(lambda field: fields[field[1]], template)


def exists(folder: Path) -> bool:
    """Returns whether a folder claims to be a prepared data set."""
    return (folder / "dataset_info.json").is_file()


class _Told(TypedDict):
    name: str
    version: str
    configName: NotRequired[str]


class Identity(NamedTuple):
    """Which data set a folder says that it holds."""

    name: str
    config: str | None
    version: str


def identity(folder: Path) -> Identity | None:
    """Returns which data set a prepared folder holds, None for one that is damaged."""
    try:
        told = read_json(folder / "dataset_info.json")
    except (OSError, ValueError):
        return None
    if misfit(told, _Told):
        return None
    return Identity(told["name"], told.get("configName") or None, told["version"])


def read(folder: Path) -> FolderInfo:
    """Reads what a prepared folder tells of itself, and looks whether its files are there.

    Raises:
      UserError: the folder is damaged, not whole, of another format, or has not one image and one
        label.
    """
    try:
        told = read_json(folder / "dataset_info.json")
        keys = _supervised_keys(told.get("supervisedKeys", {}))
        features = choose(_feature_tree(folder), keys, where=printable(folder))
        splits = {of["name"]: of for of in told["splits"] if any(_lengths(of))}
        info = FolderInfo(
            path=folder,
            name=told["name"],
            config=told.get("configName") or None,
            version=told["version"],
            features=features,
            class_names=_class_names(folder, features),
            shards={name: _lengths(of) for name, of in splits.items()},
            templates={n: of.get("filepathTemplate") or _TEMPLATE for n, of in splits.items()},
            file_format=told.get("fileFormat", "tfrecord"),
            told=told,
        )
        _require_sound(info)
        missing = [f for name in info.counts for f in info.files(name) if not f.is_file()]
    except UserError:
        raise
    except Exception as error:  # any content of two files, and TFDS for old ones
        reason = f"{type(error).__name__}: {str(error).strip().split(chr(10))[0]}"
        raise UserError(
            f"{printable(folder)} is no TFDS data set that can be read ({reason}): delete it and "
            "prepare it again."
        ) from error
    if info.file_format not in FORMATS:
        raise UserError(
            f"{printable(folder)} holds records in the format {info.file_format}: prepare it "
            f'with file_format="{FORMATS[0]}" or "{FORMATS[1]}".'
        )
    if missing or not info.counts:
        what = f"it has no {missing[0].name}" if missing else "it has no examples"
        raise UserError(
            f"{printable(folder)} is half prepared ({what}): delete it and prepare it again."
        )
    return info


def _lengths(split: Mapping[str, Any]) -> tuple[int, ...]:
    """Returns the lengths of a split's files, in JSON of protocol buffers numbers or text."""
    if not all(type(length) in (int, str) for length in split["shardLengths"]):
        raise ValueError("shardLengths that are no numbers")
    return tuple(map(int, split["shardLengths"]))


def _require_sound(info: FolderInfo) -> None:
    """Raises ValueError for what TFDS never writes, such as files in another folder."""
    said, shape = info.description, info.features.image_shape
    names = [of["name"] for of in info.told["splits"]]
    if len(set(names)) < len(names):
        raise ValueError("two splits of one name")
    if not all(isinstance(text, str) for text in (said.licence, said.homepage, said.citation)):
        raise ValueError("a description that is no text")
    for name in (info.name, info.version, info.config or "none", *info.shards):
        if not _PLAIN.fullmatch(name):
            raise ValueError(f"{name[:40]!r} in the place of a name")
    if not all(0 <= length < _MOST for lengths in info.shards.values() for length in lengths):
        raise ValueError("impossible numbers of examples")
    if any(file.parent != info.path for split in info.shards for file in info.files(split)):
        raise ValueError("files in another folder")
    if len(shape) != 3 or not all(side is None or 0 < side < _MOST_PIXELS for side in shape):
        raise ValueError(f"images of the shape {shape}"[:80])


def require_features_of_tfds(content: Any) -> None:
    """Raises ValueError for a `features.json` with names of another package: TFDS imports them."""
    inner = content.values() if isinstance(content, dict) else content
    for key, value in content.items() if isinstance(content, dict) else ():
        named = key in ("pythonClassName", "type") and isinstance(value, str)
        if named and "." in value and not value.startswith("tensorflow_datasets."):
            raise ValueError(f"features of {value[:80]}")
    for value in inner if isinstance(content, dict | list) else ():
        require_features_of_tfds(value)


def choose(tree: Mapping[str, Any], keys: Sequence[str] | None, *, where: str) -> Features:
    """Finds the image and the label; among several of a kind the supervised keys decide.

    Args:
      tree: the content of `features.json`, as TFDS writes it since version 4.4.
      keys: the data set's supervised keys, if it has any.
      where: the data set, as a sentence begins with it.

    Raises:
      UserError: there is not one image of bytes and one label; it says what there is.
      KeyError, TypeError, ValueError: the content is not what TFDS writes.
    """
    plain = tree.get("featuresDict", {}).get("features", {})
    kinds = {name: _kind(feature) for name, feature in plain.items()}
    chosen = {}
    for position, kind in enumerate(("Image", "ClassLabel")):
        names = [name for name, found in kinds.items() if found == kind]
        if keys and len(keys) == 2 and keys[position] in names:
            names = [keys[position]]
        if len(names) == 1:
            chosen[kind] = names[0]
    if len(chosen) < 2:
        listed = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
        raise UserError(
            f"{where} has not one image and one label but {listed or _kind(tree)}: choose a data "
            "set of one image and one class per example."
        )
    image, label = chosen["Image"], chosen["ClassLabel"]
    sides = [int(side) for side in plain[image]["image"]["shape"]["dimensions"]]
    return Features(
        image,
        label,
        tuple(None if side < 0 else side for side in sides),
        int(plain[label]["classLabel"].get("numClasses", 0)),
    )


def _kind(feature: Mapping[str, Any]) -> str:
    """Returns the class of a feature, with its type for images that are not of bytes."""
    kind = feature["pythonClassName"].rpartition(".")[2]
    dtype = feature.get("image", {}).get("dtype", "uint8") if kind == "Image" else "uint8"
    return kind if dtype == "uint8" else f"{kind} of {dtype}"


def _feature_tree(folder: Path) -> Mapping[str, Any]:
    tree = read_json(folder / "features.json")
    require_features_of_tfds(tree)
    if "pythonClassName" in tree:
        return tree
    import tensorflow_datasets as tfds  # which still knows how its versions before 4.4 wrote it

    return tree_of(tfds.features.FeatureConnector.from_config(folder))


def tree_of(features: Any) -> dict[str, Any]:
    """Returns what TFDS would write of features into `features.json`."""
    from google.protobuf import json_format

    return json_format.MessageToDict(features.to_proto())


def _supervised_keys(told: Mapping[str, Any]) -> tuple[str, ...] | None:
    if "tuple" in told:
        return tuple(item.get("featureKey") for item in told["tuple"]["items"])
    return (told["input"], told["output"]) if {"input", "output"} <= told.keys() else None


def _class_names(folder: Path, features: Features) -> tuple[str, ...]:
    names = folder / f"{features.label.replace('/', '.')}.labels.txt"
    if names.is_file():
        return tuple(filter(None, map(str.strip, content(names).decode().split("\n"))))
    if not 0 <= features.classes < _MOST_CLASSES:
        raise ValueError(f"{features.classes} classes")
    return tuple(map(str, range(features.classes)))
