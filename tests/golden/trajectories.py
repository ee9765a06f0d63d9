"""The optimisation problem and the cases that PyTorch, Keras and this library all walk through.

Gradients are scale x (w - target + noise_t). The scales run from 1e-9 to 10, across every epsilon
in use, so where an epsilon stands shows in the trajectory.
"""

import dataclasses

import numpy as np

STEPS = 25
SHAPES = {"kernel": (4, 3), "bias": (3,)}
SCALES = np.logspace(-9, 1, 15)


@dataclasses.dataclass(frozen=True)
class Case:
    """One optimiser and its settings, in the words of `imgcls_jax.optim.create`."""

    name: str
    learning_rate: float | None = None  # None: the framework's default
    changing: bool = False  # the rate is halved every 5 steps
    momentum: float | None = None
    nesterov: bool = False
    weight_decay: float | None = None

    @property
    def label(self) -> str:
        given = {k: v for k, v in dataclasses.asdict(self).items() if v and k != "name"}
        return "-".join([self.name, *(f"{k}={v}" for k, v in given.items())])

    def rates(self) -> np.ndarray:
        """The learning rate at each step (STEPS,), where one is given."""
        steps = np.arange(STEPS) if self.changing else np.zeros(STEPS)
        return self.learning_rate * 0.5 ** (steps // 5)


CASES = [
    Case("sgd"),
    Case("sgd", learning_rate=0.05, weight_decay=0.1),
    Case("sgd", learning_rate=0.02, momentum=0.9, nesterov=True),
    Case("sgd", learning_rate=0.02, momentum=0.9, changing=True),
    Case("sgd", learning_rate=0.02, momentum=0.9, nesterov=True, changing=True, weight_decay=0.1),
    Case("adam"),
    Case("adam", learning_rate=0.02, changing=True, weight_decay=0.1),
    Case("adamw"),
    Case("adamw", learning_rate=0.02, changing=True, weight_decay=0.3),
    Case("rmsprop"),
    Case("rmsprop", learning_rate=0.005, momentum=0.9),
    Case("rmsprop", learning_rate=0.005, momentum=0.9, changing=True, weight_decay=0.1),
]


def problem() -> dict[str, np.ndarray]:
    """start (15,), target (15,) and noise (STEPS, 15), float64."""
    rng = np.random.default_rng(0)
    return {
        "start": rng.uniform(-1, 1, 15),
        "target": rng.uniform(-1, 1, 15),
        "noise": rng.uniform(-1, 1, (STEPS, 15)),
    }


def unflatten(vector: np.ndarray) -> dict[str, np.ndarray]:
    """(15,) to {"kernel": (4, 3), "bias": (3,)}."""
    return {"kernel": vector[:12].reshape(4, 3), "bias": vector[12:]}


def gradient(name: str, w, step: int, problem: dict[str, np.ndarray]) -> np.ndarray:
    """The gradient of parameter `name` at its value `w`, in the type of `w`."""
    w = np.asarray(w)
    scale, target, noise = (
        unflatten(a)[name].astype(w.dtype)
        for a in (SCALES, problem["target"], problem["noise"][step])
    )
    return scale * (w - target + noise)
