"""Published weights of MobileNetV2 and MobileNetV3: torchvision's, timm's and Keras'."""

from imgcls_jax.pretrained.family import Family, Network, Published, named
from imgcls_jax.pretrained.inverted_residual import (
    timm_names,
    torchvision_layer,
    torchvision_names,
)
from imgcls_jax.pretrained.skeleton import Block, Path, Skeleton


def _torchvision_v2(skeleton: Skeleton) -> dict[Path, str]:
    def inside(block: Block, layer: str) -> str:
        within = torchvision_layer(block, layer)
        if layer.startswith("project"):  # its last two layers are not a pair
            pair, _, index = within.partition(".")
            within = str(int(pair) + int(index))
        return f"features.{block.of_all + 1}.conv.{within}"

    return torchvision_names(skeleton, top=len(skeleton.blocks) + 1, inside=inside)


def _torchvision_v3(skeleton: Skeleton) -> dict[Path, str]:
    def inside(block: Block, layer: str) -> str:
        return f"features.{block.of_all + 1}.block.{torchvision_layer(block, layer)}"

    return torchvision_names(
        skeleton,
        top=len(skeleton.blocks) + 1,
        inside=inside,
        top_dense="classifier.0",
        head="classifier.3",
    )


def _timm_v3(skeleton: Skeleton) -> dict[Path, str]:
    last = max(block.stage for block in skeleton.blocks.values())
    return timm_names(  # the last convolution is a stage, and "conv_head" is the dense layer
        skeleton,
        top_conv=f"blocks.{last}.0.conv",
        top_norm=f"blocks.{last}.0.bn1",
        top_dense="conv_head",
    )


def _keras_v2(skeleton: Skeleton) -> dict[Path, str]:
    def inside(block: Block, layer: str) -> str:
        where = f"block_{block.of_all}" if block.of_all else "expanded_conv"
        return f"{where}_{layer.replace('_conv', '').replace('_norm', '_BN')}"

    outside = {
        "stem_conv": "Conv1",
        "stem_norm": "bn_Conv1",
        "top_conv": "Conv_1",
        "top_norm": "Conv_1_bn",
        "head": "predictions",
    }
    return named(skeleton, outside, inside)


def _keras_v3(skeleton: Skeleton) -> dict[Path, str]:
    squeeze = {"squeeze/reduce": "squeeze_excite_conv", "squeeze/expand": "squeeze_excite_conv_1"}

    def inside(block: Block, layer: str) -> str:
        where = f"expanded_conv_{block.of_all}" if block.of_all else "expanded_conv"
        within = squeeze.get(layer, layer.replace("_conv", "").replace("_norm", "_bn"))
        return f"{where}_{within}"

    outside = {
        "stem_conv": "conv",
        "stem_norm": "conv_bn",
        "top_conv": "conv_1",
        "top_norm": "conv_1_bn",
        "top_dense": "conv_2",
        "head": "logits",
    }
    return named(skeleton, outside, inside)


V2 = Family(
    networks={
        "mobilenet_v2": Network(
            norms=(52, 17056),
            published=Published(
                "timm/mobilenetv2_100.ra_in1k",
                "55ea4fb3a96010b933710ebf44fc965b070d5cd054d3f35e44f2d1320b4a714e",
                "f3ff81ba89de0bc46b546568ebeab2edef6b9d49",
            ),
            timm="mobilenetv2_100",
        ),
    },
    names={"torchvision": _torchvision_v2, "timm": timm_names, "Keras": _keras_v2},
    keras_normalise="symmetric",
    marks={"timm": "conv_stem.weight"},
)

V3 = Family(
    networks={
        "mobilenet_v3_small": Network(
            norms=(34, 6056),
            published=Published("timm/mobilenetv3_small_100.lamb_in1k"),
            epsilon=1e-3,
            timm="mobilenetv3_small_100",
        ),
        "mobilenet_v3_large": Network(
            norms=(46, 12200),
            published=Published(
                "timm/mobilenetv3_large_100.ra_in1k",
                "f425af34cc1cead2b5d6211f789a1f30b94835dc32f9c0fcc5a916e4fd2dde85",
            ),
            epsilon=1e-3,
            timm="mobilenetv3_large_100",
        ),
    },
    names={"torchvision": _torchvision_v3, "timm": _timm_v3, "Keras": _keras_v3},
    keras_normalise="symmetric",
    keras_dense="conv2d",
    marks={"timm": "conv_stem.weight"},
)
