"""Names the layers of a file of Keras by their order, where the file has other names than Keras."""

import re
from collections.abc import Mapping

from imgcls_jax.pretrained.files import TensorFile
from imgcls_jax.pretrained.skeleton import Path, Skeleton

_CLASSES = {  # of a layer in `.weights.h5`, by the kind of ours
    "batch_norm": "batch_normalization",
    "layer_norm": "layer_normalization",
    "conv": "conv2d",
    "depthwise": "depthwise_conv2d",
    "dense": "dense",
}
_NUMBERED = re.compile(rf"({'|'.join(_CLASSES.values())})(?:_\d+)?")


def by_position(
    names: dict[Path, str], file: TensorFile, skeleton: Skeleton, *, dense: str = "dense"
) -> dict[Path, str]:
    """Returns the names that a file has for our layers if they are not Keras' present ones.

    Keras itself loads HDF5 files by the order of layers: the files it publishes have older names,
    "Logits" or "expanded_conv/depthwise". `.weights.h5` may have classes and numbers for names,
    and then keeps the order in each class only.

    Args:
      names: Keras' present names of our layers, in Keras' order.
      file: its layers in their order.
      dense: Keras' class of our dense layers.

    Returns:
      `names` itself if most are the file's own, or the file has another number of layers.
    """
    theirs = list(dict.fromkeys(name.rpartition("/")[0] for name in file.shapes))
    theirs = [name for name in theirs if not name.startswith("normalization")]
    head = (skeleton.head,)
    ours, strangers = set(names.values()), [n for n in theirs if n not in names.values()]
    if ours - set(theirs) == {names[head]} and len(strangers) == 1:
        return names | {head: strangers[0]}
    if len(strangers) < len(theirs) / 2:
        return names
    group_of, groups = _groups(theirs, file, dense)
    result = {}
    for group in sorted(set(groups.values())):
        ours = [path for path in names if groups.get(skeleton.kinds[path]) == group]
        those = [name for name in theirs if group_of[name] == group]
        if head in ours and len(those) == len(ours) - 1:
            those.append(names[head])  # left out: a file without a classifier
        if len(those) != len(ours):
            return names
        result |= zip(ours, those, strict=True)
    return names | result


def _groups(
    theirs: list[str], file: TensorFile, dense: str
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Returns the group of each layer of a file by its name, and of each kind of our layers.

    Within a group the file's layers and ours are in one order.
    """
    numbered = [_NUMBERED.fullmatch(name) for name in theirs]
    if all(numbered):
        return dict(zip(theirs, (n[1] for n in numbered), strict=True)), _CLASSES | {"dense": dense}
    return (
        {name: "norm" if f"{name}/gamma" in file.shapes else "other" for name in theirs},
        {kind: "norm" if kind.endswith("_norm") else "other" for kind in _CLASSES},
    )
