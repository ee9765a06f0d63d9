"""Finds in a file the tensor of every variable of a network, with every tensor accounted for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from imgcls_jax.errors import UserError
from imgcls_jax.pretrained.files import TensorFile
from imgcls_jax.pretrained.skeleton import Path, Shape, Skeleton, split

_SUFFIXES = {  # of a tensor's name in a file, by layout and by the variable's name in its layer
    "torch": {
        "kernel": ".weight",
        "scale": ".weight",
        "bias": ".bias",
        "mean": ".running_mean",
        "var": ".running_var",
        "": "",
    },
    "keras": {
        "kernel": "/kernel",
        "scale": "/gamma",
        "bias": "/bias",  # a norm's is "/beta"
        "mean": "/moving_mean",
        "var": "/moving_variance",
        "": "",
    },
}
# A counter for norms without momentum, and Keras' layer for which we preprocess images.
_NOT_WEIGHTS = re.compile(r"num_batches_tracked$|^normalization(_\d+)?/")
_NAMED_AT_MOST = 6


@dataclass(frozen=True)
class Report:
    """The fate of every tensor of a file and of every variable of a network.

    Attributes:
      loaded: names, in the file, of the tensors that are used.
      missing: names of tensors that the network needs and the file lacks.
      unexpected: names of tensors that the network has no place for.
      misshaped: names, with both shapes, of tensors of another shape than the network's.
      ignored: names of tensors that are no weights.
      replaced_head: why the classifier is a new one; None where it is the file's.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshaped: tuple[str, ...]
    ignored: tuple[str, ...]
    replaced_head: str | None


def match(
    file: TensorFile, skeleton: Skeleton, names: Mapping[Path, str]
) -> tuple[Report, dict[Path, str]]:
    """Finds the tensor of every variable; reads no tensor.

    Args:
      names: from the path of each layer of the network to its name in the file.

    Returns:
      The report, and from the path of a variable (its collection first) to the name of its tensor;
      the variables of a replaced head are left out.
    """
    names_of = {v: _tensor_name(v, file.layout, skeleton, names) for v in skeleton.shapes}
    shapes = {
        variable: _arranged_shape(file, name, variable, skeleton)
        for variable, name in names_of.items()
        if name in file.shapes
    }
    misshaped = [v for v, shape in shapes.items() if shape != skeleton.shapes[v]]
    head = [v for v in names_of if v[1] == skeleton.head]
    replaced = None
    if not any(v in shapes for v in head):
        replaced = "the file has no classifier"
    elif all(v in shapes for v in head) and any(v in misshaped for v in head):
        replaced = f"the file's is for {shapes[head[0]][-1]} classes"
    kept = {v: name for v, name in names_of.items() if not (replaced and v in head)}
    ignored = tuple(name for name in file.shapes if _NOT_WEIGHTS.search(name))
    expected = {*names_of.values(), *ignored}
    report = Report(
        loaded=tuple(name for v, name in kept.items() if v in shapes and v not in misshaped),
        missing=tuple(name for v, name in kept.items() if v not in shapes),
        unexpected=tuple(name for name in file.shapes if name not in expected),
        misshaped=tuple(
            f"{kept[v]} {shapes[v]} instead of {skeleton.shapes[v]}" for v in misshaped if v in kept
        ),
        ignored=ignored,
        replaced_head=replaced,
    )
    return report, kept


def _tensor_name(variable: Path, layout: str, skeleton: Skeleton, names: Mapping[Path, str]) -> str:
    layer, name = split(variable)
    suffix = _SUFFIXES[layout][name]
    if suffix == "/bias" and skeleton.kinds[layer].endswith("_norm"):
        suffix = "/beta"
    return names[layer] + suffix


def _arranged_shape(file: TensorFile, name: str, variable: Path, skeleton: Skeleton) -> Shape:
    stand_in = np.broadcast_to(np.float32(0), file.shapes[name])  # takes no memory
    return arrange(stand_in, file.layout, variable[-1], skeleton.shapes[variable]).shape


def require_complete(report: Report, file: TensorFile, model_name: str) -> None:
    """Raises UserError unless every tensor has its place and every variable its tensor."""
    parts = [
        _listing(report.missing, "missing"),
        _listing(report.unexpected, "unexpected"),
        _listing(report.misshaped, "of another shape"),
    ]
    if any(parts):
        raise UserError(
            f"{file.path} does not hold the weights of {model_name} ({len(report.loaded)} tensors "
            f"fit): {'; '.join(filter(None, parts))}; choose the model that it was saved from or "
            "another file."
        )


def _listing(names: tuple[str, ...], what: str) -> str:
    if not names:
        return ""
    left = len(names) - _NAMED_AT_MOST
    listed = ", ".join(names[:_NAMED_AT_MOST])
    return f"{len(names)} {what} ({listed}{f' and {left} more' if left > 0 else ''})"


def arrange(tensor: np.ndarray, layout: str, variable: str, shape: Shape) -> np.ndarray:
    """Returns a tensor with its axes in the order that our variable has them.

    Only kernels differ: ours are (height, width, inputs of a group, outputs) or (inputs, outputs).
    PyTorch has the outputs first; Keras' depthwise kernels have one output per input; some dense
    layers are published as 1x1 convolutions.

    Args:
      tensor: as it is in a file of `layout`.
      variable: the variable's own name.
      shape: of the variable.
    """
    if variable != "kernel" or tensor.ndim < 2:
        return tensor
    if layout == "torch":
        tensor = tensor.transpose(*range(2, tensor.ndim), 1, 0)
    elif len(shape) > 2 and shape[-2] == tensor.shape[-1] == 1:
        tensor = tensor.swapaxes(-2, -1)
    if len(shape) == 2 and set(tensor.shape[:-2]) == {1}:
        tensor = tensor.reshape(tensor.shape[-2:])
    return tensor


def assemble(
    file: TensorFile, skeleton: Skeleton, kept: Mapping[Path, str]
) -> dict[Path, np.ndarray]:
    """Reads the float32 value of every variable in `kept`, as the network has it.

    Raises:
      UserError: if a value is not finite.
    """
    arrays, values = file.read(kept.values()), {}
    for variable, name in kept.items():
        value = arrange(arrays[name], file.layout, variable[-1], skeleton.shapes[variable])
        values[variable] = np.ascontiguousarray(value, np.float32)
        if not np.isfinite(values[variable]).all():
            raise UserError(
                f"{file.path} is damaged: {name} has values that are not finite; fetch or save it "
                "again."
            )
    return values


def with_epsilon(
    values: Mapping[Path, np.ndarray], skeleton: Skeleton, epsilon: float
) -> dict[Path, np.ndarray]:
    """Returns the values with variances for the network's own epsilons.

    The network's batch norms then compute the same as with `epsilon`, with which the weights were
    trained: timm's MobileNetV3 adds 1e-5 to the variance and torchvision's 1e-3. Only the sum with
    the variance counts, so a variance may even become negative.

    Args:
      values: from the path of a variable to its value, as `assemble` returns them.
      epsilon: the number that the norms added to the variance in training.
    """
    shifted = dict(values)
    for layer in skeleton.layers:
        if layer.kind == "batch_norm" and layer.epsilon != epsilon:
            variance = ("batch_stats", *layer.path, "var")
            shifted[variance] = values[variance] + np.float32(epsilon - layer.epsilon)
    return shifted
