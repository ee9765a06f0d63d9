"""The folder that a command writes into: the one that --workdir names, or a new one."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from absl import flags

from imgcls_jax.config import Config
from imgcls_jax.config.cadence import Cadence
from imgcls_jax.errors import Interrupted, UserError
from imgcls_jax.files import held
from imgcls_jax.machines import group
from imgcls_jax.workdir import HOLDS, Workdir

WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run; an old one is continued")
CHECKPOINT_EVERY = flags.DEFINE_string(
    "checkpoint_every",
    None,
    "time between checkpoints, as seconds, steps or epochs such as 30s, 500steps or 2epochs; by "
    "default at the end of an epoch, 10 s or more after the last and 100 times as long as that "
    "took to write (2 minutes at most), and after 2 minutes within an epoch",
)


def cadence() -> Cadence | None:
    """Returns what --checkpoint_every says; raises UserError where it says nothing of the kind."""
    return None if CHECKPOINT_EVERY.value is None else Cadence.of(CHECKPOINT_EVERY.value)


def new(experiment: str, name: str) -> Path:
    """Makes a folder under `runs/`, named by the time, that no other command has.

    Raises:
      UserError: it cannot be made.
    """
    path = Path("runs") / experiment / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while not _made(path):
            path = path.with_name(path.name + "x")
    except OSError as error:
        raise UserError(
            f"cannot make {path} ({error.strerror}); give --workdir, a folder that can be written."
        ) from error
    return path


def _made(path: Path) -> bool:
    """Makes a folder, unless there is something of its name; returns whether it did."""
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def config(*, several: bool) -> Config | None:
    """Returns the settings of the run that --workdir holds; None without one.

    Args:
      several: as `Workdir.config` has it.
    """
    return Workdir(WORKDIR.value).config(several=several) if WORKDIR.value else None


@contextlib.contextmanager
def own(experiment: str, name: str, *, reads: bool = False) -> Iterator[Workdir]:
    """Gives the folder of a run to this command alone, until the block ends.

    A new folder goes again where nothing is put into it, or settings alone before an error.

    Args:
      experiment, name: what a new folder is called by.
      reads: whether the command changes nothing in the folder that --workdir names, and so may come
        beside one that does.

    Raises:
      UserError: another process writes into it, or it cannot be written.
    """
    every = cadence()
    if reads:
        yield Workdir(WORKDIR.value)
        return
    path = Path(WORKDIR.value or group.broadcast(lambda: str(new(experiment, name))))
    workdir = Workdir(path, checkpoint_every=every)
    path = workdir.path
    try:
        with held(path) if group.is_first() else contextlib.nullcontext():
            try:
                yield workdir
            except UserError as error:
                begun = isinstance(error, Interrupted)  # which says how to go on in it
                if not WORKDIR.value and group.is_first() and not begun:
                    _forget(path)
                raise
    finally:
        if not WORKDIR.value:
            with contextlib.suppress(OSError):  # there is something in it
                path.rmdir()


def _forget(path: Path) -> None:
    """Removes the settings from a folder in which nothing was done, also from those of its seeds.

    Whoever calls it holds the folder, and has made it.
    """
    found = [entry for entry in path.rglob("*") if not entry.name.startswith(".")]
    if any(entry.is_file() and entry.name not in HOLDS for entry in found):
        return
    with contextlib.suppress(OSError):
        for entry in sorted(found, reverse=True):  # what is in a folder before it
            entry.rmdir() if entry.is_dir() else entry.unlink()
