"""Writes keras_*.npz: Keras' own numbers. Run `python tests/golden/make_keras.py`."""

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from golden import trajectories
from golden.smoothing import SMOOTHINGS, inputs

OPTIMIZERS = {
    "sgd": keras.optimizers.SGD,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "rmsprop": keras.optimizers.RMSprop,
}


def trajectory(case: trajectories.Case, dtype: str) -> np.ndarray:
    """The parameters (STEPS, 15) after each step."""
    before = keras.config.floatx()
    keras.config.set_floatx(dtype)  # the type of Keras' learning-rate variable
    try:
        with jax.enable_x64(dtype == "float64"):
            return _trajectory(case, dtype)
    finally:
        keras.config.set_floatx(before)


def _trajectory(case: trajectories.Case, dtype: str) -> np.ndarray:
    problem = trajectories.problem()
    start = trajectories.unflatten(problem["start"].astype(dtype))
    params = {name: keras.Variable(value, dtype=dtype) for name, value in start.items()}
    options = dict(
        learning_rate=case.learning_rate, momentum=case.momentum, weight_decay=case.weight_decay
    )
    options = {k: v for k, v in options.items() if v is not None}
    if case.nesterov:
        options["nesterov"] = True
    optimizer = OPTIMIZERS[case.name](**options)
    optimizer.build(list(params.values()))
    rows = []
    for step in range(trajectories.STEPS):
        gradients = [
            trajectories.gradient(name, keras.ops.convert_to_numpy(p), step, problem)
            for name, p in params.items()
        ]
        if case.changing:
            optimizer.learning_rate = case.rates()[step]
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients])
        rows.append(
            np.concatenate([keras.ops.convert_to_numpy(p).ravel() for p in params.values()])
        )
    return np.stack(rows)


def smoothed_losses() -> dict[str, np.ndarray]:
    """Per-example cross-entropy for one-hot labels."""
    logits, integers, _ = inputs()
    one_hot = np.eye(logits.shape[1], dtype=np.float32)[integers]
    return {
        f"{e}": np.asarray(
            keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=e, reduction=None
            )(one_hot, logits)
        )
        for e in SMOOTHINGS
    }


if __name__ == "__main__":
    folder = Path(__file__).parent
    version = np.array(f"keras {keras.__version__} on jax {jax.__version__}")
    paths = {
        f"{case.label}/{dtype}": trajectory(case, dtype)
        for case in trajectories.CASES
        for dtype in ("float32", "float64")
    }
    np.savez_compressed(folder / "keras_optim.npz", version=version, **paths)
    np.savez_compressed(folder / "keras_losses.npz", version=version, **smoothed_losses())
