"""`experiments.cifar10 --preset=speedrun`: a whole training as one device call, raced over seeds.

The clock leaves out compilation, the warm-up on random labels and, unlike airbench's, the whitening
of the training set, whose seconds stand beside it; see `imgcls_jax.train.speedrun`.
"""

import time
from typing import Any

import jax

from experiments.cli import flags as cli
from imgcls_jax import models, steps
from imgcls_jax.config import Config
from imgcls_jax.data import Dataset, resident
from imgcls_jax.data.batching import eval_batch_size
from imgcls_jax.errors import UserError
from imgcls_jax.report import console
from imgcls_jax.train import speedrun
from imgcls_jax.train.setup import make_setup
from imgcls_jax.workdir import Workdir, environment


def main(config: Config, *, seeds: int, workdir: Workdir) -> dict[str, Any]:
    """Races `config` over consecutive seeds; writes and shows `summary.json`.

    The file is written anew after every seed.

    Args:
      seeds: how many, from `config.train.seed` on.

    Returns:
      The content of `summary.json`: the configuration, the versions, and `speedrun.Race.to_json`.

    Raises:
      UserError: for settings that a training in one call cannot honour.
    """
    for name in ("hold_out", "ema", "watch_test", "top_k", "devices", "shard_params"):
        if config.flat()[name]:
            raise UserError(f"a speed run takes no --{name}; leave it out.")
    of_seeds = [one.train.seed for one in config.seeds(seeds)]
    finished = workdir.claim_race(config, seeds=seeds)
    if finished is not None:
        print(f"{workdir.path} holds this race, finished.")
        show(finished)
        return finished
    dataset = cli.load_data(config.data.dataset)
    if len(dataset.train) % config.train.batch_size or not config.train.epochs:
        raise UserError(
            f"a speed run needs a --batch_size that divides the {len(dataset.train)} training "
            f"examples, unlike {config.train.batch_size}, and at least one epoch."
        )
    arguments, facts = prepare(config, dataset)

    for race in speedrun.measure(**arguments, seeds=of_seeds):
        result = facts | race.to_json()
        workdir.write_json("summary.json", result)
    show(result)
    return result


def prepare(config: Config, dataset: Dataset) -> tuple[dict[str, Any], dict[str, Any]]:
    """Puts the data on the device and builds the functions that every seed of a race uses.

    Returns:
      The arguments of `speedrun.measure` that no seed changes, and the facts that `summary.json`
      states beside what is measured.
    """
    train, test = resident.put(dataset.train), resident.put(dataset.test)
    started = time.perf_counter()
    of_one = config.replace(devices=1)
    setup = make_setup(of_one, train=dataset.train, num_classes=dataset.num_classes)
    preparation_seconds = time.perf_counter() - started

    @jax.jit
    def start(seed):
        key = jax.random.key(seed)
        return steps.init_state(
            model=setup.network.model,
            tx=setup.tx,
            key=key,
            image_shape=setup.network.image_shape,
        )

    arguments = {
        "start": start,
        "train_whole": speedrun.make_train_whole(
            train_step=setup.train_step,
            order_fn=lambda key, epoch: resident.drawn_order(
                config.train.sampler, key, epoch, train.labels
            ),
            take_fn=resident.take,
            batch_size=config.train.batch_size,
            epochs=config.train.epochs,
            steps_per_epoch=setup.steps_per_epoch,
        ),
        "evaluate": steps.make_evaluate(
            eval_step=setup.eval_step(),
            take_fn=resident.take,
            batch_size=eval_batch_size(dataset.image_shape),
        ),
        "train": train,
        "test": test,
        "num_classes": dataset.num_classes,
    }
    facts = {
        "run": "speedrun",
        "config": config.to_json(),
        "parameters": models.count_parameters(jax.eval_shape(start, 0).params),
        "data_verified": dataset.verified,
        "preparation_seconds": preparation_seconds,
    } | environment(devices=1)
    return arguments, facts


def show(result: dict[str, Any]) -> None:
    """Prints the race as a table."""
    console.heading(f"{result['run']}: {len(result['seeds'])} seeds")
    rows = []
    for name, digits in (("accuracies", 4), ("train_seconds", 3), ("total_seconds", 3)):
        found, values = result[f"{name}_summary"], result[name]
        figures = (found["mean"], found["std"], min(values), max(values))
        cells = ["-" if figure is None else f"{figure:.{digits}f}" for figure in figures]
        rows.append((name.replace("_", " "), *cells))
    console.table(("", "mean", "std", "min", "max"), rows)
    print(
        f"\n  outside the clock: warm-up with compilation {result['warmup_seconds']:.1f} s, the "
        f"training set's whitening {result['preparation_seconds']:.2f} s\n"
        f"  total seconds include the evaluation\n  {result['device']}"
    )
