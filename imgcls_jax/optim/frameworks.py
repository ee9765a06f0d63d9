"""The options of each framework's optimisers, with their defaults."""

from typing import Any

from imgcls_jax.errors import UserError

# `rho` is PyTorch's alpha; `b1`, `b2`, `eps` are beta_1, beta_2, epsilon in Keras.
DEFAULTS: dict[str, dict[str, dict[str, Any]]] = {
    "torch": {
        "sgd": dict(learning_rate=1e-3, momentum=0.0, nesterov=False, weight_decay=0.0),
        "adam": dict(learning_rate=1e-3, b1=0.9, b2=0.999, eps=1e-8, weight_decay=0.0),
        "adamw": dict(learning_rate=1e-3, b1=0.9, b2=0.999, eps=1e-8, weight_decay=1e-2),
        "rmsprop": dict(learning_rate=1e-2, rho=0.99, eps=1e-8, momentum=0.0, weight_decay=0.0),
        "muon": dict(
            learning_rate=1e-3,
            momentum=0.95,
            weight_decay=0.1,
            matrices="hidden",
            b1=0.9,
            b2=0.999,
            eps=1e-8,
        ),
        "airbench": dict(learning_rate=0.24, momentum=0.6, weight_decay=2e-6, batch_size=None),
    },
    "keras": {
        "sgd": dict(learning_rate=1e-2, momentum=0.0, nesterov=False, weight_decay=0.0),
        "adam": dict(learning_rate=1e-3, b1=0.9, b2=0.999, eps=1e-7, weight_decay=0.0),
        "adamw": dict(learning_rate=1e-3, b1=0.9, b2=0.999, eps=1e-7, weight_decay=4e-3),
        "rmsprop": dict(learning_rate=1e-3, rho=0.9, eps=1e-7, momentum=0.0, weight_decay=0.0),
    },
}
FRAMEWORKS = tuple(DEFAULTS)
NAMES = tuple(DEFAULTS["torch"])


def defaults(name: str, framework: str) -> dict[str, Any]:
    """Returns the options that `framework`'s optimiser called `name` takes, with their defaults.

    Raises:
      UserError: for an unknown name or framework, or an optimiser the framework does not have.
    """
    if framework not in DEFAULTS:
        raise UserError(
            f"unknown framework {framework!r} for an optimiser; choose one of: "
            f"{', '.join(FRAMEWORKS)}."
        )
    if name not in NAMES:
        raise UserError(f"unknown optimiser {name!r}; choose one of: {', '.join(NAMES)}.")
    if name not in DEFAULTS[framework]:
        raise UserError(
            f"optimiser {name!r} is not offered as framework {framework!r} has it; "
            "use framework 'torch', or another optimiser."
        )
    return DEFAULTS[framework][name]
