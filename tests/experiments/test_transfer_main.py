"""The transfer entry point end to end, on small folders of colours, and its bad input."""

import argparse
import functools
import json
import pickle
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from golden import published_networks as published
from photo_helpers import COLOURS, write_photos
from PIL import Image
from weight_files import write_legacy, write_safetensors, write_timm_config

from experiments.cli import batches, rate_finding
from experiments.presets import choose
from imgcls_jax.config import Config
from imgcls_jax.data import Dataset, Split
from imgcls_jax.errors import UserError
from imgcls_jax.limits import temperature
from imgcls_jax.predict import predictor

NETWORK = "mobilenet_v3_small"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos"), side=40)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "v3.h5"
    return write_legacy(path, published.tensors("keras", NETWORK))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.mark.slow
def test_frozen_trained_drawn_and_predicted(transfer_main, folder, weights, tmp_path):
    status, out, err = transfer_main(
        f"--data_dir={folder}",
        f"--model={NETWORK}",
        f"--weights={weights}",
        "--image_size=32",
        "--batch_size=8",
        "--weight_decay=0.01",
        "--lr=0.01",
        "--epochs=30",
        f"--workdir={tmp_path}",
    )
    assert status == 0, err
    assert "the classifier is a new one" in out
    assert "3 classes; images: 29 train, 7 test" in out
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["test_accuracy"] > 0.5  # guessing gives 0.33; the weights are random
    assert summary["test_balanced_accuracy"] > 0.5
    assert summary["feature_seconds"] > 0
    assert summary["ranking"]["roc_auc"] > 0.5
    config = json.loads((tmp_path / "config.json").read_text())
    # What follows from the file of weights: Keras' padding and its pixels.
    assert (config["convention"], config["normalise"]) == ("tensorflow", "symmetric")
    figures = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert {"saliency", "roc", "precision_recall", "class_counts", "confusion_matrix"} <= figures
    network = predictor.load(tmp_path)
    kept, learned = np.load(tmp_path / "predictions.npz"), summary["temperature"]
    expected = temperature.of_probabilities(kept["probabilities"], learned["value"])
    assert learned["fitted_on"]["examples"] == 29
    files = [folder / name / f"{number:02}.png" for name in COLOURS for number in range(12)]
    found = np.stack([p.probabilities for p in predictor.predict(network, files)])
    for row in expected:  # every test photo is among all
        assert np.abs(found - row).max(axis=1).min() < 1e-4


def test_a_presets_batch_size_fits_a_small_training_set(transfer_main, folder, tmp_path):
    """One that is given does not change; the same command goes on in the same folder."""
    given = (
        *("--preset=fine_tuned", "--model=cnn", "--weights=none", "--layer_decay=1", "--ema=0"),
        *("--image_size=16", "--augment=", "--tta=none", "--epochs=1", "--nofigures"),
        *(f"--data_dir={folder}", f"--workdir={tmp_path}"),
    )
    status, _, err = transfer_main(*given, "--batch_size=32")
    assert (status, "--batch_size=32 is larger than the training set of 29" in err) == (1, True)
    status, out, err = transfer_main(*given)
    assert (status, err) == (0, "")
    said = "batches of 16 examples in place of 32, since the training set has 29."
    assert out.count(said) == 1
    assert json.loads((tmp_path / "config.json").read_text())["batch_size"] == 16
    status, out, err = transfer_main(*given)
    assert (status, "holds this run, finished" in out, said in out) == (0, True, False), err
    status, _, err = transfer_main(*given, "--batch_size=32")
    assert (status, "batch_size is 16 there, 32 here" in err) == (1, True)


def test_it_fits_those_of_folds_and_of_a_search_for_a_rate(tmp_path, monkeypatch):
    """Of two folds, one may train on an example fewer than the other."""
    monkeypatch.setattr(batches.cli, "given_settings", dict)
    images, labels = np.zeros((33, 8, 8, 3), np.uint8), np.arange(33, dtype=np.int32) % 3
    settings = {"dataset": "folder", "image_size": 8, "model": "cnn", "batch_size": 32}
    preset = choose.Preset("small", settings)
    for spare, examples, fitting in ((0, 32, 32), (0, 31, 16), (1, 33, 32), (1, 32, 16)):
        train = Split(images[:examples], labels[:examples])
        dataset = Dataset("photos", train, train, ("a", "b", "c"), "made up", None)
        of = {"dataset": dataset, "preset": preset, "spare": spare}
        config = Config.of(**settings)
        assert batches.fitted(config, **of, held=None).train.batch_size == fitting
        assert batches.fitted(config, **of, held=config) is config  # which has its own
    made, file = [], SimpleNamespace(name="find_lr", value=str(tmp_path / "rates.png"))
    monkeypatch.setattr(rate_finding, "FIND_LR", file)
    monkeypatch.setattr(rate_finding.cli, "load_dataset", lambda config: dataset)

    def make_trainer(config, dataset):
        made.append(config.train.batch_size)
        raise UserError("that is all.")

    fitted = functools.partial(batches.fitted, preset=preset, held=None, spare=1)
    with pytest.raises(UserError, match="that is all"):
        rate_finding.find(config, fitted=fitted, make_trainer=make_trainer)
    assert made == [16]


def test_folds_of_a_few_photos_are_trained_on(transfer_main, folder, tmp_path):
    given = (
        *("--preset=fine_tuned", "--model=cnn", "--weights=none", "--layer_decay=1", "--ema=0"),
        *("--image_size=16", "--augment=", "--tta=none", "--epochs=1", "--nofigures"),
        *(f"--data_dir={folder}", "--folds=2"),
    )
    said = "batches of 16 examples in place of 32, since the training set has 18 or one fewer."
    for times in (1, 0):  # begun, and once more
        status, out, err = transfer_main(*given, f"--workdir={tmp_path / 'fitted'}")
        assert (status, err, out.count(said)) == (0, "", times)
    own = f"--workdir={tmp_path / 'own'}"
    assert transfer_main(*given, own, "--batch_size=18")[0] == 0
    for again in (given, (f"--data_dir={folder}", "--folds=2")):
        status, out, err = transfer_main(*again, own)
        assert (status, err, "in place of" in out) == (0, "", False)


def test_documented_runs_and_named_presets_are_there(transfer_main):
    status, out, _ = transfer_main("--list_runs")
    assert status == 0
    assert all(f"\n  {number}  " in out for number in (12, 13, 14, 15))
    for number in (12, 13, 14, 15):
        assert choose.transfer(number, None, {}).run.number == number
    assert choose.transfer(None, None, {}).name == "frozen"
    # Weights for TensorFlow's padding bring their convention with them.
    settings = choose.transfer(None, "fine_tuned", {"model": "efficientnet_b0"}).settings
    assert (settings["convention"], settings["normalise"]) == ("tensorflow", "imagenet")


def test_preprocessing_follows_the_weights_unless_it_is_given():
    told = {"interpolation": "bicubic", "crop_fraction": 0.882, "image_size": 240}
    given = {"model": "efficientnet_lite1"}
    settings = choose.transfer(None, "fine_tuned", given).settings
    assert {name: settings[name] for name in told} == told
    assert (settings["convention"], settings["normalise"]) == ("tensorflow", "lite")
    assert settings["eval_size"] == round(256 * 240 / 224)
    given |= {"image_size": 160, "interpolation": "bilinear", "resize": "pad"}
    settings = choose.transfer(None, "fine_tuned", given).settings | given
    assert settings["eval_size"] == round(256 * 160 / 224)
    config = Config.of(**settings)
    assert (config.data.interpolation, config.data.crop_fraction) == ("bilinear", 1.0)
    # A document's images keep their size; which network stands in for its own does not change that.
    assert choose.transfer(12, None, {"model": "efficientnet_lite1"}).settings["image_size"] == 224


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        (None, {"trainable": "stage4"}, "fine_tuned"),
        ("fine_tuned", {"trainable": "head", "tta": "none", "augment": ()}, "fine_tuned"),
        ("fine_tuned", {"feed": "streamed"}, "fine_tuned"),
        ("fine_tuned", {"head": "binary"}, "fine_tuned"),
        ("fine_tuned", {"weights": "none", "model": "cnn", "layer_decay": 1.0}, "fine_tuned"),
    ],
)
def test_a_preset_sheds_what_other_flags_leave_without_meaning(name, given, expected):
    preset = choose.transfer(None, name, given)
    assert preset.name == expected
    Config.of(**{**preset.settings, **given})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, 256),
        ({"image_size": 448}, 512),
        ({"augment": ("flip",)}, None),
        ({"augment": (), "feed": "streamed", "random_crop": 0.3}, 256),
        ({"trainable": "head"}, None),
        ({"weights": "none", "model": "cnn"}, None),
    ],
)
def test_photos_are_enlarged_in_evaluation_behind_random_crops_alone(given, expected):
    assert choose.transfer(None, "fine_tuned", given).settings.get("eval_size") == expected


def test_a_run_is_documented_whoever_published_its_weights():
    for number in (12, 13, 14, 15):
        preset = choose.transfer(number, None, {})
        config = Config.of(**{**preset.settings, "folds": 5, "seed": 3})
        assert choose.documented(preset, config)["run"] == number
        other = Config.of(**{**preset.settings, "lr": 0.5})
        assert choose.documented(preset, other) is None


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ((), "--dataset=folder needs --data_dir, a folder with one folder of photos per class"),
        (("--data_dir=nowhere",), "nowhere cannot be read (No such file or directory)"),
        (("--weights=nowhere.h5",), "nowhere.h5"),
        (("--weights=model.pth",), ".pth"),
        (("--preset=fast",), "unknown --preset=fast; choose one of: frozen, fine_tuned"),
        (("--preset=frozen", "--run=12"), "--run and --preset both name the settings"),
        (("--run=10",), "there is no documented run 10 here; choose one of 12, 13, 14, 15"),
        (("--folds=3", "--seeds=2", "--data_dir=."), "--folds and --seeds are not for one command"),
    ],
)
def test_bad_flags_are_one_sentence(transfer_main, tmp_path, flags, sentence):
    status, _, err = transfer_main(f"--workdir={tmp_path / 'new'}", *flags)
    assert status == 1
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("photos", "sentence"),
    [
        ({}, "has no class folders"),
        ({"red": 3}, "at least two"),
        ({"red": 3, "green": 0}, "green has no image: add some or remove it."),
        ({"red": 8, "green": 1}, "green"),
    ],
)
def test_folders_that_cannot_be_learned_from(transfer_main, weights, tmp_path, photos, sentence):
    root = tmp_path / "photos"
    root.mkdir()
    for name, count in photos.items():
        (root / name).mkdir()
        for number in range(count):
            image = Image.new("RGB", (40, 40), (number, 99, 0))
            image.save(root / name / f"{number}.png")
    status, _, err = transfer_main(
        f"--data_dir={root}",
        f"--model={NETWORK}",
        f"--weights={weights}",
        "--image_size=32",
        f"--workdir={tmp_path / 'run'}",
    )
    assert status == 1
    assert sentence in err
    assert err.count("\n") == 1


def test_weights_of_another_network_are_refused(transfer_main, folder, weights, tmp_path):
    status, _, err = transfer_main(
        f"--data_dir={folder}",
        "--model=mobilenet_v2",
        f"--weights={weights}",
        f"--workdir={tmp_path}",
    )
    assert status == 1
    assert "mobilenet_v3_small" in err
    assert err.count("\n") == 1


def test_weights_with_code_in_them_are_refused_by_its_name(transfer_main, folder, tmp_path):
    path = tmp_path / "weights.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights/data.pkl", pickle.dumps({"a": argparse.Namespace(b=1)}, 2))
    status, _, err = transfer_main(
        f"--data_dir={folder}", f"--weights={path}", f"--workdir={tmp_path / 'run'}"
    )
    assert status == 1
    assert "its pickle asks for argparse.Namespace, which can run code" in err
    assert err.count("\n") == 1


def test_a_config_with_an_unknown_interpolation_names_the_flag(transfer_main, folder, tmp_path):
    tensors = published.tensors("timm", NETWORK)
    path = write_safetensors(tmp_path / "model.safetensors", tensors)
    write_timm_config(tmp_path, "mobilenetv3_small_100", interpolation="lanczos")
    status, _, err = transfer_main(
        f"--data_dir={folder}",
        f"--model={NETWORK}",
        f"--weights={path}",
        f"--workdir={tmp_path / 'run'}",
    )
    assert status == 1
    assert 'asks for interpolation "lanczos", which is not known here; give --interpolation' in err
    assert err.count("\n") == 1


@pytest.mark.slow
def test_fine_tuned_over_folds(transfer_main, folder, weights, tmp_path):
    status, _, err = transfer_main(
        "--preset=fine_tuned",
        f"--data_dir={folder}",
        f"--model={NETWORK}",
        f"--weights={weights}",
        "--image_size=32",
        "--batch_size=8",
        "--trainable=stage5",
        "--class_weights",
        "--epochs=2",
        # Milder than the preset, for ten steps of a network with random weights.
        "--lr=0.0002",
        "--augment=flip,resized_crop:0.6,mixup:0.2",
        "--ema=0.98",
        # Features of random weights differ little: the head takes more than the preset's to fit.
        "--head_epochs=200",
        "--head_lr=0.01",
        "--folds=2",
        f"--workdir={tmp_path}",
    )
    assert status == 0, err
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert np.sum(summary["pooled"]["confusion_matrix"]) == 36
    # Random weights see enlarged photos otherwise than photos: what was learned shows in training.
    assert summary["spread"]["train_accuracy"]["mean"] > 0.5
    one = json.loads((tmp_path / "fold-0" / "summary.json").read_text())
    assert len(summary["spread"]["test_accuracy"]["values"]) == 2
    assert one["test_accuracy"] == summary["spread"]["test_accuracy"]["values"][0]
    # Evaluated were enlarged photos and their mirror images, and so are what is predicted.
    assert json.loads((tmp_path / "fold-0" / "config.json").read_text())["eval_size"] == 37
    network = predictor.load(tmp_path / "fold-0")
    files = [folder / name / f"{number:02}.png" for name in COLOURS for number in range(12)]
    images = np.stack([network.prepare(file) for file in files])
    found = np.asarray(network.probabilities(images))
    for row in np.load(tmp_path / "fold-0" / "predictions.npz")["probabilities"]:
        assert np.abs(found - row).max(axis=1).min() < 1e-4
    exported = predictor.load(network.export(tmp_path / "network.zip"))
    np.testing.assert_allclose(exported.probabilities(images), found, atol=1e-4)
