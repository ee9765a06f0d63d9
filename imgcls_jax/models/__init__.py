"""Models by name. Each is a Flax Linen module: `init` and `apply` are pure functions.

model = models.create("mlp", num_classes=10, hidden=(256, 128))
variables = model.init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
logits = model.apply(variables, images)                  # images float (B, H, W, C)
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from imgcls_jax.errors import UserError
from imgcls_jax.models import densenet, efficientnet, mobilenet, resnet, wide_resnet
from imgcls_jax.models.cnn import CNN, DocumentedCNN
from imgcls_jax.models.mlp import MLP
from imgcls_jax.models.speednet import Speednet

_FACTORIES: dict[str, Callable[..., nn.Module]] = {
    "linear": functools.partial(MLP, hidden=()),  # multinomial logistic regression
    "mlp": MLP,
    "cnn": CNN,
    "documented_cnn": DocumentedCNN,
    "speednet": Speednet,
    **densenet.NETWORKS,
    **efficientnet.NETWORKS,
    **mobilenet.NETWORKS,
    **resnet.NETWORKS,
    **wide_resnet.NETWORKS,
}
NAMES = tuple(_FACTORIES)


def create(name: str, *, num_classes: int, **options: Any) -> nn.Module:
    """Builds the model called `name`.

    Args:
      name: one of `NAMES`.
      num_classes: the number of logits.
      **options: the model's own attributes, such as `hidden=(256, 128)`.

    Raises:
      UserError: if the name, or an option for that model, is unknown.
    """
    if name not in _FACTORIES:
        raise UserError(f"unknown model {name!r}; choose one of: {', '.join(NAMES)}.")
    unknown = set(options) - set(options_of(name))
    if unknown:
        raise UserError(
            f"model {name!r} takes no option {', '.join(sorted(unknown))}; "
            f"it takes: {', '.join(options_of(name))}."
        )
    return _FACTORIES[name](num_classes=num_classes, **options)


def class_of(name: str) -> type[nn.Module]:
    """Returns the class that `create` makes an object of."""
    factory = _FACTORIES[name]
    return factory.func if isinstance(factory, functools.partial) else factory


def options_of(name: str) -> tuple[str, ...]:
    """Returns the options that `create` takes for a model, beside `num_classes`."""
    factory, fixed = _FACTORIES[name], {"num_classes", "parent", "name"}
    if isinstance(factory, functools.partial):  # a family's member: some attributes are its own
        fixed |= set(factory.keywords)
    return tuple(n for n in inspect.signature(class_of(name)).parameters if n not in fixed)


def count_parameters(params: Any) -> int:
    """Counts the trainable scalars in a parameter tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


# Networks in stages, whose weights are published or could be; see `imgcls_jax.models.freezing`.
TRANSFERABLE = tuple(name for name in NAMES if hasattr(class_of(name), "stages"))
