"""Writes keras_cnn.npz: the documented CNN in Keras. Run it as `python make_keras_cnn.py`."""

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from golden import documented_cnn as case

from experiments.benchmarks.keras_network import documented_cnn


def build() -> keras.Model:
    """The network as run 10 writes it, from the shared weights."""
    model = documented_cnn(softmax=False, dropout=0.0)
    weights = case.initial_params().values()
    model.set_weights([layer[k] for layer in weights for k in ("kernel", "bias")])
    return model


def params_of(model: keras.Model) -> dict[str, dict[str, np.ndarray]]:
    weights = model.get_weights()
    pairs = zip(weights[::2], weights[1::2], strict=True)
    return {
        name: {"kernel": kernel, "bias": bias}
        for name, (kernel, bias) in zip(case.SHAPES, pairs, strict=True)
    }


def compiled(optimizer: keras.optimizers.Optimizer) -> keras.Model:
    model = build()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss)
    return model


def sgd_step() -> dict[str, np.ndarray]:
    """Logits before any training, the parameters after one step of plain SGD, rate 1."""
    images, labels = case.data()
    model = compiled(keras.optimizers.SGD(1.0))
    logits = np.asarray(model(images[: case.BATCH], training=False))
    model.train_on_batch(images[: case.BATCH], labels[: case.BATCH])
    return {"logits": logits, **case.sample(params_of(model))}


def adam_steps() -> dict[str, np.ndarray]:
    """The loss of each step, and the parameters after the last."""
    images, labels = case.data()
    model = compiled(keras.optimizers.Adam(case.LEARNING_RATE))
    losses = [model.train_on_batch(images[batch], labels[batch]) for batch in case.batches()]
    return {"losses": np.float32(losses), **case.sample(params_of(model))}


def golden() -> dict[str, np.ndarray]:
    parts = {"sgd": sgd_step(), "adam": adam_steps()}
    arrays = {f"{part}/{k}": v for part, values in parts.items() for k, v in values.items()}
    return {**arrays, "inputs": case.checksums()}


if __name__ == "__main__":
    version = np.array(f"keras {keras.__version__} on jax {jax.__version__}")
    np.savez_compressed(Path(__file__).parent / "keras_cnn.npz", version=version, **golden())
