"""Faults in augmentation."""

from .fault import plant

_ALL = ("augment/test_augment.py",)
_COMPOSED = plant(
    "imgcls_jax/augment/__init__.py",
    _ALL,
    augmentations_share_a_key=(
        "all augmentations of a step draw the same numbers",
        "drawn = jax.random.fold_in(key, number)",
        "drawn = key",
    ),
    mixing_forgets_labels=(
        "mixed images keep their own labels",
        'return {**batch, "image": images, "label": weights}',
        'return {**batch, "image": images}',
    ),
)
_GEOMETRY = plant(
    "imgcls_jax/augment/geometry.py",
    ("augment/test_geometry.py", *_ALL),
    crop_never_reaches_one_edge=(
        "the last offset of a crop is never drawn",
        "0, 2 * jnp.array(pixels) + 1)",
        "0, 2 * jnp.array(pixels))",
    ),
    flip_is_the_batchs=(
        "all images of a batch are mirrored or none",
        "jax.random.bernoulli(key, shape=images.shape[:1])",
        "jax.random.bernoulli(key, shape=(1,))",
    ),
    alternate_flip_does_not_alternate=(
        "an image is mirrored in every epoch or in none",
        "(words + epoch.astype(words.dtype)) % 2 == 1",
        "words % 2 == 1",
    ),
)
_MIX = plant(
    "imgcls_jax/augment/mix.py",
    ("augment/test_mix.py", *_ALL),
    mixup_swaps_the_labels=(
        "labels weigh the partner by the image's own share",
        "share[:, None] * weights + (1 - share[:, None]) * weights[partner]",
        "(1 - share[:, None]) * weights + share[:, None] * weights[partner]",
    ),
    cutmix_weighs_by_the_draw=(
        "labels weigh what was drawn, not the area that lies inside",
        "foreign = pasted.mean(axis=(1, 2, 3))[:, None]",
        "foreign = 1 - share[:, None]",
    ),
)
_COLOUR = plant(
    "imgcls_jax/augment/colour.py",
    ("augment/test_colour.py", *_ALL),
    luma_is_blue_first=(
        "grey takes red for blue",
        "(0.299, 0.587, 0.114) if channels == 3",
        "(0.114, 0.587, 0.299) if channels == 3",
    ),
    factors_are_the_batchs=(
        "all images of a batch have one factor",
        "shape = (images.shape[0], 1, 1, 1)",
        "shape = (1, 1, 1, 1)",
    ),
)
_ERASE = plant(
    "imgcls_jax/augment/erase.py",
    ("augment/test_colour.py", *_ALL),
    erases_always=(
        "every image is erased, whatever the probability",
        "size=size) & drawn, noise",
        "size=size), noise",
    ),
)
FAULTS = _COMPOSED + _GEOMETRY + _MIX + _COLOUR + _ERASE
