"""Services that show runs beside each other: TensorBoard, Weights & Biases, MLflow, trackio.

Each is a package of its own, imported where it is asked for. Where they store is theirs to be told,
by the environment (`WANDB_MODE`, `WANDB_PROJECT`, `MLFLOW_TRACKING_URI`, `MLFLOW_EXPERIMENT_NAME`,
`TRACKIO_DIR`, `TRACKIO_PROJECT`, ...); TensorBoard's files lie in the run's folder, which has
nothing else of them but a run's identity there.
"""

import contextvars
import importlib.util
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from imgcls_jax.errors import UserError

_PROJECT = "imgcls_jax"
_PARAMETERS = 100  # MLflow takes as many in a call
_LONGEST = 500  # letters of a parameter's value, as the oldest of MLflow's stores take


class Tracker(Protocol):
    """A service that shows one run.

    Attributes:
      identity: what the service knows the run by after `start`; None where it needs none.
    """

    identity: str | None

    def start(self, config: Mapping[str, Any], name: str) -> None:
        """Begins a run of those settings, or goes on with the one that was begun."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Notes figures, such as train/loss, after so many training steps."""

    def finish(self, summary: Mapping[str, float] | None) -> None:
        """Ends the run with its final figures; None for a run that will go on another time."""


class TensorBoard:
    """Event files in the run's folder; those after step `done` are superseded."""

    def __init__(self, *, folder: Path, done: int, identity: str | None):
        self.identity = identity
        self._folder, self._step = folder, done

    def start(self, config: Mapping[str, Any], name: str) -> None:
        from tensorboardX import SummaryWriter

        del config, name  # they are in the folder
        self._writer = SummaryWriter(str(self._folder / "tensorboard"), purge_step=self._step + 1)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._step = step
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def finish(self, summary: Mapping[str, float] | None) -> None:
        if summary is not None:
            self.log(self._step, {f"final/{name}": value for name, value in summary.items()})
        self._writer.close()


class WeightsAndBiases:
    """A run of Weights & Biases (https://docs.wandb.ai/ref/python/sdk/functions/init)."""

    def __init__(self, *, folder: Path, done: int, identity: str | None):
        del folder, done
        self._goes_on = identity is not None
        self.identity = identity or uuid.uuid4().hex[:12]

    def start(self, config: Mapping[str, Any], name: str) -> None:
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            id=self.identity,
            name=name,
            config=dict(config),
            resume="allow" if self._goes_on else None,
            reinit="create_new",  # seeds may train side by side
            settings=wandb.Settings(console="off"),  # it would take the progress bar for output
        )

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=step)

    def finish(self, summary: Mapping[str, float] | None) -> None:
        self._run.summary.update(dict(summary or {}))
        self._run.finish(exit_code=0 if summary is not None else 1)


class MLflow:
    """A run of MLflow, by its client, which any thread may use (https://mlflow.org/docs)."""

    def __init__(self, *, folder: Path, done: int, identity: str | None):
        del folder
        self.identity, self._step = identity, done

    def start(self, config: Mapping[str, Any], name: str) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self._client = MlflowClient()
        if self.identity is not None:
            self._client.update_run(self.identity, status="RUNNING")
            return
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT)
        found = self._client.get_experiment_by_name(experiment)
        number = found.experiment_id if found else self._client.create_experiment(experiment)
        self.identity = self._client.create_run(number, run_name=name).info.run_id
        params = [Param(key, str(value)[:_LONGEST]) for key, value in config.items()]
        for first in range(0, len(params), _PARAMETERS):
            self._client.log_batch(self.identity, params=params[first : first + _PARAMETERS])

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        self._step, now = step, int(1000 * time.time())
        found = [Metric(name, float(value), now, step) for name, value in metrics.items()]
        self._client.log_batch(self.identity, metrics=found)

    def finish(self, summary: Mapping[str, float] | None) -> None:
        if summary is not None:
            self.log(self._step, {f"final/{name}": value for name, value in summary.items()})
        self._client.set_terminated(self.identity, "KILLED" if summary is None else "FINISHED")


class Trackio:
    """A run of trackio (https://huggingface.co/docs/trackio), which knows runs by their names."""

    def __init__(self, *, folder: Path, done: int, identity: str | None):
        del folder
        self._goes_on, self._step = identity is not None, done
        self.identity = identity or uuid.uuid4().hex[:8]

    def start(self, config: Mapping[str, Any], name: str) -> None:
        import trackio

        # In a context of its own: in one that they share, each run would end the one before.
        self._run = contextvars.copy_context().run(
            trackio.init,
            os.environ.get("TRACKIO_PROJECT", _PROJECT),
            name=f"{name} {self.identity}",
            config=dict(config),
            resume="allow" if self._goes_on else "never",
            embed=False,
        )

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._step = step
        self._run.log(dict(metrics), step=step)

    def finish(self, summary: Mapping[str, float] | None) -> None:
        if summary is not None:
            self.log(self._step, {f"final/{name}": value for name, value in summary.items()})
        self._run.finish()


# Name, which is that of the extra too -> class and package.
_KNOWN = {
    "tensorboard": (TensorBoard, "tensorboardX"),
    "wandb": (WeightsAndBiases, "wandb"),
    "mlflow": (MLflow, "mlflow"),
    "trackio": (Trackio, "trackio"),
}
NAMES = tuple(_KNOWN)


def require(names: Sequence[str]) -> None:
    """Raises UserError for a tracker that is unknown or whose package is not installed."""
    for name in names:
        if name not in _KNOWN:
            raise UserError(f"unknown `trackers={name}`; choose among: {', '.join(NAMES)}.")
        package = _KNOWN[name][1]
        if importlib.util.find_spec(package) is None:
            raise UserError(
                f"the tracker {name} needs the package {package}; pip install "
                f"'imgcls_jax[{name}]', or leave it out of `trackers`."
            )


def create(name: str, *, folder: Path, done: int, identity: str | None) -> Tracker:
    """Builds the tracker of that name for a run.

    Args:
      folder: the run's.
      done: the training steps made so far.
      identity: of the run that goes on; None for a new one.
    """
    return _KNOWN[name][0](folder=folder, done=done, identity=identity)
