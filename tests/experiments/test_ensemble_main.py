"""The ensemble entry point on digits: its folder, its student, its export, bad input."""

import json
import shutil

import jax
import numpy as np
import pytest
from conftest import QUICK
from figure_helpers import pixels
from PIL import Image

from experiments import ensemble, export, predict
from imgcls_jax.limits import temperature
from imgcls_jax.predict import predictor
from imgcls_jax.predict.restored import restore


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("ensembles")


@pytest.fixture
def seeds(root, fmnist_main):
    """Two runs on digits that held out the same part, made by the first test that asks."""
    folder = root / "seeds"
    if not folder.exists():
        flags_ = (*QUICK, "--seeds=2", "--hold_out=0.2", "--nofigures", f"--workdir={folder}")
        status, _, err = fmnist_main(*flags_)
        assert status == 0, err
    return folder


@pytest.fixture
def made(root, seeds, any_main):
    """An ensemble with a student, and what the command printed."""
    out = root / "out"
    if not out.exists():
        given = (f"--members={seeds}", f"--workdir={out}", f"--out={root}/copy.json", "--distil")
        student = ("--epochs=3", "--temperature=2", "--soft_share=0.8")
        status, text, err = any_main(ensemble.main, *given, *student)
        assert status == 0, err
        (root / "printed.txt").write_text(text)
    return out


def test_the_folder_tells_the_whole_story(made, root, digits):
    summary = json.loads((made / "summary.json").read_text())
    record = json.loads((made / "ensemble.json").read_text())
    assert [member["path"] for member in record["members"]] == [
        "../seeds/seed-0",
        "../seeds/seed-1",
    ]
    assert sum(record["weights"]) == pytest.approx(1)
    assert summary["weighting"]["by"] == "fitted"
    candidates = summary["weighting"]["candidates"]
    fitted, equal = candidates["fitted"]["validation"], candidates["equal"]["validation"]
    assert fitted["loss"] <= equal["loss"] + 1e-7
    arrays = np.load(made / "predictions.npz")
    for candidate in candidates.values():
        of = np.tensordot(candidate["weights"], arrays["members"], 1)
        loss = -np.log(of[np.arange(len(of)), digits.test.labels]).mean()
        assert candidate["test"]["loss"] == pytest.approx(loss, rel=1e-5)
    mixed = np.tensordot(record["weights"], arrays["members"], 1)
    np.testing.assert_allclose(arrays["probabilities"], mixed, atol=1e-6)
    right = (mixed.argmax(1) == digits.test.labels).mean()
    assert summary["test_accuracy"] == pytest.approx(right)
    assert summary["gain"]["accuracy"] == pytest.approx(
        right - np.mean(summary["of_members"]["accuracy"]["values"])
    )
    assert {"calibration", "per_class", "confusion_matrix", "git_commit", "versions"} <= set(
        summary
    )
    assert "share no start" in summary["soup"]["why_not"]
    assert json.loads((root / "copy.json").read_text()) == summary
    for name in ("members", "calibration", "disagreement"):
        assert pixels(made / "figures" / f"{name}.png").std() > 10
    low, high = summary["test_balanced_accuracy_interval"]
    assert low < summary["test_balanced_accuracy"] < high
    learned = summary["temperature"]
    assert learned["fitted_on"] == {"of": "validation examples", "examples": 288}
    found = predictor.load(made).probabilities(digits.test.images)
    expected = temperature.of_probabilities(arrays["probabilities"], learned["value"])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    loss = -np.log(expected[np.arange(len(expected)), digits.test.labels]).mean()
    assert learned["test_loss"]["after"] == pytest.approx(loss, rel=1e-5)
    printed = (root / "printed.txt").read_text()
    assert "ensemble, fitted weights" in printed
    assert "288 validation examples: no member trained on it" in printed


def test_the_student_is_a_run_like_any_other(made, seeds, any_main, digits):
    student = made / "distilled"
    config = json.loads((student / "config.json").read_text())
    assert (config["epochs"], config["hidden"], config["hold_out"]) == (3, [16], 0.2)
    summary, of = (
        json.loads((made / name / "summary.json").read_text()) for name in ("", "distilled")
    )
    assert summary["distilled"]["accuracy"] == of["test_accuracy"]
    teacher = summary["distilled"]["teacher"]
    assert (teacher["temperature"], teacher["soft_share"]) == (2, 0.8)
    found = predictor.load(student).probabilities(digits.test.images[:5])
    kept = np.load(student / "predictions.npz")["probabilities"][:5]
    kept = temperature.of_probabilities(kept, of["temperature"]["value"])
    np.testing.assert_allclose(found, kept, rtol=1e-4, atol=1e-6)
    given = (f"--members={seeds}", f"--workdir={made}", "--distil", "--epochs=3", "--nofigures")
    given = (*given, "--soft_share=0.8")
    status, _, err = any_main(ensemble.main, *given, "--temperature=3")
    assert status == 1
    assert "learns from something else (temperature 2.0)" in err
    status, out, err = any_main(ensemble.main, *given, "--temperature=2")
    assert status == 0, err
    assert "holds this run, finished: nothing to train" in out


def test_predict_and_export_take_the_folder(made, any_main, tmp_path):
    picture = tmp_path / "three.png"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 3).save(picture)
    flag = f"--checkpoint={made}"
    status, text, err = any_main(export.main, flag, f"--out={tmp_path}/e.zip", "--platforms=cpu")
    assert status == 0, err
    assert "at most in a probability" in text
    results = [
        any_main(predict.main, f"--checkpoint={of}", "--format=json", "--top=10", picture)[1]
        for of in (made, tmp_path / "e.zip")
    ]
    assert results[0] == results[1]
    grid = tmp_path / "grid.png"
    assert any_main(predict.main, flag, f"--grid={grid}", picture)[0] == 0
    assert pixels(grid).std() > 10


@pytest.mark.slow
def test_without_a_shared_split_weights_are_equal_and_the_reason_is_said(
    seeds, any_main, fmnist_main, tmp_path, digits
):
    other = tmp_path / "other"
    assert fmnist_main(*QUICK, "--lr=0.01", "--nofigures", f"--workdir={other}")[0] == 0
    given = (f"--members={seeds / 'seed-0'},{other}", f"--workdir={tmp_path / 'out'}")
    status, _, err = any_main(ensemble.main, *given, "--weighting=greedy")
    assert status == 1
    assert "--weighting=greedy needs a validation split that the members share" in err
    # Nothing was done in the folder yet, so that it can still become another ensemble.
    status, text, err = any_main(ensemble.main, *given, "--nofigures")
    assert status == 0, err
    assert "none: the members did not hold out the same examples" in text
    assert "equal weights, since the members did not all hold out a part" in text
    # Of one seed, they share a start: the soup is the mean of their parameters.
    found = json.loads((tmp_path / "out" / "summary.json").read_text())["soup"]
    assert (found["kind"], found["members"]) == ("uniform", [0, 1])
    of = [restore(path) for path in (seeds / "seed-0", other)]
    mixed = jax.tree.map(lambda a, b: (a + b) / 2, *(one.variables for one in of))
    logits = of[0]._replace(variables=mixed).logits(digits.test.images)
    right = np.mean(np.asarray(logits).argmax(1) == digits.test.labels)
    assert found["accuracy"] == pytest.approx(right)


def test_folds_are_joined_and_what_they_cannot_say_is_said(any_main, seeds, tmp_path):
    """The runs' folders say that they are folds; the command asks for nothing else."""
    folder = shutil.copytree(seeds, tmp_path / "folds")
    for fold in (0, 1):
        path = folder / f"seed-{fold}" / "config.json"
        of_photos = {"dataset": "folder", "image_size": 8, "folds": 2, "fold": fold}
        path.write_text(json.dumps(json.loads(path.read_text()) | of_photos))
    out = tmp_path / "out"
    members = (f"--members={folder}", f"--workdir={out}")
    status, _, err = any_main(ensemble.main, *members, "--distil")
    assert status == 1
    assert "--distil needs examples that no member trained on" in err
    status, text, err = any_main(ensemble.main, *members)
    assert status == 0, err
    assert "nothing is left to measure the ensemble on" in text
    found = json.loads((out / "summary.json").read_text())["out_of_fold"]
    assert sum(map(sum, found["confusion_matrix"])) == 2 * 360
    low, high = found["balanced_accuracy_interval"]
    assert low < found["balanced_accuracy"] < high
    of = [json.loads((folder / f"seed-{k}" / "summary.json").read_text()) for k in (0, 1)]
    assert found["accuracy"] == pytest.approx(np.mean([one["test_accuracy"] for one in of]))
    assert len(predictor.load(out).class_names) == 10
    path = folder / "seed-1" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"split_seed": 7}))
    status, _, err = any_main(ensemble.main, members[0], f"--workdir={tmp_path / 'other'}")
    assert status == 1
    assert "are not of one cross-validation" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "add --members=RUN,RUN"),
        (("--members=SEEDS", "--epochs=3"), "--epochs is for the student; add --distil"),
        (("--members=SEEDS", "--run=5"), "--run is not for ensembles"),
        (("--members=SEEDS", "--distil", "--temperature=0"), "--temperature=0 cannot be used"),
        (("--members=SEEDS", "--distil", "--soft_share=2"), "--soft_share=2 cannot be used"),
        (("--members=SEEDS", "--out=/proc/no/a.json"), "cannot write /proc/no/a.json"),
        (("--members=SEEDS", "--out=/"), "cannot write / (it is a folder); give another --out"),
        (("--members=SEEDS", "--distil", "--dataset=cifar10"), "--dataset is that of the members"),
        (("--members=SEEDS", "--distil", "--seeds=0"), "--seeds=0 cannot be used"),
        (("--members=SEEDS", "--best=3"), "--best=3 cannot be used; it must be from 2 to 2"),
        (("--members=SEEDS/seed-0",), "needs at least two members"),
        (("--members=SEEDS,OTHER",), "are of different data (dataset is fashion_mnist and digits)"),
    ],
)
def test_bad_input_is_one_clear_sentence(arguments, says, any_main, seeds, tmp_path):
    other = shutil.copytree(seeds / "seed-0", tmp_path / "other")
    config = json.loads((other / "config.json").read_text()) | {"dataset": "fashion_mnist"}
    (other / "config.json").write_text(json.dumps(config))
    arguments = [a.replace("SEEDS", str(seeds)).replace("OTHER", str(other)) for a in arguments]
    status, _, err = any_main(ensemble.main, *arguments, f"--workdir={tmp_path / 'out'}")
    assert status == 1
    assert says in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "out" / "summary.json").exists()


def test_a_member_of_other_data_is_refused(any_main, seeds, tmp_path):
    other = shutil.copytree(seeds / "seed-0", tmp_path / "other")
    record = json.loads((other / "network.json").read_text()) | {"data": "0123456789abcdef"}
    (other / "network.json").write_text(json.dumps(record))
    given = (f"--members={seeds},{other}", f"--workdir={tmp_path / 'out'}")
    status, _, err = any_main(ensemble.main, *given)
    assert status == 1
    assert "was made of other data than digits as it is now" in err
