"""The tensors of a file for the variables of a network, every one of them accounted for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from imgcls_jax.errors import UserError
from imgcls_jax.pretrained.skeleton import Path, Skeleton
from imgcls_jax.pretrained.tensors import TensorFile

_SUFFIXES = {  # of a variable's name in the file, by layout and kind of layer
    ("torch", False): {"kernel": ".weight", "bias": ".bias"},
    ("torch", True): {
        "scale": ".weight",
        "bias": ".bias",
        "mean": ".running_mean",
        "var": ".running_var",
    },
    ("keras", False): {"kernel": "/kernel", "bias": "/bias"},
    ("keras", True): {
        "scale": "/gamma",
        "bias": "/beta",
        "mean": "/moving_mean",
        "var": "/moving_variance",
    },
}
# A counter for norms without momentum, and the layer that our preprocessing takes the place of.
_NOT_WEIGHTS = re.compile(r"num_batches_tracked$|^normalization(_\d+)?/")
_NAMED_AT_MOST = 6


@dataclass(frozen=True)
class Report:
    """What became of every tensor of a file and of every variable of a network.

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
      those of a replaced head are left out.
    """
    kinds = skeleton.kinds
    names_of = {
        variable: names[variable[1:-1]]
        + _SUFFIXES[file.layout, kinds[variable[1:-1]] == "norm"][variable[-1]]
        for variable in skeleton.shapes
    }
    misshaped = {}
    for variable, name in names_of.items():
        if name in file.shapes:
            stand_in = np.broadcast_to(np.float32(0), file.shapes[name])  # takes no memory
            theirs = arrange(stand_in, file.layout, kinds[variable[1:-1]]).shape
            if theirs != skeleton.shapes[variable]:
                misshaped[variable] = f"{name} {theirs} instead of {skeleton.shapes[variable]}"
    head = {v: name for v, name in names_of.items() if v[1] == skeleton.head}
    replaced = None
    if not any(name in file.shapes for name in head.values()):
        replaced = "the file has no classifier"
    elif all(name in file.shapes for name in head.values()) and any(v in misshaped for v in head):
        classes = file.shapes[head["params", skeleton.head, "bias"]][0]
        replaced = f"the file's is for {classes} classes"
    kept = {v: name for v, name in names_of.items() if not (replaced and v in head)}
    ignored = tuple(name for name in file.shapes if _NOT_WEIGHTS.search(name))
    expected = {*names_of.values(), *ignored}
    report = Report(
        loaded=tuple(n for v, n in kept.items() if n in file.shapes and v not in misshaped),
        missing=tuple(name for name in kept.values() if name not in file.shapes),
        unexpected=tuple(name for name in file.shapes if name not in expected),
        misshaped=tuple(text for variable, text in misshaped.items() if variable in kept),
        ignored=ignored,
        replaced_head=replaced,
    )
    return report, kept


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


def arrange(tensor: np.ndarray, layout: str, kind: str) -> np.ndarray:
    """A tensor in the order of axes that our layer has: HWIO, (inputs, outputs)."""
    if layout == "torch":
        tensor = tensor.transpose({4: (2, 3, 1, 0), 2: (1, 0)}.get(tensor.ndim, range(tensor.ndim)))
    elif kind == "depthwise" and tensor.ndim == 4:
        tensor = tensor.transpose(0, 1, 3, 2)
    if kind == "dense" and tensor.shape[:-2] == (1, 1):  # published as a 1x1 convolution
        tensor = tensor.reshape(tensor.shape[2:])
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
        value = arrange(arrays[name], file.layout, skeleton.kinds[variable[1:-1]])
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
    """Variances such that norms trained with another `epsilon` than the network's compute the same.

    timm's MobileNetV3 adds 1e-5 to the variance where torchvision's adds 1e-3; their sum with it is
    what counts, so a variance may even become negative.
    """
    shifted = dict(values)
    for layer in skeleton.layers:
        if layer.kind == "norm" and layer.epsilon != epsilon:
            variance = ("batch_stats", *layer.path, "var")
            shifted[variance] = values[variance] + np.float32(epsilon - layer.epsilon)
    return shifted
