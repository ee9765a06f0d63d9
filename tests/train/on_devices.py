"""Trains on one device and on eight simulated ones, and writes how far the results are apart.

    python on_devices.py FOLDER fast|slow|NAME

`test_devices.py` starts it: a process counts its devices once, and one process compiles less than
many. Every function below is a comparison; what it returns stands under its name in FOLDER/*.json.
"""

import functools
import hashlib
import json
import sys
import time
from pathlib import Path
from unittest import mock

import jax
import numpy as np
from photo_helpers import write_photos

from imgcls_jax import data, sharding
from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.config import Config
from imgcls_jax.data import resident
from imgcls_jax.data.dataset import Dataset, Split
from imgcls_jax.errors import UserError
from imgcls_jax.train import rate_finder
from imgcls_jax.train.build import build, training_splits
from imgcls_jax.train.distil import Teacher
from imgcls_jax.train.many import Many

MANY = 8
DIGITS = data.load("digits")
# 1,437 examples: a last batch of 29, which eight devices cannot share evenly.
MLP = Config.of(dataset="digits", model="mlp", hidden=(256, 128), lr=0.001, batch_size=64, epochs=5)
CNN = Config.of(
    dataset="digits", model="cnn", widths=(4,), dropout=0.3, optimizer="sgd", lr=0.01,
    batch_size=20, ema=0.9, epochs=5,
)  # fmt: skip
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


@functools.cache
def made(config: Config, devices: int, pattern: str | None = None):
    """Makes a trainer for digits, once."""
    return build(config.replace(devices=devices, shard_params=pattern), DIGITS)


def begun(trainer, seed: int = 0):
    position = trainer.start(seed)
    return position.state, position.sums


def trained(trainer, count: int):
    """Makes `count` steps from the start; returns the state and the sums of all of them."""
    carry, length = begun(trainer), trainer.steps_per_epoch
    for epoch in range(-(-count // length)):
        carry = trainer.feed.train(carry, epoch, 0, min(length, count - epoch * length))
    return jax.block_until_ready(carry)


def both(one, many, test: Split, count: int) -> dict:
    """Trains by two trainers; returns the distances of what comes of it."""
    found = []
    for trainer in (one, many):
        state, sums = trained(trainer, count)
        state = trainer.feed.averaged(state)
        found.append((state, sums, *trainer.feed.evaluate(state, test)))
    (state, sums, tested, logits), (other, other_sums, other_tested, other_logits) = found
    return {
        "params": apart(state.params, other.params),
        "batch_stats": apart(state.batch_stats, other.batch_stats) if state.batch_stats else None,
        "logits": apart(logits, other_logits),
        "loss": abs(float(sums["loss"]) - float(other_sums["loss"])) / float(sums["count"]),
        "counts": [int(s["count"]) for s in (sums, other_sums, tested, other_tested)],
        "devices": [len(other.step.sharding.device_set), other.step.sharding.is_fully_replicated],
    }


def mlp_3():
    """A hundred steps, among them four smaller ones; and thirty steps twice."""
    one, many = made(MLP, 1), made(MLP, MANY)
    first, second = (trained(many, 30)[0] for _ in range(2))
    order = many.feed._make_order(first.key, np.int32(3), many.feed._train.labels)
    key = jax.random.wrap_key_data(np.asarray(jax.random.key_data(first.key)))
    return both(one, many, DIGITS.test, 100) | {
        "twice": apart(first.params, second.params),
        "order": bool(np.array_equal(order, resident.epoch_order(key, 3, 1437))),
        "shared": ["all-reduce" in of.feed._train_many.as_text() for of in (one, many)],
        "said": [sharding.described(many.setup.mesh, rows) for rows in (64, 100)],
    }


def cnn():
    """Batch norm over the global batch, dropout, averaged weights; batches of 20 are uneven.

    All that is drawn at random is drawn for the whole batch, whoever computes it.
    """
    return both(made(CNN, 1), made(CNN, MANY), DIGITS.test, 8)


def parameters_cut():
    """Every device holds a part of the kernels and of their moments."""
    one, many, cut = made(MLP, 1), made(MLP, MANY), made(MLP, MANY, "kernels")
    state, (parts, _) = trained(one, 30)[0], trained(cut, 30)
    leaves = jax.tree_util.tree_leaves_with_path((parts.params, parts.opt_state))
    shards = {
        jax.tree_util.keystr(path, simple=True, separator="/"): of.addressable_shards[0].data.shape
        for path, of in leaves
    }
    try:
        made(MLP, MANY, "nothing")
    except UserError as error:
        refused = str(error)
    blank = {name: of.blank() for name, of in {"1": one, "8": many, "cut": cut}.items()}
    shapes = jax.tree.map(lambda of: jax.ShapeDtypeStruct(of.shape, of.dtype), parts.variables)
    position = cut.start(0).replace(state=parts)
    with Checkpoints(FOLDER / "cut") as checkpoints:
        checkpoints.save("last", 30, position)
        checkpoints.save("evaluated", 30, parts.variables)
        checkpoints.wait()
        restored = {name: checkpoints.restore("last", of).state for name, of in blank.items()}
        evaluated = checkpoints.restore("evaluated", shapes)
    return {
        "params": apart(state.params, parts.params),
        "shards": shards,
        "refused": refused,
        "restored": {name: apart(of.params, parts.params) for name, of in restored.items()},
        "on": {name: len(of.step.sharding.device_set) for name, of in restored.items()},
        "evaluated": apart(evaluated["params"], parts.params),
        "evaluated_on": max(len(of.devices()) for of in jax.tree.leaves(evaluated)),
        "as_cut": all(
            a.sharding == b.sharding
            for a, b in zip(jax.tree.leaves(restored["cut"]), jax.tree.leaves(parts), strict=True)
        ),
    }


def rows_cut():
    """Examples that are too many for each device to hold them all."""
    mesh = sharding.make_mesh(MANY)
    whole = resident.put(DIGITS.train, mesh)
    with mock.patch.object(sharding, "_WHOLE_SHARE", 0.0):
        cut = resident.put(DIGITS.train, mesh)
    indices = np.random.default_rng(0).permutation(1437)[:64]
    shard, take = sharding.over_batch(mesh), jax.jit(resident.take)
    taken = [take(source, shard(indices)) for source in (whole, cut)]
    return {
        "rows": [of.pixels.addressable_shards[0].data.shape[0] for of in (whole, cut)],
        "length": len(cut),
        "held": bool(np.array_equal(cut.rows(), whole.rows())),
        "same": all(bool(np.array_equal(taken[0][n], taken[1][n])) for n in taken[0]),
        "right": bool(np.array_equal(taken[1]["image"], DIGITS.train.images[indices])),
    }


def side_by_side():
    """Two seeds in one program."""
    config = MLP.replace(hidden=(16,), batch_size=100)
    trainer, (train, _) = made(config, MANY), training_splits(config, DIGITS)
    many = Many(trainer, train, seeds=[0, 3])
    many.train_epoch()
    member, alone = many.member(1), trained_of(made(config, 1), 3)
    logits = many.evaluate(DIGITS.test)[1][1]
    return {
        "params": apart(member.params, alone.params),
        "logits": apart(logits, trainer.feed.evaluate(member, DIGITS.test)[1]),
    }


def trained_of(trainer, seed: int):
    """Returns the state after an epoch of a seed."""
    return trainer.feed.train(begun(trainer, seed), 0, 0, trainer.steps_per_epoch)[0]


def augmented():
    """Augmentation with mixing, in micro-batches."""
    config = CNN.replace(accumulate=2, augment=("flip", "crop:1", "mixup:0.2"))
    return both(made(config, 1), made(config, MANY), DIGITS.test, 8)


def resnet_20():
    """A hundred steps of stochastic gradient descent, batch norm over the global batch."""
    dataset = photos(8, 3, 160)
    config = Config.of(
        dataset="digits", model="resnet20", optimizer="sgd", momentum=0.9, lr=0.01, batch_size=16,
        normalise="standard", epochs=20,
    )  # fmt: skip
    trainers = (build(config.replace(devices=devices), dataset) for devices in (1, MANY))
    return both(*trainers, dataset.test, 100)


def streamed():
    """Photos in a stream, whose last batch of 5 is uneven, and a range of learning rates."""
    folder = write_photos(FOLDER / "photos")
    config = Config.of(
        dataset="folder", image_size=8, feed="streamed", model="mlp", hidden=(16,), lr=0.01,
        augment=("flip",), batch_size=8, epochs=3, ema=0.9,
    )  # fmt: skip
    dataset = data.load("folder", data_dir=folder, image_size=8, feed="streamed")
    one, many = (build(config.replace(devices=devices), dataset) for devices in (1, MANY))
    with mock.patch.object(rate_finder, "STEPS", 20):
        rates = [rate_finder.find(of, seed=0) for of in (made(MLP, 1), made(MLP, MANY))]
    return both(one, many, dataset.test, 8) | {
        "rates": apart(*(np.log(of.losses) for of in rates)),
    }


def taught():
    """A teacher that is asked once, and one that is asked within the step."""
    said = jax.random.normal(jax.random.key(1), (64, 10))
    said = jax.device_put(said, jax.devices()[0])  # as a checkpoint puts it there
    teacher = Teacher(lambda x: jax.nn.log_softmax(x.reshape(len(x), -1) @ said), "made up")
    found = {}
    for name, augment in (("once", ()), ("within", ("flip",))):
        config = MLP.replace(hidden=(16,), augment=augment)
        of = (build(config.replace(devices=n), DIGITS, teacher=teacher) for n in (1, MANY))
        found[name] = both(*of, DIGITS.test, 10)["params"]
    return found


def digest():
    """The bits of a training on eight devices."""
    state = trained(made(MLP.replace(hidden=(16,)), MANY), 30)[0]
    leaves = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state.params)]
    return {"of": hashlib.sha256(b"".join(leaves)).hexdigest()}


FAST = (mlp_3, cnn, parameters_cut, rows_cut)
SLOW = (side_by_side, streamed, taught, augmented, resnet_20)

if __name__ == "__main__":
    asked = sys.argv[2]
    for function in {"fast": FAST, "slow": SLOW}.get(asked) or [globals()[asked]]:
        started = time.perf_counter()
        result = function()
        result["seconds"] = round(time.perf_counter() - started, 2)
        (FOLDER / f"{function.__name__}.json").write_text(json.dumps(result))
