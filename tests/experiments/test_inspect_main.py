"""The inspection's entry point: looked through, applied, trained on, taken back; its bad input."""

import contextlib
import csv
import json
import types

import numpy as np
import pytest
from doctor_helpers import changed, texture, write_textures
from golden import published_networks as published
from PIL import Image
from weight_files import write_legacy

from experiments import inspect, transfer
from imgcls_jax.config import Config
from imgcls_jax.doctor import findings
from imgcls_jax.errors import UserError

NETWORK = "mobilenet_v3_small"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def look(any_main, tmp_path):
    """Calls the entry point on photos: (*flags) -> (exit status, out, err)."""
    photos = write_textures(tmp_path / "photos", each=4, side=48)
    return lambda *arguments: any_main(inspect.main, f"--data_dir={photos}", *arguments)


def _table(tmp_path, **actions):
    """Writes a table whose lines have these actions, by the photo's stem."""
    rows = []
    for stem, action in actions.items():
        path = f"ant/{stem[1:]}.png"
        seen = findings.digest(tmp_path / "photos" / path)
        rows.append(
            findings.Finding(action, "bee", "label", "move", path, "all", "ant", "", "", seen)
        )
    return findings.write(tmp_path / "looked", rows)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "no folder is given to write to; add --out=DIR"),
        (("--move_files",), "--move_files is for --apply"),
        (("--apply=a", "--undo=b"), "--apply and --undo are not for one command"),
        (("--apply=gone.csv",), "gone.csv cannot be read (No such file"),
        (("--undo=gone",), "nothing was applied in gone"),
        (("--out=x", "--model=cnn", "--weights=none"), "features of a network with --weights"),
        (("--out=x", "--weights=gone.h5"), "gone.h5 does not exist"),
    ],
)
def test_flags_that_cannot_be_used_are_refused_in_a_sentence(look, arguments, complaint):
    status, _, err = look(*arguments)
    assert status == 1
    assert complaint in err
    assert "Traceback" not in err


def test_no_photos_are_refused(any_main):
    status, _, err = any_main(inspect.main, "--out=x")
    assert status == 1
    assert "add --data_dir=PHOTOS" in err


def test_a_table_is_applied_and_taken_back(look, tmp_path):
    table = _table(tmp_path, a00="exclude", a01="move", a02="")
    status, out, err = look(f"--apply={table}")
    assert status == 0, err
    assert "photos left out: 1, of another class: 1; train with --inspected=" in out
    status, out, _ = look(f"--undo={table.parent}")
    assert (status, "corrections removed" in out) == (0, True)
    status, out, err = look(f"--apply={table}", "--move_files")
    assert status == 0, err
    assert "moved: 2" in out
    assert (tmp_path / "photos/bee/01-1.png").exists()
    status, out, _ = look(f"--undo={table.parent}")
    assert (status, "2 files moved back" in out) == (0, True)
    assert len(list((tmp_path / "photos/ant").iterdir())) == 4


def test_a_table_of_changed_photos_changes_nothing(look, tmp_path):
    table = _table(tmp_path, a00="exclude")
    texture(77).save(tmp_path / "photos/ant/00.png")
    status, _, err = look(f"--apply={table}", "--move_files")
    assert status == 1
    assert "has changed since; inspect the photos again" in err
    assert sorted(path.name for path in table.parent.iterdir()) == ["findings.csv"]


def test_an_edited_table_stops_an_inspection_before_it_begins(look, tmp_path):
    table = _table(tmp_path, a00="exclude")
    status, _, err = look(f"--out={table.parent}", f"--model={NETWORK}", "--weights=gone.h5")
    assert status == 1
    assert "has actions that somebody wrote" in err


@pytest.mark.slow
def test_photos_are_looked_through_and_trained_on_as_corrected(look, any_main, tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "out"
    for number, path in enumerate(sorted(photos.rglob("*.png"))):
        texture(number, side=64).save(path)
    changed(Image.open(photos / "cow/00.png"), "encoded").save(photos / "cow/99.png")
    weights = write_legacy(tmp_path / "v3.h5", published.tensors("keras", NETWORK))
    of = (f"--model={NETWORK}", f"--weights={weights}", "--image_size=64")
    status, printed, err = look(f"--out={out}", *of)
    assert status == 0, err
    assert "Accuracy of a head on the features, by 4 folds" in printed
    report = json.loads((out / "report.json").read_text())
    assert report["copies"]["pairs"] == report["findings"]["copy"] == 1
    with (out / "findings.csv").open() as file:
        rows = list(csv.DictReader(file))
    (copy,) = [row for row in rows if row["kind"] == "copy"]
    assert {copy["path"], copy["other"]} == {"cow/00.png", "cow/99.png"}
    copy["action"] = "exclude"
    (out / "findings.csv").write_text("")
    findings.write_rows(out / "findings.csv", list(rows[0]), rows)
    assert look(f"--apply={out / 'findings.csv'}")[0] == 0
    status, printed, err = any_main(
        transfer.main,
        f"--data_dir={photos}", *of, f"--inspected={out}", "--group_by=copies",
        "--batch_size=4", "--epochs=1", "--nofigures", f"--workdir={tmp_path / 'run'}",
    )  # fmt: skip
    assert status == 0, err
    assert "(photos left out: 1, of another class: 0)" in printed
    assert "Near copies are on one side of every split" in printed


def test_the_comparison_is_not_silent(look, tmp_path, monkeypatch):
    """And classes of one size are told as such."""
    waited = []

    def make_embed(*_, **__):
        embed = lambda images, doing: np.zeros((len(images), 3), np.float32)  # noqa: E731
        return embed, types.SimpleNamespace(model=None)

    @contextlib.contextmanager
    def waiting(doing):
        waited.append(doing)
        yield

    def stop(*_):
        raise UserError(f"stopped in {waited[-1]}.")

    monkeypatch.setattr(inspect, "make_embed", make_embed)
    monkeypatch.setattr(inspect, "waiting", waiting)
    monkeypatch.setattr(inspect, "inspect", stop)
    monkeypatch.setattr(inspect.pretrained, "fetch", lambda *_: None)
    small = Config.of(dataset="folder", image_size=32)
    monkeypatch.setattr(inspect.choose, "features", lambda _: small)
    _, out, err = look(f"--out={tmp_path / 'found'}")
    assert "stopped in comparing photos and fitting heads." in err
    assert "classes  3, each of 4 photos" in out
