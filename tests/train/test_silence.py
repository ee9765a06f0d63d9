"""Runs on photos are never silent, compile a network once for all splits, and draw what is missing.

The network is the small one of `test_transfer_chain`.
"""

import contextlib
import io
import itertools
import logging
import re
import sys
import threading
import time
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import same_bits
from test_transfer_chain import BASE, BODY, HEAD, IMAGES, LABELS, tiny  # noqa: F401
from tqdm import tqdm

from imgcls_jax.data import Dataset, Split
from imgcls_jax.train import build, ledger, progress, run, waiting
from imgcls_jax.train.setup import make_setup
from imgcls_jax.workdir import Workdir

PHOTOS = Dataset(
    "photos", Split(IMAGES, LABELS), Split(IMAGES[:5], LABELS[:5]), ("a", "b", "c"), "made up",
    None, validation=Split(IMAGES[:7], LABELS[:7]),
)  # fmt: skip
FROZEN = BASE.replace(trainable="head")
FINE_TUNED = BASE.replace(head_epochs=1, ema=0.5)


class Terminal(io.StringIO):
    def isatty(self):
        return True

    @property
    def said(self) -> list[str]:
        """What was said, each thing once for all its ticks."""
        words = [
            re.split(r" \(|: ", line)[0].strip() for line in re.split("[\r\n]", self.getvalue())
        ]
        return [word for word, _ in itertools.groupby(filter(None, words))]


def terminal(monkeypatch) -> Terminal:
    """Standard error, from now on; called within a test, since pytest puts its own there before."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    return sys.stderr


@pytest.fixture
def compiled():
    """What is compiled: names, and whether a line told so meanwhile."""
    found = []

    class Handler(logging.Handler):
        def emit(self, record):
            words = record.getMessage().split()
            if words[:3] == ["Finished", "XLA", "compilation"]:
                found.append((words[4].removeprefix("jit(").rstrip(")"), bool(tqdm._instances)))

    handler, logger = Handler(), logging.getLogger("jax._src.dispatch")
    logger.addHandler(handler)
    with jax.log_compiles(True):
        yield found
    logger.removeHandler(handler)


def train(config, tmp_path, monkeypatch):
    loaded = types.SimpleNamespace(variables=BODY, source="nowhere")
    monkeypatch.setattr("imgcls_jax.pretrained.load", lambda *_, **__: loaded)
    return run.train(config, name="tiny", dataset=PHOTOS, workdir=Workdir(tmp_path))


# The calls between the long ones; the largest of them is a head.
SMALL = {
    "_reduce_max", "_reduce_sum", "convert_element_type", "copy", "evaluate", "exp", "stage",
    "subtract", "true_divide",
}  # fmt: skip
BEGIN = ("reading through the data", "reading the weights", "preparing the network")
FEATURES = ("compiling the network", "features of 12 images")
END = ("keeping the network", "learning the limits of predictions", "summing up")


@pytest.mark.parametrize(
    ("config", "stages", "networks"),
    [
        (
            FROZEN,
            (*BEGIN, *FEATURES, "compiling the training", "features of 5 images", *END),
            {"of_batch": 1},
        ),
        pytest.param(
            FINE_TUNED,
            (
                *(*BEGIN, *FEATURES, "compiling the fit of the head", "compiling the training"),
                *("compiling the evaluation", "fitting the head", "averaging the weights"),
                *("evaluation of 7 images", END[0], "features of 12 images", *END[1:]),
            ),
            {"eval_step": 1, "of_batch": 2},  # of weights as they came, and as they have become
            marks=pytest.mark.slow,
        ),
    ],
    ids=["frozen", "fine_tuned"],
)
def test_no_stage_is_silent_and_splits_share_a_program(
    config, stages, networks, compiled, tmp_path, monkeypatch
):
    """Of splits of 12, 7 and 5 photos."""
    shown = terminal(monkeypatch)
    train(config, tmp_path, monkeypatch)
    told = iter(shown.said)
    assert [stage for stage in stages if stage not in told] == []  # in this order
    assert {name for name, accompanied in compiled if not accompanied} <= SMALL
    names = [name for name, _ in compiled]
    assert {name: names.count(name) for name in ("eval_step", "of_batch") if name in names} == (
        networks
    )
    assert "evaluate" in names if config is FROZEN else "evaluate" not in names


def test_only_what_weights_lack_is_drawn():
    """With the bits that it has among all draws, and in a program of fewer operations."""
    setup = make_setup(BASE.replace(optimizer="adam"), train=PHOTOS.train, num_classes=3)
    draws, states = [], []
    for known in (None, build._known(BODY, resumed=False), build._known(None, resumed=True)):
        init, shapes = build._make_init(BASE, setup, known=known)
        states.append(init(jax.random.key(3))[0])
        draws.append(init.as_text().count("xor("))
        assert jax.tree.structure(shapes[0]) == jax.tree.structure(states[0])
    whole, missing, nothing = states
    assert same_bits(missing.params[HEAD], whole.params[HEAD])
    assert same_bits((missing.key, missing.opt_state), (whole.key, whole.opt_state))
    assert {name for name, of in missing.params.items() if has_values(of)} == {HEAD}
    assert not has_values(nothing.params)
    assert has_values(whole.params["Conv_0"])
    assert draws[0] > 2 * draws[1] > 2 * draws[2]


def has_values(tree) -> bool:
    return any(np.any(leaf) for leaf in jax.tree.leaves(tree))


def test_a_waiting_line_lives_on_a_terminal_alone(monkeypatch, capsys):
    monkeypatch.setattr(waiting, "_TICK_SECONDS", 0.001)
    with waiting.waiting("beginning"):  # with the first bar tqdm starts a thread of its own
        threads = threading.active_count()
    with waiting.waiting("compiling"):
        assert threading.active_count() == threads
    assert capsys.readouterr().err == ""
    shown, until = terminal(monkeypatch), time.monotonic() + 10
    with waiting.waiting("compiling"):
        while shown.getvalue().count("compiling (00:0") < 3 and time.monotonic() < until:
            time.sleep(0.001)
    assert shown.getvalue().count("compiling (00:0") >= 3
    assert shown.getvalue().endswith("\r")  # nothing is left of it
    assert threading.active_count() <= threads + 1  # tqdm's own watches its bars


def test_a_log_has_a_line_of_each_stage_that_takes_long(monkeypatch, capsys):
    with waiting.stage("compiling the training"):
        pass
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(waiting, "_SILENT_SECONDS", 0.01)
    with waiting.stage("compiling the training"):
        time.sleep(0.2)
    assert capsys.readouterr() == ("  compiling the training ...\n", "")
    with waiting.told("training") as say_no_more:
        say_no_more()
        time.sleep(0.1)
    assert capsys.readouterr() == ("", "")
    with contextlib.closing(progress.ProgressBar(epochs=2, examples_per_epoch=50)):
        time.sleep(0.2)
    assert capsys.readouterr().out == "  training on 50 examples, epoch by epoch ...\n"
    terminal(monkeypatch)
    with waiting.stage("compiling the training"):
        time.sleep(0.1)
    assert capsys.readouterr().out == ""


def test_a_log_tells_of_every_part_of_a_frozen_run(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(waiting.threading, "Timer", _AtOnce)
    train(FROZEN, tmp_path, monkeypatch)
    out = capsys.readouterr().out
    told = iter(line.removesuffix(" ...").strip() for line in out.splitlines())
    begin = (*BEGIN, *FEATURES, "compiling the training", "training on 12 examples, epoch by epoch")
    end = ("features of 5 images", "compiling the evaluation", END[1], END[2])
    assert [stage for stage in (*begin, *end) if stage not in told] == []


class _AtOnce:
    """A timer whose time is over when it starts."""

    def __init__(self, _, act, arguments):
        self._act = lambda: act(*arguments)

    def start(self):
        self._act()

    def cancel(self):
        pass

    join = cancel


def test_the_bar_of_a_training_lives_between_its_calls(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_TICK_SECONDS", 0.001)
    threads = threading.active_count()
    of = {"epochs": 2, "examples_per_epoch": 5}
    with contextlib.closing(progress.ProgressBar(**of)):
        assert threading.active_count() == threads + 1  # that tells a log what takes long
    assert threading.active_count() == threads
    assert capsys.readouterr().err == ""
    shown, until = terminal(monkeypatch), time.monotonic() + 10
    with contextlib.closing(progress.ProgressBar(**of)):
        while shown.getvalue().count("0.00/10.0") < 3 and time.monotonic() < until:
            time.sleep(0.001)
    assert shown.getvalue().count("0.00/10.0") >= 3
    assert threading.active_count() <= threads + 1  # tqdm's own watches its bars


@pytest.mark.parametrize("bad", [None, np.nan, np.inf, -np.inf])
def test_a_parameter_that_is_not_finite_is_found_by_a_single_reduction(bad):
    """Those of MobileNetV2's 157 arrays took five seconds to compile."""
    params = {"a": jnp.ones((3, 4)), "b": {"c": jnp.zeros(5), "d": jnp.float32(2)}}
    if bad is not None:
        params["b"]["c"] = params["b"]["c"].at[3].set(bad)
    assert bool(ledger._finite(params)) is (bad is None)
    assert ledger._finite.lower(params).as_text().count("stablehlo.reduce") == 1
