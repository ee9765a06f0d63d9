"""Photos with several labels each, from the table to training, figures, predictions and exports."""

import csv
import json

import numpy as np
import pytest
from photo_helpers import COLOURS, write_label_file, write_labelled

from experiments import export, predict
from imgcls_jax.config import Config
from imgcls_jax.errors import UserError
from imgcls_jax.predict import members, predictor
from imgcls_jax.report import sheets

SMALL = (
    "--preset=fine_tuned", "--weights=none", "--model=mlp", "--hidden=16", "--layer_decay=1",
    "--image_size=8", "--batch_size=8", "--epochs=12", "--lr=0.01", "--weight_decay=0.01",
    "--augment=flip,mixup:0.1", "--ema=0",
)  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of photos with the table in it, and what is in each photo."""
    root = tmp_path_factory.mktemp("labelled") / "photos"
    inside = write_labelled(root)
    write_label_file(root / "labels.csv", inside)
    return root, inside


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return tmp_path_factory.mktemp("run") / "several"


@pytest.fixture
def run(workdir, photos, transfer_main):
    """(folder of a finished run, what it printed); made by the first test that asks for it."""
    said = workdir.parent / "out.txt"
    if not workdir.exists():
        status, out, err = transfer_main(
            f"--data_dir={photos[0]}",
            "--label_file=labels.csv",
            "--hold_out=0.3",
            f"--workdir={workdir}",
            "--nofigures",
            *SMALL,
        )
        assert status == 0, err
        said.write_text(out)
    return workdir, said.read_text()


def test_labels_are_learned_and_told(run):
    workdir, out = run
    summary = json.loads((workdir / "summary.json").read_text())
    assert json.loads((workdir / "config.json").read_text())["head"] == "multi_label"
    assert summary["test_mean_average_precision"] > 0.9  # guessing gives 0.5
    assert summary["test_hamming_loss"] < 0.2
    assert summary["thresholds"]["chosen_on"]["of"] == "validation examples"
    assert summary["thresholds"]["chosen_on"]["examples"] == 11
    assert set(summary["per_class"]) == set(COLOURS)
    assert "confusion_matrix" not in summary
    arrays = np.load(workdir / "predictions.npz")
    assert arrays["labels"].shape == arrays["probabilities"].shape == (10, 3)
    values = np.array(summary["thresholds"]["values"])
    said = arrays["probabilities"] >= values
    assert summary["test_subset_accuracy"] == (said == arrays["labels"]).all(axis=1).mean()
    assert "mean average precision" in out
    assert "of each label by its F1 on 11 validation examples" in out


def test_predictions_are_the_labels_from_their_thresholds_on(any_main, run, photos, tmp_path):
    workdir, _ = run
    root, inside = photos
    flag, out = f"--checkpoint={workdir}", tmp_path / "p.csv"
    status, _, err = any_main(predict.main, flag, f"--out={out}", "--top=3", root)
    assert status == 0, err
    with out.open() as file:
        rows = list(csv.DictReader(file))
    network = predictor.load(workdir)
    right = 0
    for row in rows:
        values = {row[f"class_{n}"]: float(row[f"probability_{n}"]) for n in (1, 2, 3)}
        levels = dict(zip(network.class_names, network.thresholds, strict=True))
        expected = [name for name, value in values.items() if value >= levels[name]]
        assert row["labels"] == " | ".join(expected)
        right += set(expected) == set(inside[row["file"].rsplit("/")[-1]])
    assert right > 0.7 * len(rows)
    # One of all three colours, and one of none, as people and programs are told.
    _, table, _ = any_main(predict.main, flag, root / "07.png", root / "00.png")
    lines = [line.split() for line in table.splitlines()]
    assert [line[-1] for line in lines if line[0].endswith("00.png")] == ["-"]
    assert len(lines) == 1 + 3 + 1
    _, text, _ = any_main(predict.main, flag, "--format=json", root / "00.png")
    assert json.loads(text)[0]["labels"] == []


def test_a_sheet_shows_the_labels_from_their_thresholds_on(
    any_main, run, photos, tmp_path, monkeypatch
):
    seen = []
    monkeypatch.setattr(sheets, "draw", lambda tiles, entries, *_, **__: seen.extend(entries))
    flags = (f"--checkpoint={run[0]}", f"--grid={tmp_path}/g.png")
    any_main(predict.main, *flags, photos[0] / "07.png", photos[0] / "00.png")
    names, thresholds = ("blue", "green", "red"), predictor.load(run[0]).thresholds
    all_three, none = seen
    assert (all_three.words(names)[0], none.words(names)[0]) == ("blue | green | red", "no label")
    assert (none.decided == (none.probabilities >= thresholds)).all()
    colors = {entry.color(0, 0) for entry in seen}
    assert len(colors) == 2


def test_the_exported_file_has_the_thresholds(any_main, run, photos, tmp_path):
    workdir, _ = run
    path = tmp_path / "network.zip"
    status, _, err = any_main(export.main, f"--checkpoint={workdir}", f"--out={path}")
    assert status == 0, err
    ours, theirs = predictor.load(workdir), predictor.load(path)
    np.testing.assert_array_equal(ours.thresholds, theirs.thresholds)
    image = ours.prepare(photos[0] / "07.png")[None]
    found = np.asarray(theirs.probabilities(image))
    np.testing.assert_allclose(found, ours.probabilities(image), atol=1e-5)
    assert found.sum() > 1.5  # labels do not share a probability of 1


@pytest.mark.parametrize("flag", ["--unknown=0.1", "--coverage=0.9", "--positive=red"])
def test_what_is_said_of_one_class_is_not_said_of_labels(any_main, run, photos, flag):
    status, _, err = any_main(predict.main, f"--checkpoint={run[0]}", flag, photos[0])
    assert status == 1
    assert f"{flag.partition('=')[0]} is for networks that give a picture one class" in err
    with pytest.raises(UserError, match="an ensemble is of networks that give one class"):
        members.read([run[0], run[0]])


@pytest.mark.slow
def test_without_validation_photos_thresholds_are_a_half(transfer_main, photos, tmp_path):
    common = (f"--data_dir={photos[0]}", "--label_file=labels.csv", f"--workdir={tmp_path}")
    status, out, err = transfer_main(*common, *SMALL, "--epochs=1", "--nofigures")
    assert status == 0, err
    assert "0.5 for every label: there are no validation examples" in out
    assert (
        json.loads((tmp_path / "calibration.json").read_text())["thresholds"]["values"] == [0.5] * 3
    )


@pytest.mark.slow
def test_streamed_drawn_and_evaluated_again(transfer_main, photos, tmp_path):
    common = (f"--data_dir={photos[0]}", "--label_file=labels.csv", f"--workdir={tmp_path}")
    status, out, err = transfer_main(*common, *SMALL, "--feed=streamed", "--hold_out=0.3")
    assert status == 0, err
    figures = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert {"precision_recall", "predictions", "class_counts", "learning_curves"} <= figures
    assert "confusion_matrix" not in figures
    status, again, err = transfer_main(*common, "--epochs=0")
    assert status == 0, err
    (line,) = [line for line in out.splitlines() if "mean average precision" in line]
    assert line in again.splitlines()


@pytest.mark.slow
def test_photos_of_one_label_each_have_the_ordinary_head(transfer_main, photos, tmp_path):
    single = {path: ("-".join(of) or "none",) for path, of in photos[1].items()}
    path = write_label_file(tmp_path / "single.csv", single)
    status, _, err = transfer_main(
        f"--data_dir={photos[0]}",
        f"--label_file={path}",
        f"--workdir={tmp_path / 'run'}",
        *SMALL,
        "--feed=streamed",
        "--epochs=1",
        "--nofigures",
    )
    assert status == 0, err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert len(summary["confusion_matrix"]) == 8


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--head=binary",), "have several labels where one is expected, the first is 03.png"),
        (("--head=multinomial",), "give --head=multi_label, or one label per photo"),
        (("--class_weights",), "--class_weights is for examples of one class each"),
        (("--folds=2",), "--folds is for examples of one class each"),
        (("--label_file=none.csv",), "none.csv cannot be read (No such file or directory)"),
        (("--labels=labels.csv",), "a table of the photos' labels is given as --label_file"),
        (("--label_file=", "--head=multi_label"), "--head=multi_label is for photos with a table"),
    ],
)
def test_bad_flags_are_one_sentence(transfer_main, photos, tmp_path, flags, sentence):
    common = (f"--data_dir={photos[0]}", "--label_file=labels.csv", f"--workdir={tmp_path}/run")
    status, _, err = transfer_main(*common, *SMALL, *flags)
    assert status == 1
    assert sentence in err
    assert err.count("\n") == 1


def test_a_head_and_labels_of_another_kind_are_refused(digits):
    from imgcls_jax.train.build import build

    config = Config.of(dataset="folder", image_size=8, label_file="a.csv", head="multi_label")
    with pytest.raises(UserError, match="is not for examples that have one label each"):
        build(config, digits)
