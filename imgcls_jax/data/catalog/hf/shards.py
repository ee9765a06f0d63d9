"""Which Parquet files of a repository are of which configuration and split, by the Hub's naming.

The card's `configs` say it by patterns of paths; without them the names do, such as
`data/train-00000-of-00005.parquet`, `CONFIG/test-00000-of-00001.parquet` or
`CONFIG/train/0000.parquet` (https://huggingface.co/docs/hub/datasets-file-names-and-splits).
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from imgcls_jax.data.photos import split_names
from imgcls_jax.data.photos.split_names import EVALUATION, TEST, TRAIN, VALIDATION
from imgcls_jax.errors import UserError, printable

DEFAULT = "default"
_SUFFIX = ".parquet"
_SHARD = re.compile(r"-\d+-of-\d+.*$|[-_.]?\d+$")
_PLAIN_FOLDER = "data"
_MOST_PARTS = 15  # of a pattern

Splits = dict[str, tuple[str, ...]]  # a split as the repository calls it -> its files, in order


def arrange(paths: Iterable[str], card: Mapping[str, Any]) -> dict[str, Splits]:
    """Returns the splits of every configuration that has Parquet files.

    Args:
      paths: of all files in the repository.
      card: the metadata at the head of its README, {} where there is none.
    """
    files = sorted(path for path in paths if path.endswith(_SUFFIX))
    configs = card.get("configs")
    found = {}
    for config in configs if isinstance(configs, list) else ():
        if isinstance(config, dict) and config.get("data_files"):
            splits = _by_patterns(files, config["data_files"])
            if splits:
                found[str(config.get("config_name", DEFAULT))] = splits
    return found or _by_names(files)


def choose(found: Mapping[str, Splits], config: str | None, card: Mapping, of: str) -> str:
    """Returns the configuration that is named or, without a name, the only or the default one.

    Raises:
      UserError: there is none of the name, or several and none is the default.
    """
    if config is not None:
        if config in found:
            return config
        raise UserError(
            f"{printable(of)} has no configuration {printable(config)}; choose one of "
            f"{_some(found)}."
        )
    if len(found) == 1:
        return next(iter(found))
    configs = card.get("configs")
    marked = [
        str(told.get("config_name"))
        for told in (configs if isinstance(configs, list) else ())
        if isinstance(told, dict) and told.get("default") is True
    ]
    for name in (*marked, DEFAULT):
        if name in found:
            return name
    raise UserError(
        f"{printable(of)} has the configurations {_some(found)}; write one behind the name, as in "
        f"{printable(of)}/{printable(next(iter(found)))}."
    )


def assign(splits: Iterable[str], of: str) -> dict[str, str]:
    """Maps "train", "validation" and "test", as far as they are there, to the repository's names.

    A split without a meaning here, such as "unsupervised", is left out.

    Raises:
      UserError: two splits mean the same.
    """
    meanings: dict[str, list[str]] = defaultdict(list)
    for name in splits:
        kind, rest = split_names.read(name)
        if kind is not None and rest in ((), ("partial",)):
            meanings[kind].append(name)
    if EVALUATION in meanings:
        free = VALIDATION if TEST in meanings and VALIDATION not in meanings else TEST
        meanings[free] += meanings.pop(EVALUATION)
    for kind, names in meanings.items():
        if len(names) > 1:
            raise UserError(
                f"{printable(of)} has {len(names)} splits for {kind}, {_some(names)}; choose "
                "another data set, or give a copy of its files as `data_dir`, one split in each."
            )
    return {kind: names[0] for kind, names in meanings.items()}


def _by_patterns(files: Sequence[str], told: Any) -> Splits:
    """Returns the splits that the card's `data_files` describe."""
    if isinstance(told, (str, list)) and not any(isinstance(item, dict) for item in told):
        told = {TRAIN: told}
    elif isinstance(told, list):
        told = {
            str(item.get("split", TRAIN)): item.get("path")
            for item in told
            if isinstance(item, dict)
        }
    if not isinstance(told, dict):
        return {}
    splits = {}
    for split, patterns in told.items():
        several = patterns if isinstance(patterns, list) else [patterns]
        known = [_pattern(pattern) for pattern in several if isinstance(pattern, str)]
        matched = tuple(path for path in files if any(of.fullmatch(path) for of in known))
        if matched:
            splits[str(split)] = matched
    return splits


def _pattern(glob: str) -> re.Pattern[str]:
    """Returns a pattern of paths, in which ** stands for folders, as a regular expression."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", glob.removeprefix("./"))
    if len(parts) > _MOST_PARTS:  # which might take for ever to compare
        return re.compile(r"(?!)")
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(part, re.escape(part)) for part in parts))


def _by_names(files: Sequence[str]) -> dict[str, Splits]:
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in files:
        config, split = _place(path)
        found[config][split].append(path)
    return {
        config: {split: tuple(paths) for split, paths in splits.items()}
        if any(split_names.read(split)[0] for split in splits)
        else {TRAIN: tuple(sorted(path for paths in splits.values() for path in paths))}
        for config, splits in found.items()
    }


def _place(path: str) -> tuple[str, str]:
    """Returns the configuration and the split that a path stands for."""
    *folders, stem = PurePosixPath(path.removesuffix(_SUFFIX)).parts
    named = _SHARD.sub("", stem)
    split = named if split_names.read(named)[0] else None
    if split is None:
        inner = [folder for folder in folders if split_names.read(folder)[0]]
        split = inner[-1] if inner else named or (folders[-1] if folders else TRAIN)
    rest = [folder for folder in folders if folder not in (split, _PLAIN_FOLDER)]
    return "/".join(rest) or DEFAULT, split


def _some(names: Iterable[str], most: int = 8) -> str:
    names = list(map(printable, names))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
