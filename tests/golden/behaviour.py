"""Short runs that together take every path through training, and what each of them came to.

A run is a command line. `behaviour.json` holds, for each machine kind, the SHA-256 of the variables
that met the test set, of the whole training state where a checkpoint has one, and the figures of
the summary; `make_behaviour.py` made it. Equal means equal to the last bit: a change that only
moves code changes none of it.
"""

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from golden import published_networks as published
from photo_helpers import write_photos
from weight_files import write_safetensors

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).with_suffix(".json")
# Its sums differ by rounding from one execution to the next, and its iteration is chaotic.
UNSTEADY = ("logistic",)
NETWORK = "resnet18"

_DIGITS = ("fmnist", "--dataset=digits", "--epochs=2", "--batch_size=100")
_COLOURS = (
    "transfer",
    "--data_dir={colours}",
    "--weights={weights}",
    f"--model={NETWORK}",
    "--image_size=32",
    "--batch_size=8",
    "--interpolation=bilinear",  # as all photos were resized when these were recorded
    "--crop_fraction=1",
)
_FINE_TUNED = (
    *_COLOURS,
    "--preset=fine_tuned",
    "--trainable=stage4",
    "--lr=0.0002",
    "--epochs=2",
    "--augment=flip,resized_crop:0.6,mixup:0.2",
    "--ema=0.9",
)
# Name -> experiment and flags. {colours}, {pair} and {weights} are generated, see `inputs`.
RUNS: dict[str, tuple[str, ...]] = {
    "mlp": (*_DIGITS, "--hidden=32,16", "--seed=3", "--label_smoothing=0.1"),
    "cnn": (
        *(*_DIGITS, "--model=cnn", "--widths=8,16", "--augment=flip,shift", "--ema=0.9"),
        "--tta=flip",
    ),
    "resnet20": (
        "cifar10", "--dataset=digits", "--preset=resnet", "--batch_size=64", "--accumulate=2",
        "--epochs=1", "--warmup_epochs=0.5", "--hold_out=0.5",
    ),
    "muon": (
        *(*_DIGITS, "--optimizer=muon", "--hidden=32,16", "--lr=0.01", "--clip_norm=1"),
        *("--schedule=one_cycle", "--decay=kernels", "--normalise=whiten"),
    ),
    "fast": (
        "cifar10", "--dataset=digits", "--preset=fast", "--batch_size=100", "--epochs=2",
        "--normalise=standard", "--lr_scale=^head/=2.4,bias$=2.4",
    ),
    "speedrun": (
        "cifar10", "--dataset=digits", "--preset=speedrun", "--widths=8,16,16", "--seeds=2",
        "--precision=float32", "--batch_size=479", "--epochs=3", "--normalise=standard",
    ),
    "logistic": ("fmnist", "--run=8", "--dataset=digits", "--epochs=5"),
    "watch_test": (
        *(*_DIGITS, "--watch_test", "--framework=keras", "--labels=one_hot", "--hidden=16"),
        *("--optimizer=rmsprop", "--normalise=standard"),
    ),
    "best": (
        *(*_DIGITS, "--epochs=6", "--hold_out=0.2", "--evaluate=best", "--patience=2"),
        *("--lr=0.05", "--hidden=16"),
    ),
    "seeds": (*_DIGITS, "--hidden=16", "--seeds=2", "--schedule=step", "--step_epochs=1"),
    "frozen_binary": (
        *(*_COLOURS[:1], "--data_dir={pair}", *_COLOURS[2:], "--head=binary", "--epochs=5"),
        "--class_weights",
    ),
    "frozen_augmented": (*_COLOURS, "--augment=flip", "--epochs=2", "--resize=pad"),
    "fine_tuned": (*_FINE_TUNED, "--head_epochs=2", "--hold_out=0.2", "--class_weights"),
    "folds": (*_COLOURS, "--epochs=3", "--folds=2"),
    "streamed": (
        *_COLOURS, "--preset=fine_tuned", "--trainable=stage4", "--feed=streamed",
        "--random_crop=0.5", "--augment=flip", "--epochs=2", "--lr=0.001", "--ema=0",
        "--head_epochs=0",
    ),
    # What `old_runs` holds as version 0.1.0 left it: finished, and stopped after its first epoch.
    "finished": (*_DIGITS, "--model=cnn", "--widths=4,8", "--watch_test", "--tta=flip"),
    "stopped": (
        "transfer", "--data_dir={colours}", "--preset=fine_tuned", "--model=cnn", "--weights=none",
        "--widths=4,4", "--trainable=all", "--layer_decay=1", "--frozen_norms=false", "--ema=0",
        "--image_size=32", "--batch_size=8", "--feed=streamed", "--augment=flip", "--epochs=3",
        "--tta=none",
    ),
}  # fmt: skip


def machine() -> str:
    """What the bits of a result depend on beside the code: JAX, processor and cores."""
    import jax

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        found = [line for line in lines if line.startswith(("model name", "flags"))][:2]
    except OSError:
        found = [platform.processor()]
    text = "\n".join([*found, str(len(os.sched_getaffinity(0)))])
    return f"jax {jax.__version__}, {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def inputs(folder: Path) -> dict[str, str]:
    """Makes photos of three and of two colours, and weights drawn from a seed."""
    write_photos(folder / "colours", side=40)
    write_photos(folder / "pair", side=40, seed=1)
    for photo in (folder / "pair" / "green").iterdir():
        photo.unlink()
    (folder / "pair" / "green").rmdir()
    write_safetensors(folder / "weights.safetensors", published.tensors("torchvision", NETWORK))
    names = {"colours": "colours", "pair": "pair", "weights": "weights.safetensors"}
    return {name: str(folder / file) for name, file in names.items()}


def run(name: str, workdir: Path, given: dict[str, str], *more: str) -> None:
    """Runs one of `RUNS` in a process of its own, without what tests set for XLA."""
    experiment, *flags = RUNS[name]
    command = [
        sys.executable,
        "-m",
        f"experiments.{experiment}",
        *(f.format(**given) for f in flags),
    ]
    command += [f"--workdir={workdir}", "--nofigures", *more]
    kept = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS" and not k.startswith("JAX_")}
    kept |= {"IMGCLS_CACHE": str(Path(given["colours"]).parent / "cache"), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} failed: {' '.join(command)}\n{done.stdout}{done.stderr}")


def outcome(workdir: Path) -> dict[str, Any]:
    """Digests and figures of everything a run left in its folder."""
    found = {}
    for summary in sorted(workdir.rglob("summary.json")):
        folder = summary.parent
        found[str(folder.relative_to(workdir))] = {
            "figures": _figures(json.loads(summary.read_text())),
            "epochs": list(_epochs(folder / "metrics.jsonl")),
            **{
                kind: _digest(folder / "checkpoints" / kind)
                for kind in ("evaluated", "last", "best")
                if (folder / "checkpoints" / kind).is_dir()
            },
        }
    return found


_KEPT = (
    "test_accuracy", "test_balanced_accuracy", "test_loss", "train_accuracy", "train_loss", "steps",
    "epochs", "evaluated_epoch", "confusion_matrix", "parameters", "accuracies", "fold_accuracy",
    "cross_validation_accuracy", "spread", "pooled",
)  # fmt: skip


def _figures(summary: dict[str, Any]) -> dict[str, Any]:
    figures = {key: summary[key] for key in _KEPT if summary.get(key) is not None}
    if "pooled" in figures:
        figures["pooled"] = {k: v for k, v in figures["pooled"].items() if k in _KEPT}
    if "spread" in figures:
        figures["spread"] = {
            key: entry["values"] for key, entry in figures["spread"].items() if key in _KEPT
        }
    if "calibration" in summary:
        figures["ece"] = summary["calibration"]["ece"]
    if "ranking" in summary:
        figures["roc_auc"] = summary["ranking"]["roc_auc"]
    return figures


def _epochs(history: Path) -> Iterator[list[float]]:
    """Losses and accuracies of each epoch: of training, and of what was evaluated after it."""
    for line in history.read_text().splitlines() if history.exists() else ():
        record = json.loads(line)
        names = [
            f"{of}_{what}"
            for what in ("loss", "accuracy")
            for of in ("train", "validation", "test")
        ]
        yield [record[name] for name in names if name in record]


def _digest(checkpoint: Path) -> str:
    """SHA-256 over paths, shapes and bytes of a checkpoint's arrays, less clocks and streams."""
    import orbax.checkpoint as ocp

    newest = max(
        (of for of in checkpoint.iterdir() if of.name.isdigit()), key=lambda of: int(of.name)
    )
    older = newest / "default"  # as older versions wrote
    tree = ocp.StandardCheckpointer().restore(older if older.is_dir() else newest)
    for clock in ("seconds", "feed"):
        tree.pop(clock, None)
    digest = hashlib.sha256()
    for path, leaf in sorted(_leaves(tree)):
        array = np.asarray(leaf)
        digest.update(f"{path} {array.dtype} {array.shape}\n".encode() + array.tobytes())
    return digest.hexdigest()


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from _leaves(value, f"{path}/{name}")
    elif isinstance(tree, list | tuple):
        for number, value in enumerate(tree):
            yield from _leaves(value, f"{path}/{number}")
    elif tree is not None:
        yield path, tree
