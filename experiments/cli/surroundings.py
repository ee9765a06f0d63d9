"""What a command meets on a machine: streams, Matplotlib's backend, addresses, JAX' platforms."""

import os
import sys

import jax
from absl import flags

from imgcls_jax.files import local_path

_ADDRESSES = ("storage",)  # flags that take one


def settle() -> None:
    """Makes the streams and Matplotlib's backend such that a command can rely on them.

    A notebook hands its own backend to the commands that it starts; there is no notebook in them. A
    stream that was closed before the start would be the next file that is opened.
    """
    os.environ["MPLBACKEND"] = "Agg"
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
        # Names that the terminal has no letters for.
        getattr(sys, name).reconfigure(errors="backslashreplace")


def require_paths() -> None:
    """Raises UserError for a flag that is an address, or in a home that this user has not."""
    for name in flags.FLAGS:
        flag = flags.FLAGS[name]
        if not flag.present or name in _ADDRESSES:
            continue
        values = flag.value if isinstance(flag.value, list) else [flag.value]
        for value in values:
            if isinstance(value, str):
                local_path(value, name)


def platform_trouble() -> str | None:
    """Returns why JAX can compute nowhere, as a sentence; None where it can."""
    try:
        jax.devices()
    except RuntimeError as error:
        asked = jax.config.jax_platforms
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        wanted = f"JAX_PLATFORMS={asked}" if asked else "this machine"
        return (
            f"JAX cannot compute on {wanted} ({said}); set JAX_PLATFORMS=cpu, or leave it unset to "
            "take what is there."
        )
    return None
