"""A Hugging Face Hub that is a folder: what the client would ask and download comes from there."""

import dataclasses
import hashlib
import io
import json
import shutil
import types
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
from huggingface_hub import errors
from PIL import Image

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def encoded(image: np.ndarray, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(file, kind)
    return file.getvalue()


def write_parquet(path: Path, images, labels, *, names=None, groups=4, kind="PNG", **others):
    """Writes images uint8 (H, W, C) as `datasets` does; of labels with `names` as a ClassLabel."""
    cells = [{"bytes": encoded(image, kind), "path": f"{n}.png"} for n, image in enumerate(images)]
    table = pyarrow.table({"image": cells, "label": list(labels), **others})
    features = {"image": {"_type": "Image"}, "label": {"dtype": "int64", "_type": "Value"}}
    if names:
        features["label"] = {"names": list(names), "_type": "ClassLabel"}
    told = json.dumps({"info": {"features": features}})
    path.parent.mkdir(parents=True, exist_ok=True)
    table = table.replace_schema_metadata({"huggingface": told})
    pyarrow.parquet.write_table(table, path, row_group_size=groups)


def numbered(count: int, *, side: int = 6, channels: int = 3, first: int = 0) -> np.ndarray:
    """Returns images of one value each, by which a test knows them."""
    values = np.arange(first, first + count, dtype=np.uint8)
    return np.broadcast_to(values[:, None, None, None], (count, side, side, channels)).copy()


@dataclasses.dataclass
class Hub:
    """The repositories of a fake Hub: `root/OWNER/NAME`, and what was asked of it."""

    root: Path
    cache: Path
    card: dict = dataclasses.field(default_factory=dict)
    asked: list = dataclasses.field(default_factory=list)
    downloaded: list = dataclasses.field(default_factory=list)

    def folder(self, name: str = "owner/name") -> Path:
        return self.root / name

    def dataset_info(self, name, *, revision=None, files_metadata, timeout):
        assert files_metadata
        assert timeout <= 30
        self.asked.append((name, revision))
        folder = self.root / name
        if revision == "refs/convert/parquet":
            folder = self.root / f"{name}-converted"
        if not folder.is_dir():
            kind = errors.RepositoryNotFoundError if revision is None else None
            raise (kind or errors.RevisionNotFoundError)("no", response=types.SimpleNamespace(
                headers={}, request=None))  # fmt: skip
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        card = types.SimpleNamespace(to_dict=lambda: self.card)
        return types.SimpleNamespace(
            sha=COMMIT, card_data=card, siblings=[self._sibling(folder, path) for path in files]
        )

    def _sibling(self, folder, path):
        content = path.read_bytes()
        large = len(content) > 1000
        return types.SimpleNamespace(
            rfilename=path.relative_to(folder).as_posix(),
            size=len(content),
            lfs=types.SimpleNamespace(sha256=hashlib.sha256(content).hexdigest())
            if large
            else None,
            blob_id=hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(),
        )

    def hf_hub_download(self, name, path, *, repo_type, revision):
        assert (repo_type, revision) == ("dataset", COMMIT)
        self.downloaded.append(path)
        to = self.cache / name / path
        to.parent.mkdir(parents=True, exist_ok=True)
        source = self.root / name / path
        if not source.exists():
            source = self.root / f"{name}-converted" / path
        return shutil.copy(source, to)

    def try_to_load_from_cache(self, name, path, *, revision, repo_type):
        assert (repo_type, revision) == ("dataset", COMMIT)
        there = self.cache / name / path
        return str(there) if there.exists() else None


def play(monkeypatch, tmp_path: Path) -> Hub:
    """Puts a fake Hub in place of the client's."""
    hub = Hub(tmp_path / "hub", tmp_path / "fetched")
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("imgcls_jax.data.catalog.route.no_route", lambda url, *, any_status: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for name in ("hf_hub_download", "try_to_load_from_cache"):
        monkeypatch.setattr(f"huggingface_hub.{name}", getattr(hub, name))
    api = types.SimpleNamespace(dataset_info=hub.dataset_info, list_datasets=lambda **_: [])
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: api)
    return hub
