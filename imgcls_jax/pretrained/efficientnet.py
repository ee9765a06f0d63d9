"""Published weights of EfficientNets: torchvision's, timm's and Keras'."""

from functools import partial

from imgcls_jax.pretrained.family import Family, Network, Pixels, Published, named
from imgcls_jax.pretrained.inverted_residual import (
    timm_names,
    torchvision_layer,
    torchvision_names,
)
from imgcls_jax.pretrained.skeleton import Block, Path, Skeleton

_KERAS_OUTSIDE = {
    "stem_conv": "stem_conv",
    "stem_norm": "stem_bn",
    "top_conv": "top_conv",
    "top_norm": "top_bn",
    "head": "predictions",
}
_KERAS_BLOCK = {
    "expand_conv": "expand_conv",
    "expand_norm": "expand_bn",
    "depthwise_conv": "dwconv",
    "depthwise_norm": "bn",
    "squeeze/reduce": "se_reduce",
    "squeeze/expand": "se_expand",
    "project_conv": "project_conv",
    "project_norm": "project_bn",
}


def _torchvision(skeleton: Skeleton) -> dict[Path, str]:
    def inside(block: Block, layer: str) -> str:
        where = f"features.{block.stage}.{block.in_stage}"
        return f"{where}.block.{torchvision_layer(block, layer)}"

    last = max(block.stage for block in skeleton.blocks.values())
    return torchvision_names(skeleton, top=last + 1, inside=inside)


def _keras(skeleton: Skeleton) -> dict[Path, str]:
    def inside(block: Block, layer: str) -> str:
        return f"block{block.stage}{chr(ord('a') + block.in_stage)}_{_KERAS_BLOCK[layer]}"

    return named(skeleton, _KERAS_OUTSIDE, inside)


def _bicubic(seen: int, resized: int) -> Pixels:
    """Returns torchvision's preprocessing, given the pixels per side that are seen, and before."""
    return Pixels("imagenet", "bicubic", seen / resized, seen)


_tensorflow = partial(Published, convention="tensorflow")

FAMILY = Family(
    networks={
        "efficientnet_b0": Network(
            norms=(49, 21008),
            convolutions=81,
            pixels=_bicubic(224, 256),
            published=_tensorflow(
                "timm/tf_efficientnet_b0.aa_in1k",
                "bc97e48e1360ee9d9c9d8a39ad2fb9b85ad150eb89d6fc69cd0f08301b5e0b3e",
            ),
        ),
        "efficientnet_b1": Network(
            norms=(69, 31024),
            pixels=_bicubic(240, 256),
            published=_tensorflow(
                "timm/tf_efficientnet_b1.aa_in1k",
                "44df4f85e844442fe761fb0ce92a9e4b96b2ec5d209e9169956fe033da180145",
            ),
        ),
        "efficientnet_b2": Network(
            norms=(69, 33784),
            pixels=_bicubic(288, 288),
            published=_tensorflow(
                "timm/tf_efficientnet_b2.aa_in1k",
                "08d7bd5d858873cb1a829f51c01811c75117665b1de91c215acbcf836a23a5c9",
                "99149aafd9bb256a0178f14ca9ab24deec5eb2a8",
            ),
        ),
        "efficientnet_b3": Network(
            norms=(78, 43648),
            pixels=_bicubic(300, 320),
            published=Published(
                "timm/efficientnet_b3.ra2_in1k",
                "279d2a53898aa89dab43fd6bd7df9f706aea4cb9cf916223988bbcb8e5850469",
            ),
        ),
        "efficientnet_b4": Network(
            norms=(96, 62600),
            pixels=_bicubic(380, 384),
            published=Published(
                "timm/efficientnet_b4.ra2_in1k",
                revision="2db9846671fa6880c01b7a4608443d276eddc593",
            ),
        ),
        "efficientnet_b5": Network(
            norms=(116, 86368),
            pixels=_bicubic(456, 456),
            published=_tensorflow(
                "timm/tf_efficientnet_b5.aa_in1k",
                "e81868f5acfdd37fc79a337761cba24b33611d652ca969cbe9a474fd800ad4de",
            ),
            epsilon=1e-3,
        ),
        "efficientnet_b6": Network(
            norms=(134, 112216),
            pixels=_bicubic(528, 528),
            published=_tensorflow(
                "timm/tf_efficientnet_b6.aa_in1k",
                revision="48bd93ba54a976b4e5eab6a4fb9b438029310ef6",
            ),
            epsilon=1e-3,
        ),
        "efficientnet_b7": Network(
            norms=(163, 155360),
            pixels=_bicubic(600, 600),
            published=_tensorflow(
                "timm/tf_efficientnet_b7.aa_in1k",
                revision="ad265c14a9a5535623534c06fb7e1d67a11e982e",
            ),
            epsilon=1e-3,
        ),
    },
    names={"torchvision": _torchvision, "timm": timm_names, "Keras": _keras},
    keras_normalise="imagenet",
    marks={"timm": "conv_stem.weight"},
)
