"""Corrupt images and byte-identical ones are found, named, and kept out of evaluations."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcls_jax.data.photos import audit, folders
from imgcls_jax.errors import UserError


def write(root: Path, pictures: dict[str, int]) -> folders.Folder:
    """Tiny PNGs of equal file size; the same number gives the same bytes."""
    for path, number in pictures.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(pixels).save(root / path, "PNG")
    return folders.scan(root)


LEAKING = {
    "train/cat/a.png": 1, "train/cat/b.png": 2, "train/cat/b again.png": 2, "train/dog/c.png": 3,
    "train/dog/both.png": 9, "train/cat/both.png": 9,
    "val/cat/a copy.png": 1, "val/cat/d.png": 4, "val/dog/e.png": 5, "val/dog/both.png": 9,
    "test/cat/a.png": 1, "test/cat/d.png": 4, "test/cat/f.png": 6, "test/dog/g.png": 7,
    "test/dog/g again.png": 7, "test/cat/h.png": 8, "test/dog/h.png": 8,
}  # fmt: skip


def test_duplicates(tmp_path):
    folder = write(tmp_path, LEAKING)
    groups = audit.duplicates(folder)
    expected = {}
    for path, number in LEAKING.items():
        expected.setdefault(number, []).append(path)
    assert groups == tuple(sorted(tuple(sorted(p)) for p in expected.values() if len(p) > 1))


def test_only_files_of_equal_size_are_read(tmp_path, monkeypatch):
    folder = write(tmp_path, {"cat/a.png": 1, "cat/b.png": 1, "dog/c.png": 2, "dog/d.png": 3})
    for path, content in {"cat/0.jpg": b"", "dog/0.jpg": b"", "dog/long.jpg": bytes(9999)}.items():
        (tmp_path / path).write_bytes(content)
    opened, content = [], audit.content

    def noted(path):
        opened.append(path.name)
        if path.name == "d.png":
            raise PermissionError(13, "Permission denied", str(path))
        return content(path)

    monkeypatch.setattr(audit, "content", noted)
    folder = folders.scan(tmp_path)
    assert audit.duplicates(folder) == (("cat/a.png", "cat/b.png"),)
    assert sorted(opened) == ["a.png", "b.png", "c.png", "d.png"]


def test_drop_from_evaluation(tmp_path):
    folder = write(tmp_path, LEAKING)
    left, dropped = audit.drop_from_evaluation(folder, audit.duplicates(folder))
    assert set(dropped) == {
        "val/cat/a copy.png", "test/cat/a.png",  # in train
        "test/cat/d.png",  # in validation
        "val/dog/both.png", "test/cat/h.png", "test/dog/h.png",  # in two classes
    }  # fmt: skip
    assert left.splits["train"].paths == folder.splits["train"].paths
    assert left.splits["validation"].paths == ("val/cat/d.png", "val/dog/e.png")
    assert left.splits["test"].paths == (
        "test/cat/f.png", "test/dog/g again.png", "test/dog/g.png",
    )  # fmt: skip
    for files in left.splits.values():
        assert [left.class_names[i] for i in files.labels] == [p.split("/")[1] for p in files.paths]
    assert list(left.splits) == ["train", "validation", "test"]
    assert audit.drop_from_evaluation(left, audit.duplicates(left))[1] == ()


def test_copies_found_before_a_split_are_dropped_after_it(tmp_path):
    folder = write(tmp_path, {"cat/a.png": 1, "cat/b.png": 1, "cat/c.png": 2, "dog/d.png": 3})
    copies = audit.duplicates(folder)
    assert audit.drop_from_evaluation(folder, copies)[1] == ()  # nothing is held out yet
    parts = {"train": np.array([0, 3]), "test": np.array([1, 2])}
    left, dropped = audit.drop_from_evaluation(folder.divide("all", parts), copies)
    assert dropped == ("cat/b.png",)
    assert left.splits["test"].paths == ("cat/c.png",)


def test_a_split_of_copies_only_is_refused(tmp_path):
    folder = write(tmp_path, {"train/a/1.png": 1, "train/b/2.png": 2, "test/a/1.png": 1})
    with pytest.raises(UserError, match=r"Every test image of .* is a copy") as error:
        audit.drop_from_evaluation(folder, audit.duplicates(folder))
    assert "\n" not in str(error.value)


def damage(root: Path) -> dict[str, str]:
    """Damaged files -> the start of the reason."""
    picture = Image.fromarray(np.zeros((64, 64, 3), np.uint8))
    picture.save(root / "cat/half.jpg", "JPEG")
    content = (root / "cat/half.jpg").read_bytes()
    (root / "cat/half.jpg").write_bytes(content[: len(content) // 2])
    (root / "cat/empty.png").write_bytes(b"")
    (root / "dog/text\n.jpg").write_text("404 Not Found")
    return {
        "cat/empty.png": "is empty",
        "cat/half.jpg": "is truncated or damaged",
        "dog/text\n.jpg": "is no image",
    }


@pytest.mark.parametrize("workers", [None, 1])
def test_corrupt_images_are_named(tmp_path, workers):
    write(tmp_path, {"cat/good.png": 1, "dog/good.png": 2})
    expected = damage(tmp_path)
    bad = audit.corrupt(folders.scan(tmp_path), workers=workers)
    assert [path for path, _ in bad] == sorted(expected)
    for path, reason in bad:
        assert reason.startswith(expected[path])


def test_report_tells_all(tmp_path):
    write(tmp_path, LEAKING | {"train/cat/x.png": 10, "train/cat/y.png": 11})
    (tmp_path / "train/cat/notes.txt").touch()
    (tmp_path / "train/dog/broken.png").touch()
    folder = folders.scan(tmp_path)
    bad = audit.corrupt(folder)
    text = audit.report(folder, copies=audit.duplicates(folder), bad=bad)
    assert text.splitlines() == [
        f"{tmp_path}: 2 classes; images: 9 train, 4 validation, 7 test",
        "  cat  6 train, 2 validation, 4 test",
        "  dog  3 train, 2 validation, 3 test",
        "Imbalance: the largest class, cat, has 2.0 times the images of the smallest, dog",
        "Passed over: 1 not an image (.txt)",
        "Images that cannot be used: 1",
        "  train/dog/broken.png is empty (0 bytes)",
        "Byte-identical images across splits: 5 in 2 groups",
        "  test/cat/a.png = train/cat/a.png = val/cat/a copy.png",
        "  test/cat/d.png = val/cat/d.png",
        "Byte-identical images in two classes: 5 in 2 groups",
        "  test/cat/h.png = test/dog/h.png",
        "  train/cat/both.png = train/dog/both.png = val/dog/both.png",
        "Byte-identical images within a split and class: 4 in 2 groups",
        "  test/dog/g again.png = test/dog/g.png",
        "  train/cat/b again.png = train/cat/b.png",
    ]


def test_long_lists_are_cut_where_asked(tmp_path):
    pictures = {f"{name}/{copy}.png": ord(name) for name in "abcd" for copy in (1, 2)}
    folder = write(tmp_path, pictures)
    copies = audit.duplicates(folder)
    cut = audit.report(folder, copies=copies, bad=[("a/1.png", "is odd")] * 3, limit=1)
    assert "  and 3 smaller or equal ones" in cut.splitlines()
    assert "  and 3 more" in cut.splitlines()
    assert "  and 2 more" in cut.splitlines()
    assert "Imbalance: none, all classes are of the same size" in cut.splitlines()
    whole = audit.report(folder, copies=copies, limit=None)
    assert sum(" = " in line for line in whole.splitlines()) == 4
    assert "more" not in whole


def test_a_report_prints_anywhere(tmp_path):
    write(tmp_path, {"cat/good.png": 1, "dog/good.png": 2})
    damage(tmp_path)
    folder = folders.scan(tmp_path)
    text = audit.report(folder, bad=audit.corrupt(folder))
    assert "  dog/text\\n.jpg is no image, whatever its name says" in text.splitlines()
