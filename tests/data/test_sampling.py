"""Balanced sampling: frequencies within binomial bounds, orders that come again, others as ever."""

import dataclasses
import pickle

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from imgcls_jax.config import Config
from imgcls_jax.data import resident
from imgcls_jax.data.photos import streaming
from imgcls_jax.data.sampling import Balanced, order
from imgcls_jax.errors import UserError

COUNT = 600
_on_device = jax.jit(resident.drawn_order, static_argnums=0)


def on_device(labels, seed, epoch):
    return np.asarray(_on_device("balanced", jax.random.key(seed), epoch, labels))


def on_the_host(labels, seed, epoch):
    return Balanced(labels).order(seed, epoch)


@pytest.mark.parametrize("draw", [on_device, on_the_host])
@settings(deadline=None, max_examples=25)
@given(
    classes=st.lists(st.integers(0, 12), min_size=1, max_size=6, unique=True),
    shares=st.lists(st.floats(0.001, 1), min_size=6, max_size=6),
    seed=st.integers(0, 2**31 - 1),
    epoch=st.integers(0, 100),
)
def test_classes_are_as_frequent_as_binomial_draws(draw, classes, shares, seed, epoch):
    """Every class that occurs, however rare, and every example of it."""
    cuts = np.cumsum(shares[: len(classes)]) / sum(shares[: len(classes)])
    labels = np.array(classes, np.int32)[np.searchsorted(cuts[:-1], np.arange(COUNT) / COUNT)]
    labels = np.random.default_rng(seed).permutation(labels)
    drawn = draw(labels, seed, epoch)
    assert drawn.shape == (COUNT,)
    assert 0 <= drawn.min() <= drawn.max() < COUNT
    there, sizes = np.unique(labels, return_counts=True)
    for of, size in zip(there, sizes, strict=True):
        low, high = binom.interval(1 - 1e-9, COUNT, 1 / len(there))
        assert low <= (labels[drawn] == of).sum() <= high
        times = np.bincount(drawn, minlength=COUNT)[labels == of]
        low, high = binom.interval(1 - 1e-9, COUNT, 1 / len(there) / size)
        assert low <= times.min() <= times.max() <= high
    np.testing.assert_array_equal(drawn, draw(labels, seed, epoch))
    assert (drawn != draw(labels, seed, epoch + 1)).any()
    assert (drawn != draw(labels, seed + 1, epoch)).any()


def test_uniform_orders_are_what_they_were():
    """To the bit: fixed numbers, of the first epoch and of another."""
    labels = np.zeros(8, np.int32)
    for epoch, expected in ((0, [7, 6, 2, 5, 0, 4, 1, 3]), (3, [5, 0, 1, 4, 7, 6, 2, 3])):
        key = jax.random.key(5)
        found = resident.drawn_order("uniform", key, epoch, labels)
        np.testing.assert_array_equal(found, resident.epoch_order(key, epoch, 8))
        assert found.tolist() == expected
    assert order(8, 5, 3).tolist() == [7, 1, 0, 3, 4, 2, 6, 5]


class Photos:
    """Pictures that are all the same, with labels."""

    def __init__(self, labels):
        self.labels = labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return "", int(self.labels[index])

    def identity(self):
        return "photos"


LABELS = np.array([0] * 20 + [1] * 2 + [3], np.int32)


@pytest.fixture
def batches(monkeypatch):
    """Batches of 5, whose pictures are the number that a random crop is drawn by."""
    monkeypatch.setattr(
        streaming.Batches, "_image", lambda self, picture, epoch, number: np.full((1, 1, 3), number)
    )
    return streaming.Batches(Photos(LABELS), 5, 1, seed=2, balance=Balanced(LABELS))


def test_a_stream_draws_as_many_examples_as_there_are_and_each_with_a_crop_of_its_own(batches):
    first, again = ([batches[number] for number in range(5)] for _ in range(2))
    index = np.concatenate([batch["index"] for batch in first])
    assert index.tolist() == Balanced(LABELS).order(2, 0).tolist()
    assert len(set(index.tolist())) < len(index) == len(LABELS)
    assert np.concatenate([b["image"][:, 0, 0, 0] for b in first]).tolist() == list(range(23))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one["label"], LABELS[one["index"]])
        np.testing.assert_array_equal(one["index"], other["index"])
    there = pickle.loads(pickle.dumps(dataclasses.replace(batches, first=7)))
    np.testing.assert_array_equal(there[0]["index"], batches[7]["index"])


def test_a_stream_goes_on_from_one_drawn_alike_only(batches):
    uniform = dataclasses.replace(batches, balance=None)
    assert "sampler" not in uniform.identity()  # a checkpoint of an older version goes on
    state = streaming.Stream(batches, workers=0, place=None, ahead=False).get_state()
    streaming.Stream(batches, workers=0, place=None, ahead=False).set_state(state)
    with pytest.raises(UserError, match="sampler is balanced there, None here"):
        streaming.Stream(uniform, workers=0, place=None, ahead=False).set_state(state)


def test_it_is_not_for_class_weights():
    with pytest.raises(UserError, match="`class_weights` and `sampler=balanced` both") as raised:
        Config.of(sampler="balanced", class_weights=True)
    assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match="unknown `sampler=rare`; choose one of: uniform, balanced"):
        Config.of(sampler="rare")
