"""Transfer learning: decoding, networks against Keras' own, savings by freezing and caching.

The photos are those below --data_dir, or else noise of a photo's size written as JPEG files.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from experiments.benchmarks import timing
from experiments.presets.transfer import FINE_TUNED
from imgcls_jax import models, steps
from imgcls_jax.config import Config
from imgcls_jax.data import Split
from imgcls_jax.data.dataset import Dataset
from imgcls_jax.data.photos import folders, streaming
from imgcls_jax.data.photos.sources import FolderPhotos
from imgcls_jax.report import console
from imgcls_jax.train.build import build
from imgcls_jax.train.setup import make_setup
from imgcls_jax.train.trainer import Trainer

SIZE, BATCH = 224, 32
NETWORKS = ("mobilenet_v2", "resnet50", "efficientnet_b0")
_KERAS = dict(zip(NETWORKS, ("MobileNetV2", "ResNet50", "EfficientNetB0"), strict=True))
_PHOTOS = 2048  # decoded per turn; streams are a few batches ahead when theirs comes
_EPOCH = 4 * BATCH  # examples per epoch


def measure(data_dir: str | None, *, rounds: int) -> dict[str, Any]:
    """Times decoding, batches and epochs; prints decoding and every batch as soon as it is timed.

    Args:
      data_dir: folder of photos to decode, or None for noise.

    Returns:
      Images per second of every contender in every case, and seconds of an epoch three ways.
    """
    cases = {"decode to 224x224": decoding(data_dir, rounds=rounds)}
    _show_case(*cases.items())
    for name in NETWORKS:
        for training in (False, True):
            title = f"{name}, {'training' if training else 'inference'}, batch {BATCH}"
            contenders = {"ours": our_turn(name, training=training)} | keras_turn(
                name, training=training
            )
            seconds, _ = timing.take_turns(contenders, rounds=rounds, warm=True)
            cases[title] = _rates(seconds, BATCH)
            _show_case((title, cases[title]))
    return {
        "benchmark": "transfer: images per second",
        "cases": cases,
        "seconds_an_epoch": epochs(rounds=rounds),
        "examples_an_epoch": _EPOCH,
    }


def _rates(seconds: dict[str, list[float]], images: int) -> dict[str, Any]:
    middle = timing.medians(seconds)
    first = next(iter(middle))
    return {
        "images_per_second": {name: images / value for name, value in middle.items()},
        "ratio_to_first": {name: middle[first] / value for name, value in middle.items()},
        "seconds": seconds,
    }


def decoding(data_dir: str | None, *, rounds: int) -> dict[str, Any]:
    """Times a plain Pillow loop against streams with threads and with worker processes."""
    with tempfile.TemporaryDirectory() as made:
        if data_dir is None:
            _write_noise(Path(made))
        files = next(iter(folders.scan(data_dir or made).splits.values()))
        chosen = np.linspace(0, len(files) - 1, min(_PHOTOS, len(files))).astype(int)
        files = files.take(chosen)
        source = FolderPhotos(data_dir or made, files.paths, files.labels)

        def loop(turn: int) -> None:
            del turn
            for index in range(len(source)):
                with Image.open(source[index][0]) as image:
                    image = image.convert("RGB")
                    scale = SIZE / min(image.size)
                    size = [max(SIZE, round(side * scale)) for side in image.size]
                    left, top = ((side - SIZE) // 2 for side in size)
                    box = (left, top, left + SIZE, top + SIZE)
                    np.asarray(image.resize(size, Image.Resampling.BILINEAR).crop(box))

        contenders = {"plain Pillow loop": loop}
        streams = []
        for workers in sorted({0, 1, 2, os.cpu_count() or 1}):
            # It never ends, so that starting the workers falls into the turn that does not count.
            stream = streaming.stream(source, batch_size=BATCH, size=SIZE, workers=workers)
            streams.append(stream)
            contenders[f"stream, {workers or 'no'} worker{'s' * (workers != 1)}"] = _epoch_of(
                stream
            )
        seconds, _ = timing.take_turns(contenders, rounds=rounds)
        for stream in streams:
            stream.close()
    return _rates(seconds, len(files))


def _epoch_of(stream: streaming.Stream) -> Callable[[int], None]:
    def turn(number: int) -> None:
        del number
        for _ in range(stream.batches_per_epoch):
            next(stream)

    return turn


def _write_noise(folder: Path) -> None:
    """Writes JPEG files of two classes, smooth enough to compress as photos do."""
    rng = np.random.default_rng(0)
    for number in range(_PHOTOS):
        path = folder / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
        coarse.resize((500, 375), Image.Resampling.BICUBIC).save(path, quality=90)


def _config(name: str, **changes: Any) -> Config:
    """Returns the settings of a network with random weights, whose steps take as long."""
    settings = FINE_TUNED | {
        "model": name,
        "convention": "tensorflow",
        "normalise": "unit",
        "eval_size": None,
        "weights": "none",
        "head_epochs": 0,
        "layer_decay": 1.0,
        "augment": (),
        "ema": 0.0,
        "tta": "none",
    }
    return Config.of(**(settings | changes))


def _examples(count: int) -> Split:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
    return Split(images, np.arange(count, dtype=np.int32) % 10)


def our_turn(name: str, *, training: bool) -> Callable[[int], None]:
    """Builds one batch forward, or one step of SGD with batch norm by the batch."""
    split = _examples(BATCH)
    config = _config(
        name, optimizer="sgd", momentum=0.9, weight_decay=0.0, decay="all", frozen_norms=False
    )
    setup = make_setup(config, train=split, num_classes=10)
    state = steps.init_state(
        model=setup.network.model,
        tx=setup.tx,
        key=jax.random.key(0),
        image_shape=(SIZE, SIZE, 3),
    )
    batch = {"image": jnp.asarray(split.images), "label": jnp.asarray(split.labels)}
    if not training:
        evaluate = steps.make_eval_step(apply_fn=setup.network.apply_fn)
        return lambda turn: jax.block_until_ready(evaluate(state, batch)[1])

    def turn(number: int) -> None:
        nonlocal state
        del number
        state, _ = setup.train_step(state, batch)
        jax.block_until_ready(state)

    return turn


def keras_turn(name: str, *, training: bool) -> dict[str, Callable[[int], None]]:
    """Builds the same from `keras.applications`, random weights; {} without Keras."""
    try:
        import keras
    except ImportError:
        print("Keras, or its backend, is not installed; compared without it.")
        return {}
    network = getattr(keras.applications, _KERAS[name])(
        weights=None, classes=10, classifier_activation=None
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer=keras.optimizers.SGD(0.001, momentum=0.9), loss=loss)
    split = _examples(BATCH)
    images = split.images.astype("float32") / 255.0

    def turn(number: int) -> None:
        del number
        if training:
            network.train_on_batch(images, split.labels)
        else:
            np.asarray(network.predict_on_batch(images))

    return {f"Keras on {keras.backend.backend()}": turn}


def epochs(*, rounds: int) -> dict[str, Any]:
    """Times an epoch of MobileNetV2: trained whole, frozen, and frozen with features at hand."""
    split = _examples(_EPOCH)
    dataset = Dataset("noise", split, split, tuple("abcdefghij"), "made up", None)
    model = models.create("mobilenet_v2", num_classes=10, convention="tensorflow")
    variables = model.init(jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)))
    params = {name: value for name, value in variables["params"].items() if name != "head"}
    loaded = {"params": params, "batch_stats": variables["batch_stats"]}
    frozen = {"trainable": "head", "weights": "given"}
    ways = {
        "everything trained": _config("mobilenet_v2"),
        "frozen, features every time": _config("mobilenet_v2", **frozen, cache_features=False),
        "frozen, features once": _config("mobilenet_v2", **frozen),
    }
    contenders, once = {}, {}
    for name, config in ways.items():
        trainer = build(config, dataset, pretrained=loaded)
        once[name] = sum(trainer.feature_seconds)
        contenders[name] = _epochs_of(trainer)
    seconds, _ = timing.take_turns(contenders, rounds=rounds)
    return {"seconds": seconds, "median": timing.medians(seconds), "once": once}


def _epochs_of(trainer: Trainer) -> Callable[[int], None]:
    position = trainer.start(0)
    state, sums = position.state, position.sums

    def turn(number: int) -> None:
        nonlocal state, sums
        state, sums = trainer.feed.train((state, sums), number, 0, trainer.steps_per_epoch)
        jax.block_until_ready(state)

    return turn


def _show_case(case: tuple[str, dict[str, Any]]) -> None:
    name, found = case
    console.heading(name)
    console.table(
        ("contender", "images/s", "ratio"),
        [
            (contender, f"{rate:,.1f}", f"{found['ratio_to_first'][contender]:.2f}")
            for contender, rate in found["images_per_second"].items()
        ],
    )
    sys.stdout.flush()


def show(result: dict[str, Any]) -> None:
    """Prints the epochs; `measure`, which takes minutes, has printed the other cases."""
    found = result["seconds_an_epoch"]
    console.heading(f"an epoch of {result['examples_an_epoch']} photos, MobileNetV2")
    slowest = found["median"]["everything trained"]
    console.table(
        ("what is trained", "s per epoch", "times as fast", "s once before"),
        [
            (name, f"{value:.4f}", f"{slowest / value:,.1f}", f"{found['once'][name]:.2f}")
            for name, value in found["median"].items()
        ],
    )
    print(f"\n  {result['device']}")
