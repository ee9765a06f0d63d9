"""An ensemble: several finished runs' networks, whose probabilities are averaged.

Its folder holds `ensemble.json`, which says where the members are, what they weigh, and by a digest
which networks they were; it holds no copy of them.
"""

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax import steps
from imgcls_jax.data.batching import eval_batch_size
from imgcls_jax.errors import UserError
from imgcls_jax.limits import kept, temperature
from imgcls_jax.predict import saliency
from imgcls_jax.predict.members import digest, require_alike
from imgcls_jax.predict.restored import Restored, restore
from imgcls_jax.workdir import Workdir

_NOT_ALIKE = "the members did not hold out the same examples; train them with one `hold_out`"
_AGAIN = "make the ensemble again in a new folder"


@dataclasses.dataclass(frozen=True)
class Ensemble:
    """Networks and their weights.

    Attributes:
      networks: K of them, of the same classes and images.
      weights: K numbers of at least 0 and of sum 1; a network of weight 0 is never computed.
    """

    networks: tuple[Restored, ...]
    weights: tuple[float, ...]

    @property
    def record(self) -> dict[str, Any]:
        """The record of what all the networks take and tell, see `Restored`."""
        return self.networks[0].record

    def _weighed(self) -> list[tuple[float, Restored]]:
        pairs = zip(self.weights, self.networks, strict=True)
        return [(weight, network) for weight, network in pairs if weight > 0]

    def probabilities(self, images: jax.Array) -> jax.Array:
        """Computes probabilities (B, C) of images (B, H, W, C) uint8, or float in [0, 1]."""
        return sum(
            weight * jax.nn.softmax(network.logits(images).astype(jnp.float32))
            for weight, network in self._weighed()
        )

    def log_probabilities(self, images: jax.Array) -> jax.Array:
        """Computes the logarithms of `probabilities`, without loss where they are small."""
        terms = [
            np.float32(np.log(weight))
            + jax.nn.log_softmax(network.logits(images).astype(jnp.float32))
            for weight, network in self._weighed()
        ]
        return jax.nn.logsumexp(jnp.stack(terms), axis=0)

    def grad_cam(self, images: jax.Array, classes: jax.Array) -> jax.Array:
        """Computes the members' averaged maps (B, h, w) in [0, 1], of the first one's size."""
        maps = []
        for weight, of in self._weighed():
            found = saliency.grad_cam(of.network.model, of.variables, of.seen(images), classes)
            shape = maps[0].shape if maps else found.shape
            maps.append(weight * jax.image.resize(found, shape, "linear"))
        total = sum(maps)
        largest = total.max((1, 2), keepdims=True)
        return jnp.where(largest > 0, total / jnp.where(largest > 0, largest, 1), 0)


def over(function: Callable[[Any], Any], images: Any) -> np.ndarray:
    """Returns a function's rows for any number of images, computed in batches of one size.

    Args:
      function: images in [0, 1] (B, H, W, C) -> (B, ...), jitted.
      images: uint8 (N, H, W, C), at hand or in their files.
    """
    size, rows = eval_batch_size(images.shape[1:]), []
    for first in range(0, len(images), size):
        batch = np.asarray(images[first : first + size])
        filled = batch[np.minimum(np.arange(min(size, len(images))), len(batch) - 1)]
        rows.append(np.asarray(function(steps.to_unit_interval(jnp.asarray(filled))))[: len(batch)])
    return np.concatenate(rows)


def entries(paths: Sequence[Path], digests: Sequence[str], *, folder: Path) -> list[dict[str, str]]:
    """Returns what an ensemble's record says of its members, their paths seen from its folder."""
    return [
        {"path": Path(os.path.relpath(path, folder)).as_posix(), "digest": found}
        for path, found in zip(paths, digests, strict=True)
    ]


def claim(workdir: Workdir, settings: dict[str, Any]) -> None:
    """Makes a folder that of an ensemble, or checks that it already is.

    Args:
      settings: what makes it this ensemble; the record it gets may hold more.

    Raises:
      UserError: if the folder holds anything else, or an ensemble made otherwise.
    """
    held = workdir.claim_ensemble(settings)
    if held is not None and {name: held.get(name) for name in settings} != settings:
        raise UserError(
            f"{workdir.path} holds another ensemble (other members or weights, or members that "
            "changed since); choose another `workdir`."
        )


def learn_limits(
    paths: Sequence[Path], weights: Sequence[float], *, workdir: Workdir
) -> dict[str, Any]:
    """Learns and keeps an ensemble's limits, from what its members said of held-out examples.

    One temperature for the average, not one for each member: averaging makes less confident, so
    members that are calibrated alone do not give an average that is (Rahaman and Thiery 2021,
    "Uncertainty Quantification and Deep Ensembles").

    Args:
      paths: the members' folders.
      weights: theirs.

    Returns:
      What `calibration.json` says.
    """
    found = [kept.read(path) for path in paths]
    first = found[0]
    if (
        any(of is None for of in found)
        or len({of.facts["held_out"]["identity"] for of in found}) > 1
    ):
        kept.write(workdir, None, why_not=_NOT_ALIKE)
        return kept.facts(workdir.path)
    averaged = sum(
        weight * temperature.probabilities(of.logits)
        for weight, of in zip(weights, found, strict=True)
        if weight
    )
    limits = kept.learn(
        first.labels,
        temperature.logarithms(averaged),
        of=first.facts["held_out"]["of"],
        identity=first.facts["held_out"]["identity"],
    )
    kept.write(workdir, limits)
    return limits.facts


def restore_ensemble(path: str | os.PathLike) -> Ensemble:
    """Reads an ensemble from its folder.

    Raises:
      UserError: the ensemble is not finished, or a member was moved, changed or damaged since.
    """
    workdir = Workdir(path)
    record = workdir.ensemble()
    if not record or "weights" not in record:
        raise UserError(
            f"the ensemble in {workdir.path} is not finished; run its command again with "
            f"`workdir={workdir.path}` to finish it."
        )
    weights = record["weights"]
    if len(weights) != len(record["members"]) or abs(sum(weights) - 1) > 1e-6:
        raise UserError(
            f"ensemble.json in {workdir.path} is damaged: its weights are not one per member, of "
            f"sum 1; {_AGAIN}."
        )
    paths = []
    for member in record["members"]:
        found = (workdir.path / member["path"]).resolve()
        if not found.is_dir():
            raise UserError(
                f"the ensemble in {workdir.path} has a member in {found}, which is gone; bring it "
                f"back, or {_AGAIN}."
            )
        if digest(found) != member["digest"]:
            raise UserError(
                f"the run in {found} is another one than when the ensemble in {workdir.path} was "
                f"made of it; bring that one back, or {_AGAIN}."
            )
        paths.append(found)
    networks = tuple(restore(found) for found in paths)
    require_alike(paths, [network.record for network in networks])
    return Ensemble(networks, tuple(weights))
