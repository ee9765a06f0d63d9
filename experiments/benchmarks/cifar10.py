"""CIFAR-10 networks: milliseconds per training step, ours against XLA's convolutions and others.

Every contender trains the same network at the same batch on images that are already in memory:
ours with many steps per call (as the experiments do) and with one, XLA's own lowering of the same
network with one step per call (in a loop it is many times slower still), PyTorch, and Keras for the
documented network, whose program it is. PyTorch's speed network takes images that are whitened
already, trains by SGD, and so has a little less to do than ours.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks import timing
from experiments.presets.cifar10 import FAST, RESNET
from imgcls_jax import data, steps
from imgcls_jax.config import Config
from imgcls_jax.data import resident
from imgcls_jax.models.lowering.conv import native_convolutions
from imgcls_jax.report import console
from imgcls_jax.train.setup import make_setup

Turn = Callable[[int], None]
_EXAMPLES = 2560  # per turn, so that a turn takes a second or so on two cores
OURS = "ours, many steps a call"


class Case(NamedTuple):
    """A network at a batch size, with the settings that matter to its speed."""

    name: str
    settings: dict[str, Any]

    @property
    def config(self) -> Config:
        """The settings as a configuration, without augmentation."""
        return Config.of(**{**self.settings, "dataset": "cifar10", "augment": ()})


_DOCUMENTED = {"model": "documented_cnn", "framework": "keras", "lr": 1e-3}
_RESNET = {**RESNET, "model": "resnet20", "batch_size": 128}
CASES = (
    Case("run 10's CNN, batch 32", {**_DOCUMENTED, "batch_size": 32}),
    Case("run 10's CNN, batch 256", {**_DOCUMENTED, "batch_size": 256}),
    Case("ResNet-20, batch 128", _RESNET),
    Case("speed network of --preset=fast", FAST),
)


def measure(dataset: data.Dataset, *, rounds: int) -> dict[str, Any]:
    """Times a training step of every contender in every case.

    Returns:
      For every case: milliseconds per step and their medians, images per second, ratios to ours,
      floating-point operations per step, the matmul peak and each contender's share of it.
    """
    train = data.Split(dataset.train.images[:_EXAMPLES], dataset.train.labels[:_EXAMPLES])
    found = {}
    for case in CASES:
        config = case.config
        count = _EXAMPLES // config.train.batch_size
        ours, operations = our_steps(config, train, dataset.num_classes, count)
        contenders = {
            **ours,
            **torch_steps(config, train, count),
            **keras_steps(config, train, count),
        }
        seconds, peak = timing.take_turns(contenders, rounds=rounds)
        ms = {name: [1000 * s / count for s in values] for name, values in seconds.items()}
        middle = timing.medians(ms)
        found[case.name] = {
            "milliseconds": ms,
            "median": middle,
            "images_per_second": {n: 1000 * config.train.batch_size / v for n, v in middle.items()},
            "ratio_to_ours": {name: value / middle[OURS] for name, value in middle.items()},
            "operations_a_step": operations,
            "matmul_peak_gflops": peak / 1e9,
            "share_of_matmul_peak": {
                name: operations / (value / 1000) / peak for name, value in middle.items()
            },
        }
    return {"benchmark": "cifar10: milliseconds per training step", "cases": found}


def our_steps(
    config: Config, train: data.Split, num_classes: int, count: int
) -> tuple[dict[str, Turn], float]:
    """Builds our contenders; counts a step's operations as XLA does in its own lowering.

    Args:
      count: steps per turn.
    """
    source = resident.put(train)
    order = jnp.arange(len(train), dtype=jnp.int32)
    batch = resident.take(source, order[: config.train.batch_size])

    def start():
        setup = make_setup(config, train=train, num_classes=num_classes)
        state = steps.init_state(
            model=setup.network.model,
            tx=setup.tx,
            key=jax.random.key(0),
            image_shape=setup.network.image_shape,
        )
        return setup.train_step, state

    step, in_a_loop = start()
    many = steps.make_train_many(
        train_step=step, take_fn=resident.take, batch_size=config.train.batch_size
    )

    def loop(turn: int) -> None:
        nonlocal in_a_loop
        del turn
        in_a_loop, _ = many(
            in_a_loop, steps.zero_metrics(), source, order, np.int32(0), np.int32(count)
        )
        jax.block_until_ready(in_a_loop)

    def one_per_call(step, state, *, native: bool) -> Turn:
        def turn(number: int) -> None:
            nonlocal state
            del number
            with native_convolutions(native):
                for first in range(0, count * config.train.batch_size, config.train.batch_size):
                    state, _ = step(
                        state, resident.take(source, order[first : first + config.train.batch_size])
                    )
            jax.block_until_ready(state)

        return turn

    with native_convolutions(True):
        native_step, native_state = start()
        lowered = jax.jit(native_step.__wrapped__).lower(native_state, batch)
    contenders = {
        OURS: loop,
        "ours, one step a call": one_per_call(*start(), native=False),
        "XLA's convolutions, one step a call": one_per_call(native_step, native_state, native=True),
    }
    return contenders, lowered.cost_analysis()["flops"]


def torch_steps(config: Config, train: data.Split, count: int) -> dict[str, Turn]:
    """Builds the usual eager loop; {} without PyTorch."""
    try:
        import torch

        from experiments.benchmarks import torch_networks
    except ImportError:
        print("PyTorch is not installed; compared without it.")
        return {}
    torch.manual_seed(0)
    images = torch.from_numpy(train.images.astype(np.float32) / 255.0).permute(0, 3, 1, 2)
    images, labels = images.contiguous(), torch.from_numpy(train.labels).long()
    if config.model.model == "speednet":
        model = torch_networks.speednet(widths=config.model.widths, inputs=24)
        images = images[:, :1, :31, :31].expand(-1, 24, -1, -1).contiguous()
    else:
        model = getattr(torch_networks, config.model.model)()
    if config.optim.optimizer == "adam":
        optimizer = torch.optim.Adam(model.parameters(), lr=config.optim.lr)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    loss_fn = torch.nn.CrossEntropyLoss()

    def turn(number: int) -> None:
        del number
        size = config.train.batch_size
        for first in range(0, count * size, size):
            optimizer.zero_grad()
            logits = model(images[first : first + size])
            loss_fn(logits, labels[first : first + size]).backward()
            optimizer.step()

    return {"PyTorch": turn}


def keras_steps(config: Config, train: data.Split, count: int) -> dict[str, Turn]:
    """Builds the documented program's `fit`; {} for other networks or without Keras."""
    if config.model.model != "documented_cnn":
        return {}
    try:
        import keras

        from experiments.benchmarks import keras_network
    except ImportError:
        print("Keras, or its backend, is not installed; compared without it.")
        return {}
    model = keras_network.documented_cnn(softmax=False, dropout=0.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    size = count * config.train.batch_size
    images, labels = train.images[:size].astype("float32") / 255.0, train.labels[:size]

    def turn(number: int) -> None:
        del number
        model.fit(images, labels, batch_size=config.train.batch_size, epochs=1, verbose=0)

    return {f"Keras on {keras.backend.backend()}": turn}


def show(result: dict[str, Any]) -> None:
    """Prints a table per case."""
    for name, found in result["cases"].items():
        console.heading(name)
        console.table(
            ("contender", "ms per step", "min", "max", "images/s", "ratio", "of peak"),
            [
                (
                    contender,
                    f"{found['median'][contender]:.1f}",
                    f"{min(values):.1f}",
                    f"{max(values):.1f}",
                    f"{found['images_per_second'][contender]:,.0f}",
                    f"{found['ratio_to_ours'][contender]:.2f}",
                    f"{100 * found['share_of_matmul_peak'][contender]:.0f} %",
                )
                for contender, values in found["milliseconds"].items()
            ],
        )
        print(f"  float32 matmul peak: {found['matmul_peak_gflops']:.0f} GFLOP/s")
    print(f"\n  {result['device']}")
