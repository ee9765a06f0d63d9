"""A run's folder is claimed by the first process; the others see that they share it."""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from imgcls_jax.errors import UserError
from imgcls_jax.machines import group

_SHARED_SECONDS = 60.0  # that a network's file system may take to show a file everywhere
_LOOK_SECONDS = 0.1


def by_first(file_of: Callable[[bool], str]) -> Callable[..., Any]:
    """Builds a decorator of `claim(workdir, config, *, several)` that only the first process runs.

    Args:
      file_of: (several) -> the name of the file that the claim leaves in the folder.

    The decorated function raises UserError as the claim does, and in a process that has other
    settings than the first or does not see its file.
    """

    def decorate(claim: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(claim)
        def claimed(workdir: Any, config: Any, *, several: bool = False) -> None:
            group.require_same("configuration", config.to_json())
            if group.is_first():
                claim(workdir, config, several=several)
            if group.count() > 1:
                require_shared(workdir.path / file_of(several))

        return claimed

    return decorate


def require_shared(file: Path, *, seconds: float = _SHARED_SECONDS) -> None:
    """Raises UserError in a process that does not come to see a file as the first one sees it."""

    def seen() -> list[int] | None:
        try:
            found = file.stat()
        except OSError:
            return None
        return [found.st_mtime_ns, found.st_size]

    wanted, until = group.broadcast(seen), time.monotonic() + seconds
    while seen() != wanted:
        if time.monotonic() > until:
            raise UserError(
                f"process {group.number()} of {group.count()} does not see in {file.parent} what "
                "the first one wrote there; choose a `workdir` in a file system that all machines "
                "share."
            )
        time.sleep(_LOOK_SECONDS)
