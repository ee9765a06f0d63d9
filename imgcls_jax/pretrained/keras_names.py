"""What keras.applications calls our layers, and in which order it has them."""

import re
from collections.abc import Callable

from imgcls_jax.pretrained.families import Place, family, number, places
from imgcls_jax.pretrained.skeleton import Layer, Path, Skeleton
from imgcls_jax.pretrained.tensors import TensorFile

_CLASSES = {"norm": "batch_normalization", "conv": "conv2d", "depthwise": "depthwise_conv2d"}
_NUMBERED = re.compile(rf"({'|'.join(_CLASSES.values())}|dense)(?:_\d+)?")

_ENDS = {  # by family: the layers outside the blocks
    "resnet": {"Conv_0": "conv1_conv", "BatchNorm_0": "conv1_bn", "Dense_0": "predictions"},
    "densenet": {
        "Conv_0": "conv1_conv",
        "BatchNorm_0": "conv1_bn",
        "BatchNorm_1": "bn",
        "Dense_0": "predictions",
    },
    "mobilenet_v2": {
        "stem_conv": "Conv1",
        "stem_norm": "bn_Conv1",
        "top_conv": "Conv_1",
        "top_norm": "Conv_1_bn",
        "head": "predictions",
    },
    "mobilenet_v3": {
        "stem_conv": "conv",
        "stem_norm": "conv_bn",
        "top_conv": "conv_1",
        "top_norm": "conv_1_bn",
        "top_dense": "conv_2",
        "head": "logits",
    },
    "efficientnet": {
        "stem_conv": "stem_conv",
        "stem_norm": "stem_bn",
        "top_conv": "top_conv",
        "top_norm": "top_bn",
        "head": "predictions",
    },
}
_EFFICIENT_BLOCK = {
    "expand_conv": "expand_conv",
    "expand_norm": "expand_bn",
    "depthwise_conv": "dwconv",
    "depthwise_norm": "bn",
    "squeeze/reduce": "se_reduce",
    "squeeze/expand": "se_expand",
    "project_conv": "project_conv",
    "project_norm": "project_bn",
}


def names(model_name: str, skeleton: Skeleton) -> dict[Path, str]:
    """From the path of each of our layers to Keras' name for it.

    In an order in which the norms, and the other layers, follow each other as in Keras' model.
    """
    of_family, blocks = family(model_name), places(skeleton)
    layers = skeleton.layers
    if of_family == "resnet":
        layers = _shortcuts_before_the_last(layers)
    result = {}
    for path in (layer.path for layer in layers):
        if path[0] in blocks:
            result[path] = _BLOCKS[of_family](blocks[path[0]], "/".join(path[1:]))
        else:
            result[path] = _ENDS[of_family][path[0]]
    return result


def _resnet(place: Place, layer: str) -> str:
    index = (number(layer) + 1) % 4  # the projection of the shortcut, our last, is their 0
    kind = "conv" if layer.startswith("Conv") else "bn"
    return f"conv{place.stage + 1}_block{place.in_stage + 1}_{index}_{kind}"


def _shortcuts_before_the_last(layers: tuple[Layer, ...]) -> list[Layer]:
    """Keras has the projection of a shortcut before the last convolution of the branch."""
    ordered = list(layers)
    for i, layer in enumerate(layers):
        if layer.path[-1] == "Conv_3":  # its norm is at i + 1, the branch's last two before it
            ordered[i - 2 : i + 2] = [*layers[i : i + 2], *layers[i - 2 : i]]
    return ordered


def _densenet(place: Place, layer: str) -> str:
    is_conv, index = layer.startswith("Conv"), place.in_stage
    if place.stage > 1:
        if index == 0:
            return f"pool{place.stage}_{'conv' if is_conv else 'bn'}"
        index -= 1
    block = f"conv{place.stage + 1}_block{index // 2 + 1}"
    return f"{block}_{index % 2 + 1}_conv" if is_conv else f"{block}_{index % 2}_bn"


def _mobilenet_v2(place: Place, layer: str) -> str:
    block = f"block_{place.of_all}" if place.of_all else "expanded_conv"
    return f"{block}_{layer.replace('_conv', '').replace('_norm', '_BN')}"


def _mobilenet_v3(place: Place, layer: str) -> str:
    block = f"expanded_conv_{place.of_all}" if place.of_all else "expanded_conv"
    squeeze = {"squeeze/reduce": "squeeze_excite_conv", "squeeze/expand": "squeeze_excite_conv_1"}
    own = squeeze.get(layer, layer.replace("_conv", "").replace("_norm", "_bn"))
    return f"{block}_{own}"


def _efficientnet(place: Place, layer: str) -> str:
    return f"block{place.stage}{chr(ord('a') + place.in_stage)}_{_EFFICIENT_BLOCK[layer]}"


_BLOCKS: dict[str, Callable[[Place, str], str]] = {
    "resnet": _resnet,
    "densenet": _densenet,
    "mobilenet_v2": _mobilenet_v2,
    "mobilenet_v3": _mobilenet_v3,
    "efficientnet": _efficientnet,
}


def by_position(names_of: dict[Path, str], file: TensorFile, skeleton: Skeleton) -> dict[Path, str]:
    """The names a file has for our layers where they are not Keras' present ones.

    Keras itself loads HDF5 files by the order of layers: the files it publishes have older names,
    "Logits" or "expanded_conv/depthwise". `.weights.h5` may have classes and numbers for names,
    and then keeps the order in each class only.

    Args:
      names_of: see `names`.
      file: its layers in their order.

    Returns:
      `names_of` itself where most are the file's own, or the file has another number of layers.
    """
    theirs = list(dict.fromkeys(name.rpartition("/")[0] for name in file.shapes))
    theirs = [name for name in theirs if not name.startswith("normalization")]
    head = names_of[skeleton.head,]
    ours, strangers = set(names_of.values()), [n for n in theirs if n not in names_of.values()]
    if ours - set(theirs) == {head} and len(strangers) == 1:
        return names_of | {(skeleton.head,): strangers[0]}
    if len(strangers) < len(theirs) / 2:
        return names_of
    numbered = [_NUMBERED.fullmatch(name) for name in theirs]
    if all(numbered):
        group_of = {name: found[1] for name, found in zip(theirs, numbered, strict=True)}
        classes = dict(_CLASSES, dense="conv2d" if head == "logits" else "dense")
    else:
        group_of = {n: "norm" if f"{n}/gamma" in file.shapes else "other" for n in theirs}
        classes = {"norm": "norm", "conv": "other", "depthwise": "other", "dense": "other"}
    result = {}
    for group in sorted(set(classes.values())):
        ours = [path for path in names_of if classes[skeleton.kinds[path]] == group]
        those = [name for name in theirs if group_of[name] == group]
        if (skeleton.head,) in ours and len(those) == len(ours) - 1:
            those.append(head)  # left out: a file without a classifier
        if len(those) != len(ours):
            return names_of
        result |= zip(ours, those, strict=True)
    return result
