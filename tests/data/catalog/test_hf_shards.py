"""Which Parquet files are of which configuration and split, by the names people give them."""

import pytest

from imgcls_jax.data.catalog.hf import shards
from imgcls_jax.errors import UserError

BY_NAMES = {
    "data/train-00000-of-00002.parquet data/train-00001-of-00002.parquet "
    "data/test-00000-of-00001-b42abd576dea3f4c.parquet README.md": {
        "default": {"train": 2, "test": 1}
    },
    "default/train/0000.parquet default/validation/0000.parquet default/validation/0001.parquet": {
        "default": {"train": 1, "validation": 2}
    },
    "default/partial-train/0000.parquet default/test/0000.parquet": {
        "default": {"partial-train": 1, "test": 1}
    },
    "train.parquet test.parquet": {"default": {"train": 1, "test": 1}},
    "plain_text/train-00000-of-00001.parquet": {"plain_text": {"train": 1}},
    "letters/train-00000-of-00001.parquet digits/train-00000-of-00001.parquet": {
        "letters": {"train": 1},
        "digits": {"train": 1},
    },
    "data/train/part-0.parquet data/test/part-0.parquet": {"default": {"train": 1, "test": 1}},
    "0000.parquet 0001.parquet": {"default": {"train": 2}},
    "data/train-00000-of-00001.parquet data/extra-00000-of-00001.parquet": {
        "default": {"train": 1, "extra": 1}
    },
    "images/1.jpg labels.csv": {},
}


@pytest.mark.parametrize("paths", BY_NAMES)
def test_by_names(paths):
    found = shards.arrange(paths.split(), {})
    counted = {config: {s: len(of) for s, of in splits.items()} for config, splits in found.items()}
    assert counted == BY_NAMES[paths]
    for splits in found.values():
        assert all(list(files) == sorted(files) for files in splits.values())


FILES = ["a/train-0.parquet", "a/deep/train-1.parquet", "a/x-0.parquet", "b/train-0.parquet"]
CARDS = {
    "split and path": ([{"split": "train", "path": "a/train-*"}], {"train": FILES[:1]}),
    "folders": ([{"split": "test", "path": ["a/**/train-*", "b/*"]}], {
        "test": [FILES[1], FILES[0], FILES[3]]
    }),
    "one pattern": ("b/*", {"train": [FILES[3]]}),
    "several patterns": (["b/*", "./a/x-?.parquet"], {"train": [FILES[2], FILES[3]]}),
    "by split": ({"dev": "a/x-0.parquet"}, {"dev": [FILES[2]]}),
    "a dot is a dot": ("a/x-0-parquet", None),
    "too long to be meant": ("**/" * 20 + "*", None),
    "no files": ([{"split": "train", "path": 3}], None),
    "no sense": (7, None),
}  # fmt: skip


@pytest.mark.parametrize(("told", "splits"), CARDS.values(), ids=CARDS)
def test_by_the_card(told, splits):
    card = {"configs": [{"config_name": "mine", "data_files": told}]}
    found = shards.arrange(FILES, card)
    if splits is None:  # what the card says in vain is told by names
        assert set(found) == {"a", "a/deep", "b"}
    else:
        assert found == {"mine": {name: tuple(sorted(of)) for name, of in splits.items()}}


def test_the_configuration_is_the_named_the_only_or_the_default_one():
    one, two = {"a": {}}, {"a": {}, "b": {}}
    assert shards.choose(one, None, {}, "hf:o/n") == "a"
    assert shards.choose(two, "b", {}, "hf:o/n") == "b"
    card = {"configs": [{"config_name": "a"}, {"config_name": "b", "default": True}]}
    assert shards.choose(two, None, card, "hf:o/n") == "b"
    assert shards.choose(two | {"default": {}}, None, {}, "hf:o/n") == "default"
    with pytest.raises(UserError, match="hf:o/n has the configurations a, b; write one behind"):
        shards.choose(two, None, {"configs": "none"}, "hf:o/n")
    with pytest.raises(UserError, match="hf:o/n has no configuration c; choose one of a, b"):
        shards.choose(two, "c", {}, "hf:o/n")


def test_splits_have_the_meanings_of_their_names():
    def assign(*names):
        return shards.assign(names, "hf:o/n")

    assert assign("Training", "dev", "test") == {
        "train": "Training", "validation": "dev", "test": "test",
    }  # fmt: skip
    assert assign("train", "eval") == {"train": "train", "test": "eval"}
    assert assign("train", "eval", "test")["validation"] == "eval"
    assert assign("partial-train", "unsupervised") == {"train": "partial-train"}
    assert assign("all", "some") == {}
    with pytest.raises(UserError, match="has 2 splits for validation, dev, valid; choose"):
        assign("train", "dev", "valid")
