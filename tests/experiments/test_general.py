"""Recipes by what a data set is: kind, classes, number of examples."""

import pytest

from experiments.presets import choose, general, spaces
from imgcls_jax import data
from imgcls_jax.config import Config
from imgcls_jax.data import Description
from imgcls_jax.train.tuning import search_space


def described(names=("airplane", "frog"), shape=(32, 32, 3), **counts) -> Description:
    return Description(
        name="birds", version="1.0.0", class_names=tuple(names), counts=counts, image_shape=shape
    )


def config(found, name=None, **given) -> Config:
    given = {"dataset": "birds", **given}
    return Config.of(**{**general.recipe(found, name, given).settings, **given})


@pytest.mark.parametrize(
    ("dataset", "name", "same"),
    [
        ("fashion_mnist", "cnn", lambda: choose.fashion_mnist(None, "cnn", {})),
        ("cifar10", "residual", lambda: choose.cifar10(None, "resnet", {})),
        ("cifar10", "fast", lambda: choose.cifar10(None, "fast", {})),
    ],
)
def test_a_data_set_with_presets_of_its_own_has_them(dataset, name, same):
    found = config(data.describe(dataset), name, dataset=dataset)
    assert found == Config.of(**same().settings)


@pytest.mark.parametrize("given", [{}, {"trainable": "all"}, {"model": "mobilenet_v2"}])
def test_photos_have_the_presets_of_transfer(given):
    expected = choose.transfer(None, None, given).settings
    assert general.recipe(None, None, {"dataset": "folder", **given}).settings == expected
    varying = described(shape=(None, None, 3))
    found = general.recipe(varying, None, {"dataset": "birds", **given})
    assert found.settings == {**expected, "dataset": "birds"}
    assert found.name == ("fine_tuned" if "trainable" in given else "frozen")
    large = described(shape=(128, 128, 3))
    assert general.recipe(large, None, {"dataset": "birds", **given}).settings == found.settings


def test_the_network_chooses_among_those_from_scratch():
    small = described(train=60_000)
    assert config(small).model.model == "cnn"
    assert config(small, model="linear").optim.optimizer == "adamw"
    assert config(small, model="linear").model.hidden == ()
    assert config(small, model="resnet20").optim.optimizer == "sgd"
    assert config(small, model="speednet").optim.optimizer == "airbench"
    assert config(small, name="frozen").data.image_size == 224


def test_one_epoch_has_no_warm_up():
    small = described(train=60_000)
    assert config(small, epochs=2).optim.warmup_epochs == 1
    assert config(small, epochs=1).optim.warmup_epochs == 0
    assert config(small, epochs=3, warmup_epochs=2.0).optim.warmup_epochs == 2


@pytest.mark.parametrize("given", [{"model": "cnn"}, {"weights": "none", "model": "resnet18"}])
def test_photos_from_scratch_have_a_size(given):
    found = config(described(shape=(None, None, 3)), **given)
    assert (found.data.image_size, found.model.weights) == (64, "none")
    assert config(None, **given, image_size=48).data.image_size == 48


def test_characters_have_no_mirror_images():
    assert config(described("0123456789")).train.augment == ("shift",)
    kana = described(("o", "ki", "su"), shape=(28, 28, 1))
    assert config(kana, model="resnet20").train.augment == ("crop",)
    assert config(described(map(str, range(100)))).train.augment == ("shift",)
    fast = config(described("0123456789"), "fast").train.augment
    assert fast == ("crop_reflect:2",)


def test_colour_photos_of_short_names_have_mirror_images():
    pets = described(("cat", "dog"), shape=(None, None, 3))
    augment = config(pets, model="resnet20", weights="none").train.augment
    assert set(augment) == {"crop", "flip"}
    assert config(described()).train.augment == ("flip", "shift")


@pytest.mark.parametrize(
    ("examples", "epochs", "batch_size"),
    [(60_000, 10, 64), (700_000, 3, 64), (1437, 60, 64), (500, 60, 32), (12, 60, 1)],
)
def test_fewer_examples_have_more_epochs_and_smaller_batches(examples, epochs, batch_size):
    found = config(described(train=examples, unlabelled=10**6)).train
    assert (found.epochs, found.batch_size) == (epochs, batch_size)


def test_without_counts_the_presets_own_stay():
    assert config(described()).train.epochs == choose.NAMED["train"]["cnn"]["epochs"]


def test_every_preset_makes_a_configuration_and_has_a_place():
    assert set(choose.NAMED["train"]) == {*general._SEEN, *general.OF_PHOTOS}
    for name in choose.NAMED["train"]:
        assert config(described(train=50_000), name).data.dataset == "birds"


@pytest.mark.parametrize("given", [{}, {"model": "mlp"}, {"model": "resnet20"}])
def test_every_space_can_be_searched(given):
    small = described(train=60_000)
    searched = spaces.space_of("train", given.get("model"), "all")
    base = config(small, **{**searched.fixed, **given, "hold_out": 0.1})
    search_space.check(search_space.parse(",".join(searched.space)), base)
    photos = spaces.space_of("train", None, "head", weights="imagenet")
    assert photos is spaces.SPACES["transfer"]["head"]
