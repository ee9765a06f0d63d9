"""Corrections are followed and near copies stay on one side, or one sentence says why not."""

from pathlib import Path

import numpy as np
import pytest
from doctor_helpers import CLASSES, write_textures

from imgcls_jax import data
from imgcls_jax.config import Config
from imgcls_jax.data.photos import decode, folders, grouping, inspected
from imgcls_jax.data.photos.inspected import Correction
from imgcls_jax.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def photos(tmp_path):
    return write_textures(tmp_path / "photos", side=24)


def _correct(photos: Path, *wanted: tuple[str, str, str]) -> Path:
    """Writes corrections (path, action, to) beside the photos; returns their folder."""
    where = photos.parent / "looked"
    seen = [Correction(*of, inspected.digest(photos / of[0])) for of in wanted]
    inspected.write_corrections(where, seen)
    return where


def _load(photos, **options):
    return data.load("folder", data_dir=photos, image_size=16, **options)


def test_photos_are_left_out_and_have_the_label_of_another_class(photos):
    where = _correct(photos, ("ant/01.png", "exclude", ""), ("ant/02.png", "move", "cow"))
    before = {path: path.read_bytes() for path in photos.rglob("*.png")}
    scanned = folders.scan(photos)
    folder = inspected.corrected(scanned, inspected.read_corrections(where))
    assert (folder.places, folder.ignored) == (scanned.places, scanned.ignored)
    files = folder.splits["all"]
    labels = dict(zip(files.paths, files.labels.tolist(), strict=True))
    assert "ant/01.png" not in labels
    assert CLASSES[labels["ant/02.png"]] == "cow"
    assert len(labels) == 17
    assert files.labels.tolist() == sorted(files.labels.tolist())
    dataset = _load(photos, inspected=str(where))
    assert "(photos left out: 1, of another class: 1)" in "\n".join(dataset.notes)
    assert len(dataset.train) + len(dataset.test) == 17
    assert {path: path.read_bytes() for path in photos.rglob("*.png")} == before
    assert len(_load(photos).train) + len(_load(photos).test) == 18  # without it, nothing is


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        (("ant/77.png", "exclude", ""), r"there is no photo ant/77\.png in .*inspect .* again"),
        (("ant/01.png", "delete", ""), r"`delete` is nothing that can be done .* write exclude"),
        (("ant/01.png", "move", "dog"), r"cannot move to dog, which is no class"),
        (("ant/01.png", "move", ""), r"cannot move to nothing, which is no class"),
    ],
)
def test_corrections_that_cannot_be_followed_are_refused(photos, wanted, complaint):
    where = _correct(photos, wanted)
    with pytest.raises(UserError, match=complaint):
        _load(photos, inspected=str(where))


def test_corrections_of_a_photo_that_changed_are_refused(photos):
    where = _correct(photos, ("ant/01.png", "exclude", ""))
    (photos / "ant/01.png").write_bytes((photos / "bee/01.png").read_bytes())
    with pytest.raises(UserError, match=r"ant/01\.png in .* has changed since; inspect"):
        _load(photos, inspected=str(where))


def test_two_corrections_of_one_photo_and_a_class_left_empty_are_refused(photos):
    where = _correct(photos, ("ant/01.png", "exclude", ""), ("ant/01.png", "move", "cow"))
    with pytest.raises(UserError, match=r"two things are to be done about ant/01\.png"):
        _load(photos, inspected=str(where))
    _correct(photos, *((f"ant/0{i}.png", "exclude", "") for i in range(6)))
    with pytest.raises(UserError, match="leave no photo of ant in the all split"):
        _load(photos, inspected=str(where))


def test_files_that_are_no_corrections_are_refused(photos, tmp_path):
    with pytest.raises(UserError, match=r"there is no folder .*gone; give `inspected`"):
        _load(photos, inspected=str(tmp_path / "gone"))
    where = _correct(photos)
    for content in ("path;action;to;digest\n", ""):
        (where / inspected.CORRECTIONS).write_text(content)
        with pytest.raises(UserError, match="has no column path and no column action"):
            _load(photos, inspected=str(where))


def test_grouping_needs_an_inspection_and_photos(photos):
    with pytest.raises(UserError, match=r"`group_by=copies` needs `inspected`"):
        Config.of(dataset="folder", image_size=16, group_by="copies")
    with pytest.raises(UserError, match=r"`group_by` is for photos"):
        Config.of(dataset="digits", group_by="copies")


def test_photos_that_were_not_looked_at_are_named(photos):
    where = _correct(photos)
    inspected.write_groups(where, ["ant/00.png"], np.array([0]))
    with pytest.raises(UserError, match=r"17 photos of .*, such as ant/01\.png, are not in"):
        _load(photos, inspected=str(where), group_by="copies")
    (where / inspected.COPIES).write_text("path,group\nant/00.png,x\n")
    with pytest.raises(UserError, match="a group that is no number"):
        _load(photos, inspected=str(where), group_by="copies")


@pytest.mark.parametrize("options", [{"hold_out": 0.2}, {"folds": 3, "fold": 2}])
def test_copies_are_on_one_side_of_every_split(photos, options):
    where = _correct(photos)
    files = folders.scan(photos).splits["all"]
    groups = np.array([int(path[4:6]) // 2 + 10 * (path[0] > "a") for path in files.paths])
    inspected.write_groups(where, files.paths, groups)
    dataset = _load(photos, inspected=str(where), group_by="copies", **options)
    assert "Near copies are on one side of every split" in dataset.notes
    pixels = [decode.load(photos / path, 16).tobytes() for path in files.paths]
    group_of = dict(zip(pixels, groups.tolist(), strict=True))
    sides = [
        {group_of[image.tobytes()] for image in split.images} for split in dataset.splits.values()
    ]
    assert all(sides)
    for number, side in enumerate(sides):
        assert not side & set().union(*sides[:number])


def test_held_out_groups_are_whole_and_have_every_class():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 50)
    groups = np.where(rng.random(200) < 0.5, rng.integers(0, 30, 200), 100 + np.arange(200))
    groups = groups + 1000 * labels
    names = ("a", "b", "c", "d")
    train, held = grouping.hold_out_groups(labels, groups, 0.2, 1, class_names=names)
    assert sorted([*train, *held]) == list(range(200))
    assert not set(groups[train]) & set(groups[held])
    assert np.bincount(labels[held]).tolist() == [10, 10, 10, 10]
    again = grouping.hold_out_groups(labels, groups, 0.2, 1, class_names=names)
    assert held.tolist() == again[1].tolist()
    other = grouping.hold_out_groups(labels, groups, 0.2, 2, class_names=names)
    assert held.tolist() != other[1].tolist()


def test_a_class_of_two_large_groups_has_one_on_either_side():
    labels = np.array([0] * 10 + [1] * 10)
    groups = np.array([0] * 5 + [1] * 5 + list(range(2, 12)))
    train, held = grouping.hold_out_groups(labels, groups, 0.2, 0, class_names=("a", "b"))
    assert np.bincount(labels[held]).tolist() == [5, 2]
    assert np.bincount(labels[train]).tolist() == [5, 8]
    with pytest.raises(UserError, match="Class a has too few photos that are no copies"):
        grouping.hold_out_groups(labels, labels, 0.2, 0, class_names=("a", "b"))


def test_copies_across_split_folders_are_not_evaluated_on(tmp_path):
    for split, each in (("train", 4), ("test", 3)):
        write_textures(tmp_path / "photos" / split, each=each, side=24)
    photos, where = tmp_path / "photos", tmp_path / "looked"
    for number in range(3):  # other pictures than those of train
        for name in CLASSES:
            file = photos / "test" / name / f"{number:02}.png"
            file.write_bytes((photos / "train" / name / "03.png").read_bytes() + b"\0" * number)
    inspected.write_corrections(where, [])
    paths = [path for files in folders.scan(photos).splits.values() for path in files.paths]
    groups = np.arange(len(paths))
    groups[paths.index("test/bee/01.png")] = groups[paths.index("train/bee/00.png")]
    inspected.write_groups(where, paths, groups)
    dataset = _load(photos, inspected=str(where), group_by="copies")
    assert len(dataset.test) == 8
    assert "near copies left out of evaluation: 1" in dataset.notes


def test_a_table_for_spreadsheets_comes_back_whole(tmp_path):
    """A photo's name may be a formula, or end a line."""
    names = ["=cmd|' /C calc'!A0.jpg", "@a.jpg", "'b.jpg", "c\n.jpg", "\udcff.jpg"]
    rows = [{"path": name, "group": number} for number, name in enumerate(names)]
    inspected.write_rows(tmp_path / "copies.csv", ("path", "group"), rows)
    content = (tmp_path / "copies.csv").read_bytes().decode("utf-8", "surrogateescape")
    assert "'=cmd" in content
    found = inspected.read_rows(tmp_path / "copies.csv", ("path", "group"))
    assert [row["path"] for row in found] == names
