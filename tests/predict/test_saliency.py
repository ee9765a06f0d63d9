"""Grad-CAM against its definition worked out by hand, and its drawing."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imgcls_jax import models
from imgcls_jax.errors import UserError
from imgcls_jax.models.layers import classify, last_map, mean_of_pixels
from imgcls_jax.predict import saliency
from imgcls_jax.report import sheets

KEY = jax.random.key(0)


class Tiny(nn.Module):
    """A convolution, a rectifier, and a head over the mean of pixels, or over each of them."""

    flat: bool = False
    num_classes: int = 4

    @nn.compact
    def __call__(self, images, train=False):
        x = last_map(self, nn.relu(nn.Conv(6, (3, 3), name="conv")(images)))
        x = x.reshape(len(x), -1) if self.flat else mean_of_pixels(x)
        return classify(
            self,
            x,
            num_classes=self.num_classes,
            dropout=0.5,
            train=train,
            init="torch_linear",
            name="head",
        )


@pytest.mark.parametrize("flat", [False, True])
def test_channels_weigh_what_the_class_gains_by_them(flat):
    """The head is linear: its kernel is the derivative, whatever the image."""
    images = jax.random.normal(KEY, (5, 7, 8, 3))
    model = Tiny(flat=flat)
    variables = jax.jit(model.init)(KEY, images)
    classes = np.array([0, 3, 1, 1, 2])
    cams = jax.jit(partial(saliency.grad_cam, model))(variables, images, classes)

    params = jax.tree.map(np.asarray, variables["params"])
    conv = jax.jit(nn.Conv(6, (3, 3)).apply)({"params": params["conv"]}, images)
    features = np.maximum(np.asarray(conv, np.float64), 0)
    kernel = params["head"]["kernel"].T  # (classes, inputs of the head)
    kernel = kernel - kernel.mean(0)
    weights = kernel.reshape(4, 56, 6).mean(1) if flat else kernel / 56
    expected = np.maximum((features * weights[classes, None, None]).sum(-1), 0)
    assert (expected > 0).any()
    largest = expected.max((1, 2), keepdims=True)
    np.testing.assert_allclose(cams, expected / np.where(largest, largest, 1), atol=1e-5)


def test_one_logit_speaks_for_the_second_of_two_classes():
    images = jax.random.normal(KEY, (2, 7, 7, 3))
    variables = jax.jit(Tiny(num_classes=1).init)(KEY, images)
    head = variables["params"]["head"]
    two = {"kernel": jnp.pad(head["kernel"], ((0, 0), (1, 0))), "bias": jnp.zeros(2)}
    wide = {"params": {**variables["params"], "head": two}}
    cams = [jax.jit(partial(saliency.grad_cam, Tiny(num_classes=n))) for n in (1, 2)]
    for classes in (jnp.array([0, 0]), jnp.array([1, 1])):
        one = cams[0](variables, images, classes)
        np.testing.assert_allclose(one, cams[1](wide, images, classes), atol=1e-5)
        assert one.max() == 1


def test_what_a_softmax_does_not_see_changes_nothing_and_the_least_class_has_no_map():
    model, images = Tiny(), jax.random.normal(KEY, (2, 7, 7, 3))
    variables = jax.jit(model.init)(KEY, images)
    kernel = jnp.arange(4) * jnp.ones((6, 1))  # every channel speaks for the last class
    cam = jax.jit(partial(saliency.grad_cam, model))
    maps = []
    for shift in (0, -9):  # below zero, as Adam leaves heads
        variables["params"]["head"]["kernel"] = kernel + shift
        maps.append(cam(variables, images, jnp.array([0, 3])))
    np.testing.assert_allclose(*maps, atol=1e-5)
    assert not maps[1][0].any()
    assert maps[1][1].max() == 1


@pytest.mark.parametrize("name", [pytest.param("resnet18", marks=pytest.mark.slow), "mobilenet_v2"])
def test_networks_for_photos_have_a_map(name):
    model = models.create(name, num_classes=3)
    images = jax.ShapeDtypeStruct((2, 64, 96, 3), jnp.float32)
    variables = jax.eval_shape(model.init, KEY, images)
    cams = jax.eval_shape(
        lambda v, x: saliency.grad_cam(model, v, x, jnp.zeros(2, jnp.int32)), variables, images
    )
    assert cams.shape == (2, 2, 3)


def test_a_network_without_a_map_is_refused():
    model = models.create("mlp", num_classes=3)
    images = jnp.zeros((1, 4, 4, 1))
    shapes = jax.eval_shape(model.init, KEY, images)
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)
    with pytest.raises(UserError, match="MLP has none"):
        saliency.grad_cam(model, variables, images, jnp.zeros(1, jnp.int32))


@pytest.mark.parametrize("channels", [1, 3])
def test_an_overlay_colours_where_the_map_is(channels):
    image = np.full((32, 48, channels), 100, np.uint8)
    cam = np.zeros((4, 6))
    cam[:, :2] = 1
    drawn = sheets.overlay(image, cam)
    assert drawn.shape == (32, 48, 3)
    assert drawn.dtype == np.uint8
    assert (drawn[:, 32:] == 100).all()  # grey as it was
    assert (drawn[:, :4, 0] > 150).all()  # bright, and yellow rather than blue
    assert (drawn[:, :4, 0] > drawn[:, :4, 2].astype(int) + 30).all()
