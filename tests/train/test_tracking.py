"""Trackers: what each service is told, and that none can stop, slow or undress a run."""

import json
import sys
import threading
import time
import types

import pytest
from conftest import SMALL

from imgcls_jax.errors import UserError
from imgcls_jax.train import trackers, tracking
from imgcls_jax.train.tracking import Tracking
from imgcls_jax.workdir import Workdir

RECORD = {"epoch": 2, "step": 30, "together": 2, "train_loss": 0.5, "learning_rate": 0.01}
FIGURES = {"train/loss": 0.5, "learning/rate": 0.01}
SUMMARY = {
    "run": "small", "seed": 3, "test_accuracy": 0.9, "train_accuracy": None,
    "test_accuracy_interval": [0.8, 0.95], "test_loss": 0.3,
}  # fmt: skip
FINAL = {"test_accuracy": 0.9, "test_loss": 0.3}
SECRET = "hunter2"


class Fake:
    """Notes every call of it, or of what it gives, as (name, arguments, keywords)."""

    def __init__(self, calls, name=""):
        self._calls, self._name = calls, name

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Fake(self._calls, f"{self._name}.{name}".lstrip("."))

    def __call__(self, *arguments, **keywords):
        self._calls.append((self._name, arguments, keywords))
        return Fake(self._calls, f"{self._name}()")


@pytest.fixture
def calls(monkeypatch):
    """Calls of wandb, MLflow and trackio, all of them fakes."""
    calls = []
    for name in ("wandb", "mlflow", "mlflow.entities", "trackio"):
        monkeypatch.setitem(sys.modules, name, Fake(calls, name))
    entities = sys.modules["mlflow.entities"]
    entities.Metric = lambda *of: ("metric", of[0], of[1], of[3])
    entities.Param = lambda *of: of
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(trackers.uuid, "uuid4", lambda: types.SimpleNamespace(hex="ab" * 16))
    return calls


def run(names, folder, *, done=0, summary=SUMMARY):
    """A run of one epoch; with None for a summary it is interrupted."""
    with Tracking(names, Workdir(folder)) as at:
        at.start(SMALL.replace(seed=3), "small", done=done)
        at.epoch(RECORD)
        if summary is not None:
            at.finish(summary)


def test_weights_and_biases(calls, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    run(["wandb"], tmp_path, summary=None)
    _, init, log, update, finish = calls
    assert init[0] == "wandb.init"
    assert init[2]["config"] == SMALL.replace(seed=3).to_json()
    told = ("project", "id", "name", "resume", "reinit")
    assert [init[2][key] for key in told] == [
        "imgcls_jax", "ab" * 6, "small, seed 3", None, "create_new",
    ]  # fmt: skip
    assert log == ("wandb.init().log", (FIGURES,), {"step": 30})
    assert (update[1], finish[2]) == (({},), {"exit_code": 1})
    del calls[:]
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    run(["wandb"], tmp_path, done=30)
    assert [calls[1][2][key] for key in told[:4]] == ["mine", "ab" * 6, "small, seed 3", "allow"]
    assert (calls[3][1], calls[4][2]) == ((FINAL,), {"exit_code": 0})


def test_mlflow(calls, tmp_path, monkeypatch):
    class Client:
        """As `MlflowClient`, as far as it is used."""

        def get_experiment_by_name(self, name):
            assert name == "imgcls_jax"

        def create_experiment(self, name):
            return "7"

        def create_run(self, experiment, *, run_name):
            calls.append(("run", experiment, run_name))
            return types.SimpleNamespace(info=types.SimpleNamespace(run_id="r1"))

        def log_batch(self, run, *, params=(), metrics=()):
            assert run == "r1"
            assert len(params) <= 100
            calls.extend([*params, *metrics])

        def update_run(self, run, *, status):
            calls.append((run, status))

        def set_terminated(self, run, status):
            calls.append((run, status))

    monkeypatch.setattr(sys.modules["mlflow"], "MlflowClient", Client, raising=False)
    run(["mlflow"], tmp_path, summary=None)
    begun, *params = calls[:-3]
    assert begun == ("run", "7", "small, seed 3")
    assert dict(params) == {k: str(v) for k, v in SMALL.replace(seed=3).to_json().items()}
    figures = [("metric", name, value, 30) for name, value in FIGURES.items()]
    assert calls[-3:] == [*figures, ("r1", "KILLED")]
    del calls[:]
    run(["mlflow"], tmp_path, done=30)
    final = [("metric", f"final/{name}", value, 30) for name, value in FINAL.items()]
    assert calls == [("r1", "RUNNING"), *figures, *final, ("r1", "FINISHED")]


def test_trackio(calls, tmp_path):
    run(["trackio"], tmp_path, summary=None)
    init, log, finish = calls
    assert (init[0], init[1], init[2]["name"]) == (
        "trackio.init", ("imgcls_jax",), "small, seed 3 abababab",
    )  # fmt: skip
    assert init[2]["resume"] == "never"
    assert log == ("trackio.init().log", (FIGURES,), {"step": 30})
    assert finish[0] == "trackio.init().finish"
    del calls[:]
    run(["trackio"], tmp_path, done=30)
    assert (calls[0][2]["name"], calls[0][2]["resume"]) == ("small, seed 3 abababab", "allow")
    assert calls[2][1] == ({f"final/{name}": value for name, value in FINAL.items()},)


def test_a_folder_keeps_identities_and_no_secret(calls, tmp_path, monkeypatch):
    for name in ("WANDB_API_KEY", "MLFLOW_TRACKING_PASSWORD", "TRACKIO_WRITE_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    run(["wandb", "trackio", "wandb"], tmp_path)
    assert [call[0] for call in calls].count("wandb.init") == 1
    assert json.loads((tmp_path / "trackers.json").read_text()) == {
        "wandb": "ab" * 6, "trackio": "ab" * 4,
    }  # fmt: skip
    assert not any(SECRET.encode() in path.read_bytes() for path in tmp_path.rglob("*.*"))
    (tmp_path / "trackers.json").write_text("{")
    run(["wandb"], tmp_path, done=30)  # begins another run there
    assert calls[-4][2]["resume"] is None


def test_a_missing_package_names_its_extra(monkeypatch, tmp_path):
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: None)
    for name in trackers.NAMES:
        with pytest.raises(UserError, match=rf"pip install 'imgcls_jax\[{name}\]'") as raised:
            Tracking([name], Workdir(tmp_path))
        assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match="unknown `trackers=excel`; choose among: tensorboard, wa"):
        Tracking(["excel"], Workdir(tmp_path))


class Odd:
    """A tracker whose methods are given."""

    identity = None

    def __init__(self, **methods):
        self.start = self.log = self.finish = lambda *_: None
        vars(self).update(methods)


@pytest.fixture
def odd(monkeypatch, tmp_path):
    """Runs 20 epochs with a tracker whose methods are given; returns the seconds."""

    def call(**methods):
        monkeypatch.setattr(trackers, "require", lambda names: None)
        monkeypatch.setattr(trackers, "create", lambda *_, **__: Odd(**methods))
        started = time.perf_counter()
        with Tracking(["odd"], Workdir(tmp_path)) as at:
            at.start(SMALL, "small", done=0)
            for _ in range(20):
                at.epoch(RECORD)
            at.finish(SUMMARY)
        return time.perf_counter() - started

    return call


def test_one_that_cannot_begin_is_a_sentence_without_a_password(odd):
    def start(*_):
        raise RuntimeError(f"no answer of https://me:{SECRET}@example.org/api\nTraceback")

    with pytest.raises(UserError) as raised:
        odd(start=start)
    assert str(raised.value) == (
        "the tracker odd cannot begin (RuntimeError: no answer of https://example.org/api); set it "
        "up as its own pages say, or leave it out of `trackers`."
    )


@pytest.mark.parametrize("method", ["log", "finish"])
def test_one_that_fails_warns_once(odd, capsys, method):
    def fail(*_):
        raise ConnectionError("gone")

    odd(**{method: fail})
    err = capsys.readouterr().err
    assert err == (
        "note: the tracker odd failed (ConnectionError: gone); the run goes on without it\n"
    )


def test_one_that_hangs_is_left_behind(odd, capsys, monkeypatch):
    monkeypatch.setattr(tracking, "_PATIENCE", 0.1)
    for waiting, why in ((1000, "it did not end within 0.1 s"), (5, "it does not keep up")):
        monkeypatch.setattr(tracking, "_WAITING", waiting)
        hangs = threading.Event()
        seconds = odd(log=lambda *_, hangs=hangs: hangs.wait(30))
        hangs.set()
        assert seconds < 10
        assert capsys.readouterr().err.count("note:") == 1, why


def test_tensorboard_writes_epochs_and_the_final_figures(tmp_path):
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import RecordWriter  # noqa: F401  (the format read here)

    run(["tensorboard"], tmp_path)
    (file,) = (tmp_path / "tensorboard").glob("events.out.tfevents.*")
    content, found = file.read_bytes(), {}
    while content:  # length, its checksum, an event, its checksum
        length = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + length])
        found |= {value.tag: (value.simple_value, event.step) for value in event.summary.value}
        content = content[16 + length :]
    expected = FIGURES | {f"final/{name}": value for name, value in FINAL.items()}
    assert found == {name: (pytest.approx(value), 30) for name, value in expected.items()}
    assert not (tmp_path / "trackers.json").exists()
