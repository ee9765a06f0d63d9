"""The predict and export entry points: a run's workdir, its export, files good and bad."""

import csv
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import QUICK
from figure_helpers import NAMES, count, pixels
from PIL import Image

from experiments import export, predict
from imgcls_jax.data.photos import kinds
from imgcls_jax.predict import judge, predictor
from imgcls_jax.report import sheets
from imgcls_jax.report.sheets import prediction_sheet


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return tmp_path_factory.mktemp("run") / "digits"


@pytest.fixture
def run(workdir, fmnist_main):
    """The folder of a finished run on digits, made by the first test that asks for it."""
    if not workdir.exists():
        status, _, err = fmnist_main(*QUICK, f"--workdir={workdir}", "--nofigures")
        assert status == 0, err
    return workdir


@pytest.fixture(scope="module")
def photos(tmp_path_factory, digits):
    """Ten test images, in colour, and three files that are no images."""
    folder = tmp_path_factory.mktemp("photos")
    for number, image in enumerate(digits.test.images[:10]):
        Image.fromarray(image[..., 0]).convert("RGB").save(folder / f"{number}.png")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("text")
    (folder / "notes.txt").write_text("notes")
    return folder


def test_a_folder_becomes_a_table_csv_json_and_a_grid(any_main, run, photos, digits, tmp_path):
    expected = np.load(run / "predictions.npz")["probabilities"][:10]
    flag = f"--checkpoint={run}"
    status, out, err = any_main(predict.main, flag, "--top=2", f"--grid={tmp_path}/g.png", photos)
    assert status == 0
    assert len(out.splitlines()) == 1 + 2 * 10
    assert err.count("skipped:") == 2
    assert "empty.jpg is empty (0 bytes)" in err
    assert f"10 pictures classified, 2 of 12 files skipped; written: {tmp_path}/g.png" in err
    assert "passed over: 1 not an image (.txt)\n" in err
    assert pixels(tmp_path / "g.png").std() > 20

    out = tmp_path / "new" / "deeper" / "p.csv"  # the folders are made
    status, said, err = any_main(predict.main, flag, f"--out={out}", photos)
    assert (status, said) == (0, "")
    assert f"files skipped; written: {out}\n" in err
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["class_1"] for row in rows] == [str(c) for c in expected.argmax(1)]
    assert len(rows[0]) == 11
    found = [float(row["probability_1"]) for row in rows]
    np.testing.assert_allclose(found, expected.max(1), atol=2e-6)

    _, out, _ = any_main(predict.main, flag, "--format=json", "--top=10", photos / "3.png")
    (record,) = json.loads(out)
    assert record["file"] == str(photos / "3.png")
    values = {entry["class"]: entry["probability"] for entry in record["top"]}
    found = [values[name] for name in digits.class_names]
    np.testing.assert_allclose(found, expected[3], atol=2e-6)


def test_the_exported_file_predicts_the_same(any_main, run, photos, tmp_path):
    status, out, err = any_main(export.main, f"--checkpoint={run}")
    assert status == 0, err
    path = run / "model.stablehlo.zip"
    assert str(path) in out
    results = [
        any_main(predict.main, f"--checkpoint={checkpoint}", "--format=csv", photos)[1]
        for checkpoint in (run, path)
    ]
    table, exported = (list(csv.DictReader(text.splitlines())) for text in results)
    assert len(table) == 10
    for ours, theirs in zip(table, exported, strict=True):
        assert ours["class_1"] == theirs["class_1"]
        assert float(ours["probability_1"]) == pytest.approx(float(theirs["probability_1"]), 1e-4)

    status, _, err = any_main(
        predict.main, f"--checkpoint={path}", f"--grid={tmp_path}/g.png", "--saliency", photos
    )
    assert status == 1
    assert "--saliency needs the network's code" in err
    path.unlink()
    path.mkdir()
    status, _, err = any_main(export.main, f"--checkpoint={run}")
    path.rmdir()
    assert (status, err) == (
        1, f"error: cannot write {path} (it is a folder); give another --out.\n"
    )  # fmt: skip


@pytest.fixture
def calibrated(workdir, fmnist_main):
    """The folder of a run that held out a part, and so knows limits."""
    folder = workdir.with_name("calibrated")
    if not folder.exists():
        flags_ = (*QUICK, "--hold_out=0.3", f"--workdir={folder}", "--nofigures")
        status, out, err = fmnist_main(*flags_)
        assert status == 0, err
        assert "calibration error" in out
    return folder


def test_a_set_of_classes_is_listed(any_main, calibrated, photos):
    flags_ = (f"--checkpoint={calibrated}", "--coverage=0.95", "--top=1")
    status, out, err = any_main(predict.main, *flags_, "--format=csv", photos)
    assert status == 0, err
    rows = list(csv.DictReader(out.splitlines()))
    sets = [row["set"].split(" | ") for row in rows]
    assert all(row["class_1"] == one[0] for row, one in zip(rows, sets, strict=True))
    assert max(map(len, sets)) > 1
    records = json.loads(any_main(predict.main, *flags_, "--format=json", photos)[1])
    assert [record["set"] for record in records] == sets
    assert "decision" not in records[0]
    lines = any_main(predict.main, *flags_, photos)[1].splitlines()
    assert len(lines) == 1 + sum(map(len, sets))
    assert not (lines[0].count("decision"))
    err = any_main(predict.main, *flags_, photos)[2]
    assert "set: the classes that hold the true one for 0.95 of known photos\n" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--unknown=0.05"], "--unknown cannot be used here: it goes by the features of photos"),
        (["--coverage=1"], "--coverage=1 cannot be used; it must lie between 0 and 1"),
        (["--coverage=0.9999"], "--coverage=0.9999 needs more than the 432 held-out examples"),
        (["--positive=3"], "--positive is for networks of two classes, and this one tells 10"),
        (["--threshold=0.3"], "--threshold is for networks of two classes"),
    ],
)
def test_what_cannot_be_judged_is_one_sentence(arguments, says, any_main, calibrated, run, photos):
    status, out, err = any_main(predict.main, f"--checkpoint={calibrated}", *arguments, photos)
    assert (status, out) == (1, "")
    assert err.startswith(f"error: {says}")
    assert err.count("\n") == 1
    for flag in ("--unknown=0.05", "--coverage=0.9"):
        status, _, err = any_main(predict.main, f"--checkpoint={run}", flag, photos)
        assert status == 1
        assert "no example was held out from training; train with --hold_out=0.1, say" in err


def test_an_exported_file_has_the_temperature_inside(any_main, calibrated, photos):
    status, out, err = any_main(export.main, f"--checkpoint={calibrated}")
    assert status == 0, err
    kept = json.loads((calibrated / "calibration.json").read_text())
    assert f"temperature  {kept['temperature']:.3f}" in out
    file = calibrated / "model.stablehlo.zip"
    found = [
        json.loads(any_main(predict.main, f"--checkpoint={of}", "--format=json", photos)[1])
        for of in (calibrated, file)
    ]
    values = [[one["top"][0]["probability"] for one in records] for records in found]
    np.testing.assert_allclose(*values, atol=1e-4)
    status, _, err = any_main(predict.main, f"--checkpoint={file}", "--coverage=0.9", photos)
    assert status == 1
    assert "an exported file keeps nothing of held-out examples" in err


def test_where_nothing_can_be_predicted_the_status_says_so(
    any_main, run, photos, tmp_path, monkeypatch
):
    monkeypatch.setattr(kinds, "heic_is_read", lambda: False)
    flag, out = f"--checkpoint={run}", tmp_path / "p.json"
    bad = (photos / "empty.jpg", photos / "text.jpg", photos / "none.jpg")
    status, _, err = any_main(predict.main, flag, f"--out={out}", *bad)
    assert status == 1
    assert err.count("skipped:") == 3
    assert "error: could not classify any of the 3 files" in err
    assert not out.exists()
    (tmp_path / "nothing").mkdir()
    status, _, err = any_main(predict.main, flag, tmp_path / "nothing")
    assert status == 1
    assert "there are no images in" in err
    (tmp_path / "nothing/a.heic").touch()
    status, _, err = any_main(predict.main, flag, tmp_path / "nothing")
    assert status == 1
    assert "nothing but 1 HEIC (pip install pillow-heif to read them); give other" in err


def test_saliency_of_a_network_without_a_map_is_refused(any_main, run, photos, tmp_path):
    status, _, err = any_main(
        predict.main, f"--checkpoint={run}", f"--grid={tmp_path}/g.png", "--saliency", photos
    )
    assert status == 1
    assert "MLP has none" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a.jpg"], "add --checkpoint=RUN"),
        (["--checkpoint=RUN"], "no pictures are given"),
        (["--checkpoint=none", "a.jpg"], "there is no none"),
        (["--checkpoint=RUN", "--top=0", "a.jpg"], "--top=0 cannot be used"),
        (["--checkpoint=RUN", "--saliency", "a.jpg"], "add --grid=FILE.png"),
        (["--checkpoint=UNTRAINED", "a.jpg"], "error: "),
        (["--checkpoint=CUT", "a.jpg"], "is no exported network"),
    ],
)
def test_bad_input_is_one_clear_sentence(arguments, says, any_main, run, tmp_path, monkeypatch):
    untrained = shutil.copytree(run, tmp_path / "untrained")
    shutil.rmtree(untrained / "checkpoints")
    (tmp_path / "cut").write_bytes(b"PK\x03\x04")
    places = {"RUN": run, "UNTRAINED": untrained, "CUT": tmp_path / "cut"}
    for word, place in places.items():
        arguments = [argument.replace(f"={word}", f"={place}") for argument in arguments]
    (tmp_path / "a.jpg").touch()
    monkeypatch.chdir(tmp_path)
    status, _, err = any_main(predict.main, *arguments)
    assert status == 1
    assert says in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.jpg", "nowhere/"], "there is no none.jpg or nowhere/; give files or folders that"),
        ([""], "there are no images in"),
        (["--unknown=5", "a.jpg"], "--unknown=5 cannot be used; it must lie between 0 and 1."),
        (["--out=/proc/p.csv", "a.jpg"], "cannot write /proc/p.csv (No such file or directory);"),
        (["--grid=empty", "a.jpg"], "cannot write empty (it is a folder); give another --grid."),
    ],
)
def test_what_can_be_seen_before_the_network_is_read_is_said_before(
    arguments, says, any_main, tmp_path, monkeypatch
):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    arguments = [argument or str(tmp_path / "empty") for argument in arguments]
    status, _, err = any_main(predict.main, "--checkpoint=nothing is here", *arguments)
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith(f"error: {says}")


def test_export_takes_the_folder_of_a_run(any_main, tmp_path):
    for arguments, says in (
        ([], "add --checkpoint=RUN"),
        ([f"--checkpoint={tmp_path}/none"], "is no folder"),
        ([f"--checkpoint={tmp_path}"], "holds no run"),
        ([f"--checkpoint={tmp_path}", "--out=/proc/x.zip"], "cannot write /proc/x.zip"),
    ):
        status, _, err = any_main(export.main, *arguments)
        assert status == 1
        assert says in err


@pytest.mark.parametrize(
    ("asked", "decisions", "words", "looked"),
    [
        (judge.Asked(unknown=0.1), (1, None), ("b", "unknown"), [1, 0]),
        (judge.Asked(positive="b", threshold=0.2), (1, 0), ("b", "a"), [1, 0]),
        (judge.NOTHING, (0, 0), ("a", "a"), [0, 0]),
    ],
    ids=["unknown", "positive", "neither"],
)
def test_a_sheet_shows_what_was_decided(asked, decisions, words, looked, tmp_path, monkeypatch):
    """Where the network looks is asked for the class that was decided for, if any was."""
    entries, classes = [], []
    monkeypatch.setattr(sheets, "draw", lambda tiles, drawn, *_, **__: entries.extend(drawn))
    monkeypatch.setattr(predict, "_SALIENCY", SimpleNamespace(value=True))
    monkeypatch.setattr(predict, "_GRID", SimpleNamespace(value=str(tmp_path / "g.png")))

    def grad_cam(images, of):
        classes.extend(of)
        return np.zeros((len(images), 2, 2))

    network = SimpleNamespace(class_names=("a", "b"), grad_cam=grad_cam)
    one = predictor.Prediction("x.jpg", np.zeros((4, 4, 3), np.uint8), np.array([0.7, 0.3]))
    judged = [(one, judge.Judgement(decision, None)) for decision in decisions]
    predict._draw(network, judged, asked, done=2)
    assert tuple(entry.words(network.class_names)[0] for entry in entries) == words
    assert classes == looked


@pytest.mark.parametrize("overlays", [False, True])
def test_a_sheet_holds_the_pictures_their_overlays_and_bars(overlays, tmp_path):
    images = np.zeros((5, 56, 56, 1), np.uint8) + np.uint8(77)
    drawn = prediction_sheet(
        images,
        np.full((5, 3), 1 / 3),
        NAMES,
        ["/a/very/long/path/to/a/한국.jpg"] * 5,
        tmp_path / "sheet.png",
        overlays=np.full((5, 56, 56, 3), (200, 0, 0), np.uint8) if overlays else None,
    )
    picture = pixels(drawn)
    assert count(picture, (77, 77, 77)) >= 5 * 168 * 168
    assert count(picture, (200, 0, 0)) == overlays * 5 * 168 * 168
    bar = count(picture, (31, 90, 148))  # the colour of the first place, a third of 170 x 8 pixels
    assert bar > 5 * 55 * 7
