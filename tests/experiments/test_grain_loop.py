"""The benchmark of streaming: records of ImageNet's shape, and the same pictures by both loops."""

import io

import numpy as np
import pytest
from PIL import Image

from experiments.benchmarks import grain_loop
from imgcls_jax.data.photos.sources import RecordPhotos


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = grain_loop.write_records(tmp_path_factory.mktemp("records"), images=24)
    return RecordPhotos(folder, "train")


def test_records_are_jpegs_of_the_usual_size(source):
    sizes = []
    for index in range(len(source)):
        content, label = source[index]
        sizes.append(len(content))
        assert 0 <= label < 24
        with Image.open(io.BytesIO(content)) as image:
            assert (image.format, image.size) == ("JPEG", (500, 375))
    assert 100_000 < np.mean(sizes) < 120_000
    assert sorted(source[index][1] for index in range(len(source))) == list(range(24))


def test_both_loops_bring_the_same_pictures(source, monkeypatch):
    monkeypatch.setattr(grain_loop, "BATCH_SIZE", 12)
    monkeypatch.setattr(grain_loop, "SIZE", 32)
    epochs = []
    for loop in (grain_loop.stream, grain_loop.grain_loop):
        batches = loop(source, 0, 0)
        epoch = [next(batches) for _ in range(2)]
        batches.close()
        pixels = {
            int(label): image
            for batch in epoch
            for label, image in zip(batch["label"], batch["image"], strict=True)
        }
        assert sorted(pixels) == list(range(24))
        epochs.append(pixels)
    for label, image in epochs[0].items():
        np.testing.assert_array_equal(image, epochs[1][label])


def test_measured_and_shown(source, monkeypatch, capsys):
    monkeypatch.setattr(grain_loop, "BATCH_SIZE", 4)
    monkeypatch.setattr(grain_loop, "SIZE", 16)
    monkeypatch.setattr(grain_loop, "_WARM", 1)
    monkeypatch.setattr(grain_loop, "_COUNTED", 3)
    monkeypatch.setattr(grain_loop, "cores", lambda: 0)  # processes take seconds to start
    monkeypatch.setattr(grain_loop, "write_records", lambda folder: source.folder)
    result = grain_loop.measure(None, rounds=2)
    assert {len(seconds) for seconds in result["seconds"].values()} == {2}
    assert result["ratio"]["grain_processes"] == 1
    assert all(value > 0 for value in result["cpu_ms_per_image"].values())
    rate = 12 / result["median"]["stream_threads"]
    assert result["images_per_second"]["stream_threads"] == rate
    assert result["mb_per_second"]["stream_threads"] == rate * result["bytes_per_image"] / 1e6
    grain_loop.show(result)
    assert "1.000 of Grain's own loop" in capsys.readouterr().out
