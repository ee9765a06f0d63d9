"""What several test files share: small real data, small programs, the entry points in process."""

import gzip
import inspect
import os
import shutil
import tempfile
from pathlib import Path

import jax
import numpy as np
import pytest
from absl import flags
from data_helpers import CONTENTS, RECIPE, assert_holds, write_raw

from experiments import cifar10, fmnist, transfer
from experiments.cli import flags as cli
from imgcls_jax import data
from imgcls_jax.config import Config
from imgcls_jax.data.catalog import preparing
from imgcls_jax.data.catalog.load import load
from imgcls_jax.errors import UserError
from imgcls_jax.train.build import build

# Digits: 1,437 examples at batch 100 end every epoch with a smaller batch of 37.
SMALL = Config.of(dataset="digits", hidden=(32,), lr=0.01, batch_size=100, epochs=4)

_MOST_COMPILED = 2**29  # bytes of programs kept between runs

QUICK_TO_COMPILE = ["--xla_backend_optimization_level=0"]
if jax.__version_info__ < (0, 11):  # later versions know one way to emit fusions
    QUICK_TO_COMPILE.append("--xla_cpu_use_fusion_emitters=false")

QUICK = ("--dataset=digits", "--epochs=2", "--hidden=16")  # flags of a run of seconds


def pytest_addoption(parser):
    parser.addoption(
        "--whole",
        action="store_true",
        help="slow tests try as much as they may: 10,000 files for each reader, 200 kills",
    )


@pytest.fixture(scope="session")
def whole(request) -> bool:
    """Whether slow tests try all they may, which takes longer than CI has."""
    return request.config.getoption("--whole")


def pytest_configure(config):
    """The default run mostly compiles: the same things once, without LLVM's optimisations.

    Here and in what it starts. The slow tests compute more than they compile, and run with
    optimisations. A set XLA_FLAGS stays. What tries all it may may take as long as it does.
    """
    if config.option.whole:
        config.option.timeout = 0
    if config.option.markexpr == "not slow":
        os.environ.setdefault("XLA_FLAGS", " ".join(QUICK_TO_COMPILE))
        if hasattr(config, "workerinput"):  # one of pytest-xdist's processes
            compiled = os.environ["JAX_COMPILATION_CACHE_DIR"]
        else:
            compiled = _kept_between_runs(config)
        for name, value in (
            ("jax_compilation_cache_dir", compiled),
            ("jax_persistent_cache_min_compile_time_secs", 0.1),
            ("jax_persistent_cache_min_entry_size_bytes", -1),
        ):
            os.environ[name.upper()] = str(value)  # for processes
            jax.config.update(name, value)


def _kept_between_runs(config) -> str:
    """Returns the folder of what is compiled; without pytest's own cache it goes with the run.

    JAX finds a program by its operations, its options and the versions of JAX and XLA, so that no
    change of the code under test meets a program compiled before it.
    """
    if hasattr(config, "cache"):
        kept = config.cache.mkdir("compiled")
        if sum(path.stat().st_size for path in kept.iterdir()) > _MOST_COMPILED:
            shutil.rmtree(kept)
            kept.mkdir()
        return str(kept)
    folder = tempfile.TemporaryDirectory()
    config.add_cleanup(folder.cleanup)
    return folder.name


def pytest_make_parametrize_id(val, argname):
    """Names bytes by their argument: those that a test makes may differ between two workers."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def digits():
    return data.load("digits")


@pytest.fixture(scope="session")
def small_trainer(digits):
    return build(SMALL, digits)


@pytest.fixture(scope="session")
def held_out_trainer(digits):
    return build(SMALL.replace(hold_out=0.2), digits)


@pytest.fixture
def fmnist_main(capsys):
    """Runs the Fashion-MNIST entry point in this process: (*flags) -> (exit status, out, err)."""
    return _entry_point(fmnist.main, capsys)


@pytest.fixture
def cifar10_main(capsys):
    """Runs the CIFAR-10 entry point in this process: (*flags) -> (exit status, out, err)."""
    return _entry_point(cifar10.main, capsys)


@pytest.fixture
def transfer_main(capsys):
    """Runs the transfer entry point in this process: (*flags) -> (exit status, out, err)."""
    return _entry_point(transfer.main, capsys)


@pytest.fixture
def any_main(capsys):
    """Runs an entry point in this process: (its main, *arguments) -> (exit status, out, err)."""

    def call(main, *arguments):
        takes = bool(inspect.signature(main).parameters)
        return _entry_point(main, capsys, takes_arguments=takes)(*map(str, arguments))

    return call


def _entry_point(main, capsys, **takes):
    def call(*arguments: str) -> tuple[int, str, str]:
        for name in flags.FLAGS:
            flags.FLAGS[name].unparse()
        status = 0
        try:
            cli.run(main, argv=["experiment", *arguments], **takes)
        except SystemExit as exit_:
            status = exit_.code or 0
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture(scope="session")
def prepared_once(tmp_path_factory):
    root = tmp_path_factory.mktemp("prepared")
    raw_dir = write_raw(root / "raw", CONTENTS)
    dataset = load(RECIPE, data_dir=root / "data", raw_dir=raw_dir)
    shutil.rmtree(raw_dir)
    assert_holds(dataset, CONTENTS)
    assert str(raw_dir) in dataset.source
    assert dataset.verified
    return root / "data"


@pytest.fixture
def prepared_dir(prepared_once, tmp_path):
    """A private copy of a data_dir prepared from raw files that are gone since."""
    return shutil.copytree(prepared_once, tmp_path / "prepared")


@pytest.fixture
def own_cache(tmp_path_factory, monkeypatch):
    """Keeps decoded photos away from the user's own cache."""
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def tiny_made(tmp_path_factory):
    """A TFDS folder with tiny/plain, see `prepared_helpers`."""
    from prepared_helpers import prepare_plain  # TFDS costs half a second

    root = tmp_path_factory.mktemp("tfds")
    prepare_plain(root)
    return root


@pytest.fixture
def tiny_root(tiny_made, tmp_path):
    """A copy of that, to change."""
    return shutil.copytree(tiny_made, tmp_path / "tfds")


@pytest.fixture
def raw_dir(tmp_path):
    """Raw files of the small stand-in for Fashion-MNIST."""
    return write_raw(tmp_path / "raw", CONTENTS)


def begun(trainer, seed: int):
    """The state before training by a seed, and sums of nothing."""
    position = trainer.start(seed)
    return position.state, position.sums


def same_bits(a, b) -> bool:
    """Whether two trees hold exactly the same arrays."""
    import jax

    leaves_a, leaves_b = jax.tree.leaves(a), jax.tree.leaves(b)
    return len(leaves_a) == len(leaves_b) and all(
        np.array_equal(_words(x), _words(y)) for x, y in zip(leaves_a, leaves_b, strict=True)
    )


def _words(x):
    import jax

    return np.asarray(
        jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    )


@pytest.fixture
def downloads(tmp_path) -> Path:
    """Returns a folder of downloads with the archive that `builder_helpers.builder` asks for."""
    from builder_helpers import PHOTOS

    from experiments.benchmarks.builders import drawn

    folder = tmp_path / "downloads"
    folder.mkdir()
    (folder / "photos.tar.gz").write_bytes(gzip.compress(drawn.tar(PHOTOS)))
    return folder


@pytest.fixture
def refused(tmp_path, downloads):
    """Prepares, expects an error of one sentence, and that nothing stays behind; returns it."""

    def refuse(made, **options) -> str:
        with pytest.raises(UserError) as caught:
            preparing.prepare(made, **{"download_dir": downloads, **options})
        assert "\n" not in str(caught.value)
        assert str(caught.value).endswith(".")
        left = [path.name for path in (tmp_path / "data").rglob("*") if path.is_file()]
        assert set(left) <= {".lock"}
        return str(caught.value)

    return refuse
