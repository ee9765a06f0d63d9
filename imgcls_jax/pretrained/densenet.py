"""Published weights of DenseNets: torchvision's, timm's and Keras'."""

import re

from imgcls_jax.pretrained.family import Family, Network, Published, named
from imgcls_jax.pretrained.skeleton import Block, Path, Skeleton

# The DenseNets that torchvision published in 2017 say norm.1 where its modules say norm1.
_OLD_NAME = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d)")


def _present_name(tensor: str) -> str:
    return _OLD_NAME.sub(r"\1\2", tensor)


def _torch(skeleton: Skeleton) -> dict[Path, str]:
    def inside(block: Block, layer: str) -> str:
        kind, index = ("conv" if layer.startswith("Conv") else "norm"), block.in_stage
        if block.stage > 1:
            if index == 0:
                return f"features.transition{block.stage - 1}.{kind}"
            index -= 1
        pair = f"features.denseblock{block.stage}.denselayer{index // 2 + 1}"
        return f"{pair}.{kind}{index % 2 + 1}"

    outside = {
        "Conv_0": "features.conv0",
        "BatchNorm_0": "features.norm0",
        "BatchNorm_1": "features.norm5",
        "Dense_0": "classifier",
    }
    return named(skeleton, outside, inside)


def _keras(skeleton: Skeleton) -> dict[Path, str]:
    def inside(block: Block, layer: str) -> str:
        is_conv, index = layer.startswith("Conv"), block.in_stage
        if block.stage > 1:
            if index == 0:
                return f"pool{block.stage}_{'conv' if is_conv else 'bn'}"
            index -= 1
        pair = f"conv{block.stage + 1}_block{index // 2 + 1}"
        return f"{pair}_{index % 2 + 1}_conv" if is_conv else f"{pair}_{index % 2}_bn"

    outside = {
        "Conv_0": "conv1_conv",
        "BatchNorm_0": "conv1_bn",
        "BatchNorm_1": "bn",
        "Dense_0": "predictions",
    }
    return named(skeleton, outside, inside)


FAMILY = Family(
    networks={
        "densenet121": Network(
            norms=(121, 41824),
            published=Published(
                "timm/densenet121.tv_in1k",
                "c894c6d9caa317a8ca1942986dee7a16a86c77734a4d691d2abe05389cfef358",
            ),
        ),
        "densenet169": Network(
            norms=(169, 79200),
            published=Published(
                "timm/densenet169.tv_in1k", revision="8c033a1f91d746e37e23229bf0445fff2125c89e"
            ),
        ),
    },
    names={"torchvision": _torch, "timm": _torch, "Keras": _keras},
    keras_normalise="imagenet",
    present_name=_present_name,
)
