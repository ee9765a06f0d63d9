"""The preprocessing that weights were trained with: timm's config.json, timm's names, defaults."""

import json

import numpy as np
import pytest
from golden import published_networks as published
from weight_files import write_legacy, write_safetensors, write_timm_config

from imgcls_jax import pretrained
from imgcls_jax.errors import UserError
from imgcls_jax.models import normalisation
from imgcls_jax.pretrained import Pixels, families, pixels, timm_trainings

TIMMS_OWN = "mobilenet_v3_small"  # its file has names that torchvision's lacks
SHARED = "resnet18"  # its file could be torchvision's by its names
NORMS = {"mean": [0.5] * 3, "std": [0.5] * 3}


@pytest.fixture(params=[TIMMS_OWN, SHARED])
def network(request):
    return request.param


def outline(publisher, network):
    """Returns tensors by which a network and its publisher are recognised, but small ones."""
    shapes = published.shapes(publisher, network)
    return {n: np.zeros(s if len(s) == 1 else (1,) * len(s), np.float32) for n, s in shapes.items()}


def write(folder, network, name="model.safetensors"):
    publisher = "torchvision" if network == SHARED else "timm"
    return write_safetensors(folder / name, outline(publisher, network))


def refusal(path, network, **options) -> str:
    with pytest.raises(UserError) as raised:
        pretrained.describe(str(path), network, **options)
    text = str(raised.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, Pixels("imagenet", "bicubic", 0.875, 224)),
        (NORMS, Pixels("symmetric", "bicubic", 0.875, 224)),
        ({"mean": [0, 0, 0], "std": [1, 1, 1]}, Pixels("unit", "bicubic", 0.875, 224)),
        ({"interpolation": "bilinear", "crop_pct": 1}, Pixels("imagenet", "bilinear", 1.0, 224)),
        ({"input_size": [3, 288, 288]}, Pixels("imagenet", "bicubic", 0.875, 288)),
        ({"crop_mode": "squash"}, Pixels("imagenet", "bicubic", 0.875, 224, "stretch")),
    ],
)
def test_timms_config_is_followed_in_every_family(tmp_path, network, asked, expected):
    path = write(tmp_path, network)
    write_timm_config(tmp_path, published.TIMM[network], **asked)
    assert pretrained.describe(str(path), network) == pretrained.Description("torch", expected)


def test_timms_config_tells_ports_from_tensorflow(tmp_path):
    path = write(tmp_path, TIMMS_OWN)
    write_timm_config(tmp_path, "tf_mobilenetv3_small_100", **NORMS)
    assert pretrained.describe(str(path), TIMMS_OWN).convention == "tensorflow"


@pytest.mark.parametrize(
    ("setting", "asked", "shown"),
    [
        ("normalise", {"mean": [0.48, 0.46, 0.41]}, "mean [0.48, 0.46, 0.41], std [0.229"),
        ("normalise", {"std": "one"}, 'std "one"'),
        ("normalise", {"mean": 10**400}, "mean 1000"),
        ("interpolation", {"interpolation": "lanczos"}, 'interpolation "lanczos"'),
        ("interpolation", {"interpolation": ["bicubic"]}, 'interpolation ["bicubic"]'),
        ("crop_fraction", {"crop_pct": 1.5}, "crop_pct 1.5"),
        ("crop_fraction", {"crop_pct": True}, "crop_pct true"),
        ("image_size", {"input_size": [3, 224, 192]}, "input_size [3, 224, 192]"),
        ("resize", {"crop_mode": "border"}, 'crop_mode "border"'),
    ],
)
def test_what_is_not_known_is_refused_unless_it_is_given(tmp_path, network, setting, asked, shown):
    path = write(tmp_path, network)
    config = write_timm_config(tmp_path, published.TIMM[network], **asked)
    text = refusal(path, network)
    assert text.startswith(f"{config} asks for ")
    assert shown in text
    assert f"give `{setting}`" in text
    assert pretrained.describe(str(path), network, given=[setting]).convention == "torch"


def test_a_config_of_another_network_is_refused(tmp_path, network):
    path = write(tmp_path, network)
    write_timm_config(tmp_path, "tf_efficientnet_b0")
    text = refusal(path, network)
    assert f"config.json is of timm's tf_efficientnet_b0, not of {network}" in text


def test_torchvisions_file_is_not_taken_for_timms_by_its_path(tmp_path):
    tensors = outline("torchvision", TIMMS_OWN)
    path = write_safetensors(tmp_path / "model.safetensors", tensors)
    write_timm_config(tmp_path, "tf_mobilenetv3_small_100", **NORMS)
    about = pretrained.describe(str(path), TIMMS_OWN)
    assert about == pretrained.Description("torch", Pixels("imagenet", "bilinear", 0.875, 224))


@pytest.mark.parametrize("content", ["", "[]", "[" * 10**5, "{}", '{"architecture": "a"}', "\x00"])
def test_a_config_of_something_else_is_none(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    path = write(tmp_path, SHARED, "resnet18-f37072fd.safetensors")
    assert pretrained.describe(str(path), SHARED).pixels == Pixels(
        "imagenet", "bilinear", 0.875, 224
    )


@pytest.mark.parametrize(
    ("name", "network", "expected"),
    [
        ("resnet18.a3_in1k", SHARED, Pixels("imagenet", "bicubic", 0.95, 160)),
        ("resnet18.tv_in1k", SHARED, Pixels("imagenet", "bilinear", 0.875, 224)),
        ("tf_mobilenetv3_small_100.in1k", TIMMS_OWN, Pixels("symmetric", "bilinear", 0.875, 224)),
        ("tf_mobilenetv3_small_100", TIMMS_OWN, Pixels("symmetric", "bilinear", 0.875, 224)),
        ("mobilenetv3_small_100", TIMMS_OWN, Pixels("imagenet", "bicubic", 0.875, 224)),
    ],
)
def test_a_name_of_timms_is_enough(tmp_path, name, network, expected):
    about = pretrained.describe(str(write(tmp_path, network, f"{name}.safetensors")), network)
    convention = "tensorflow" if name.startswith("tf_") else "torch"
    assert about == pretrained.Description(convention, expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet34.ra4_e3600_r224_in1k", Pixels("symmetric", "bicubic", 0.9, 224)),
        ("efficientnet_b0.ra4_e3600_r224_in1k", Pixels("symmetric", "bicubic", 0.9, 224)),
        ("tf_efficientnet_b3.ap_in1k", Pixels("symmetric", "bicubic", 0.904, 300)),
        ("tf_efficientnet_b3.aa_in1k", Pixels("imagenet", "bicubic", 0.904, 300)),
        (
            "mobilenetv3_large_100.miil_in21k_ft_in1k",
            Pixels("unit", "bilinear", 0.875, 224),
        ),
        ("tf_efficientnet_lite4.in1k", Pixels("symmetric", "bilinear", 0.92, 380)),
        ("resnet34.unheard_of", None),
        ("tf_efficientnet_b3", None),  # "aa" and "ap" have different means
        ("resnet34", None),
        ("my_resnet50_best", None),
    ],
)
def test_names_and_what_they_tell(name, expected):
    assert pixels.of_name(name).pixels == expected
    assert pixels.of_name(f"{name}.pth.tar").pixels == expected


@pytest.mark.parametrize("name", ["model", "tf_mobilenetv3_small_100.other", "best"])
def test_a_name_that_tells_nothing_is_refused_unless_all_is_given(tmp_path, name):
    path = write(tmp_path, TIMMS_OWN, f"{name}.safetensors")
    text = refusal(path, TIMMS_OWN)
    assert "does not tell which of timm's weights of mobilenet_v3_small it holds" in text
    assert "such as mobilenetv3_small_100.lamb_in1k or tf_mobilenetv3_small_100.in1k" in text
    assert "or give `convention` and `normalise`" in text
    refusal(path, TIMMS_OWN, given=["normalise"])
    pretrained.describe(str(path), TIMMS_OWN, given=["normalise", "convention"])


def test_a_file_of_the_hub_without_its_config(tmp_path):
    """All of timm's ResNet-18s take pixels normalised alike; of ResNet-34s one does not."""
    about = pretrained.describe(str(write(tmp_path, SHARED)), SHARED)
    assert about.pixels == Pixels("imagenet", "bilinear", 0.875, 224)  # the commonest
    norms = {f"{n}.weight": np.zeros(8512 - 35 if n == 0 else 1, np.float32) for n in range(36)}
    path = write_safetensors(tmp_path / "model.safetensors", norms)
    assert "such as resnet34.tv_in1k" in refusal(path, "resnet34")
    path = path.rename(tmp_path / "mine.safetensors")
    assert pretrained.describe(str(path), "resnet34").normalise == "imagenet"  # torchvision's


def test_other_publishers_have_one_preprocessing_per_network(tmp_path):
    tensors = outline("torchvision", "efficientnet_b0")
    path = write_safetensors(tmp_path / "b0.safetensors", tensors)
    about = pretrained.describe(str(path), "efficientnet_b0")
    assert about == pretrained.Description("torch", Pixels("imagenet", "bicubic", 0.875, 224))
    tensors = outline("ML Illustrated", "efficientnet_lite0")
    path = write_safetensors(tmp_path / "lite0.safetensors", tensors)
    about = pretrained.describe(str(path), "efficientnet_lite0")
    assert about == pretrained.Description("tensorflow", Pixels("lite", "bicubic", 0.875, 224))
    path = write_legacy(tmp_path / "v2.h5", outline("keras", TIMMS_OWN))
    about = pretrained.describe(str(path), TIMMS_OWN)
    assert about == pretrained.Description("tensorflow", Pixels("symmetric"))


def test_everything_told_is_known_to_the_house():
    for trainings in timm_trainings.PUBLISHED.values():
        for found in (Pixels(*values) for values in trainings.values()):
            assert found.normalise in normalisation.NAMES
            assert found.interpolation in pixels.INTERPOLATIONS
            assert 0.1 <= found.crop_fraction <= 1
    for name, family in families.NETWORKS.items():
        assert (family.networks[name].timm or name) in {
            architecture.removeprefix("tf_") for architecture in timm_trainings.PUBLISHED
        }


def test_the_installed_timm_says_the_same():
    timm = pytest.importorskip("timm")
    for architecture, trainings in timm_trainings.PUBLISHED.items():
        for training, values in trainings.items():
            asked = timm.get_pretrained_cfg(f"{architecture}.{training}").to_dict()
            asked = json.loads(json.dumps(asked))
            assert {name: read(asked) for name, (_, read) in pixels._READERS.items()} == vars(
                Pixels(*values)
            ), (architecture, training)
