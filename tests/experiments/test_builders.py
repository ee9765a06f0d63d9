"""The survey of TFDS' builders: what is tried, what is read, its table and its bad input."""

import json
from types import SimpleNamespace

import pytest
import tensorflow_datasets as tfds

from experiments import tables
from experiments.benchmarks.builders import archives, survey, uses
from imgcls_jax.data.catalog.preparing import stand_in
from imgcls_jax.errors import UserError
from imgcls_jax.workdir import environment


def uses_of(name: str) -> uses.Uses:
    with stand_in.supplied():
        return uses.of(tfds.builder_cls(name))


def test_reads_what_a_builder_uses_of_tensorflow():
    used = uses_of("cats_vs_dogs")
    assert used.supplied == ("compat.as_bytes", "image.decode_image", "io.encode_jpeg")
    assert not used.missing


def test_reads_the_modules_that_a_builder_imports():
    assert "io.gfile.exists" in uses_of("imagenet2012_real").supplied
    missing = uses_of("imagenet2012_corrupted").missing
    assert {"Graph", "image.resize"} <= set(missing)


def test_names_packages_that_are_not_installed(monkeypatch):
    monkeypatch.setattr(uses.importlib.util, "find_spec", lambda name: None)
    assert uses_of("sun397").packages == ("cv2",)
    assert uses_of("laion400m").packages == ("apache_beam", "pandas")
    assert uses_of("cifar10_h").packages == ("pandas",)
    assert uses_of("imagenet2012_fewshot").packages == ("gcsfs",)
    assert uses_of("beans").packages == ()


@pytest.fixture(scope="module")
def result():
    with pytest.MonkeyPatch.context() as patch:
        names = ["dmlab", "omniglot", "imagenet2012", "beans", "mnist"]
        patch.setattr(survey, "_classifiers", lambda: names)
        mnist = archives.ARCHIVES["mnist"]
        drawn = {
            "imagenet2012": archives.ARCHIVES["imagenet2012"],
            "mnist": lambda rng: mnist(rng) | {"constants": {}},  # too few images for the builder
        }
        patch.setattr(archives, "ARCHIVES", drawn)
        return survey.measure(None, rounds=1)


def test_tries_what_can_be_drawn_and_reads_the_rest(result):
    found = result["builders"]
    assert {name: of["outcome"] for name, of in found.items()} == {
        "dmlab": survey.TENSORFLOW,
        "omniglot": survey.UNTRIED,
        "imagenet2012": survey.PREPARED,
        "beans": survey.UNTRIED,
        "mnist": survey.FAILED,
    }
    assert "tf.Graph" in found["dmlab"]["why"]
    assert found["omniglot"]["tensorflow"] == ["tf.io.gfile.listdir"]
    assert found["imagenet2012"]["examples"] == {"train": 7, "validation": 3, "test": 2}
    assert found["imagenet2012"]["by_hand"].startswith("manual_dir should contain two files")
    assert found["mnist"]["why"].startswith("mnist cannot be prepared (ValueError: cannot reshape")


def test_tells_image_classification_from_other_data(tmp_path):
    expected = {"mnist": True, "cifar100": True, "dtd": True, "coco": False, "iris": False}
    with stand_in.supplied():
        infos = {name: tfds.builder(name, data_dir=tmp_path).info for name in expected}
    assert {name: survey._is_classification(info) for name, info in infos.items()} == expected


def test_the_table_has_a_row_per_builder(result, tmp_path, capsys):
    (tmp_path / "tfds_builders.json").write_text(json.dumps(result | environment()))
    page = tables.page(tmp_path)
    assert "Of 5 builders: 1 prepared, 2 not tried, 1 needs TensorFlow, 1 failed." in page
    assert "| imagenet2012 | prepared | - | manual_dir should contain two files" in page
    assert "| dmlab | needs TensorFlow | tf.Graph, " in page
    survey.show(result)
    assert "mnist: mnist cannot be prepared" in capsys.readouterr().out


@pytest.mark.parametrize("given", [0, 1])
def test_rounds_are_refused(monkeypatch, given):
    monkeypatch.setattr(survey.flags, "FLAGS", {"rounds": SimpleNamespace(present=given)})
    if not given:
        assert survey.asked() is None
        return
    with pytest.raises(UserError, match="--rounds does nothing beside tfds; leave it out"):
        survey.asked()
