"""The decoded-once cache: right pixels, decoded once, whole after any accident."""

import json
import os
import resource
import shutil
import signal
import threading

import numpy as np
import pytest
from PIL import Image

from imgcls_jax.data.photos import cache, decode, pixel_file
from imgcls_jax.errors import UserError

COUNT = 70  # of pictures: several blocks, the last one not full


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """(root, paths) of noise pictures of several sizes; caches go to a folder of the test's."""
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path / "cache"))
    rng, root = np.random.default_rng(0), tmp_path / "my.photos"
    paths = tuple(f"class {index % 3}/{index}.png" for index in range(COUNT))
    for index, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (9 + index % 5, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / path)
    return root, paths


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files decoded, growing; `decoded.stop_after` breaks off like Ctrl-C."""

    class Names(list):
        stop_after = None

    names, load = Names(), decode.load

    def counting(path, *arguments, **options):
        if names.stop_after is not None and len(names) >= names.stop_after:
            raise KeyboardInterrupt
        names.append(path)
        return load(path, *arguments, **options)

    monkeypatch.setattr(decode, "load", counting)
    return names


def expected(root, paths, how="crop", size=8):
    return np.stack([decode.resize(decode.decode(root / path), size, how) for path in paths])


def the_cache(tmp_path):
    (made,) = (tmp_path / "cache").iterdir()
    return made


@pytest.mark.parametrize("workers", [1, 3, None])
def test_holds_the_pictures_in_the_order_asked_for(folder, workers):
    root, paths = folder
    paths = paths[::-1]
    images, kept, bad = cache.load(root, paths, size=8, how="crop", workers=workers)
    np.testing.assert_array_equal(images, expected(root, paths))
    assert isinstance(images, np.memmap)
    assert not images.flags.writeable
    assert kept.all()
    assert bad == []


def test_decodes_once_for_each_set_of_pictures_and_settings(folder, decoded):
    root, paths = folder
    for _ in range(2):
        cache.load(root, paths, size=8, how="crop")
        assert len(decoded) == COUNT
    stretched, *_ = cache.load(root, paths, size=8, how="stretch")
    assert len(decoded) == 2 * COUNT
    np.testing.assert_array_equal(stretched, expected(root, paths, how="stretch"))
    cache.load(root, paths, size=9, how="crop")
    cache.load(root, paths[:-1], size=8, how="crop")
    assert len(decoded) == 4 * COUNT - 1


def test_an_edited_picture_makes_the_cache_stale_and_a_moved_folder_does_not(
    folder, decoded, tmp_path
):
    root, paths = folder
    cache.load(root, paths, size=8, how="crop")
    (tmp_path / "elsewhere").mkdir()
    root = root.rename(tmp_path / "elsewhere" / root.name)
    cache.load(root, paths, size=8, how="crop")
    assert len(decoded) == COUNT
    Image.new("RGB", (10, 10), "red").save(root / paths[5])
    images, *_ = cache.load(root, paths, size=8, how="crop")
    assert len(decoded) == 2 * COUNT
    assert (images[5] == (255, 0, 0)).all()


def test_reports_bad_pictures_and_refuses_or_skips_them(folder, decoded):
    root, paths = folder
    (root / paths[3]).write_bytes(b"")
    (root / paths[40]).write_bytes((root / paths[40]).read_bytes()[:60])
    (root / paths[69]).unlink()
    for _ in range(2):  # decoding, and from the cache
        with pytest.raises(UserError) as refused:
            cache.load(root, paths, size=8, how="crop", corrupt="refuse")
        for index in (3, 40, 69):
            assert paths[index] in str(refused.value)
        assert "3 of the 70" in str(refused.value)
        images, kept, bad = cache.load(root, paths, size=8, how="crop", corrupt="skip")
        assert [path for path, _ in bad] == [paths[3], paths[40], paths[69]]
        assert bad[0][1] == "is empty (0 bytes)"
        assert np.flatnonzero(~kept).tolist() == [3, 40, 69]
        np.testing.assert_array_equal(images, expected(root, np.array(paths)[kept]))
        assert len(decoded) == COUNT


def test_a_picture_that_can_be_read_again_is_taken_in(folder):
    root, paths = folder
    content, path = (root / paths[3]).read_bytes(), root / paths[3]
    # As one that was unreadable for its permissions: its size and time do not tell.
    path.write_bytes(content[:60] + bytes(len(content) - 60))
    os.utime(path, (0, 0))
    assert len(cache.load(root, paths, size=8, how="crop", corrupt="skip")[2]) == 1
    path.write_bytes(content)
    os.utime(path, (0, 0))
    assert cache.load(root, paths, size=8, how="crop")[1].all()


def test_a_folder_without_any_readable_picture_is_refused_either_way(folder):
    root, paths = folder
    for path in paths:
        (root / path).write_text("no picture")
    with pytest.raises(UserError, match="None of the 70"):
        cache.load(root, paths, size=8, how="crop", corrupt="skip")


def test_goes_on_after_a_crash_where_it_stopped(folder, decoded):
    root, paths = folder
    (root / paths[2]).write_bytes(b"")
    decoded.stop_after = 50
    with pytest.raises(KeyboardInterrupt):
        cache.load(root, paths, size=8, how="crop", corrupt="skip", workers=1)
    decoded.stop_after = None
    images, kept, _ = cache.load(root, paths, size=8, how="crop", corrupt="skip", workers=1)
    assert len(decoded) < 50 + COUNT  # some blocks of the first attempt were kept
    np.testing.assert_array_equal(images, expected(root, np.array(paths)[kept]))


def test_what_was_left_when_all_was_done_goes(folder, decoded, tmp_path):
    """As of a process that died before it removed its notes."""
    root, paths = folder
    for _ in range(2):
        cache.load(root, paths, size=8, how="crop")
        assert not (the_cache(tmp_path) / "blocks.jsonl").exists()
        (the_cache(tmp_path) / "blocks.jsonl").touch()
    cache.load(root, paths, size=8, how="crop")
    assert not (the_cache(tmp_path) / "blocks.jsonl").exists()
    assert len(decoded) == COUNT


def _stop_after_60(root, paths, decoded):
    decoded.stop_after = 60
    with pytest.raises(KeyboardInterrupt):
        cache.load(root, paths, size=8, how="crop", workers=1)
    decoded.stop_after = None


def test_damage_to_unfinished_work_is_noticed(folder, decoded, tmp_path):
    root, paths = folder
    _stop_after_60(root, paths, decoded)
    partial = the_cache(tmp_path) / "partial"
    content = bytearray(partial.read_bytes())
    content[128 + 20 * 8 * 8 * 3] ^= 1  # in the second block
    partial.write_bytes(content)
    with (the_cache(tmp_path) / "blocks.jsonl").open("a") as log:
        log.write('{"images": 16, "crc')
    images, *_ = cache.load(root, paths, size=8, how="crop", workers=1)
    assert len(decoded) == 60 + COUNT - 16
    np.testing.assert_array_equal(images, expected(root, paths))


def test_a_line_of_unfinished_work_without_its_end_is_not_written_on(folder, decoded, tmp_path):
    root, paths = folder
    _stop_after_60(root, paths, decoded)
    log = the_cache(tmp_path) / "blocks.jsonl"
    log.write_text(log.read_text().rstrip("\n"))
    images, *_ = cache.load(root, paths, size=8, how="crop", workers=1)
    np.testing.assert_array_equal(images, expected(root, paths))


@pytest.mark.parametrize("accident", ["truncated", "written into", "no record", "torn record"])
def test_a_damaged_cache_is_made_anew(folder, decoded, tmp_path, accident):
    root, paths = folder
    cache.load(root, paths, size=8, how="crop")
    npy, record = (the_cache(tmp_path) / name for name in ("images.npy", "finished.json"))
    if accident == "truncated":
        npy.write_bytes(npy.read_bytes()[:-100])
    elif accident == "written into":
        npy.write_bytes(npy.read_bytes()[:-100] + bytes(100))
    elif accident == "no record":
        record.unlink()
    else:
        record.write_text(record.read_text()[:-9])
    images, *_ = cache.load(root, paths, size=8, how="crop")
    assert len(decoded) == 2 * COUNT
    np.testing.assert_array_equal(images, expected(root, paths))


def test_two_at_once_decode_once(folder, decoded):
    root, paths = folder

    def load():
        cache.load(root, paths, size=8, how="pad")

    calls = [threading.Thread(target=load) for _ in range(2)]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert len(decoded) == COUNT


def test_a_disk_too_small_is_said_before_decoding(folder, decoded, monkeypatch):
    root, paths = folder
    usage = shutil.disk_usage(root)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(UserError, match="GB are needed"):
        cache.load(root, paths, size=8, how="crop")
    assert not decoded


def test_a_failing_write_is_one_sentence_and_the_next_call_goes_on(folder, decoded):
    root, paths = folder
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # or it kills, unlike a full disk
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40 * 8 * 8 * 3, before[1]))
        with pytest.raises(UserError, match="IMGCLS_CACHE"):
            cache.load(root, paths, size=8, how="crop", workers=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    first = len(decoded)
    images, *_ = cache.load(root, paths, size=8, how="crop", workers=1)
    assert len(decoded) == first + COUNT - 32  # two blocks had been written
    np.testing.assert_array_equal(images, expected(root, paths))


def test_a_cache_folder_that_cannot_be_made_is_one_sentence(folder, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be kept in"):
        cache.load(*folder, size=8, how="crop", cache_dir=tmp_path / "file" / "cache")


def test_the_file_is_a_plain_npy(folder, tmp_path):
    root, paths = folder
    (root / paths[0]).write_bytes(b"")
    cache.load(root, paths, size=8, how="crop", corrupt="skip")
    assert np.load(the_cache(tmp_path) / "images.npy").shape == (COUNT - 1, 8, 8, 3)
    assert sorted(path.name for path in the_cache(tmp_path).iterdir()) == [
        ".lock",
        "finished.json",
        "images.npy",
    ]
    assert json.loads((the_cache(tmp_path) / "finished.json").read_text())["bad"].keys() == {"0"}


@pytest.mark.parametrize("same", ["size", "time"])
def test_an_edit_that_keeps_the_size_or_the_time_is_seen(folder, decoded, same):
    root, paths = folder
    path = root / paths[7]
    Image.new("RGB", (10, 10), "blue").save(path, "BMP")  # as many bytes whatever the colour
    os.utime(path, (1, 1))
    before = path.stat()
    images, *_ = cache.load(root, paths, size=8, how="crop")
    assert (images[7] == (0, 0, 255)).all()
    Image.new("RGB", (10, 10 if same == "size" else 11), "red").save(path, "BMP")
    os.utime(path, (2, 2) if same == "size" else (1, 1))
    after = path.stat()
    assert (after.st_size == before.st_size) == (same == "size")
    images, *_ = cache.load(root, paths, size=8, how="crop")
    assert (images[7] == (255, 0, 0)).all()


def flip(file, place):
    """Flips a bit as rot does, which no clock notes."""
    before, content = file.stat(), bytearray(file.read_bytes())
    content[place] ^= 4
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_rot_is_noticed_and_decoded_anew(folder, tmp_path, monkeypatch, caplog):
    """All of a small cache is compared at each start, of a large one some; all if asked."""
    root, paths = folder
    wanted, *_ = cache.load(root, paths, size=8, how="crop")
    wanted = np.array(wanted)
    npy, block = the_cache(tmp_path) / "images.npy", 16 * 8 * 8 * 3

    def noticed(**options):
        caplog.clear()
        images, *_ = cache.load(root, paths, size=8, how="crop", **options)
        return "are decoded anew" in caplog.text and (images == wanted).all()

    for place in (20, 128, 128 + 2 * block, -1):
        flip(npy, place)
        assert noticed()
    monkeypatch.setattr(pixel_file, "_COMPARED_BYTES", 1)
    for number in range(5):
        flip(npy, 128 + number * block)
    assert noticed()
    for number in range(5):
        flip(npy, 128 + number * block)
        assert noticed(verify=True)
    assert not noticed(verify=True)


def test_a_cache_of_before_there_were_checksums_is_taken_unless_it_is_to_be_verified(
    folder, decoded, tmp_path
):
    root, paths = folder
    cache.load(root, paths, size=8, how="crop")
    file = the_cache(tmp_path) / "finished.json"
    record = json.loads(file.read_text())
    del record["blocks"]
    file.write_text(json.dumps(record))
    cache.load(root, paths, size=8, how="crop")
    assert len(decoded) == COUNT
    for _ in range(2):  # what cannot be verified is decoded anew, once
        cache.load(root, paths, size=8, how="crop", verify=True)
        assert len(decoded) == 2 * COUNT
