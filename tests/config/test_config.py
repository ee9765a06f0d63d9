"""Configurations: every invalid value is one sentence, JSON keeps them, runs keep their folder."""

import dataclasses
import json
import math

import pytest

from imgcls_jax.config import Config, settings_by_name
from imgcls_jax.errors import UserError
from imgcls_jax.workdir import Workdir, environment


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"dataset": "mnist:latest"},
            "`dataset=mnist:latest` is no name of a data set; write NAME, NAME/CONFIG or NAME:VER",
        ),
        ({"dataset": "digits", "image_size": 9}, "digits comes in one size; leave out"),
        ({"dataset": "mnist", "resize": "pad"}, "`resize` is for photos; give `image_size` too"),
        ({"dataset": "mnist", "test_fraction": 1.0}, "`test_fraction=1.0` cannot be used; it mu"),
        (
            {"dataset": "mnist", "hold_out": 0.1, "join_validation": True},
            "`join_validation` is for data sets with a validation split",
        ),
        ({"train_split": "train["}, "`train_split=train[` is no part of a split"),
        ({"model": "vgg"}, "unknown `model=vgg`"),
        ({"init": "he"}, "unknown `init=he`"),
        ({"optimizer": "lion"}, "unknown `optimizer=lion`"),
        ({"framework": "caffe"}, "unknown `framework=caffe`"),
        ({"schedule": "exp"}, "unknown `schedule=exp`"),
        ({"labels": "text"}, "unknown `labels=text`"),
        ({"augment": ("flip", "melt")}, "unknown `augment=melt`"),
        ({"lr": 0.0}, "`lr=0.0` cannot be used; it must be a finite number above 0"),
        ({"lr": -1.0}, "`lr=-1.0` cannot"),
        ({"lr": math.nan}, "`lr=nan` cannot"),
        ({"lr": math.inf}, "`lr=inf` cannot"),
        ({"batch_size": 0}, "`batch_size=0` cannot be used; it must be at least 1"),
        ({"epochs": -1}, "`epochs=-1` cannot"),
        ({"seed": -1}, "`seed=-1` cannot"),
        ({"hold_out": 1.0}, "`hold_out=1.0` cannot"),
        ({"hidden": (128, 0)}, "`hidden="),
        ({"momentum": 1.0}, "`momentum=1.0` cannot"),
        ({"label_smoothing": 1.0}, "`label_smoothing=1.0` cannot"),
        ({"warmup_epochs": -1.0}, "`warmup_epochs=-1.0` cannot"),
        ({"weight_decay": math.nan}, "`weight_decay=nan` cannot"),
        ({"schedule": "step"}, "`schedule=step` needs `step_epochs`"),
        ({"step_epochs": 2.0}, "are for `schedule=step`"),
        ({"schedule": "step", "step_epochs": 1.0, "step_gamma": 2.0}, "`step_gamma=2.0` cannot"),
        ({"model": "linear", "hidden": (3,)}, "`hidden` is not for `model="),
        ({"warmup_epochs": 15.0}, "`warmup_epochs=15` must be less than `epochs=15`"),
        ({"momentum": 0.9}, "`momentum` is not for `optimizer=adam`"),
        ({"nesterov": True}, "`nesterov` is not for `optimizer=adam`"),
        ({"optimizer": "sgd", "nesterov": True}, "`nesterov` needs a `momentum`"),
        ({"decay": "kernels"}, "`decay=kernels` needs a `weight_decay`"),
        ({"evaluate": "best"}, "`evaluate=best` needs a validation split"),
    ],
)
def test_invalid_settings_are_one_sentence(settings, sentence):
    with pytest.raises(UserError) as raised:
        Config.of(**settings)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_json_keeps_a_configuration():
    config = Config.of(hidden=(3, 2), augment=("flip",), lr=0.1, weight_decay=None)
    assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_unknown_fields_are_refused_and_missing_ones_are_younger():
    values = Config().to_json()
    with pytest.raises(UserError, match=r"fields that this version does not know \(colour\)"):
        Config.from_json(values | {"colour": "red"})
    del values["lr"]
    assert Config.from_json(values | {"epochs": 3}) == Config.of(epochs=3)


@pytest.mark.parametrize("edit", [{"lr": "0.1"}, {"hidden": 16}, {"epochs": None}])
def test_a_hand_edited_configuration_is_a_sentence(tmp_path, edit):
    (tmp_path / "metrics.jsonl").touch()
    (tmp_path / "config.json").write_text(json.dumps(Config().to_json() | edit))
    with pytest.raises(UserError, match=r"config\.json cannot be used: .* and not a"):
        Workdir(tmp_path).config()
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(UserError, match=r"\(it is a list of 1 and not an object\); undo the edit"):
        Workdir(tmp_path).config()


def test_every_field_has_help():
    assert all(field.metadata["help"] for _, field in settings_by_name().values())


def test_what_differs_from_the_defaults_is_shown_and_what_always_matters():
    shown = Config.of(head_lr=0.1, hidden=(8,)).shown()
    always = {"dataset", "model", "optimizer", "lr", "batch_size", "epochs", "seed"}
    assert set(shown) == always | {"head_lr", "hidden"}
    assert shown["hidden"] == [8]


def test_settings_of_photos_are_shown_where_they_mean_something():
    unlike_photos = set(Config.of(head_lr=0.1).shown(everything=True))
    assert {"lr", "seed", "head_lr", "clip_norm"} <= unlike_photos
    assert not {"image_size", "resize", "folds", "weights"} & unlike_photos
    photos = Config.of(dataset="folder", image_size=224)
    assert set(photos.shown(everything=True)) == set(settings_by_name())


def test_an_image_size_makes_photos_of_any_data_set():
    small = Config.of(dataset="emnist/letters:3.1.0", train_split="train[:80%]", test_fraction=0.1)
    assert not small.data.of_photos
    assert small.data.options() == {"train_split": "train[:80%]", "test_fraction": 0.1}
    photos = small.replace(image_size=64)
    assert photos.data.of_photos
    assert photos.data.options() == photos.data.options() | small.data.options()
    assert photos.data.options()["image_size"] == 64
    assert Config.of(dataset="hf:owner/name").data.options() == {}


def test_names_are_unique_across_the_sections():
    sections = [dataclasses.fields(section.type) for section in dataclasses.fields(Config)]
    assert len(settings_by_name()) == sum(map(len, sections)) == len(Config().flat())


def test_a_setting_that_does_not_exist_is_a_sentence():
    with pytest.raises(UserError, match="there is no setting colour"):
        Config.of(colour="red")


def test_a_folder_keeps_its_run(tmp_path):
    workdir = Workdir(tmp_path / "run")
    assert workdir.config() is None
    workdir.claim(Config.of(lr=0.1))
    workdir.claim(Config.of(lr=0.1))
    (tmp_path / "run" / "metrics.jsonl").touch()  # it has begun
    assert Workdir(tmp_path / "run").config() == Config.of(lr=0.1)
    with pytest.raises(UserError, match=r"holds another run \(lr is 0.1 there, 0.2 here\)"):
        workdir.claim(Config.of(lr=0.2))
    assert workdir.config() == Config.of(lr=0.1)


def test_a_folder_where_nothing_was_run_can_be_claimed_anew(tmp_path):
    """As after a mistyped setting that only the data could show to be one."""
    workdir = Workdir(tmp_path)
    workdir.claim(Config.of(batch_size=100_000))
    assert workdir.config() is None
    workdir.claim(Config.of(batch_size=100))
    assert json.loads((tmp_path / "config.json").read_text())["batch_size"] == 100


def test_a_damaged_history_or_array_file_is_no_traceback(tmp_path):
    workdir = Workdir(tmp_path)
    for content in (b"5\n", b"\xff\xfe{}", b'{"epoch": 1'):
        (tmp_path / "metrics.jsonl").write_bytes(content)
        assert workdir.history() == []
    (tmp_path / "predictions.npz").write_bytes(b"PK no zip")
    with pytest.raises(UserError, match=r"predictions.npz is damaged; delete it"):
        workdir.read_arrays("predictions.npz")


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="is not empty and holds no run"):
        Workdir(tmp_path).claim(Config())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_below_a_file_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot use .* as `workdir`"):
        Workdir(tmp_path / "file" / "run").claim(Config())


def test_a_damaged_configuration_is_a_sentence(tmp_path):
    (tmp_path / "metrics.jsonl").touch()
    (tmp_path / "config.json").write_text('{"lr": 0.')
    with pytest.raises(UserError, match=r"config.json cannot be used .*undo the edit, or choose"):
        Workdir(tmp_path).config()


def test_no_space_is_a_sentence(tmp_path, monkeypatch):
    workdir = Workdir(tmp_path)
    workdir.claim(Config())
    workdir.write_json("summary.json", {"kept": 1})

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UserError, match=r"cannot write .*summary.json \(No space left"):
        workdir.write_json("summary.json", {"kept": 2})
    assert json.loads((tmp_path / "summary.json").read_text()) == {"kept": 1}


def test_the_environment_names_device_and_versions():
    import jax
    import numpy

    found = environment()
    assert found["device"].startswith(jax.devices()[0].platform)
    assert found["versions"]["jax"] == jax.__version__
    assert found["versions"]["numpy"] == numpy.__version__


@pytest.mark.parametrize(
    ("changes", "once"),
    [
        ({}, True),
        ({"feed": "streamed"}, True),
        ({"trainable": "stage3"}, False),
        ({"cache_features": False}, False),
        ({"augment": ("flip",)}, False),
        ({"feed": "streamed", "random_crop": 0.5}, False),
        ({"tta": "flip"}, False),
        ({"eval_size": 24}, False),
    ],
)
def test_features_are_computed_once_where_nothing_changes_the_images(changes, once):
    config = Config.of(
        dataset="folder", image_size=16, model="resnet20", weights="imagenet", trainable="head"
    )
    assert config.replace(**changes).features_once == once
