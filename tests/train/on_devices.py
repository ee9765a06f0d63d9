"""Trains on one device and on eight simulated ones, and writes how far the results are apart.

    python on_devices.py FOLDER fast|slow|NAME

`test_devices.py` starts it: a process counts its devices once, and one process compiles less than
many. Every function below is a comparison; what it returns stands under its name in FOLDER/*.json.
"""

import json
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax import data, sharding
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.config import Config
from imgcls_jax.data import resident
from imgcls_jax.data.dataset import Dataset, Split
from imgcls_jax.errors import UserError
from imgcls_jax.train.build import build, training_splits
from imgcls_jax.train.many import Many

MANY = 8
DIGITS = data.load("digits")
# 1,437 examples: a last batch of 29, which eight devices cannot share evenly.
MLP = Config.of(dataset="digits", model="mlp", hidden=(256, 128), lr=0.001, batch_size=64, epochs=5)
CNN = Config.of(
    dataset="digits", model="cnn", widths=(8, 16), optimizer="sgd", lr=0.01, batch_size=16, epochs=5
)
FOLDER = Path(sys.argv[1])


def apart(a, b) -> float:
    """Returns the largest difference between two trees' entries."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return float(max(np.abs(np.asarray(x, np.float64) - np.asarray(y)).max() for x, y in pairs))


def photos(side: int, channels: int, count: int) -> Dataset:
    """Makes images of three classes, each a pattern in noise."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 256, (3, side, side, channels))

    def split(count):
        labels = rng.integers(0, 3, count).astype(np.int32)
        noise = rng.integers(0, 256, (count, side, side, channels))
        return Split((0.6 * patterns[labels] + 0.4 * noise).astype(np.uint8), labels)

    return Dataset("made", split(count), split(45), ("a", "b", "c"), "made up", None)


def made(config: Config, dataset: Dataset, devices: int, **settings):
    return build(config.replace(devices=devices, **settings), dataset)


def begun(trainer):
    position = trainer.start(0)
    return position.state, position.sums


def trained(trainer, count: int):
    """Makes `count` steps from the start; returns the state and the sums of all of them."""
    carry, length = begun(trainer), trainer.steps_per_epoch
    for epoch in range(-(-count // length)):
        carry = trainer.feed.train(carry, epoch, 0, min(length, count - epoch * length))
    return jax.block_until_ready(carry)


def both(config: Config, dataset: Dataset, count: int, **settings) -> dict:
    """Trains on one device and on eight; returns the distances of what comes of it."""
    found = []
    for devices in (1, MANY):
        trainer = made(config, dataset, devices, **settings)
        state, sums = trained(trainer, count)
        state = trainer.feed.averaged(state)
        found.append((state, sums, *trainer.feed.evaluate(state, dataset.test)))
    (state, sums, tested, logits), (other, other_sums, other_tested, other_logits) = found
    return {
        "params": apart(state.params, other.params),
        "batch_stats": apart(state.batch_stats, other.batch_stats) if state.batch_stats else 0.0,
        "logits": apart(logits, other_logits),
        "loss": abs(float(sums["loss"]) - float(other_sums["loss"])) / float(sums["count"]),
        "counts": [int(s["count"]) for s in (sums, other_sums, tested, other_tested)],
        "devices": [len(other.step.sharding.device_set), other.step.sharding.is_fully_replicated],
    }


def mlp_3():
    """A hundred steps, among them four smaller ones."""
    return both(MLP, DIGITS, 100)


def uneven():
    """Batches of 100 on eight devices, dropout, augmentation, micro-batches, averaged weights.

    All that is drawn at random is drawn for the whole batch, whoever computes it.
    """
    config = CNN.replace(batch_size=20, accumulate=2, augment=("flip", "crop:1", "mixup:0.2"))
    return both(config.replace(ema=0.9), photos(8, 3, 90), 8, dropout=0.3)


def parameters_cut():
    """Every device holds a part of the kernels and of their moments."""
    found = []
    for devices, pattern in ((1, None), (MANY, "kernels")):
        trainer = made(MLP, DIGITS, devices, shard_params=pattern)
        found.append((trainer, *trained(trainer, 30)))
    (_, state, _), (trainer, cut, sums) = found
    _, logits = trainer.feed.evaluate(cut, DIGITS.test)
    shards = {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf.addressable_shards[
            0
        ].data.shape
        for path, leaf in jax.tree_util.tree_leaves_with_path((cut.params, cut.opt_state))
    }
    try:
        made(MLP, DIGITS, MANY, shard_params="nothing")
        refused = ""
    except UserError as error:
        refused = str(error)
    with Checkpoints(FOLDER / "cut") as checkpoints:
        checkpoints.save("last", 30, trainer.start(0).__class__(cut, sums, jnp.zeros(()), {}))
        checkpoints.wait()
        restored = {
            name: checkpoints.restore("last", made(MLP, DIGITS, *of).blank()).state
            for name, of in {"1": (1,), "8": (MANY,)}.items()
        }
        again = checkpoints.restore("last", trainer.blank()).state
    return {
        "params": apart(state.params, cut.params),
        "finite": bool(np.isfinite(logits).all()),
        "shards": shards,
        "refused": refused,
        "restored": {name: apart(of.params, cut.params) for name, of in restored.items()},
        "restored_on": {name: len(of.step.sharding.device_set) for name, of in restored.items()},
        "again": [
            a.sharding == b.sharding
            for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(cut), strict=True)
        ],
    }


def same_bits():
    """The same number of devices twice, from a checkpoint of one device, and examples cut by rows.

    Nothing but the communication is between a batch from a copy and a batch from parts.
    """
    trainer = made(MLP, DIGITS, MANY)
    first, second = (trained(trainer, 30)[0] for _ in range(2))
    sharding._WHOLE_SHARE = 0.0
    by_rows = made(MLP, DIGITS, MANY)
    placed = by_rows.feed.on_device(DIGITS.train)
    third, _ = trained(by_rows, 30)
    logits = by_rows.feed.evaluate(third, DIGITS.test)[1]
    sharding._WHOLE_SHARE = 0.25
    return {
        "twice": apart(first.params, second.params),
        "by_rows": apart(first.params, third.params),
        "rows": [placed.pixels.shape[0], placed.pixels.addressable_shards[0].data.shape[0]],
        "held": bool(np.array_equal(placed.rows(), DIGITS.train.images.reshape(1437, -1))),
        "logits": apart(logits, trainer.feed.evaluate(first, DIGITS.test)[1]),
        "order": bool(
            np.array_equal(
                trainer.feed._make_order(first.key, np.int32(3), trainer.feed._train.labels),
                resident.epoch_order(_key(first), 3, 1437),
            )
        ),
    }


def _key(state):
    return jax.random.wrap_key_data(np.asarray(jax.random.key_data(state.key)))


def side_by_side():
    """Two seeds in one program, on eight devices."""
    config = MLP.replace(hidden=(16,), batch_size=100, devices=MANY)
    train, _ = training_splits(config, DIGITS)
    many = Many(build(config, DIGITS), train, seeds=[0, 3])
    many.train_epoch()
    alone, _ = trained(build(config.replace(devices=1), DIGITS), 15)
    member = many.member(0)
    return {"params": apart(member.params, alone.params)}


def resnet_20():
    """A hundred steps of stochastic gradient descent, batch norm over the global batch."""
    config = Config.of(
        dataset="digits", model="resnet20", optimizer="sgd", momentum=0.9, lr=0.01, batch_size=16,
        normalise="standard", epochs=20,
    )  # fmt: skip
    return both(config, photos(8, 3, 160), 100)


FAST = (mlp_3, uneven, parameters_cut, same_bits, side_by_side)
SLOW = (resnet_20,)

if __name__ == "__main__":
    asked = sys.argv[2]
    for function in {"fast": FAST, "slow": SLOW}.get(asked) or [globals()[asked]]:
        started = time.perf_counter()
        result = function()
        result["seconds"] = round(time.perf_counter() - started, 2)
        (FOLDER / f"{function.__name__}.json").write_text(json.dumps(result))
