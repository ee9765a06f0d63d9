"""Exported networks: the same numbers, without the code, on any batch; what is no such file."""

import json
import os
import re
import subprocess
import sys
import zipfile

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imgcls_jax.errors import UserError
from imgcls_jax.models.layers import conv
from imgcls_jax.predict import export

NAMES = ("한국", "a\nb", "c")


class Depthwise(nn.Module):
    """What is lowered for the platform: strided, depthwise, grouped and pointwise convolutions."""

    @nn.compact
    def __call__(self, images):
        x = nn.relu(conv(images, 8, 3, strides=2, padding=1, init="torch_linear"))
        x = nn.relu(conv(x, 8, 3, groups=8, init="torch_linear"))
        x = nn.relu(conv(x, 8, 3, groups=2, init="torch_linear"))
        return nn.Dense(3)(conv(x, 16, 1, init="torch_linear").mean((1, 2)))


@pytest.fixture(scope="module")
def network():
    model = Depthwise()
    variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 12, 12, 3)))
    return jax.jit(lambda x: jax.nn.softmax(200 * model.apply(variables, x / jnp.float32(255))))


@pytest.fixture(scope="module")
def written(network, tmp_path_factory):
    return write(network, tmp_path_factory.mktemp("export") / "network.zip")


def write(network, path, **options):
    settings = {
        "class_names": NAMES,
        "image_shape": (12, 12, 3),
        "preprocessing": {"resize": "pad"},
    }
    return export.write(path, network, **settings | options)


def images(count):
    return np.random.default_rng(count).integers(0, 256, (count, 12, 12, 3), np.uint8)


def test_any_batch_gives_the_networks_probabilities(network, written):
    exported = export.read(written)
    for count in (1, 2, 7):
        batch = images(count)
        ours, theirs = exported.predict(batch), network(batch)
        assert ours.shape == (count, 3)
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert np.ptp(np.asarray(ours)) > 0.1  # not all alike
    assert exported.class_names == NAMES
    assert exported.image_shape == (12, 12, 3)
    assert exported.preprocessing == {"resize": "pad"}
    assert exported.platforms == ("cpu", "cuda")
    assert export.difference(written, network) < 1e-6


WITHOUT_CODE = """
import sys, zipfile
import numpy as np

class Refuse:
    names = {"imgcls_jax", "flax"}
    def find_spec(self, name, path=None, target=None):
        if name in self.names:
            raise ImportError(name)

refuse = Refuse()
sys.meta_path.insert(0, refuse)
path, images, results = sys.argv[1:]
import jax
archive = zipfile.ZipFile(path)
alone = jax.export.deserialize(bytearray(archive.read("model.stablehlo"))).call(np.load(images))
refuse.names = {"imgcls_jax.models", "imgcls_jax.train", "flax"}
from imgcls_jax.predict import predictor
network = predictor.load(path)
np.savez(results, alone=alone, predictor=network.probabilities(np.load(images)))
try:
    import imgcls_jax.models
except ImportError:
    print(len(network.class_names), "classes")
"""


@pytest.mark.slow
def test_it_runs_where_the_models_cannot_be_imported(network, written, tmp_path):
    np.save(tmp_path / "images.npy", images(4))
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_CODE, written, tmp_path / "images.npy", tmp_path / "r.npz"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "3 classes\n"
    for found in np.load(tmp_path / "r.npz").values():
        np.testing.assert_allclose(found, network(images(4)), atol=1e-6)


def test_each_platform_gets_its_convolutions(written):
    """XLA's own, with groups, for CUDA; on CPU the fast forms, without."""
    with zipfile.ZipFile(written) as archive:
        exported = jax.export.deserialize(bytearray(archive.read("model.stablehlo")))
    groups = re.findall(r"feature_group_count = (\d+)", exported.mlir_module())
    assert {"8", "2"} <= set(groups)
    compiled = jax.jit(exported.call).lower(images(2)).compile().as_text()
    if jax.default_backend() == "cpu":
        assert "convolution" in compiled
        assert "feature_group_count" not in compiled


def test_the_same_network_gives_the_same_file_without_paths(network, written, tmp_path):
    again = write(network, tmp_path / "again.zip")
    assert again.read_bytes() == written.read_bytes()
    with zipfile.ZipFile(written) as archive:
        assert b".py" not in archive.read("model.stablehlo")


def damaged(kind, written, path):
    content = written.read_bytes()
    if kind in ("old layout", "no model", "no metadata", "bad metadata", "bad model"):
        with zipfile.ZipFile(written) as old, zipfile.ZipFile(path, "w") as new:
            meta, model = old.read("meta.json"), old.read("model.stablehlo")
            if kind == "old layout":
                meta = json.dumps(json.loads(meta) | {"format": 0})
            if kind != "no metadata":
                new.writestr("meta.json", b"{" if kind == "bad metadata" else meta)
            if kind != "no model":
                new.writestr("model.stablehlo", model[:100] if kind == "bad model" else model)
        return path
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    contents = {"cut": content[:-100], "flipped": flipped, "empty": b"", "text": b"hello"}
    path.write_bytes(contents[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        *((kind, "is no exported network") for kind in ("cut", "flipped", "empty", "text")),
        *((kind, "is no exported network") for kind in ("no model", "no metadata", "bad metadata")),
        ("old layout", "by another version"),
        ("bad model", "cannot be read with JAX"),
    ],
)
def test_what_is_no_such_file_is_one_clear_sentence(kind, says, written, tmp_path):
    path = damaged(kind, written, tmp_path / "damaged.zip")
    with pytest.raises(UserError, match=says) as caught:
        export.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_another_platform(network, tmp_path):
    with pytest.raises(UserError, match="No such file"):
        export.read(tmp_path / "none.zip")
    path = write(network, tmp_path / "tpu.zip", platforms=("tpu",))
    with pytest.raises(UserError, match=r"is for tpu, and JAX computes on .* here"):
        export.read(path)
    with pytest.raises(UserError, match="cannot export for abacus"):
        write(network, tmp_path / "a.zip", platforms=("abacus",))


def test_class_names_have_to_fit(network, tmp_path):
    with pytest.raises(ValueError, match="2 class names"):
        write(network, tmp_path / "a.zip", class_names=("a", "b"))
    assert os.listdir(tmp_path) == []


def test_a_failed_write_leaves_the_earlier_file(network, tmp_path, monkeypatch):
    path = tmp_path / "network.zip"
    path.write_bytes(b"earlier")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match=r"network\.zip \(No space left on device\)"):
        write(network, path)
    assert path.read_bytes() == b"earlier"
    assert os.listdir(tmp_path) == ["network.zip"]
