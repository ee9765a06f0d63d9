"""Augmentations by name: what holds for every one of them, composition, and refusals."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imgcls_jax import augment
from imgcls_jax.augment import colour, erase, geometry
from imgcls_jax.errors import UserError

CLASSES = 5


def make_batch(count=12, height=6, width=7, channels=3):
    rng = np.random.default_rng(0)
    return {
        "image": rng.uniform(size=(count, height, width, channels)).astype(np.float32),
        "label": rng.integers(0, CLASSES, count).astype(np.int32),
        "index": np.arange(count, dtype=np.int32),
        "epoch": np.int32(0),
        "weight": np.arange(count),
    }


BATCH = make_batch()


def augmented(*specs, seed=0, batch=BATCH):
    function = jax.jit(augment.create(specs, num_classes=CLASSES))
    return function(jax.random.key(seed), batch)


@functools.cache
def every_one(seed):
    """{name: the batch augmented by it}, compiled in one piece."""
    return _compiled()(jax.random.key(seed), BATCH)


@functools.cache
def _compiled():
    functions = {name: augment.create([name], num_classes=CLASSES) for name in augment.NAMES}
    return jax.jit(lambda key, batch: {name: f(key, batch) for name, f in functions.items()})


@pytest.mark.parametrize("name", augment.NAMES)
def test_each_keeps_shape_type_and_range_and_has_its_own_draws(name):
    once, other = (every_one(seed)[name] for seed in (1, 2))
    images = np.asarray(once["image"])
    assert images.shape == BATCH["image"].shape
    assert images.dtype == np.float32
    assert 0 <= images.min() <= images.max() <= 1 + 1e-6
    np.testing.assert_array_equal(once["weight"], BATCH["weight"])  # passed through
    assert np.array_equal(images, other["image"]) == (name == "alternate_flip")
    if name in ("mixup", "cutmix"):
        np.testing.assert_allclose(once["label"].sum(axis=1), 1.0, atol=1e-6)
    else:
        np.testing.assert_array_equal(once["label"], BATCH["label"])


def test_the_same_key_gives_the_same_batches():
    again = _compiled()(jax.random.key(1), make_batch())
    jax.tree.map(np.testing.assert_array_equal, again, every_one(1))


def test_grey_images_have_no_colour_to_change_and_may_be_mixed():
    grey = make_batch(count=4, channels=1)
    np.testing.assert_array_equal(augmented("colour", batch=grey)["image"], grey["image"])
    mixed = augmented("brightness", "mixup:1", batch=grey)
    assert mixed["image"].shape == grey["image"].shape
    assert not np.allclose(mixed["image"], grey["image"])


def test_zero_strength_changes_nothing():
    names = [name for name, kind in augment.KINDS.items() if kind.default is not None]
    functions = {name: augment.create([f"{name}:0"], num_classes=CLASSES) for name in names}
    every = jax.jit(lambda key, batch: {name: f(key, batch) for name, f in functions.items()})
    for name, batch in every(jax.random.key(0), BATCH).items():
        np.testing.assert_array_equal(batch["image"], BATCH["image"], err_msg=name)
        if name in ("mixup", "cutmix"):
            np.testing.assert_array_equal(batch["label"], np.eye(CLASSES)[BATCH["label"]])


def test_they_apply_in_the_order_given_each_with_its_own_key():
    @jax.jit
    def by_hand(key, batch):
        keys = [jax.random.fold_in(key, number) for number in range(3)]
        images = colour.brightness(keys[0], batch["image"], 0.4)
        images = erase.cutout(keys[1], images, 3)
        return geometry.flip(keys[2], images)

    got = augmented("brightness", "cutout:3", "flip", seed=3)["image"]
    np.testing.assert_allclose(got, by_hand(jax.random.key(3), BATCH), atol=1e-6)
    swapped = augmented("cutout:3", "brightness", "flip", seed=3)["image"]
    assert np.abs(swapped - got).max() > 0.01


def test_one_appended_changes_none_before_it():
    np.testing.assert_array_equal(
        augmented("brightness", "flip")["image"],
        augmented("brightness", "flip", "colour:0")["image"],
    )


def test_no_specs_are_no_function():
    assert augment.create([], num_classes=2) is None


def test_shift_is_crop_by_another_name():
    assert augment.KINDS["shift"].default == 1
    np.testing.assert_array_equal(augmented("shift:2")["image"], augmented("crop:2")["image"])


@pytest.mark.parametrize(("pixels", "count", "width", "channels"), [(4, 9, 11, 1), (3, 1, 5, 2)])
def test_crop_cuts_a_window_of_the_padded_image(pixels, count, width, channels):
    batch = make_batch(count, 4, width, channels)
    images = np.asarray(augmented(f"crop:{pixels}", batch=batch)["image"])
    for image, original in zip(images, batch["image"], strict=True):
        padded = np.pad(original, ((pixels, pixels), (pixels, pixels), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, original.shape)
        assert (windows == image).all(axis=(-3, -2, -1)).any()


# --- refusals


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("melt", "unknown `augment=melt`; choose one of: crop, crop_reflect, shift"),
        ("melt:3", "unknown `augment=melt:3`"),
        ("", "unknown `augment=`;"),
        ("flip:0.5", "`augment=flip:0.5` cannot be used; flip takes no strength"),
        ("flip:", "flip takes no strength"),
        (
            "crop:",
            r"strength S \(S px of padding\) must be a whole number at least 0, as in crop:4",
        ),
        ("crop:2.5", "must be a whole number at least 0"),
        ("crop:-1", "must be a whole number at least 0"),
        ("rotate:far", "must be a number from 0 to 180, as in rotate:15"),
        ("rotate:181", "must be a number from 0 to 180"),
        ("zoom:1", "must be a number from 0 to 0.9"),
        ("mixup:nan", "must be a number at least 0, as in mixup:0.2"),
        ("mixup:inf", "must be a number at least 0"),
        ("crop:4:5", "must be a whole number"),
        ("randaugment:31", "magnitude S of 30"),
    ],
)
def test_a_spec_that_cannot_be_used_is_one_sentence(spec, message):
    with pytest.raises(UserError, match=message):
        augment.check(["flip", spec])
    with pytest.raises(UserError, match=message):
        augment.create(["flip", spec], num_classes=2)


def test_check_takes_every_name_bare_and_every_strength():
    augment.check([*augment.NAMES, "crop:4", "rotate:30", "mixup:1e-1", "randaugment:9"])


def test_alternate_flip_asks_for_what_it_needs():
    with pytest.raises(UserError, match="alternate_flip` needs `index` and `epoch` in the batch"):
        augmented("alternate_flip", batch={key: BATCH[key] for key in ("image", "label", "index")})


@pytest.mark.parametrize("name", ["crop", "crop_reflect", "shift"])
def test_padding_wider_than_the_image_is_refused(name):
    with pytest.raises(UserError, match="images of 6x7 pixels cannot be moved or padded by 7"):
        augmented(f"{name}:7")


def test_labels_that_are_weights_already_stay_weights():
    weights = np.random.default_rng(1).dirichlet(np.ones(CLASSES), 12).astype(np.float32)
    batch = augmented("mixup:0", batch={**BATCH, "label": jnp.asarray(weights)})
    np.testing.assert_array_equal(batch["label"], weights)
