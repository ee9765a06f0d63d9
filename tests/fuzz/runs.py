"""Readers of what runs leave: the folder, limits that were learned, checkpoints, exported files."""

import functools
import io
import json
import zipfile
from pathlib import Path

import numpy as np
from fuzz.reader import Inside, Reader

from imgcls_jax.limits import kept as limits
from imgcls_jax.limits import thresholds

_SHAPE = (2, 2, 1)
_FINISHED = Path(__file__).parents[1] / "golden/old_runs/finished"


def _folder(folder: Path) -> None:
    from imgcls_jax.config import Config
    from imgcls_jax.workdir import Workdir

    workdir = Workdir(folder)
    workdir.claim(Config.of(dataset="digits", hidden=(4,)))
    for name in ("metrics.jsonl", "network.json", "summary.json"):
        workdir.write_text(name, (_FINISHED / name).read_text())
    workdir.write_arrays("predictions.npz", labels=np.arange(4), probabilities=np.ones((4, 2)))
    workdir.set_head_seconds(1.5)


def _read_folder(folder: Path) -> None:
    from imgcls_jax.workdir import Workdir

    workdir = Workdir(folder)
    workdir.config()
    workdir.history()
    workdir.summary()
    workdir.network_record()
    workdir.head_seconds()
    workdir.ensemble()
    assert all(isinstance(of, np.ndarray) for of in workdir.read_arrays("predictions.npz").values())


def _limits(folder: Path) -> None:
    from imgcls_jax.workdir import Workdir

    facts = {"temperature": 1.5, "held_out": {"of": "a", "examples": 4, "identity": "b"}}
    facts["thresholds"] = {"values": [0.5, 0.25], "chosen_on": None}
    logits = np.arange(8, dtype=np.float32).reshape(4, 2)
    limits.write(Workdir(folder), limits.Limits(1.5, np.arange(4) % 2, logits, facts))


def _read_limits(folder: Path) -> None:
    found = limits.read(folder)
    assert found is None or found.temperature > 0
    values = thresholds.values(limits.facts(folder), 2)
    assert values.shape == (2,)


def _tree():
    return {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "step": np.array(3, np.int32)}


def _checkpoint(folder: Path) -> None:
    from imgcls_jax.checkpoint import Checkpoints

    with Checkpoints(folder) as checkpoints:
        checkpoints.save("last", 3, _tree())
        checkpoints.wait()


def _read_checkpoint(folder: Path) -> None:
    from imgcls_jax.checkpoint import Checkpoints

    with Checkpoints(folder) as checkpoints:
        found = checkpoints.restore("last", _tree())
    assert {name: np.shape(of) for name, of in found.items()} == {"a": (2, 3), "step": ()}


@functools.cache
def _exported() -> dict[str, bytes]:
    import tempfile

    import jax

    from imgcls_jax.predict import export

    def fn(images):
        flat = images.reshape(images.shape[0], -1)[:, :2].astype("float32")
        return jax.nn.softmax(flat)

    with tempfile.TemporaryDirectory() as place:
        path = export.write(
            Path(place) / "a.zip",
            fn,
            image_shape=_SHAPE,
            class_names=("a", "b"),
            preprocessing={"resize": "crop"},
            platforms=("cpu",),
        )
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def _packed(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for member, of in (_exported() | {name: content}).items():
            archive.writestr(zipfile.ZipInfo(member), of)
    return file.getvalue()


def _export(name: str, folder: Path) -> Inside:
    content = _exported()[name]
    (folder / "network.zip").write_bytes(_packed(name, content))
    return {"network.zip": (content, functools.partial(_packed, name))}


def _read_export(folder: Path) -> None:
    from imgcls_jax.predict import predictor

    network = predictor.load(folder / "network.zip")
    images = np.zeros((1, *network.image_shape), np.uint8)
    probabilities = np.asarray(network.probabilities(images))
    assert probabilities.shape == (1, len(network.class_names))
    json.dumps(network.class_names)


READERS = (
    Reader("run_folder", (_folder,), _read_folder),
    Reader("limits", (_limits,), _read_limits),
    Reader("checkpoint", (_checkpoint,), _read_checkpoint, megabytes=1000, leaves=True),
    Reader(
        "export",
        tuple(functools.partial(_export, name) for name in ("meta.json", "model.stablehlo")),
        _read_export,
        found=(2403,),
        megabytes=1000,
    ),
)  # fmt: skip
