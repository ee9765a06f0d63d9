"""An album looked through, the table a person edits, files moved and taken back."""

from pathlib import Path

import numpy as np
import pytest
from doctor_helpers import HeadOnly, changed, colours, texture, write_textures
from PIL import Image, ImageFilter

from experiments.cli import inspection as shown
from imgcls_jax.config import Config
from imgcls_jax.data.photos import folders, inspected
from imgcls_jax.doctor import album, findings, labels, moving
from imgcls_jax.doctor.inspection import inspect
from imgcls_jax.errors import UserError


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Textures, among them a copy across splits, a blurred, a dark, a tiny and a damaged one."""
    root = tmp_path_factory.mktemp("doctor") / "photos"
    write_textures(root / "train", each=5)
    for name in ("ant", "bee", "cow"):
        (root / "valid" / name).mkdir(parents=True)
        texture(500 + ord(name[0])).save(root / "valid" / name / "00.png")
    whole = Image.open(root / "train/bee/01.png")
    changed(whole, "mirrored").save(root / "valid/bee/01.png")
    texture(600).filter(ImageFilter.GaussianBlur(9)).save(root / "train/cow/blurred.png")
    texture(601).point(lambda value: value // 8).save(root / "train/cow/dark.png")
    texture(602).resize((20, 20)).save(root / "train/cow/tiny.png")
    (root / "train/ant/damaged.png").write_bytes(b"no picture")
    return root


@pytest.fixture(scope="module")
def looked(photos, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return album.load(folders.scan(photos), size=64, how="crop", cache_dir=cache)


@pytest.fixture(scope="module")
def found(looked):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labels, "FOLDS", 2)
        return inspect(looked, colours(looked.images), HeadOnly())


@pytest.fixture
def folder(tmp_path):
    return folders.scan(write_textures(tmp_path / "photos", each=3, side=24))


def _table(folder, *actions: tuple[str, str, str]) -> Path:
    """Writes a table with these (path, action, to), and a line without action."""
    rows = [
        findings.Finding(action, to, "label", "", path, "all", "", "0.1", "", _seen(folder, path))
        for path, action, to in (*actions, ("bee/01.png", "", "ant"))
    ]
    return findings.write(folder.path.parent / "looked", rows)


def _seen(folder, path: str) -> str:
    return inspected.digest(folder.path / path)


def _files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*.png")}


def test_every_kind_is_found_and_drawn(looked, found, tmp_path):
    rows = findings.findings(looked, found)
    by_kind = {kind: [row.path for row in rows if row.kind == kind] for kind in findings.KINDS}
    assert by_kind["copy"] == ["valid/bee/01.png"]  # the one to be evaluated on
    assert "train/cow/blurred.png" in by_kind["blurred"]
    assert by_kind["dark"] == ["train/cow/dark.png"]
    assert by_kind["tiny"] == ["train/cow/tiny.png"]
    assert by_kind["unreadable"] == ["train/ant/damaged.png"]
    assert {row.action for row in rows} == {""}  # a person decides
    drawn = {path.stem for path in shown.draw(looked, found, tmp_path)}
    assert {"copy_across", "copy_threshold", "blurred", "dark", "tiny"} <= drawn


def test_the_accuracy_without_near_copies_is_of_the_others(looked, found, capsys):
    accuracies = found.accuracies
    assert accuracies["with_copies"]["photos"] == 4
    assert accuracies["without_copies"]["photos"] == 3
    config = Config.of(dataset="folder", image_size=64)
    rows = findings.findings(looked, found)
    shown.show(shown.report(looked, found, rows, config))
    printed = capsys.readouterr().out
    assert "1, 1 across splits, 0 under two labels" in printed
    assert "without near copies on both sides" in printed


def test_a_table_becomes_corrections_and_lines_without_action_are_left(folder):
    table = _table(folder, ("ant/00.png", " Exclude", "bee"), ("ant/01.png", "move", "bee"))
    wanted = findings.corrections(table, folder)
    assert [(of.path, of.action, of.to) for of in wanted] == [
        ("ant/00.png", "exclude", ""),
        ("ant/01.png", "move", "bee"),
    ]


@pytest.mark.parametrize(
    ("actions", "complaint"),
    [
        ((), "asks for nothing; write exclude or move"),
        ((("ant/00.png", "exclude", ""), ("ant/00.png", "move", "cow")), "two things are to be"),
        ((("ant/09.png", "exclude", ""),), r"there is no photo ant/09\.png"),
        ((("ant/00.png", "move", "dog"),), "no class"),
    ],
)
def test_tables_that_cannot_be_followed_are_refused(folder, actions, complaint):
    before = _files(folder.path)
    with pytest.raises(UserError, match=complaint):
        findings.corrections(_table(folder, *actions), folder)
    assert _files(folder.path) == before


def test_a_table_of_photos_that_changed_is_refused(folder):
    table = _table(folder, ("ant/00.png", "exclude", ""))
    texture(9).save(folder.path / "ant/00.png")
    with pytest.raises(UserError, match=r"ant/00\.png in .* has changed since"):
        findings.corrections(table, folder)


def test_an_edited_table_is_not_written_over(folder):
    table = _table(folder, ("ant/00.png", "exclude", ""))
    before = table.read_text()
    with pytest.raises(UserError, match="has actions that somebody wrote"):
        findings.write(table.parent, [])
    assert table.read_text() == before


def test_files_are_moved_and_all_come_back(folder):
    root, before = folder.path, _files(folder.path)
    (root / "bee/sub").mkdir()
    actions = [("ant/00.png", "exclude", ""), ("ant/01.png", "move", "bee")]
    table = _table(folder, *actions)
    where = table.parent
    assert moving.move(folder, findings.corrections(table, folder), where) == 2
    moved = folders.scan(root)
    assert moved.counts()["all"].tolist() == [1, 4, 3]
    assert (root / "bee/01-1.png").read_bytes() == before["ant/01.png"]  # bee/01.png stays
    assert (root / ".excluded/ant/00.png").read_bytes() == before["ant/00.png"]
    with pytest.raises(UserError, match="take that back first"):
        moving.move(folder, [], where)
    assert moving.take_back(root, where) == (2, False)
    assert _files(root) == before
    with pytest.raises(UserError, match="nothing was applied"):
        moving.take_back(root, where)


def test_a_move_that_broke_off_is_taken_back(folder, monkeypatch):
    root, before = folder.path, _files(folder.path)
    table = _table(folder, ("ant/00.png", "exclude", ""), ("bee/00.png", "move", "cow"))
    wanted = findings.corrections(table, folder)
    (root / "bee/00.png").unlink()
    with pytest.raises(UserError, match=r"bee/00\.png cannot be moved .* can be taken back"):
        moving.move(folder, wanted, table.parent)
    with pytest.raises(UserError, match="of which neither are there; put one right"):
        moving.take_back(root, table.parent)
    (root / "bee/00.png").write_bytes(before["bee/00.png"])
    assert moving.take_back(root, table.parent) == (1, False)
    assert _files(root) == before


def test_a_photo_moves_within_its_split(tmp_path):
    for split in ("train", "test"):
        write_textures(tmp_path / "photos" / split, each=2, side=24)
    folder = folders.scan(tmp_path / "photos")
    path = "test/ant/00.png"
    table = _table(folder, (path, "move", "cow"))
    assert _seen(folder, path)
    moving.move(folder, findings.corrections(table, folder), table.parent)
    assert (tmp_path / "photos/test/cow/00-1.png").exists()
    assert folders.scan(tmp_path / "photos").counts()["test"].tolist() == [1, 2, 3]


def test_a_photo_moves_to_its_class_below_folders_that_only_wrap(tmp_path):
    for split in ("seg_train/seg_train", "seg_test/seg_test"):
        write_textures(tmp_path / "photos" / split, each=2, side=24)
    folder = folders.scan(tmp_path / "photos")
    table = _table(folder, ("seg_test/seg_test/ant/00.png", "move", "cow"))
    moving.move(folder, findings.corrections(table, folder), table.parent)
    assert (tmp_path / "photos/seg_test/seg_test/cow/00-1.png").exists()
    assert folders.scan(tmp_path / "photos").counts()["test"].tolist() == [1, 2, 3]


def test_scores_are_what_was_measured(looked, found):
    row = next(row for row in findings.findings(looked, found) if row.kind == "tiny")
    assert (row.score, row.suggested, row.split) == ("20", "", "train")
    np.testing.assert_array_equal(looked.labels[[0, -1]], [0, 2])
