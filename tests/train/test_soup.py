"""Soups: the mean by hand, statistics that fit it, greedy choice, who shares a start."""

import flax.linen as nn
import jax
import numpy as np
import pytest
from conftest import SMALL

from imgcls_jax.train import soup
from imgcls_jax.train.setup import Network

IMAGES = np.random.default_rng(0).integers(0, 256, (500, 4, 4, 1), np.uint8)


class Normed(nn.Module):
    """A dense layer and a batch norm."""

    @nn.compact
    def __call__(self, images, train=False):
        x = nn.Dense(3)(images.reshape(len(images), -1))
        return nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)


def network():
    model = Normed()
    return Network(model, (4, 4, 1), model.apply, model.apply, model.apply, lambda images: images)


def drawn(seed, stats=None):
    variables = Normed().init(jax.random.key(seed), IMAGES[:1] / 255)
    if stats is not None:
        of_norm = {"mean": np.full(3, stats), "var": np.full(3, 1.0)}
        variables = variables | {"batch_stats": {"BatchNorm_0": of_norm}}
    return variables


def test_a_soup_is_the_mean_with_statistics_of_its_own():
    first, second = drawn(0, stats=1.0), drawn(1, stats=2.0)
    mixed = soup.make_soup(network(), IMAGES)([first, second])
    kernel = (first["params"]["Dense_0"]["kernel"] + second["params"]["Dense_0"]["kernel"]) / 2
    np.testing.assert_allclose(mixed["params"]["Dense_0"]["kernel"], kernel, rtol=1e-6)
    outputs = IMAGES.reshape(500, -1) / 255 @ np.asarray(kernel)
    stats = mixed["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(stats["mean"], outputs.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(stats["var"], outputs.var(0), rtol=1e-4)


def test_frozen_statistics_stay_and_one_network_is_its_own_soup():
    mix = soup.make_soup(network(), IMAGES)
    mixed = mix([drawn(0, stats=1.5), drawn(1, stats=1.5)])
    np.testing.assert_array_equal(mixed["batch_stats"]["BatchNorm_0"]["mean"], np.full(3, 1.5))
    alone = mix([drawn(0, stats=1.0)])
    np.testing.assert_array_equal(alone["batch_stats"]["BatchNorm_0"]["mean"], np.full(3, 1.0))


def test_a_greedy_soup_keeps_what_does_not_make_it_worse():
    """Networks are numbers here, a soup their mean; the best has the mean 4."""
    numbers = [np.float32(x) for x in (9.0, 5.0, 3.0, 20.0)]
    found = soup.greedy(
        numbers,
        soup=lambda some: soup.mean(some),
        accuracy_of=lambda number: -abs(float(number) - 4),
    )
    # 5 and 3 are alike best: 5 comes first, 3 makes it 4, 9 and 20 would spoil that.
    assert found.chosen == [1, 2]
    assert float(found.variables) == 4
    assert found.accuracy == 0


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"lr": 0.1}, None),
        ({"seed": 1}, "share no start"),
        ({"hidden": (16,)}, "are different networks"),
    ],
)
def test_a_start_is_shared_by_equal_networks_of_one_seed(other, says):
    why = soup.apart([SMALL, SMALL.replace(**other)])
    assert why is None if says is None else says in why


def test_published_weights_are_a_start_whatever_the_seed():
    settings = {"model": "resnet18", "hidden": (), "init": None, "weights": "imagenet"}
    of = SMALL.replace(dataset="folder", image_size=32, **settings)
    assert soup.apart([of, of.replace(seed=1)]) is None
    assert "began from different weights" in soup.apart([of, of.replace(weights="a.safetensors")])
