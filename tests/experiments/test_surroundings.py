"""What machines differ in, and a command does not: streams, backends, addresses, platforms."""

import io
import os
import subprocess
import sys

import jax
import pytest
from conftest import QUICK, SMALL

from experiments import export, fmnist, predict
from experiments.cli import surroundings
from imgcls_jax.errors import UserError
from imgcls_jax.files import cache_folder, local_path
from imgcls_jax.train.build import build
from imgcls_jax.workdir import Workdir


@pytest.fixture
def settled(monkeypatch):
    """Calls `settle` and leaves everything as it was."""
    monkeypatch.setattr(surroundings.os, "environ", {})

    def call(**streams):
        for name, stream in streams.items():
            monkeypatch.setattr(sys, name, stream)
        surroundings.settle()
        return surroundings.os.environ

    return call


def text(encoding="ascii"):
    return io.TextIOWrapper(io.BytesIO(), encoding)


def test_a_notebooks_backend_is_not_a_commands(settled):
    assert settled(stdout=text(), stderr=text())["MPLBACKEND"] == "Agg"


def test_closed_streams_go_nowhere(settled):
    settled(stdout=None, stderr=None)
    print("nothing", flush=True)
    assert sys.stdout.name > 2  # or a file would be written into
    assert sys.stderr.writable()


def test_a_terminal_without_letters_is_given_escapes(settled):
    settled(stdout=text(), stderr=text("latin-1"))
    print("한 █ \udcff", flush=True)
    assert sys.stdout.buffer.getvalue() == rb"\ud55c \u2588 \udcff" + b"\n"


@pytest.mark.parametrize("name", ["jax_enable_x64", "jax_disable_jit"])
def test_a_switch_of_jax_that_is_not_followed_is_told(settled, name):
    jax.config.update(name, True)
    try:
        environment = settled(stdout=text(), stderr=text())
        assert not getattr(jax.config, name)
    finally:
        jax.config.update(name, False)
    sys.stderr.flush()
    assert sys.stderr.buffer.getvalue().startswith(f"note: {name.upper()} is not".encode())
    assert environment[name.upper()] == "0"


def test_the_library_trains_in_float32_alone():
    with jax.enable_x64(True), pytest.raises(UserError, match="training computes in float32"):
        build(SMALL, dataset=None)


@pytest.mark.parametrize("flag", ["workdir", "data_dir", "raw_dir", "label_file"])
def test_an_address_is_no_folder_and_none_is_made(flag, fmnist_main, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, err = fmnist_main(*QUICK, f"--{flag}=gs://bucket/run")
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith(f"error: --{flag}=gs://bucket/run is an address, and only paths of this")
    assert os.listdir(tmp_path) == []


def test_an_address_is_no_file_to_write(any_main, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for main, flags in ((export.main, ["--checkpoint=run"]), (predict.main, ["a.jpg"])):
        status, _, err = any_main(main, "--out=s3://bucket/a", *flags)
        assert (status, err.count("\n")) == (1, 1)
        assert "--out=s3://bucket/a is an address" in err
    assert os.listdir(tmp_path) == []


def test_the_library_refuses_addresses_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="`workdir=gs://b/run` is an address, and only paths of"):
        Workdir("gs://b/run")
    with pytest.raises(UserError, match="s3://b/x is an address"):
        local_path("s3://b/x")
    assert local_path("C:/x").name == "x"
    assert os.listdir(tmp_path) == []


def test_a_user_without_a_home_is_told_what_to_give(fmnist_main, monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # no HOME, an unknown user id
    monkeypatch.delenv("IMGCLS_CACHE", raising=False)
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    with pytest.raises(UserError, match="no home to keep decoded photos in; set IMGCLS_CACHE"):
        cache_folder()
    with pytest.raises(UserError, match=r"`workdir=~/run` is in a home, and this user has none"):
        Workdir("~/run")
    status, _, err = fmnist_main("--epochs=1", "--offline")
    assert status == 1
    assert "this user has no home to keep data in; give --data_dir or TFDS_DATA_DIR" in err


def test_no_platform_is_one_sentence(fmnist_main, monkeypatch):
    """As with JAX_PLATFORMS=cuda and no GPU, or a name that does not exist."""

    def refuse(*_, **__):
        raise RuntimeError("Unable to initialize backend 'cuda': no device\nmore")

    monkeypatch.setattr(fmnist.training, "train", refuse)
    monkeypatch.setattr(jax, "devices", refuse)
    status, _, err = fmnist_main(*QUICK)
    assert (status, err.count("\n")) == (1, 1)
    assert "cannot compute on" in err
    assert "(Unable to initialize backend 'cuda': no device); set JAX_PLATFORMS=cpu" in err


def test_another_error_of_the_runtime_stays_one(fmnist_main, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("of the program")

    monkeypatch.setattr(fmnist.training, "train", fail)
    with pytest.raises(RuntimeError, match="of the program"):
        fmnist_main(*QUICK)


@pytest.mark.parametrize("seed", [2**31 - 1, 2**31, 2**32, -1])
def test_seeds_end_where_the_sentence_says(seed, fmnist_main, tmp_path):
    status, _, err = fmnist_main(*QUICK, f"--seed={seed}", "--seeds=2", f"--workdir={tmp_path}")
    assert status == 1
    if seed == 2**31 - 1:
        assert "--seeds=2 from --seed=2147483647 on cannot be used; the last one must be" in err
    else:
        assert f"--seed={seed} cannot be used; it must be at least 0 and below 2147483648" in err
    assert err.count("\n") == 1


ODD = {
    "backend": {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
    "no such backend": {"MPLBACKEND": "nonsense"},
    "float64": {"JAX_ENABLE_X64": "1"},
    "no jit": {"JAX_DISABLE_JIT": "1"},
    "ASCII": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "narrow": {"COLUMNS": "1", "TERM": ""},
    "no temporary folder": {"TMPDIR": "/nonexistent"},
}


def command(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "experiments.fmnist", *arguments],
        env=os.environ | environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("odd", ODD)
def test_a_training_ends_whole_on_an_odd_machine(odd, tmp_path):
    run = tmp_path / "한"
    done = command(*QUICK, f"--workdir={run}", **ODD[odd])
    assert done.returncode == 0, done.stderr
    assert (run / "report.html").exists()
    assert (run / "figures" / "learning_curves.png").exists()
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_largest_seed_trains(tmp_path):
    last = str(2**31 - 1)
    done = command(*QUICK, f"--seed={last}", f"--split_seed={last}", f"--workdir={tmp_path}")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_user_without_a_home_or_a_name_trains(tmp_path):
    """A container's user: an id that no file knows, and no HOME."""
    nobody = (
        "import os, pwd, runpy, sys; pwd.getpwuid = {}.__getitem__; os.environ.pop('HOME', None); "
        "sys.argv = ['fmnist', *sys.argv[1:]]; "
        "runpy.run_module('experiments.fmnist', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", nobody, *QUICK, f"--workdir={tmp_path}"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("platforms", ["cuda", "cpuu", "tpu,nonsense"])
def test_a_platform_that_is_not_there_is_one_sentence(platforms, tmp_path):
    done = command(*QUICK, f"--workdir={tmp_path}", JAX_PLATFORMS=platforms)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        f"error: JAX cannot compute on JAX_PLATFORMS={platforms} ("
    )
    assert "Traceback" not in done.stderr
