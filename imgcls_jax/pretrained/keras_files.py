"""Opens Keras' HDF5 files of weights, and nothing that such a file points to outside itself.

HDF5 lets a file take its numbers from others, by links, external storage and virtual data sets, and
lets it ask for filters, which may be loaded as plugins
(https://support.hdfgroup.org/documentation/hdf5/latest/). Keras uses none of these, and here none
is followed.
"""

import math
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax.errors import UserError, printable
from imgcls_jax.pretrained import hdf5_texts

_VARIABLES = {  # of a layer in `.weights.h5`, in its order, by the snake-case name of its class
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "layer_normalization": ("gamma", "beta"),
    "normalization": ("mean", "variance", "count"),
}
_ONE_FILE = "save the weights there with model.save_weights(...), all in one file"


@dataclass(frozen=True)
class Layers:
    """The tensors of a file.

    Attributes:
      path: of the file.
      places: where in it each tensor is, by its name.
      shapes: by the same names.
    """

    path: Path
    places: dict[str, str]
    shapes: dict[str, tuple[int, ...]]

    def read(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Returns tensors by name.

        Raises:
          UserError: if the file is damaged.
        """
        with _opened(self.path) as file:
            return {name: _tensor(file, self.places[name])[()] for name in names}


def open_layers(path: Path) -> Layers:
    """Reads the names and shapes in an HDF5 file of Keras.

    Names are "layer/variable", such as "bn_Conv1/gamma". Early releases of Keras 3 kept no names
    in the layout `.weights.h5`: there a layer's name is its class and a number, "conv2d_3".

    Raises:
      UserError: if the file is damaged, not HDF5, not written by Keras, or has tensors that are
        compressed or lie in other files.
    """
    with _opened(path) as file:
        top = _child(file, "model_weights")  # in a whole saved model
        top = file if top is None else top
        if (names := _texts(top, "layer_names")) is not None:
            places = _legacy(top, names)
        elif (layers := _child(top, "layers")) is not None:
            places = _by_class(layers)
        else:
            raise UserError(
                f"{printable(path)} is an HDF5 file but holds no weights of a Keras model; save "
                "them there with model.save_weights(...)."
            )
        shapes = {name: tuple(_tensor(file, place).shape) for name, place in places.items()}
    return Layers(path, places, shapes)


def _legacy(top: Any, layers: list[str]) -> dict[str, str]:
    places = {}
    for layer in layers:
        group = _at(top, layer)
        for weight in _texts(group, "weight_names") or ():
            variable = weight.split("/")[-1].removesuffix(":0").replace("depthwise_", "")
            name = f"{layer.replace('/', '_')}/{variable}"
            if name in places:
                raise _nested(top, layer)
            places[name] = f"{group.name}/{weight}"
    return places


def _by_class(layers: Any) -> dict[str, str]:
    places = {}
    for group in sorted(layers, key=_number):
        of = _child(layers, group)
        if _child(of, "layers") is not None:
            raise _nested(layers, group)
        if not (variables := _child(of, "vars")):
            continue
        layer = (_texts(variables, "name") or [group])[0]
        names = _VARIABLES.get(re.sub(r"_\d+$", "", group), ("kernel", "bias"))
        for index in sorted(variables, key=int):
            name = names[int(index)] if int(index) < len(names) else index
            places[f"{layer}/{name}"] = f"{variables.name}/{index}"
    return places


def _nested(within: Any, layer: str) -> UserError:
    return UserError(
        f"{printable(within.file.filename)} holds a model whose layer {printable(layer)!r} is a "
        "network of its own; save that one alone in Keras with "
        "model.get_layer(...).save_weights(...)."
    )


def _number(group: str) -> tuple[str, int]:
    """Returns a key that sorts conv2d before conv2d_1 before conv2d_10."""
    found = re.fullmatch(r"(.*?)(?:_(\d+))?", group, re.DOTALL)
    return found[1], int(found[2] or 0)


def _texts(group: Any, name: str) -> list[str] | None:
    """Returns the texts of an attribute, None where there is none of the name.

    Raises:
      ValueError: it holds no texts, or more than the file.
    """
    from h5py import h5t

    if name not in group.attrs:
        return None
    path, found = group.file.filename, group.attrs.get_id(name)
    if found.shape is None or not math.prod(found.shape):
        return []  # of a layer without weights
    kind = found.get_type()
    if not isinstance(kind, h5t.TypeStringID) or kind.committed():
        raise ValueError(f"the attribute {name} is no text")
    if math.prod(found.shape) * kind.get_size() > os.path.getsize(path):
        raise ValueError(f"the attribute {name} is larger than the file")
    if kind.is_variable_str():
        hdf5_texts.require_sound(path, name, os.stat(path).st_ctime_ns)
    texts = np.atleast_1d(group.attrs[name]).ravel().tolist()
    return [text.decode() if isinstance(text, bytes) else str(text) for text in texts]


def _at(group: Any, place: str) -> Any:
    """Returns what is at a place in a group.

    Raises:
      UserError: a link on the way leads elsewhere.
      KeyError: there is nothing.
    """
    found = group
    for name in filter(None, place.split("/")):
        found = _child(found, name)
        if found is None:
            raise KeyError(f"{place} is missing")
    return found


def _child(group: Any, name: str) -> Any | None:
    """Returns what a group holds under a name, None where there is nothing; follows no link.

    Raises:
      UserError: it is a link to a place elsewhere.
    """
    from h5py import Group, h5l

    if not isinstance(group, Group):
        raise ValueError(f"{group.name} is no group")
    links, key = group.id.links, name.encode()
    if not links.exists(key):
        return None
    if (kind := links.get_info(key).type) != h5l.TYPE_HARD:
        target = links.get_val(key) if kind in (h5l.TYPE_EXTERNAL, h5l.TYPE_SOFT) else b""
        parts = target if isinstance(target, tuple) else (target,)
        raise _elsewhere(
            group, f"{group.name.rstrip('/')}/{name}", "a link to", *map(os.fsdecode, parts)
        )
    return group[name]


def _tensor(file: Any, place: str) -> Any:
    """Returns the data set at a place, all of which lies in the file as it is.

    Raises:
      UserError: it is not so.
      ValueError: it is no data set of numbers, or larger than the file.
    """
    from h5py import Dataset, h5d

    found = _at(file, place)
    if not isinstance(found, Dataset):
        raise ValueError(f"{place} is no tensor")
    made = found.id.get_create_plist()  # asked first: a virtual one opens other files for its shape
    if made.get_external_count():
        raise _elsewhere(file, place, "stored in", os.fsdecode(made.get_external(0)[0]))
    if made.get_layout() == h5d.VIRTUAL:
        others = [made.get_virtual_filename(n) for n in range(made.get_virtual_count())]
        raise _elsewhere(file, place, "a view of", *map(str, others[:1]))
    if made.get_nfilters():
        names = [made.get_filter(n)[3] for n in range(made.get_nfilters())]
        said = ", ".join(os.fsdecode(name) or "unknown" for name in names)
        raise UserError(
            f"{printable(file.filename)} is not read, since its {printable(place)} is packed "
            f"({printable(said)}), as Keras packs nothing; {_ONE_FILE}."
        )
    if found.dtype.kind not in "biuf":
        raise ValueError(f"{place} holds no numbers")
    held = found.id.get_storage_size()
    if found.nbytes > held or held > os.path.getsize(file.filename):
        raise ValueError(f"{place} has another size")
    return found


def _elsewhere(within: Any, place: str, what: str, *targets: str) -> UserError:
    said = printable(" in ".join(reversed(targets)))
    return UserError(
        f"{printable(within.file.filename)} is not read, since its {printable(place)} is {what} "
        f"{said or 'something'} outside; {_ONE_FILE}."
    )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import h5py

    try:
        hdf5_texts.require_start(path)
        with h5py.File(path, "r") as file:
            yield file
    except (UserError, MemoryError):
        raise
    except Exception as error:  # damage makes h5py raise anything
        reason = printable(str(error).strip().split("\n")[0][:200]) or type(error).__name__
        raise UserError(
            f"{printable(path)} cannot be read as an HDF5 file of Keras ({reason}): it is damaged, "
            "incomplete or something else; fetch or save it again."
        ) from error
