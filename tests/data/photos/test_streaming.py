"""Streaming: the order of every epoch, exact restoring, random crops, and what can go wrong."""

import dataclasses
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import types

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from experiments.benchmarks import streaming as streaming_scale
from imgcls_jax.data.catalog import builder
from imgcls_jax.data.dataset import Split
from imgcls_jax.data.photos import decode, streaming
from imgcls_jax.data.photos.crops import random_crop
from imgcls_jax.data.photos.sources import FolderPhotos, RecordPhotos
from imgcls_jax.errors import UserError

COUNT = 23
OPTIONS = {"batch_size": 5, "size": 8, "seed": 3}  # batches of 5, 5, 5, 5 and 3


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    paths = tuple(f"{index}.png" for index in range(COUNT))
    for index, path in enumerate(paths):
        pixels = rng.integers(0, 256, (20 + index, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / path)
    return FolderPhotos(root, paths, np.arange(COUNT, dtype=np.int32) % 4)


def assert_same(batches, others):
    assert len(batches) == len(others)
    for batch, other in zip(batches, others, strict=True):
        assert batch.keys() == other.keys()
        for name in batch:
            np.testing.assert_array_equal(batch[name], other[name])


def test_an_epoch_holds_every_picture_once_in_a_shuffled_order(source):
    batches = list(streaming.stream(source, epochs=1, **OPTIONS))
    assert [len(batch["label"]) for batch in batches] == [5, 5, 5, 5, 3]
    index = np.concatenate([batch["index"] for batch in batches])
    assert sorted(index) == list(range(COUNT))
    assert index.tolist() != sorted(index)
    for batch in batches:
        assert (batch["image"].dtype, batch["label"].dtype) == (np.uint8, np.int32)
        np.testing.assert_array_equal(batch["label"], source.labels[batch["index"]])
        for image, number in zip(batch["image"], batch["index"], strict=True):
            whole = decode.decode(source.root / source.paths[number])
            np.testing.assert_array_equal(image, decode.resize(whole, 8, "crop"))


def test_evaluation_keeps_the_order_of_the_folder(source):
    batches = list(streaming.stream(source, batch_size=9, size=8, epochs=1, shuffle=False))
    assert np.concatenate([batch["index"] for batch in batches]).tolist() == list(range(COUNT))


def test_the_order_is_a_function_of_seed_and_epoch():
    orders = {
        (seed, epoch): tuple(streaming.order(50, seed, epoch))
        for seed in range(4)
        for epoch in range(4)
    }
    assert len(set(orders.values())) == 16  # of Grain's own, seed 0's epoch 1 is seed 1's epoch 0
    streaming.order.cache_clear()
    assert tuple(streaming.order(50, 2, 3)) == orders[2, 3]


def test_a_stream_without_end_goes_through_the_epochs(source):
    with streaming.stream(source, **OPTIONS) as stream:
        batches = [next(stream) for _ in range(3 * stream.batches_per_epoch)]
    for epoch in range(3):
        index = np.concatenate([batch["index"] for batch in batches[epoch * 5 : epoch * 5 + 5]])
        np.testing.assert_array_equal(index, streaming.order(COUNT, 3, epoch))


@pytest.mark.parametrize("crop_scale", [None, (0.2, 1.0)])
def test_a_state_taken_anywhere_restores_exactly_the_remaining_batches(source, crop_scale):
    def new():
        return streaming.stream(source, epochs=2, crop_scale=crop_scale, **OPTIONS)

    with new() as whole:
        states = [whole.get_state()]
        batches = []
        for batch in whole:
            batches.append(batch)
            states.append(whole.get_state())
    assert len(batches) == 10
    for done, state in enumerate(states):
        with new() as again:
            again.set_state(state)
            assert again.get_state() == state
            assert_same(list(again), batches[done:])
    with new() as rewound:  # one that has run already
        next(rewound)
        rewound.set_state(states[7])
        assert_same(list(rewound), batches[7:])


def test_workers_go_on_from_a_state_with_the_same_batches(source):
    def new(workers):
        return streaming.stream(source, epochs=2, crop_scale=(0.2, 1.0), workers=workers, **OPTIONS)

    with new(0) as stream:
        batches, states = [], []
        for batch in stream:
            batches.append(batch)
            states.append(stream.get_state())
    with new(2) as stream:
        stream.set_state(states[1])
        first = [next(stream) for _ in range(5)]
        assert stream.get_state() == states[6]  # whatever the workers have ready
        assert_same(first + list(stream), batches[2:])
    assert not multiprocessing.active_children()


def test_a_state_of_another_stream_is_refused(source):
    state = streaming.stream(source, **OPTIONS).get_state()
    other = streaming.stream(source, **OPTIONS | {"batch_size": 6})
    with pytest.raises(UserError, match="batch_size is 5 there, 6 here"):
        other.set_state(state)
    renamed = dataclasses.replace(source, paths=("a.png", *source.paths[1:]))
    with pytest.raises(UserError, match="pictures is 23 files"):
        streaming.stream(renamed, **OPTIONS).set_state(state)


def test_a_state_beyond_the_epochs_asked_for_leaves_nothing(source):
    *_, last = (stream := streaming.stream(source, epochs=2, **OPTIONS))
    assert len(last["label"]) == 3
    again = streaming.stream(source, epochs=1, **OPTIONS)
    again.set_state(stream.get_state())
    assert list(again) == []


@pytest.mark.parametrize("state", [b"", b"[1]", b"{}", b"\xff", b"null", b'{"next_batch": "1"}'])
def test_a_damaged_state_is_refused(source, state):
    with pytest.raises(UserError, match="damaged"):
        streaming.stream(source, **OPTIONS).set_state(state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"workers": -1}, "workers=-1"),
        ({"seed": -1}, "seed=-1"),
        ({"crop_scale": (0, 1)}, "crop_scale"),
        ({"crop_scale": (0.5, 0.1)}, "crop_scale"),
    ],
)
def test_options_out_of_range_are_refused(source, options, message):
    with pytest.raises(UserError, match=message):
        streaming.stream(source, **OPTIONS | options)


def test_no_pictures_are_refused(source):
    with pytest.raises(UserError, match="no pictures"):
        streaming.stream(FolderPhotos(source.root, (), source.labels[:0]), **OPTIONS)


def test_batches_are_put_on_the_device_ahead_of_time(source):
    device, threads = jax.devices()[0], set()

    def place(batch):
        threads.add(threading.current_thread())
        return jax.device_put(batch, device)

    on_host = list(streaming.stream(source, epochs=2, **OPTIONS))
    for ahead in (True, False):
        on_device = list(streaming.stream(source, epochs=2, place=place, ahead=ahead, **OPTIONS))
        assert all(batch["image"].devices() == {device} for batch in on_device)
        assert_same(on_device, on_host)
        assert (threading.current_thread() in threads) != ahead


def test_a_bad_picture_is_named(source, tmp_path):
    with pytest.raises(decode.BadImage, match=r"bad\.png is empty"):
        list(streaming.stream(with_bad_picture(source, tmp_path), epochs=1, **OPTIONS))


def with_bad_picture(source, tmp_path):
    (tmp_path / "bad.png").touch()
    return FolderPhotos("/", (str(tmp_path / "bad.png"),), np.zeros(1, np.int32))


@settings(max_examples=100, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    low=st.floats(0.01, 1),
    seed=st.integers(0, 1000),
)
def test_random_crops_lie_within_the_picture(shape, low, seed):
    rng = np.random.default_rng(seed)
    top, left, height, width = random_crop(rng, shape, (low, 1.0))
    assert 0 <= top < top + height <= shape[0]
    assert 0 <= left < left + width <= shape[1]


def test_random_crops_are_resampled_as_the_whole_pictures_are(source):
    def images(how):
        options = OPTIONS | {"crop_scale": (0.2, 1.0), "how": how}
        return next(iter(streaming.stream(source, epochs=1, **options)))["image"]

    usual = images("crop")
    np.testing.assert_array_equal(images("crop-bilinear-0.875"), usual)
    assert not np.array_equal(images("crop-bicubic-1"), usual)


def test_random_crops_have_the_published_areas_and_ratios():
    rng, shape = np.random.default_rng(0), (600, 700)
    crops = np.array([random_crop(rng, shape, (0.1, 0.4)) for _ in range(4000)])
    top, left, height, width = crops.T
    share, ratio = height * width / (600 * 700), width / height
    assert 0.099 < share.min() < share.max() < 0.401
    assert abs(share.mean() - 0.25) < 0.005
    assert 0.745 < ratio.min() < ratio.max() < 1.345
    assert abs(np.log(ratio).mean()) < 0.01  # as often wide as high
    np.testing.assert_allclose((top / (600 - height)).mean(), 0.5, atol=0.02)
    np.testing.assert_allclose((left / (700 - width)).mean(), 0.5, atol=0.02)


def test_a_picture_too_narrow_for_any_crop_gives_its_middle():
    crop = random_crop(np.random.default_rng(0), (30, 900), (1.0, 1.0))
    assert crop == (0, 430, 30, 40)


def test_crops_are_cut_where_they_say_and_differ_by_epoch_and_picture(tmp_path):
    rows, columns = np.mgrid[0:200, 0:250].astype(np.uint8)
    ramp = np.stack([rows, columns, np.zeros_like(rows)], -1)  # red is the row, green the column
    for number in range(2):
        Image.fromarray(ramp).save(tmp_path / f"{number}.png")
    source = FolderPhotos(tmp_path, ("0.png", "1.png"), np.zeros(2, np.int32))
    options = {"batch_size": 2, "size": 40, "shuffle": False, "crop_scale": (0.1, 0.5)}
    crops = []
    for epoch, batch in enumerate(streaming.stream(source, epochs=2, seed=7, **options)):
        for index, image in enumerate(batch["image"]):
            rng = np.random.default_rng((7, epoch, index + 1))
            top, left, height, width = random_crop(rng, (200, 250), (0.1, 0.5))
            middle = image[19:21, 19:21].mean((0, 1))  # its pixels are at top + height / 2 - 0.5
            np.testing.assert_allclose(middle[:2], [top + height / 2, left + width / 2], atol=1.5)
            np.testing.assert_allclose(np.ptp(image[..., 0]), height * 39 / 40, atol=2)
            crops.append((top, left, height, width))
    assert len(set(crops)) == 4


def test_records_are_streamed_as_their_folder_was(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(12, dtype=np.int32) % 3
    about = types.SimpleNamespace(
        name="tiny", version="1.0.0", description="", homepage="", citation="",
        class_names=("a", "b", "c"), stock_id=None,
    )  # fmt: skip
    folder = builder.write(about, {"train": Split(images, labels)}, data_dir=tmp_path)
    batches = list(streaming.stream(RecordPhotos(folder, "train"), epochs=1, **OPTIONS))
    for batch in batches:
        np.testing.assert_array_equal(batch["image"], images[batch["index"]])
        np.testing.assert_array_equal(batch["label"], labels[batch["index"]])
    assert sum(len(batch["label"]) for batch in batches) == 12
    source = RecordPhotos(folder, "train[6:]")
    for reader in (source, pickle.loads(pickle.dumps(source))):  # as a worker gets it
        assert [reader[index][1] for index in range(len(reader))] == labels[6:].tolist()
    with pytest.raises(UserError, match="'valid'"):
        streaming.stream(RecordPhotos(folder, "valid"), **OPTIONS)


@pytest.mark.slow
def test_a_bad_picture_is_named_by_a_worker(source, tmp_path):
    with pytest.raises(decode.BadImage, match=r"bad\.png is empty"):
        list(streaming.stream(with_bad_picture(source, tmp_path), epochs=1, workers=2, **OPTIONS))
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_worker_that_dies_is_one_sentence(source):
    with streaming.stream(source, workers=1, **OPTIONS) as stream:
        next(stream)
        (worker,) = multiprocessing.active_children()
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(UserError, match="exit code -9"):
            list(stream)


_PROCESS = """
import sys
import numpy as np
from imgcls_jax.data.photos import streaming
from imgcls_jax.data.photos.sources import FolderPhotos

if __name__ == "__main__":
    root, state, count, out = sys.argv[1:]
    paths = tuple(f"{index}.png" for index in range(23))
    source = FolderPhotos(root, paths, np.arange(23, dtype=np.int32) % 4)
    with streaming.stream(
        source, batch_size=5, size=8, seed=3, epochs=2, crop_scale=(0.2, 1.0), workers=2
    ) as stream:
        if state != "none":
            stream.set_state(open(state, "rb").read())
        images = []
        for batch in stream:
            images.append(batch["image"])
            if len(images) == int(count):
                break
        np.save(out, np.concatenate(images))
        open(out + ".state", "wb").write(stream.get_state())
"""


@pytest.mark.slow
def test_another_process_goes_on_where_the_first_stopped(source, tmp_path):
    def run(state, count, out):
        script = tmp_path / "run.py"
        script.write_text(_PROCESS)
        done = subprocess.run(
            [sys.executable, str(script), str(source.root), str(state), str(count), str(out)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        return np.load(out)

    whole = streaming.stream(source, epochs=2, crop_scale=(0.2, 1.0), **OPTIONS)
    expected = np.concatenate([batch["image"] for batch in whole])
    first = run("none", 4, tmp_path / "first.npy")
    rest = run(tmp_path / "first.npy.state", 100, tmp_path / "rest.npy")
    np.testing.assert_array_equal(np.concatenate([first, rest]), expected)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_hundred_thousand_pictures_stream_in_bounded_memory(tmp_path, workers):
    streaming_scale.make_folder(tmp_path / "many", images=100_000)
    found = streaming_scale.measure(tmp_path / "many", workers=workers, batches=300)
    assert found["images"] == 100_000
    assert found["decoded_mb"] > 1200
    assert found["growth_mb"] < 100 + workers * 350  # a worker imports Grain, and with it JAX
    assert found["late_growth_mb"] < 30
