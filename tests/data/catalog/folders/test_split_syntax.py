"""Parts of splits: the same examples as TFDS' own reading, and one sentence for each mistake."""

import types

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tensorflow_datasets.core import splits as tfds_splits

from imgcls_jax.data.catalog.folders import split_syntax
from imgcls_jax.data.catalog.folders.split_syntax import Part
from imgcls_jax.errors import UserError

SHARDS = {"train": (30, 31, 30), "validation": (7,), "test-1": (100,)}


def parts(expression, shards=SHARDS):
    return split_syntax.parts(expression, shards, setting="train_split")


def by_tfds(expression):
    """Returns (split, start, stop) of each part as TFDS reads the expression."""
    infos = {
        name: types.SimpleNamespace(num_examples=sum(of), shard_lengths=list(of))
        for name, of in SHARDS.items()
    }
    read = tfds_splits.AbstractSplit.from_spec(expression).to_absolute(infos)
    whole = {name: sum(of) for name, of in SHARDS.items()}
    return [
        Part(of.splitname, of.from_ or 0, whole[of.splitname] if of.to is None else of.to)
        for of in read
    ]


bounds = st.one_of(
    st.just(""),
    st.integers(-120, 120).map(str),
    st.integers(-110, 110).map("{}%".format),
    st.floats(-100, 100).map("{:.1f}%".format),
    st.integers(-4, 4).map("{}shard".format),
)
terms = st.one_of(
    st.sampled_from(["train", "validation", "test-1", "all", "none"]),
    st.tuples(st.sampled_from(["train", "test-1"]), bounds, bounds).map(
        "{0[0]}[{0[1]}:{0[2]}]".format
    ),
    st.tuples(st.sampled_from(["train"]), bounds).map("{0[0]}[{0[1]}]".format),
)
expressions = st.lists(terms, min_size=1, max_size=3).flatmap(
    lambda of: st.sampled_from(["+", " + ", "+ "]).map(lambda plus: plus.join(of))
)


@given(expressions)
@example("train[:50%]+train[33%:66%]+test-1[-2shard:]")
@example("train[1shard]+all")
def test_an_expression_means_what_it_means_to_tfds(expression):
    try:
        expected = by_tfds(expression)
    except Exception:
        with pytest.raises(UserError):
            parts(expression)
        return
    if all(0 <= of.start < of.stop for of in expected):
        assert list(parts(expression)) == expected
    else:  # TFDS reads nothing there, or fails later
        with pytest.raises(UserError):
            parts(expression)


@pytest.mark.parametrize("expression", ["", "train[", "train[]", "train[:]", "train[1]", "train[:1",
    "train[:101%]", "train[1:2:3]", "train[a:]", "all[:5]", "train,test", "train[:1.5]", "+train",
    "train\n", "train[[:5]]"])  # fmt: skip
def test_a_wrong_expression_is_one_sentence(expression):
    for read in (parts, lambda text: split_syntax.check(text, setting="train_split")):
        with pytest.raises(UserError, match=r"^`train_split=.*is no part of a split: write it"):
            read(expression)


def test_what_is_not_there_is_named():
    with pytest.raises(
        UserError, match=r"'tset' that is not there: the splits are train \(91\), v"
    ):
        parts("tset")
    for none in ("train[91:]", "train[5:5]", "train[:92]", "train[:0%]", "train[-92:]"):
        with pytest.raises(UserError, match=r"no example or more than there are: train has 91"):
            parts(none)


@given(st.tuples(*[st.integers(0, 91)] * 4))
def test_shared_examples_are_found(bounds):
    one, other = (Part("train", *sorted(of)) for of in (bounds[:2], bounds[2:]))
    both = set(range(one.start, one.stop)) & set(range(other.start, other.stop))
    found = split_syntax.overlap([Part("test-1", 0, 91), one], [other])
    assert (found is None) == (not both)
    assert found is None or set(range(found.start, found.stop)) == both
