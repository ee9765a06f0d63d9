"""A network's layers and the shapes of its variables, known without computing any of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp

Path = tuple[str, ...]
Shape = tuple[int, ...]

_OF_LAYERS = ("kernel", "scale", "bias", "mean", "var")  # what Linen calls a layer's variables


@dataclass(frozen=True)
class Layer:
    """One layer that has variables, or one parameter that belongs to no layer.

    Attributes:
      path: the names of the modules around it and its own, outermost first.
      kind: "batch_norm", "layer_norm", "conv", "depthwise", "dense" or, for a class token or
        another parameter that belongs to no layer, "parameter".
      epsilon: the number that a norm adds to the variance.
    """

    path: Path
    kind: str
    epsilon: float = 0.0


class Block(NamedTuple):
    """A block's place in its network and the names of its layers.

    Attributes:
      stage: counted from 1.
      in_stage: counted from 0 in its stage.
      of_all: counted from 0 in the network.
      layers: such as "squeeze/reduce", in the order they run.
    """

    stage: int
    in_stage: int
    of_all: int
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Skeleton:
    """The facts about a network that matching its variables with tensors needs.

    Attributes:
      layers: in the order they run.
      shapes: of the variables, in that order, by path: collection, module names, variable.
      stages: see the networks' own `stages`.
    """

    layers: tuple[Layer, ...]
    shapes: dict[Path, Shape]
    stages: dict[str, tuple[str, ...]]

    @property
    def head(self) -> str:
        """Returns the name of the layer whose outputs are the logits."""
        return self.stages["head"][0]

    @cached_property
    def kinds(self) -> dict[Path, str]:
        """Returns the kind of each layer by its path."""
        return {layer.path: layer.kind for layer in self.layers}

    @cached_property
    def blocks(self) -> dict[str, Block]:
        """Returns the blocks of all stages by their names in the parameters."""
        layers: dict[str, list[str]] = {}
        for layer in self.layers:
            layers.setdefault(layer.path[0], []).append("/".join(layer.path[1:]))
        found = {}
        for stage, members in self.stages.items():
            if stage.startswith("stage"):
                number = int(stage.removeprefix("stage"))
                for index, name in enumerate(members):
                    found[name] = Block(number, index, len(found), tuple(layers[name]))
        return found


def split(variable: Path) -> tuple[Path, str]:
    """Returns the path of the layer that a variable is in, and its name there.

    A parameter that belongs to no layer is its own layer; its name there is "".

    Args:
      variable: its path, the collection first.
    """
    if variable[-1] in _OF_LAYERS:
        return variable[1:-1], variable[-1]
    return variable[1:], ""


def trace(model: nn.Module, image_shape: tuple[int, int, int]) -> Skeleton:
    """Returns the skeleton of a network for transfer that sees images of shape (H, W, C).

    Layers are found by their variables, whatever modules made them.
    """
    created: list[Path] = []
    epsilons: dict[Path, float] = {}

    def note(call, args, kwargs, context) -> Any:
        if hasattr(context.module, "epsilon"):
            epsilons[context.module.path] = context.module.epsilon
        return call(*args, **kwargs)

    def init(key: jax.Array, images: jax.Array) -> Any:
        variables = model.init(key, images)
        created.extend(flax.traverse_util.flatten_dict(variables))  # as made; JAX sorts by name
        return variables

    with nn.intercept_methods(note):
        variables = jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, *image_shape)))
    flat = flax.traverse_util.flatten_dict(variables)
    layers: dict[Path, dict[str, Shape]] = {}
    for path in sorted(created, key=lambda path: path[0] != "params"):
        layer, name = split(path)
        layers.setdefault(layer, {})[name] = flat[path].shape
    order = {layer: index for index, layer in enumerate(layers)}
    return Skeleton(
        layers=tuple(
            Layer(path, _kind(shapes), epsilons.get(path, 0.0)) for path, shapes in layers.items()
        ),
        shapes={
            path: flat[path].shape for path in sorted(flat, key=lambda p: (order[split(p)[0]], p))
        },
        stages=model.stages(),
    )


def _kind(shapes: Mapping[str, Shape]) -> str:
    """Returns the kind of a layer by the names and shapes of its variables."""
    if "kernel" in shapes:
        *window, inputs, _ = shapes["kernel"]
        if not window:
            return "dense"
        return "depthwise" if inputs == 1 else "conv"  # the inputs of one group
    if "mean" in shapes:
        return "batch_norm"
    return "layer_norm" if "scale" in shapes else "parameter"
