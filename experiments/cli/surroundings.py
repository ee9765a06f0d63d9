"""What a command meets on a machine: streams, Matplotlib's backend, addresses, JAX' switches."""

import os
import sys

import jax
from absl import flags

from imgcls_jax.files import local_path

_ADDRESSES = ("storage",)  # flags that take one
# What JAX can be told from outside that a command does not go by, and why.
_SWITCHES = {
    "jax_enable_x64": "everything here computes in float32",
    "jax_disable_jit": "programs are compiled before they run",
}


def settle() -> None:
    """Makes streams, Matplotlib's backend and JAX' switches such that a command can rely on them.

    A notebook hands its own backend to the commands that it starts; there is no notebook in them. A
    stream that was closed before the start would be the next file that is opened.
    """
    os.environ["MPLBACKEND"] = "Agg"
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
        # Names that the terminal has no letters for.
        getattr(sys, name).reconfigure(errors="backslashreplace")
    for name, why in _SWITCHES.items():
        if getattr(jax.config, name):
            print(f"note: {name.upper()} is not followed, {why}", file=sys.stderr)
            jax.config.update(name, False)
            os.environ[name.upper()] = "0"  # for the processes that it starts


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
    except Exception as error:  # a bare AssertionError where a plugin is missing
        asked = jax.config.jax_platforms
        said = (str(error).strip() or "no such device is here").splitlines()[0]
        wanted = f"JAX_PLATFORMS={asked}" if asked else "this machine"
        return (
            f"JAX cannot compute on {wanted} ({said}); set JAX_PLATFORMS=cpu, or leave it unset to "
            "take what is there."
        )
    return None
