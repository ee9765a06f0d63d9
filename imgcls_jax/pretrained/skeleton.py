"""A network's layers and the shapes of its variables, without computing any."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp

from imgcls_jax.models.layers import BatchNorm

Path = tuple[str, ...]


@dataclass(frozen=True)
class Layer:
    """One layer that has variables.

    Attributes:
      path: its module's name and those of the modules it is in, outermost first.
      kind: "conv", "depthwise", "dense" or "norm".
      epsilon: what a norm adds to the variance.
    """

    path: Path
    kind: str
    epsilon: float = 0.0


@dataclass(frozen=True)
class Skeleton:
    """What matching names and shapes needs to know of a network.

    Attributes:
      layers: in the order they run.
      shapes: of the variables, in that order, by path: collection, module names, variable.
      stages: see the networks' own `stages`.
    """

    layers: tuple[Layer, ...]
    shapes: dict[Path, tuple[int, ...]]
    stages: dict[str, tuple[str, ...]]

    @property
    def head(self) -> str:
        """The name of the layer whose outputs are the logits."""
        return self.stages["head"][0]

    @cached_property
    def kinds(self) -> dict[Path, str]:
        """The kind of each layer by path."""
        return {layer.path: layer.kind for layer in self.layers}


def trace(model: nn.Module, image_shape: tuple[int, int, int]) -> Skeleton:
    """The skeleton of a network for transfer that sees images of shape (H, W, C)."""
    layers = []

    def note(call, args, kwargs, context) -> Any:
        module = context.module
        if context.method_name == "__call__":
            if isinstance(module, nn.Conv):
                kind = "depthwise" if module.feature_group_count > 1 else "conv"
                layers.append(Layer(module.path, kind))
            elif isinstance(module, nn.Dense):
                layers.append(Layer(module.path, "dense"))
            elif isinstance(module, BatchNorm):
                layers.append(Layer(module.path, "norm", module.epsilon))
        return call(*args, **kwargs)

    with nn.intercept_methods(note):
        variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *image_shape)))
    order = {layer.path: index for index, layer in enumerate(layers)}
    flat = flax.traverse_util.flatten_dict(variables)
    return Skeleton(
        layers=tuple(layers),
        shapes={path: flat[path].shape for path in sorted(flat, key=lambda p: order[p[1:-1]])},
        stages=model.stages(),
    )
