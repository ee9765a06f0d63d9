"""Predictions of many photos: whole, beside decoding alone and the network alone.

Decoding and network share the cores, so that the whole takes at least as long as the slower of
them, and as half of both together on two cores. The network, MobileNetV2, has made-up weights,
whose speed is that of others; a photo below --data_dir is met several times where there are too
few.
"""

import itertools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks import timing
from imgcls_jax import models, steps
from imgcls_jax.data.photos.cache import cores
from imgcls_jax.errors import UserError
from imgcls_jax.predict.predictor import Predictor, find_images, predict
from imgcls_jax.report import console

SIDE, CLASSES = 224, 100
_PHOTOS = 5000  # classified per turn


def measure(data_dir: str | None, *, rounds: int, count: int = _PHOTOS) -> dict[str, Any]:
    """Times the classification of photos and its two parts.

    Args:
      data_dir: folder of photos.
      count: photos per turn.

    Returns:
      Wall and CPU seconds of every turn, their medians, and the whole's wall seconds as a multiple
      of the slower part's.

    Raises:
      UserError: without a folder, or if it has no photos.
    """
    if data_dir is None or not (found := find_images([data_dir])):
        raise UserError("there are no photos to classify; give `data_dir`, a folder that has some.")
    paths = list(itertools.islice(itertools.cycle(found), count))
    network = made_up_network()
    batch = np.zeros((network.batch_size, SIDE, SIDE, 3), np.uint8)
    nothing = np.zeros((network.batch_size, CLASSES), np.float32)
    free = Predictor(
        lambda images: nothing, network.class_names, network.image_shape, network.preprocessing
    )
    cpu: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], None]) -> Callable[[int], None]:
        def turn(number: int) -> None:
            started = time.process_time()
            work()
            if number:  # the first warms up
                cpu.setdefault(name, []).append(time.process_time() - started)

        return turn

    def classify(by: Predictor) -> None:
        for _ in predict(by, paths):
            pass

    def compute() -> None:
        for _ in range(-(-count // len(batch))):
            np.asarray(network.probabilities(batch))

    works = {
        "decoding": lambda: classify(free),
        "network": compute,
        "predict": lambda: classify(network),
    }
    contenders = {name: timed(name, work) for name, work in works.items()}
    seconds, _ = timing.take_turns(contenders, rounds=rounds)
    middle = timing.medians(seconds)
    return {
        "benchmark": f"predictions of {count:,} photos",
        "photos": count,
        "cores": cores(),
        "seconds": seconds,
        "cpu_seconds": cpu,
        "median": middle,
        "cpu_median": timing.medians(cpu),
        "whole_to_slower_part": middle["predict"] / max(middle["decoding"], middle["network"]),
    }


def made_up_network() -> Predictor:
    """Builds the predictor of a MobileNetV2 whose variables are all one number."""
    model = models.create("mobilenet_v2", num_classes=CLASSES, convention="tensorflow")
    unit = jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), jnp.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), unit)
    variables = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.01, leaf.dtype), shapes)

    @jax.jit
    def probabilities(images):
        logits = model.apply(variables, steps.to_unit_interval(images), train=False)
        return jax.nn.softmax(logits)

    return Predictor(
        probabilities=probabilities,
        class_names=tuple(map(str, range(CLASSES))),
        image_shape=(SIDE, SIDE, 3),
        preprocessing={"resize": "crop"},
    )


def show(result: dict[str, Any]) -> None:
    """Prints the medians and the ratio."""
    console.heading(f"{result['benchmark']}, {result['cores']} cores")
    console.table(
        ("what is done", "s", "CPU s", "photos/s"),
        [
            (
                name,
                f"{value:.2f}",
                f"{result['cpu_median'][name]:.2f}",
                f"{result['photos'] / value:.1f}",
            )
            for name, value in result["median"].items()
        ],
    )
    print(f"\n  the whole takes {result['whole_to_slower_part']:.2f} times its slower part")
