"""What the state dicts of torchvision and timm call our layers."""

from collections.abc import Callable

from imgcls_jax.pretrained.families import Place, family, number, places
from imgcls_jax.pretrained.skeleton import Path, Skeleton

_RESNET = {"Conv_0": "conv1", "BatchNorm_0": "bn1", "Dense_0": "fc"}
_DENSENET = {
    "Conv_0": "features.conv0",
    "BatchNorm_0": "features.norm0",
    "BatchNorm_1": "features.norm5",
    "Dense_0": "classifier",
}
_TIMM_ENDS = {
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
_TIMM_FIRST_BLOCK = _TIMM_BLOCK | {  # of a depthwise and a pointwise convolution only
    "depthwise_norm": "bn1",
    "project_conv": "conv_pw",
    "project_norm": "bn2",
}


def names(model_name: str, skeleton: Skeleton, publisher: str) -> dict[Path, str]:
    """From the path of each of our layers to what `publisher` ("torchvision", "timm") calls it."""
    of_family, blocks = family(model_name), places(skeleton)
    paths = [layer.path for layer in skeleton.layers]
    if of_family == "resnet":
        depth = 3 if any(path[-1] == "Conv_3" for path in paths) else 2
        return {path: _resnet(path, blocks, depth) for path in paths}
    if of_family == "densenet":
        return {path: _densenet(path, blocks) for path in paths}
    make = _torchvision if publisher == "torchvision" else _timm
    name_of = make(of_family, paths, blocks)
    return {path: name_of(path) for path in paths}


def _resnet(path: Path, blocks: dict[str, Place], depth: int) -> str:
    if path[0] not in blocks:
        return _RESNET[path[0]]
    is_conv, index = path[1].startswith("Conv"), number(path[1])
    block = f"layer{blocks[path[0]].stage}.{blocks[path[0]].in_stage}"
    if index == depth:
        return f"{block}.downsample.{0 if is_conv else 1}"
    return f"{block}.{'conv' if is_conv else 'bn'}{index + 1}"


def _densenet(path: Path, blocks: dict[str, Place]) -> str:
    if path[0] not in blocks:
        return _DENSENET[path[0]]
    stage, index, _ = blocks[path[0]]
    kind = "conv" if path[1].startswith("Conv") else "norm"
    if stage > 1:
        if index == 0:
            return f"features.transition{stage - 1}.{kind}"
        index -= 1
    return f"features.denseblock{stage}.denselayer{index // 2 + 1}.{kind}{index % 2 + 1}"


def _timm(of_family: str, paths: list[Path], blocks: dict[str, Place]) -> Callable[[Path], str]:
    ends = dict(_TIMM_ENDS)
    if of_family == "mobilenet_v3":  # the last convolution is a stage, "conv_head" the dense layer
        last = max(place.stage for place in blocks.values())
        top = f"blocks.{last}.0"
        ends |= {"top_conv": f"{top}.conv", "top_norm": f"{top}.bn1", "top_dense": "conv_head"}

    def name_of(path: Path) -> str:
        if path[0] not in blocks:
            return ends[path[0]]
        place = blocks[path[0]]
        layers = _TIMM_BLOCK if (path[0], "expand_conv") in paths else _TIMM_FIRST_BLOCK
        return f"blocks.{place.stage - 1}.{place.in_stage}.{layers['/'.join(path[1:])]}"

    return name_of


def _torchvision(
    of_family: str, paths: list[Path], blocks: dict[str, Place]
) -> Callable[[Path], str]:
    # EfficientNet's features are stages, the other networks' single blocks.
    staged = of_family == "efficientnet"
    top = 1 + max(place.stage if staged else place.of_all + 1 for place in blocks.values())
    ends = {
        "stem_conv": "features.0.0",
        "stem_norm": "features.0.1",
        "top_conv": f"features.{top}.0",
        "top_norm": f"features.{top}.1",
        "top_dense": "classifier.0",
        "head": "classifier.3" if of_family == "mobilenet_v3" else "classifier.1",
    }

    def name_of(path: Path) -> str:
        if path[0] not in blocks:
            return ends[path[0]]
        place, layer = blocks[path[0]], "/".join(path[1:])
        first = int((path[0], "expand_conv") in paths)  # index of the depthwise convolution
        squeezed = int((path[0], "squeeze", "reduce") in paths)
        inside = {
            "expand_conv": "0.0",
            "expand_norm": "0.1",
            "depthwise_conv": f"{first}.0",
            "depthwise_norm": f"{first}.1",
            "squeeze/reduce": f"{first + 1}.fc1",
            "squeeze/expand": f"{first + 1}.fc2",
            "project_conv": f"{first + 1 + squeezed}.0",
            "project_norm": f"{first + 1 + squeezed}.1",
        }
        if of_family == "mobilenet_v2":  # its last two layers are not a pair
            inside |= {"project_conv": f"{first + 1}", "project_norm": f"{first + 2}"}
            return f"features.{place.of_all + 1}.conv.{inside[layer]}"
        if staged:
            return f"features.{place.stage}.{place.in_stage}.block.{inside[layer]}"
        return f"features.{place.of_all + 1}.block.{inside[layer]}"

    return name_of
