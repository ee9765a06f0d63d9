"""A family with layers of other kinds: a layer norm, a class token, a convolution, a dense layer.

It costs one record: here it is registered for a test.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from weight_files import write_legacy, write_safetensors, write_timm_config, write_weights_h5

from imgcls_jax import pretrained
from imgcls_jax.errors import UserError
from imgcls_jax.pretrained import families, matching
from imgcls_jax.pretrained.family import Family, Network, Published, named
from imgcls_jax.pretrained.files import open_weights
from imgcls_jax.pretrained.skeleton import trace

WIDTH, CLASSES = 6, 4
SHAPE = (8, 8, 3)


class Block(nn.Module):
    """x + gamma * dense(norm(x)), as transformers and ConvNeXt have it."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = nn.Dense(WIDTH, name="mix")(nn.LayerNorm(epsilon=1e-6, name="norm")(x))
        return x + self.param("gamma", nn.initializers.ones, (WIDTH,)) * y


class Tiny(nn.Module):
    """Patches, a class token, positions, two blocks, a norm, logits of the token."""

    num_classes: int = CLASSES
    convention: str = "torch"

    def stages(self) -> dict[str, tuple[str, ...]]:
        stages = {"stem": ("patches", "class_token", "positions")}
        return stages | {"stage1": ("b", "a"), "top": ("last_norm",), "head": ("head",)}

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        x = nn.Conv(WIDTH, (4, 4), strides=4, name="patches")(images)
        x = x.reshape(x.shape[0], -1, WIDTH)
        token = self.param("class_token", nn.initializers.zeros, (1, 1, WIDTH))
        x = jnp.concatenate([jnp.tile(token, (len(x), 1, 1)), x], axis=1)
        x = x + self.param("positions", nn.initializers.zeros, (1, 5, WIDTH))
        for name in ("b", "a"):
            x = Block(name=name)(x)
        return nn.Dense(self.num_classes, name="head")(nn.LayerNorm(name="last_norm")(x[:, 0]))


def names(skeleton):
    outside = {"patches": "patch_embed.proj", "class_token": "cls_token", "positions": "pos_embed"}
    inside = {"norm": "norm1", "mix": "attn.proj", "gamma": "ls1.gamma"}
    return named(
        skeleton,
        outside | {"last_norm": "norm", "head": "head"},
        lambda block, layer: f"blocks.{block.of_all}.{inside[layer]}",
    )


def keras_names(skeleton):
    return {
        path: f"{name}/{path[-1]}" if skeleton.kinds[path] == "parameter" else name
        for path, name in names(skeleton).items()
    }


NORMS = (3, 3 * WIDTH)
FAMILY = Family(
    networks={
        "tiny": Network(norms=NORMS, published=Published("none/tiny")),
        "tiny_with_other_patches": Network(norms=NORMS, published=Published("none/other")),
    },
    names={"timm": names},
    marks={"timm": "cls_token"},
)


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    for network in FAMILY.networks:
        monkeypatch.setitem(families.NETWORKS, network, FAMILY)


@pytest.fixture
def state_dict():
    """Returns tensors as PyTorch has them, by timm's names."""
    rng = np.random.default_rng(5)
    shapes = {
        "cls_token": (1, 1, WIDTH),
        "pos_embed": (1, 5, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, 4, 4),
        "patch_embed.proj.bias": (WIDTH,),
        **{f"blocks.{i}.norm1.{kind}": (WIDTH,) for i in (0, 1) for kind in ("weight", "bias")},
        **{f"blocks.{i}.ls1.gamma": (WIDTH,) for i in (0, 1)},
        **{f"blocks.{i}.attn.proj.weight": (WIDTH, WIDTH) for i in (0, 1)},
        **{f"blocks.{i}.attn.proj.bias": (WIDTH,) for i in (0, 1)},
        "norm.weight": (WIDTH,),
        "norm.bias": (WIDTH,),
        "head.weight": (CLASSES, WIDTH),
        "head.bias": (CLASSES,),
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def forward(tensors, images):
    """Computes the network's logits in NumPy, from PyTorch's tensors."""

    def norm(x, name, epsilon):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon)
        return x * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    def dense(x, name):
        return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    patches = images.reshape(len(images), 2, 4, 2, 4, 3).transpose(0, 1, 3, 5, 2, 4)
    kernel = tensors["patch_embed.proj.weight"].reshape(WIDTH, -1)
    x = patches.reshape(len(images), 4, -1) @ kernel.T + tensors["patch_embed.proj.bias"]
    x = np.concatenate([np.repeat(tensors["cls_token"], len(images), 0), x], 1)
    x = x + tensors["pos_embed"]
    for block in ("blocks.0", "blocks.1"):
        y = dense(norm(x, f"{block}.norm1", 1e-6), f"{block}.attn.proj")
        x = x + tensors[f"{block}.ls1.gamma"] * y
    return dense(norm(x[:, 0], "norm", 1e-6), "head")


def test_layers_are_known_by_their_variables_in_the_order_they_run():
    skeleton = trace(Tiny(), SHAPE)
    assert [("/".join(layer.path), layer.kind) for layer in skeleton.layers] == [
        ("patches", "conv"),
        ("class_token", "parameter"),
        ("positions", "parameter"),
        ("b/norm", "layer_norm"),
        ("b/mix", "dense"),
        ("b/gamma", "parameter"),
        ("a/norm", "layer_norm"),
        ("a/mix", "dense"),
        ("a/gamma", "parameter"),
        ("last_norm", "layer_norm"),
        ("head", "dense"),
    ]
    assert {layer.epsilon for layer in skeleton.layers if layer.kind == "layer_norm"} == {1e-6}
    assert skeleton.blocks["a"] == (1, 1, 1, ("norm", "mix", "gamma"))


def test_tensors_are_matched_by_name(tmp_path, state_dict):
    file = open_weights(write_safetensors(tmp_path / "tiny.safetensors", state_dict))
    skeleton = trace(Tiny(), SHAPE)
    report, kept = matching.match(file, skeleton, names(skeleton))
    assert set(report.loaded) == set(state_dict)
    matching.require_complete(report, file, "tiny")
    values = matching.assemble(file, skeleton, kept)
    shapes = flatten_dict(jax.eval_shape(Tiny().init, jax.random.key(0), jnp.zeros((1, *SHAPE))))
    assert {path: value.shape for path, value in values.items()} == {
        path: leaf.shape for path, leaf in shapes.items()
    }
    np.testing.assert_equal(values["params", "class_token"], state_dict["cls_token"])
    np.testing.assert_equal(values["params", "a", "gamma"], state_dict["blocks.1.ls1.gamma"])
    np.testing.assert_equal(
        values["params", "b", "norm", "scale"], state_dict["blocks.0.norm1.weight"]
    )


@pytest.mark.parametrize("network", FAMILY.networks)  # alike in their norms
def test_a_registered_family_gives_the_logits_of_its_file(tmp_path, state_dict, network):
    path = write_safetensors(tmp_path / "tiny.safetensors", state_dict)
    write_timm_config(tmp_path, network, mean=[0.5] * 3, std=[0.5] * 3)
    about = pretrained.describe(str(path), network)
    assert (about.convention, about.normalise) == ("torch", "symmetric")
    loaded = pretrained.load(str(path), model_name=network, model=Tiny(), image_shape=SHAPE)
    images = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    ours = Tiny().apply(loaded.variables, images)
    np.testing.assert_allclose(ours, forward(state_dict, images), atol=1e-5)


def test_a_head_for_other_classes_is_replaced(tmp_path, state_dict):
    path = write_safetensors(tmp_path / "tiny.safetensors", state_dict)
    model = Tiny(num_classes=9)
    loaded = pretrained.load(str(path), model_name="tiny", model=model, image_shape=SHAPE)
    assert loaded.report.replaced_head == f"the file's is for {CLASSES} classes"


def test_a_missing_class_token_is_named(tmp_path, state_dict):
    state_dict["old_token"] = state_dict.pop("pos_embed")
    path = write_safetensors(tmp_path / "tiny.safetensors", state_dict)
    with pytest.raises(UserError, match=r"1 missing \(pos_embed\); 1 unexpected \(old_token\)"):
        pretrained.load(str(path), model_name="tiny", model=Tiny(), image_shape=SHAPE)


def test_names_of_another_publisher_are_refused_in_one_sentence(tmp_path, state_dict):
    del state_dict["cls_token"]
    path = write_safetensors(tmp_path / "tiny.safetensors", state_dict)
    with pytest.raises(UserError, match=r"as torchvision's files, .* give a file of timm\.$"):
        pretrained.describe(str(path), "tiny")


@pytest.mark.parametrize("writer", [write_legacy, write_weights_h5])
def test_norms_and_kernels_of_keras_are_matched_by_name(tmp_path, state_dict, writer):
    of_keras = {}
    for name, value in state_dict.items():
        layer, _, kind = name.rpartition(".")
        if "norm" in layer:
            of_keras[f"{layer}/{'gamma' if kind == 'weight' else 'beta'}"] = value
        elif kind == "weight":
            axes = (2, 3, 1, 0) if value.ndim == 4 else (1, 0)
            of_keras[f"{layer}/kernel"] = value.transpose(axes)
        elif kind == "bias":
            of_keras[f"{layer}/bias"] = value
    file = open_weights(writer(tmp_path / "tiny.h5", of_keras))
    skeleton = trace(Tiny(), SHAPE)
    report, kept = matching.match(file, skeleton, keras_names(skeleton))
    assert set(report.loaded) == set(of_keras)
    parameters = {n for p, n in keras_names(skeleton).items() if skeleton.kinds[p] == "parameter"}
    assert set(report.missing) == parameters
    found = {path: name for path, name in kept.items() if name in of_keras}
    values = matching.assemble(file, skeleton, found)
    np.testing.assert_equal(values["params", "head", "kernel"], state_dict["head.weight"].T)
    np.testing.assert_equal(values["params", "last_norm", "bias"], state_dict["norm.bias"])
