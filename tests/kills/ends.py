"""What a command left in a folder, but for what a clock says: to be equal to the last bit."""

import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

_CHECKPOINTS = "checkpoints"
# Beside all that has "second" in its name. The first is that of files with times in them.
_TIMES = ("checkpoint_mb", "state", "git_commit")
_STATE = "of"  # in a decoded copy: the times of the files it was made of
_UNREAD = (".html", ".log")


def of_folder(folder: Path) -> dict[str, Any]:
    """Returns the content of every file below a folder by its path, and the newest checkpoints."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        parts, name = path.relative_to(folder).parts, path.relative_to(folder).as_posix()
        if _CHECKPOINTS in parts[:-1]:
            continue
        if parts[-1] == _CHECKPOINTS:
            found |= {f"{name}/{kind.name}": _arrays(kind) for kind in path.iterdir()}
        elif path.is_file():
            found[name] = _content(path, folder)
    return found


def leftovers(folder: Path) -> list[str]:
    """Returns the paths below a folder that only a process at work may have there."""
    return [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if _is_partial(path.name) or path.parent == folder / "temporary"
    ]


def _is_partial(name: str) -> bool:
    numbered = name.startswith(".") and name.rpartition(".")[2].isdigit()
    return numbered or "orbax-checkpoint-tmp" in name or name.startswith(".preparing-")


def _arrays(kind: Path) -> dict[str, str]:
    """Returns a digest of each array of the newest checkpoint of a kind."""
    step = max((path for path in kind.iterdir() if path.name.isdigit()), key=lambda p: int(p.name))
    with ocp.StandardCheckpointer() as checkpointer:
        tree = checkpointer.restore(step)
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    found = {jax.tree_util.keystr(path): _digest(np.asarray(leaf)) for path, leaf in leaves}
    return {"step": step.name} | {name: of for name, of in found.items() if "second" not in name}


def _content(path: Path, folder: Path) -> Any:
    """Returns what a file holds, where names of the folder are left out."""
    match path.suffix:
        case ".json":
            return _timeless(json.loads(path.read_text().replace(str(folder), "")))
        case ".jsonl":
            return [_timeless(json.loads(line)) for line in path.read_text().splitlines()]
        case ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {name: _digest(arrays[name]) for name in arrays.files if name != _STATE}
        case of if of in _UNREAD:
            return None
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(array: np.ndarray) -> str:
    return f"{array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: of for name, of in value.items() if not _is_time(name)}
        return {name: _timeless(of) for name, of in kept.items()}
    return [_timeless(of) for of in value] if isinstance(value, list) else value


def _is_time(name: str) -> bool:
    return "second" in name or name in _TIMES
