"""Augmentations by name: what holds for every one of them, composition, and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcls_jax import augment
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
    return augment.create(specs, num_classes=CLASSES)(jax.random.key(seed), batch)


@pytest.mark.parametrize(("channels", "height"), [(1, 5), (3, 8)])
@pytest.mark.parametrize("name", augment.NAMES)
def test_each_keeps_shape_type_range_and_repeats_for_the_same_key(name, channels, height):
    batch = make_batch(height=height, channels=channels)
    function = jax.jit(augment.create([name], num_classes=CLASSES))
    once, again, other = (function(jax.random.key(seed), batch) for seed in (1, 1, 2))
    images = np.asarray(once["image"])
    assert images.shape == batch["image"].shape
    assert images.dtype == np.float32
    assert 0 <= images.min() <= images.max() <= 1 + 1e-6
    jax.tree.map(np.testing.assert_array_equal, once, again)
    np.testing.assert_array_equal(once["weight"], batch["weight"])  # passed through
    keyless = name == "alternate_flip" or (name == "colour" and channels == 1)
    assert np.array_equal(images, other["image"]) == keyless
    if name in ("mixup", "cutmix"):
        np.testing.assert_allclose(once["label"].sum(axis=1), 1.0, atol=1e-6)
    else:
        np.testing.assert_array_equal(once["label"], batch["label"])


@pytest.mark.parametrize(
    "name", [name for name, kind in augment.KINDS.items() if kind.default is not None]
)
def test_zero_strength_changes_nothing(name):
    batch = augmented(f"{name}:0")
    np.testing.assert_array_equal(batch["image"], BATCH["image"])
    if batch["label"].ndim == 2:
        np.testing.assert_array_equal(batch["label"], np.eye(CLASSES)[BATCH["label"]])


def test_they_apply_in_the_order_given_each_with_its_own_key():
    """Cutting out after brightening leaves the fill of the brightened batch, not a brighter one."""
    key = jax.random.key(3)
    names = ["brightness", "cutout:3", "flip"]
    expected = BATCH
    for number, name in enumerate(names):
        kind, strength = augment.KINDS[name.partition(":")[0]], {"brightness": [0.4], "flip": []}
        expected = kind.apply(
            jax.random.fold_in(key, number), expected, CLASSES, *strength.get(name, [3])
        )
    np.testing.assert_array_equal(augmented(*names, seed=3)["image"], expected["image"])
    swapped = augmented("cutout:3", "brightness", "flip", seed=3)
    assert not np.array_equal(swapped["image"], expected["image"])


def test_one_appended_changes_none_before_it():
    np.testing.assert_array_equal(
        augmented("crop:2", "flip")["image"], augmented("crop:2", "flip", "zoom:0")["image"]
    )


def test_no_specs_are_no_function():
    assert augment.create([], num_classes=2) is None


def test_shift_is_crop_by_another_name():
    assert augment.KINDS["shift"].default == 1
    np.testing.assert_array_equal(augmented("shift:2")["image"], augmented("crop:2")["image"])


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 4), st.integers(1, 9), st.integers(4, 11), st.sampled_from([1, 2, 3]))
def test_crop_works_on_images_of_every_size(pixels, count, width, channels):
    batch = make_batch(count, 4, width, channels)
    images = np.asarray(augmented(f"crop:{pixels}", batch=batch)["image"])
    for image, original in zip(images, batch["image"], strict=True):
        windows = np.pad(original, ((pixels, pixels), (pixels, pixels), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(windows, original.shape)
        assert (windows == image).all(axis=(-3, -2, -1)).any()


# --- refusals


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("melt", "unknown --augment=melt; choose one of: crop, crop_reflect, shift"),
        ("melt:3", "unknown --augment=melt:3"),
        ("", "unknown --augment=;"),
        ("flip:0.5", "--augment=flip:0.5 cannot be used; flip takes no strength"),
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
    with pytest.raises(UserError, match="alternate_flip needs `index` and `epoch` in the batch"):
        augmented("alternate_flip", batch={key: BATCH[key] for key in ("image", "label", "index")})


@pytest.mark.parametrize("name", ["crop", "crop_reflect", "shift"])
def test_padding_wider_than_the_image_is_refused(name):
    with pytest.raises(UserError, match="images of 6x7 pixels cannot be moved or padded by 7"):
        augmented(f"{name}:7")


def test_labels_that_are_weights_already_stay_weights():
    weights = np.random.default_rng(1).dirichlet(np.ones(CLASSES), 12).astype(np.float32)
    batch = augmented("mixup:0", "cutmix:0", batch={**BATCH, "label": jnp.asarray(weights)})
    np.testing.assert_array_equal(batch["label"], weights)
