"""The benchmark's bookkeeping, and its CIFAR-10 contenders doing the work they are timed for."""

import numpy as np
import pytest

from experiments.benchmarks import cifar10, timing
from imgcls_jax.data import Split


def test_contenders_take_turns_and_the_first_is_not_counted():
    called = []
    contenders = {name: lambda turn, name=name: called.append((turn, name)) for name in "ab"}
    seconds, peak = timing.take_turns(contenders, rounds=2)
    assert called == [(turn, name) for turn in range(3) for name in "ab"]
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}
    assert peak > 0
    assert timing.medians({"a": [3.0, 1.0, 2.0]}) == {"a": 2.0}


def test_a_warm_turn_is_two_calls_of_which_one_counts():
    called = []
    contenders = {name: lambda turn, name=name: called.append((turn, name)) for name in "ab"}
    seconds, _ = timing.take_turns(contenders, rounds=1, warm=True)
    assert called == [(0, "a"), (0, "b"), (1, "a"), (1, "a"), (1, "b"), (1, "b")]
    assert {name: len(values) for name, values in seconds.items()} == {"a": 1, "b": 1}


@pytest.mark.slow
@pytest.mark.parametrize("case", cifar10.CASES, ids=lambda case: case.name)
def test_our_contenders_train_and_count_the_same_operations(case):
    config = case.config
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (config.train.batch_size, 32, 32, 3), dtype=np.uint8)
    train = Split(images, rng.integers(0, 10, config.train.batch_size).astype(np.int32))
    ours, operations = cifar10.our_steps(config, train, 10, 1)
    for turn in ours.values():
        turn(0)
    # A step is about three forward passes; run 10's network makes 4.55 million products forward.
    if config.model.model == "documented_cnn":
        assert 2 * 2.5 < operations / config.train.batch_size / 4.55e6 < 2 * 3.3
