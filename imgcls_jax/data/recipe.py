"""What distinguishes one downloadable data set from another; everything else is shared."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from imgcls_jax.data.dataset import Split

Splits = dict[str, Split]  # keys "train" and "test"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A data set as `sources.load` needs to know it.

    name, version, description, homepage, citation: those of the stock TFDS builder.
    class_names: in the order of the label indices.
    counts: examples of each split.
    urls: official file name -> address, as pinned in TFDS.
    raw_dirs: folders to look in for those files when none is named.
    ways_out: what a person without network can do, a clause naming commands and flags.
    read_raw: paths by official file name -> splits; raises UserError on files that are not right.
    differing: splits -> the official names of files whose published digest they do not have.
    stock_key: (split name, index in the raw files) -> the stock builder's key of that example.
    """

    name: str
    version: str
    description: str
    homepage: str
    citation: str
    class_names: tuple[str, ...]
    counts: Mapping[str, int]
    urls: Mapping[str, str]
    raw_dirs: tuple[Path, ...]
    ways_out: str
    read_raw: Callable[[Mapping[str, Path]], Splits]
    differing: Callable[[Splits], tuple[str, ...]]
    stock_key: Callable[[str, int], str]
