"""A configuration made executable, for the loop to train with."""

import dataclasses
from collections.abc import Callable, Generator
from typing import Any, NamedTuple, Protocol

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax import steps
from imgcls_jax.config import Config
from imgcls_jax.data.dataset import Split
from imgcls_jax.train.setup import Setup

Carry = tuple[steps.TrainState, steps.Metrics]


class Feed(Protocol):
    """The interface that the loop needs of a way to feed.

    Attributes:
      size: the number of training examples.
      compile_seconds: the time that compiling took so far.
    """

    size: int
    compile_seconds: float

    def open(self, seed: int, position: Any = None) -> None:
        """Makes ready the examples of a seed, from the `position` of a checkpoint if given."""

    def position(self) -> Any:
        """Returns where the training examples stand, as arrays for a checkpoint."""

    def train(self, carry: Carry, epoch: int, first: int, count: int) -> Carry:
        """Trains on batches `first` to `first + count - 1` of an epoch; `carry` is donated.

        The epoch's last batch may be smaller than the others, as PyTorch's DataLoader and Keras
        have it.
        """

    def batches(self, seed: int, key: jax.Array) -> Generator[steps.Batch]:
        """Yields the full batches of a training by that seed and key, for ever, from its start.

        Where `train` stands does not change.
        """

    def averaged(self, state: steps.TrainState) -> steps.TrainState:
        """Returns the state with the averaged weights and the statistics that belong to them."""

    def prepare(self, split: Split) -> None:
        """Compiles the functions that `evaluate` needs for a split."""

    def evaluate(
        self, state: steps.TrainState, split: Split
    ) -> tuple[steps.Metrics, np.ndarray | jax.Array]:
        """Returns the summed metrics and the logits (N, C) of a split."""


@flax.struct.dataclass
class Position:
    """The point that training has reached, as a checkpoint holds it.

    Attributes:
      state: the training state.
      sums: metrics of the current epoch so far.
      seconds: () float32, training time of the current epoch so far.
      feed: where a stream of examples stands; {} where they are resident.
    """

    state: steps.TrainState
    sums: steps.Metrics
    seconds: jax.Array
    feed: Any


class Watched(NamedTuple):
    """The split that is evaluated after every epoch, and its name, "validation" or "test"."""

    name: str
    split: Split


@dataclasses.dataclass(frozen=True)
class Trainer:
    """A configuration made executable for one data set; it serves any number of seeds.

    It never holds the test set, unless the settings say that it is watched.

    Attributes:
      train: the training split.
      watched: the split that is evaluated after every epoch, if any.
      num_classes: the number of logits.
      parameters: how many scalars the network has.
      init: key -> the random state before training, and sums of nothing; compiled.
      begin: that state -> the same with pretrained weights and a fitted head; None without.
      feature_seconds: the time that computing fixed features took so far, in a list.
      head_seconds: the time that fitting the head took at each start, in a list.
      init_seconds: the time that compiling `init` and the fit of the head took.
      teacher: what is kept of whom it learns from, see `distil.Teacher.facts`; None without.
    """

    config: Config
    setup: Setup
    feed: Feed
    train: Split
    watched: Watched | None
    num_classes: int
    parameters: int
    init: Callable[[jax.Array], Carry]
    begin: Callable[[steps.TrainState], steps.TrainState] | None
    feature_seconds: list[float]
    head_seconds: list[float]
    init_seconds: float
    teacher: dict[str, Any] | None = None

    @property
    def steps_per_epoch(self) -> int:
        return self.setup.steps_per_epoch

    @property
    def total_steps(self) -> int:
        return self.steps_per_epoch * self.config.train.epochs

    @property
    def compile_seconds(self) -> float:
        return self.init_seconds + self.feed.compile_seconds

    def start(self, seed: int) -> Position:
        """Opens the feed for a seed and returns where training begins."""
        self.feed.open(seed)
        state, sums = self.init(jax.random.key(seed))
        state = state if self.begin is None else self.begin(state)
        return Position(state, sums, jnp.zeros(()), self.feed.position())

    def blank(self) -> Position:
        """Returns a position of the right structure and shapes, to restore a checkpoint into."""
        state, sums = self.init(jax.random.key(0))
        return Position(state, sums, jnp.zeros(()), self.feed.position())
