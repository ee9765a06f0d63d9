"""The publishers' names for networks of inverted residual blocks: MobileNets and EfficientNets."""

from collections.abc import Callable

from imgcls_jax.pretrained.family import named
from imgcls_jax.pretrained.skeleton import Block, Path, Skeleton

_TIMM_OUTSIDE = {
    "stem_conv": "conv_stem",
    "stem_norm": "bn1",
    "top_conv": "conv_head",
    "top_norm": "bn2",
    "head": "classifier",
}
_TIMM_BLOCK = {
    "expand_conv": "conv_pw",
    "expand_norm": "bn1",
    "depthwise_conv": "conv_dw",
    "depthwise_norm": "bn2",
    "squeeze/reduce": "se.conv_reduce",
    "squeeze/expand": "se.conv_expand",
    "project_conv": "conv_pwl",
    "project_norm": "bn3",
}
_TIMM_NARROW_BLOCK = _TIMM_BLOCK | {  # of a depthwise and a pointwise convolution only
    "depthwise_norm": "bn1",
    "project_conv": "conv_pw",
    "project_norm": "bn2",
}


def timm_names(skeleton: Skeleton, **outside: str) -> dict[Path, str]:
    """Names the layers as timm does.

    Args:
      **outside: other names than EfficientNet's of layers outside the blocks, by ours.
    """

    def inside(block: Block, layer: str) -> str:
        layers = _TIMM_BLOCK if "expand_conv" in block.layers else _TIMM_NARROW_BLOCK
        return f"blocks.{block.stage - 1}.{block.in_stage}.{layers[layer]}"

    return named(skeleton, _TIMM_OUTSIDE | outside, inside)


def torchvision_names(
    skeleton: Skeleton, *, top: int, inside: Callable[[Block, str], str], **outside: str
) -> dict[Path, str]:
    """Names the layers as torchvision does.

    Args:
      top: the index of the last convolution among the features.
      inside: see `named`.
      **outside: other names than EfficientNet's of layers outside the blocks, by ours.
    """
    features = {
        "stem_conv": "features.0.0",
        "stem_norm": "features.0.1",
        "top_conv": f"features.{top}.0",
        "top_norm": f"features.{top}.1",
        "head": "classifier.1",
    }
    return named(skeleton, features | outside, inside)


def torchvision_layer(block: Block, layer: str) -> str:
    """Returns torchvision's name of a layer within its block: pairs of convolution and norm."""
    depthwise = int("expand_conv" in block.layers)  # the index of that pair
    project = depthwise + 1 + int("squeeze/reduce" in block.layers)
    return {
        "expand_conv": "0.0",
        "expand_norm": "0.1",
        "depthwise_conv": f"{depthwise}.0",
        "depthwise_norm": f"{depthwise}.1",
        "squeeze/reduce": f"{depthwise + 1}.fc1",
        "squeeze/expand": f"{depthwise + 1}.fc2",
        "project_conv": f"{project}.0",
        "project_norm": f"{project}.1",
    }[layer]
