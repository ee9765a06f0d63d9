"""The properties that tell one downloadable data set from another; all else is shared."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from imgcls_jax.data.dataset import Split
from imgcls_jax.data.raw.layouts import Layout

Splits = dict[str, Split]  # keys "train" and "test"


@dataclasses.dataclass(frozen=True, kw_only=True)
class HubCopy:
    """A copy of a data set on the Hugging Face Hub, a parquet file for each split.

    repository, revision: of a data set; the commit that is read.
    files: split -> path in the repository.
    image, label: names of the columns; images are structs whose `bytes` are a PNG file.
    shape: (H, W, C) of every image.
    in_raw_order: splits in the order of the copy -> splits in the order of the raw files.
    """

    repository: str
    revision: str
    files: Mapping[str, str]
    image: str
    label: str
    shape: tuple[int, int, int]
    in_raw_order: Callable[[Splits], Splits] = lambda splits: splits


@dataclasses.dataclass(frozen=True, kw_only=True)
class DebianPackage:
    """A package of Debian and Ubuntu with the raw files; `folder` is where it has them below /."""

    name: str
    folder: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A data set as `catalog.load` needs to know it.

    name, version, description, homepage, citation: those of the stock TFDS builder.
    class_names: in the order of the label indices.
    counts: examples of each split.
    layouts: the forms in which raw files are read, preferred first.
    downloads: name of a raw file or archive -> address, as pinned in TFDS.
    raw_dirs: folders to look in for raw files when none is named.
    hub: the copy on the Hugging Face Hub; None where there is none.
    debian: the package with the raw files; None where there is none.
    ways_out: what a person without network can do, a clause naming commands and arguments.
    read_raw: paths of all files of a layout, or of its archive, by official name -> splits; raises
      UserError on files that are not right.
    differing: splits -> the official names of files whose published digest they do not have.
    stock_key: (split name, index in the raw files) -> the stock builder's key of that example.
    stock_id: (split name, index) -> the stock feature "id"; None where examples have none.
    """

    name: str
    version: str
    description: str
    homepage: str
    citation: str
    class_names: tuple[str, ...]
    counts: Mapping[str, int]
    layouts: tuple[Layout, ...]
    downloads: Mapping[str, str]
    raw_dirs: tuple[Path, ...] = ()
    hub: HubCopy | None = None
    debian: DebianPackage | None = None
    ways_out: str
    read_raw: Callable[[Mapping[str, Path]], Splits]
    differing: Callable[[Splits], tuple[str, ...]]
    stock_key: Callable[[str, int], str]
    stock_id: Callable[[str, int], str] | None = None
