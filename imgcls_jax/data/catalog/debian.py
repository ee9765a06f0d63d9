"""Data sets that Debian and Ubuntu have as packages, fetched and unpacked by any user.

apt-get works in folders of its own beside the system's: nothing is installed, no root is needed,
and the package is checked against the distribution's keys as in any installation.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from imgcls_jax.data.catalog.download import Unavailable
from imgcls_jax.data.catalog.recipe import Recipe, Splits
from imgcls_jax.data.raw import layouts

_SECONDS = 120  # for everything; 3 to 17 where the mirror is near
_SILENT_SECONDS = 8  # until a mirror that does not answer is given up
_LOOK_UP = "timeout:3 attempts:1"  # seconds of a name look-up, see resolv.conf(5)
_PROGRAMS = ("apt-get", "dpkg-deb")


def exists() -> bool:
    """Returns whether the programs of Debian are on this machine."""
    return all(map(shutil.which, _PROGRAMS))


def fetch(recipe: Recipe, data_dir: Path) -> Splits:
    """Reads the raw files of a package, unpacked in a folder below `data_dir` that is then gone.

    Raises:
      Unavailable: no mirror answers, none has the package, or two minutes are over.
      UserError: the package's files are not those of the data set.
      OSError: data_dir cannot be written.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".debian-", dir=data_dir) as scratch:
        folder = Path(scratch)
        _unpack(recipe.debian.name, folder, deadline=time.monotonic() + _SECONDS)
        raw_dir = folder / "package" / recipe.debian.folder
        return recipe.read_raw(layouts.find(recipe.layouts, raw_dir))


def _unpack(package: str, folder: Path, *, deadline: float) -> None:
    """Fetches a package and unpacks it into `folder/package`."""
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    settings = {
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "Debug::NoLocking": 1,
        "APT::Sandbox::User": "root",  # root's other user may not enter this folder
        "Acquire::Languages": "none",
        "Acquire::Retries": 0,
        "Acquire::http::Timeout": _SILENT_SECONDS,
        "Acquire::https::Timeout": _SILENT_SECONDS,
    }
    apt = ["apt-get", "--quiet", *(f"-o{name}={value}" for name, value in settings.items())]
    # A source that fails does not matter where another one has the package.
    _run([*apt, "update"], folder, deadline=deadline)
    if not _run([*apt, "download", package], folder, deadline=deadline):
        raise Unavailable(_complaint(folder))
    (file,) = folder.glob("*.deb")
    if not _run(["dpkg-deb", "-x", file.name, "package"], folder, deadline=deadline):
        raise Unavailable(_complaint(folder))


def _run(command: list[str], folder: Path, *, deadline: float) -> bool:
    """Runs a command in a folder, whose file `log` gets the output; returns whether it succeeded.

    Raises:
      Unavailable: it does not end before the deadline; it and what it started are ended then.
    """
    with (
        (folder / "log").open("a") as log,
        subprocess.Popen(
            command,
            cwd=folder,
            env={"RES_OPTIONS": _LOOK_UP, **os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            return process.wait(timeout=max(0.0, deadline - time.monotonic())) == 0
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise Unavailable(f"{command[0]} did not end within {_SECONDS} seconds") from None
            raise


def _complaint(folder: Path) -> str:
    """Returns the first line of the log that says what failed."""
    lines = (folder / "log").read_text(errors="replace").splitlines()
    said = [line[3:] for line in lines if line.startswith(("E: ", "W: Failed to fetch "))]
    return said[0].strip().rstrip(".") if said else "apt-get failed and does not say why"
