"""Evaluation batch by batch: one compilation of the network for splits of any size, and a bar."""

import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

from imgcls_jax import sharding, steps
from imgcls_jax.data import resident
from imgcls_jax.data.dataset import Split
from imgcls_jax.data.resident import Resident
from imgcls_jax.train.setup import Setup
from imgcls_jax.train.streams import evaluation_batches
from imgcls_jax.train.waiting import stage, told

Found = tuple[steps.Metrics, np.ndarray]  # sums over a split's examples, and its logits (N, C)


class InBatches:
    """Evaluates splits, every example once, in batches of one shape; the last is filled up.

    Args:
      setup: the run's, which has the evaluation chain, the loss and the metrics.
      state: shapes of the states that will come.
      split: one of those that will come, of whose images the shape is taken.
      batch_size: examples per batch.
    """

    def __init__(self, setup: Setup, state: Any, split: Split, *, batch_size: int):
        mesh = setup.mesh
        whole = sharding.replicated(mesh)
        self._step = jax.jit(setup.eval_step(), out_shardings=whole)
        self._state, self._mesh = state, mesh
        self._batch_size, self._compiled = batch_size, None
        shapes = {
            "image": jax.ShapeDtypeStruct((batch_size, *split.images.shape[1:]), jnp.uint8),
            "label": jax.ShapeDtypeStruct((batch_size, *split.labels.shape[1:]), jnp.int32),
            "mask": jax.ShapeDtypeStruct((batch_size,), jnp.bool_),
        }
        self._shapes = sharding.shaped(shapes, sharding.of_batch(mesh, batch_size))
        self._take = jax.jit(
            partial(_take, size=batch_size), out_shardings=sharding.of_batch(mesh, batch_size)
        )

    def compile(self) -> float:
        """Compiles the step, the first time; returns the seconds that it took."""
        if self._compiled is not None:
            return 0.0
        started = time.perf_counter()
        with stage("compiling the evaluation"):
            self._compiled = self._step.lower(self._state, self._shapes).compile()
        return time.perf_counter() - started

    def of_split(self, state: steps.TrainState, split: Split) -> Found:
        """Evaluates a split whose images are at hand or in their files."""
        self.compile()
        doing = f"evaluation of {len(split):,} images"
        batches = evaluation_batches(split, self._batch_size, doing, self._mesh)
        return self._over(state, batches)

    def of_resident(self, state: steps.TrainState, source: Resident) -> Found:
        """Evaluates a split that lies on the device."""
        size, total = self._batch_size, len(source)
        starts = range(0, total, size)
        self.compile()
        doing = f"evaluation of {total:,} images"
        shown = tqdm(starts, doing, unit=" batches", leave=False, disable=None)
        batches = ((self._take(source, np.int32(k)), min(size, total - k)) for k in shown)
        with told(doing):
            return self._over(state, batches)

    def _over(self, state: steps.TrainState, batches: Iterable[tuple[steps.Batch, int]]) -> Found:
        """Sums the metrics of batches, each with how many of its examples count."""
        total, logits = steps.zero_metrics(), []
        for batch, size in batches:
            metrics, of_batch = self._compiled(state, batch)
            total = jax.tree.map(jnp.add, total, metrics)
            logits.append(np.asarray(of_batch)[:size])
        return total, np.concatenate(logits)


def _take(source: Resident, first: jax.Array, size: int) -> steps.Batch:
    """Gathers a batch, filled up with repeats of the last example."""
    indices, last = first + jnp.arange(size), len(source) - 1
    batch = resident.take(source, jnp.minimum(indices, last))
    return {"image": batch["image"], "label": batch["label"], "mask": indices <= last}
