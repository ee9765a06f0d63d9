"""Published weights give the logits of the publisher's own network, from every layout of file."""

import os
from functools import cache, partial
from pathlib import Path

import jax
import numpy as np
import pytest
from golden import published_networks as published
from weight_files import write_legacy, write_safetensors, write_weights_h5

from imgcls_jax import models, pretrained
from imgcls_jax.models import normalisation
from imgcls_jax.pretrained import families, timm_trainings

QUICK = "mobilenet_v3_small"  # it has every kind of layer; the others take longer to compile
CASES = [
    pytest.param(*case, marks=[] if case[1] == QUICK else [pytest.mark.slow])
    for case in published.CASES
]
SHAPE = published.images().shape[1:]


@cache
def forward(network: str, convention: str, classes: int = published.CLASSES):
    """Returns the network and its compiled forward pass."""
    model = models.create(network, num_classes=classes, convention=convention)
    # Compiling well would take longer than it saves.
    options = {"xla_backend_optimization_level": 0}
    return model, jax.jit(model.apply, compiler_options=options)


def write(folder: Path, publisher: str, network: str) -> Path:
    """Writes the file of a case; timm tells a port from TensorFlow by its name alone."""
    tensors = published.tensors(publisher, network)
    if publisher == "keras":
        return write_legacy(folder / "weights.h5", tensors)
    if publisher in ("torchvision", "ML Illustrated"):
        return write_safetensors(folder / "weights.safetensors", tensors)
    name = ("tf_" if publisher == "timm tf" else "") + published.TIMM[network]
    training = next(iter(timm_trainings.PUBLISHED[name]))
    return write_safetensors(folder / f"{name}.{training}.safetensors", tensors)


def load(path: Path, network: str, *, classes: int = published.CLASSES, **options):
    convention = pretrained.describe(str(path), network).convention
    model, apply = forward(network, convention, classes)
    loaded = pretrained.load(
        str(path), model_name=network, model=model, image_shape=SHAPE, **options
    )
    return loaded, apply


def assert_gives(path: Path, publisher: str, network: str):
    """Checks that all tensors are loaded and the logits are the publisher's."""
    loaded, apply = load(path, network)
    names = published.shapes(publisher, network)
    report = loaded.report
    assert {*report.loaded, *report.ignored} == set(names)
    assert (report.missing, report.unexpected, report.misshaped, report.replaced_head) == (
        *((),) * 3,
        None,
    )
    theirs = published.logits(publisher, network)
    assert np.ptp(theirs, axis=0).max() > 1e-2  # they do depend on the images
    ours = apply(loaded.variables, published.images())
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


@pytest.mark.parametrize(("publisher", "network"), CASES)
def test_logits_are_the_publishers(tmp_path, publisher, network):
    assert_gives(write(tmp_path, publisher, network), publisher, network)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    "network",
    [pytest.param(n, marks=[] if n == QUICK else [pytest.mark.slow]) for n in published.KERAS],
)
def test_weights_h5_of_keras_3(tmp_path, network, named):
    tensors = published.tensors("keras", network)
    path = write_weights_h5(tmp_path / "a.weights.h5", tensors, named=named)
    assert len(published.shapes("keras", network)) == len(tensors)
    loaded, apply = load(path, network)
    theirs = published.logits("keras", network)
    ours = apply(loaded.variables, published.images())
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


@pytest.mark.parametrize(
    ("old", "new"), [("logits", "Logits"), ("expanded_conv", "older/expanded_conv")]
)
def test_older_names_of_keras_are_taken_by_position(tmp_path, old, new):
    tensors = {k.replace(old, new): v for k, v in published.tensors("keras", QUICK).items()}
    loaded, apply = load(write_legacy(tmp_path / "old.h5", tensors), QUICK)
    ours = apply(loaded.variables, published.images())
    np.testing.assert_allclose(ours, published.logits("keras", QUICK), atol=1e-5)


def test_a_whole_saved_keras_model(tmp_path):
    tensors = published.tensors("keras", QUICK)
    path = write_legacy(tmp_path / "m.h5", tensors, keras2=False, within="model_weights")
    assert_gives(path, "keras", QUICK)


def test_the_first_densenets_names(tmp_path):
    old = {
        k.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): v
        for k, v in published.tensors("torchvision", "densenet121").items()
    }
    file = families.open_for(write_safetensors(tmp_path / "old.safetensors", old), "densenet121")
    assert file.shapes == published.shapes("torchvision", "densenet121")
    name = "features.denseblock1.denselayer1.conv2.weight"
    np.testing.assert_equal(file.read([name])[name], old[name.replace("conv2", "conv.2")])


def test_half_precision_becomes_float32(tmp_path):
    halves = {
        k: v.astype(np.float16) if v.dtype == np.float32 else v
        for k, v in published.tensors("torchvision", QUICK).items()
    }
    loaded, _ = load(write_safetensors(tmp_path / "a.safetensors", halves), QUICK)
    assert {leaf.dtype for leaf in jax.tree.leaves(loaded.variables)} == {np.dtype(np.float32)}


def test_names_of_a_network_that_was_trained_in_parallel(tmp_path):
    """PyTorch's DataParallel puts "module." before every name."""
    tensors = published.tensors("torchvision", QUICK)
    path = write_safetensors(
        tmp_path / "a.safetensors", {f"module.{k}": v for k, v in tensors.items()}
    )
    file = families.open_for(path, QUICK)
    assert file.shapes == published.shapes("torchvision", QUICK)
    name = next(iter(tensors))
    np.testing.assert_array_equal(file.read([name])[name], tensors[name])


def test_efficientnet_of_keras_tells_its_preprocessing(tmp_path):
    tensors = published.tensors("keras", "efficientnet_b0")
    path = write_legacy(tmp_path / "untrained.h5", tensors)
    assert pretrained.describe(str(path), "efficientnet_b0").normalise == "unit"
    tensors["normalization/mean"] = np.array([0.485, 0.456, 0.406], np.float32)
    path = write_legacy(tmp_path / "trained.h5", tensors)
    assert pretrained.describe(str(path), "efficientnet_b0").normalise == "imagenet"


@pytest.mark.parametrize("publisher", ["torchvision", "keras"])
def test_another_number_of_classes_replaces_the_head(tmp_path, publisher):
    path = write(tmp_path, publisher, QUICK)
    loaded, _ = load(path, QUICK, classes=3)
    assert "head" not in loaded.variables["params"]
    assert loaded.report.replaced_head == "the file's is for 7 classes"
    assert "the classifier is a new one" in loaded.source


def test_a_file_without_classifier(tmp_path):
    tensors = published.tensors("keras", QUICK)
    headless = {k: v for k, v in tensors.items() if not k.startswith("logits/")}
    for name, writer in (
        ("a.h5", write_legacy),
        ("b.weights.h5", write_weights_h5),
        ("c.weights.h5", partial(write_weights_h5, named=False)),
    ):
        loaded, _ = load(writer(tmp_path / name, headless), QUICK)
        assert loaded.report.replaced_head == "the file has no classifier"
        assert len(loaded.report.loaded) == len(headless)


@pytest.mark.slow
@pytest.mark.parametrize("network", published.KERAS)
def test_files_that_the_installed_keras_writes(tmp_path, network, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    options = {"include_preprocessing": False} if "v3" in network else {}
    theirs = getattr(keras.applications, published.KERAS[network])(
        weights=None, classes=published.CLASSES, classifier_activation=None, **options
    )
    path = tmp_path / "model.weights.h5"
    theirs.save_weights(path)
    loaded, apply = load(path, network)
    images = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype(np.float32)
    scale = 255 if "efficientnet" in network else 1  # these divide by it themselves
    expected = np.asarray(theirs(scale * images, training=False))
    np.testing.assert_allclose(apply(loaded.variables, images), expected, atol=1e-4)


@pytest.mark.skipif(
    "IMGCLS_MOBILENET_V2_H5" not in os.environ,
    reason="IMGCLS_MOBILENET_V2_H5 is not the path of Keras' MobileNetV2 for ImageNet",
)
def test_imagenet_weights_on_photos_are_keras_own(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    photos = pytest.importorskip("sklearn.datasets").load_sample_images().images
    photos = np.stack([photo[100:324, 200:424] for photo in photos])
    path = os.environ["IMGCLS_MOBILENET_V2_H5"]
    theirs = keras.applications.MobileNetV2(weights=path, classifier_activation=None)
    preprocess = keras.applications.mobilenet_v2.preprocess_input
    expected = np.asarray(theirs(preprocess(photos.astype(np.float32)), training=False))
    about = pretrained.describe(path, "mobilenet_v2")
    assert about == pretrained.Description("tensorflow", pretrained.Pixels("symmetric"))
    loaded, apply = load(path, "mobilenet_v2", classes=1000)
    seen = normalisation.create(about.normalise, {})(photos.astype(np.float32) / 255)
    np.testing.assert_allclose(apply(loaded.variables, seen), expected, atol=1e-3)
