"""Each process reads its rows of every batch: together they are the batches of one process."""

import numpy as np
import pytest
from PIL import Image

from imgcls_jax.data.photos import streaming
from imgcls_jax.data.photos.sources import FolderPhotos
from imgcls_jax.data.sampling import Balanced

COUNT, BATCH = 23, 8  # batches of 8, 8 and 7
KINDS = {"plain": {}, "crops": {"crop_scale": (0.2, 1.0)}, "balanced": {"crop_scale": (0.2, 1.0)}}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    paths = tuple(f"{index}.png" for index in range(COUNT))
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(root / path)
    return FolderPhotos(root, paths, np.arange(COUNT, dtype=np.int32) % 4)


def _here(number, count):
    """The rows of a batch that divides evenly; every process reads the other, smaller one."""
    return {size: np.arange(size) if size % count else np.split(np.arange(size), count)[number]
            for size in (BATCH, COUNT % BATCH)}  # fmt: skip


@pytest.mark.parametrize(("kind", "count"), [("plain", 2), ("crops", 4), ("balanced", 2)])
def test_the_shares_of_all_processes_are_the_batches_of_one(source, kind, count):
    options = {"batch_size": BATCH, "size": 8, "seed": 3, "epochs": 2, **KINDS[kind]}
    if kind == "balanced":
        options["balance"] = Balanced(source.labels)
    whole = list(streaming.stream(source, **options))
    shares = [
        list(streaming.stream(source, here=_here(number, count), **options))
        for number in range(count)
    ]
    for number, batch in enumerate(whole):
        parts = [share[number] for share in shares]
        if len(batch["index"]) % count:
            parts = parts[:1]  # each has all of it
        for name, values in batch.items():
            np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), values)
    if kind != "balanced":
        for epoch in (whole[:3], whole[3:]):
            assert sorted(np.concatenate([b["index"] for b in epoch])) == list(range(COUNT))


def test_a_position_holds_for_any_number_of_processes(source):
    options = {"batch_size": BATCH, "size": 8, "seed": 3}
    with streaming.stream(source, here=_here(1, 4), **options) as one_of_four:
        next(one_of_four), next(one_of_four)
        state = one_of_four.get_state()
    with streaming.stream(source, **options) as alone:
        expected = [next(alone) for _ in range(4)][2:]
    with streaming.stream(source, here=_here(0, 2), **options) as one_of_two:
        one_of_two.set_state(state)
        for batch in expected:
            found = next(one_of_two)["index"]
            np.testing.assert_array_equal(found, batch["index"][: len(found)])


def test_a_last_batch_is_filled_up_with_the_last_picture(source):
    here = {BATCH: np.arange(4, 8), COUNT % BATCH: np.array([4, 5, 6, 6])}
    options = {"batch_size": BATCH, "size": 8, "epochs": 1, "shuffle": False}
    last = list(streaming.stream(source, here=here, **options))[-1]
    assert last["index"].tolist() == [20, 21, 22, 22]
    np.testing.assert_array_equal(last["image"][2], last["image"][3])
