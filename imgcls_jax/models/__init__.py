"""Models by name. Each is a Flax Linen module: `init` and `apply` are pure functions.

model = models.create("mlp", num_classes=10, hidden=(256, 128))
variables = model.init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
logits = model.apply(variables, images)                  # images float (B, H, W, C)
"""

import difflib
import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from imgcls_jax.errors import UserError

STEMS = ("imagenet", "cifar")  # of networks that come in both shapes
CONVENTIONS = ("torch", "tensorflow")  # whose padding and norms a network has: a publisher's

# The networks of each family, by its file, which is imported when one of them is asked for: its
# NETWORKS makes them. A new family is a file and a line here.
FAMILIES: dict[str, tuple[str, ...]] = {
    "mlp": ("linear", "mlp"),
    "cnn": ("cnn", "documented_cnn"),
    "speednet": ("speednet",),
    "densenet": ("densenet121", "densenet169", "densenet_bc_100_12"),
    "efficientnet": (
        *(f"efficientnet_b{size}" for size in range(8)),
        *(f"efficientnet_lite{size}" for size in range(5)),
    ),
    "mobilenet": ("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"),
    "resnet": (
        *("resnet18", "resnet34", "resnet50", "resnet101"),
        *("resnet20", "resnet32", "resnet56", "resnet110"),
    ),
    "wide_resnet": ("wrn16_4", "wrn28_10"),
}
NAMES = tuple(name for names in FAMILIES.values() for name in names)
# Networks in stages, whose weights are published or could be; see `imgcls_jax.models.freezing`.
TRANSFERABLE = tuple(
    name for of in ("densenet", "efficientnet", "mobilenet", "resnet") for name in FAMILIES[of]
)


def create(name: str, *, num_classes: int, **options: Any) -> nn.Module:
    """Builds the model called `name`.

    Args:
      name: one of `NAMES`.
      num_classes: the number of logits.
      **options: the model's own attributes, such as `hidden=(256, 128)`.

    Raises:
      UserError: if the name, or an option for that model, is unknown.
    """
    require_known(name)
    unknown = set(options) - set(options_of(name))
    if unknown:
        raise UserError(
            f"model {name!r} takes no option {', '.join(sorted(unknown))}; "
            f"it takes: {', '.join(options_of(name))}."
        )
    return _factory(name)(num_classes=num_classes, **options)


def require_known(name: str) -> None:
    """Raises UserError for a name that is none of `NAMES`; it names those spelled alike."""
    if name not in NAMES:
        alike = difflib.get_close_matches(name, NAMES, n=3)
        meant = f"perhaps {' or '.join(alike)} is meant; " if alike else ""
        raise UserError(f"unknown `model={name}`; {meant}choose one of: {', '.join(NAMES)}.")


def _factory(name: str) -> Callable[..., nn.Module]:
    """Returns the factory of the network of that name; raises UserError for an unknown name."""
    require_known(name)
    family = next(family for family, names in FAMILIES.items() if name in names)
    return importlib.import_module(f"imgcls_jax.models.{family}").NETWORKS[name]


def class_of(name: str) -> type[nn.Module]:
    """Returns the class that `create` makes an object of."""
    factory = _factory(name)
    return factory.func if isinstance(factory, functools.partial) else factory


def options_of(name: str) -> tuple[str, ...]:
    """Returns the options that `create` takes for a model, beside `num_classes`."""
    factory, fixed = _factory(name), {"num_classes", "parent", "name"}
    if isinstance(factory, functools.partial):  # a family's member: some attributes are its own
        fixed |= set(factory.keywords)
    return tuple(n for n in inspect.signature(class_of(name)).parameters if n not in fixed)


def count_parameters(params: Any) -> int:
    """Counts the trainable scalars in a parameter tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
