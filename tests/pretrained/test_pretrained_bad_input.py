"""Files of weights that cannot be used: one sentence that names the file and the way out."""

import functools
import os

import numpy as np
import pytest
import safetensors.numpy
from golden import published_networks as published
from weight_files import write_legacy, write_safetensors, write_weights_h5

from imgcls_jax import models, pretrained
from imgcls_jax.errors import UserError
from imgcls_jax.pretrained.files import open_weights
from imgcls_jax.pretrained.skeleton import trace

NETWORK = "mobilenet_v3_small"
CONVENTIONS = {"torchvision": "torch", "keras": "tensorflow"}


skeleton = functools.cache(trace)  # of a network: the same for all files here


@pytest.fixture(autouse=True)
def _traced_once(monkeypatch):
    monkeypatch.setattr(pretrained, "trace", skeleton)


@pytest.fixture(scope="module", params=CONVENTIONS)
def publisher(request):
    return request.param


def write(path, publisher, tensors):
    if publisher == "keras":
        return write_legacy(path / "weights.h5", tensors)
    return write_safetensors(path / "weights.safetensors", tensors)


def load(path, *, convention="torch", network=NETWORK, shape=(33, 33, 3)):
    model = models.create(network, num_classes=published.CLASSES, convention=convention)
    return pretrained.load(str(path), model_name=network, model=model, image_shape=shape)


def sentence(path, **options) -> str:
    """Returns the sentence with which `load` refuses a file."""
    with pytest.raises(UserError) as raised:
        load(path, **options)
    text = str(raised.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def pick(tensors, *, ndim):
    """Returns a tensor's name: neither the first nor of the classifier."""
    names = [n for n, v in tensors.items() if v.ndim == ndim and "norm" not in n]
    return names[len(names) // 2]


def test_missing_and_unexpected_tensors_are_named(tmp_path, publisher):
    tensors = published.tensors(publisher, NETWORK)
    name = pick(tensors, ndim=4)
    tensors[f"other{name}"] = tensors.pop(name)
    text = sentence(write(tmp_path, publisher, tensors), convention=CONVENTIONS[publisher])
    assert f"1 missing ({name}); 1 unexpected (other{name})" in text


def test_many_names_are_counted_after_six(tmp_path, publisher):
    tensors = published.tensors(publisher, NETWORK)
    gone = [n for n, v in tensors.items() if v.ndim == 4][:9]
    kept = {name: value for name, value in tensors.items() if name not in gone}
    text = sentence(write(tmp_path, publisher, kept), convention=CONVENTIONS[publisher])
    assert f"9 missing ({', '.join(gone[:6])} and 3 more);" in text


def test_tensors_of_another_shape_are_named_with_both(tmp_path, publisher):
    tensors = published.tensors(publisher, NETWORK)
    name = pick(tensors, ndim=1)
    (size,) = tensors[name].shape
    tensors[name] = np.zeros(size + 1, np.float32)
    text = sentence(write(tmp_path, publisher, tensors), convention=CONVENTIONS[publisher])
    assert f"1 of another shape ({name} ({size + 1},) instead of ({size},))" in text


def test_half_a_classifier_is_not_replaced(tmp_path, publisher):
    tensors = published.tensors(publisher, NETWORK)
    name = list(tensors)[-1]
    del tensors[name]
    text = sentence(write(tmp_path, publisher, tensors), convention=CONVENTIONS[publisher])
    assert f"1 missing ({name});" in text


def test_values_that_are_not_finite(tmp_path, publisher):
    tensors = published.tensors(publisher, NETWORK)
    name = pick(tensors, ndim=4)
    tensors[name].flat[5] = np.nan
    text = sentence(write(tmp_path, publisher, tensors), convention=CONVENTIONS[publisher])
    assert f"is damaged: {name} has values that are not finite" in text


@pytest.mark.parametrize("network", ["resnet18", "resnet50", "densenet121", "efficientnet_b0"])
def test_weights_of_another_network_are_recognised(tmp_path, network):
    layouts = [p for p, n in published.CASES if n == network and p in CONVENTIONS]
    for publisher in layouts:
        path = write(tmp_path, publisher, published.tensors(publisher, network))
        expected = f"holds the weights of {network}, not of {NETWORK}; choose `model={network}`"
        assert expected in sentence(path)
        with pytest.raises(UserError, match=f"the weights of {network}, not of"):
            pretrained.describe(str(path), NETWORK)
    assert layouts


def test_weights_of_no_network_known_here(tmp_path):
    path = write_safetensors(tmp_path / "bert.safetensors", {"embeddings.weight": np.zeros((9, 4))})
    text = sentence(path)
    assert "(0 tensors fit)" in text
    assert "1 unexpected (embeddings.weight)" in text


@pytest.mark.parametrize(
    ("publisher", "asked"), [("torchvision", "tensorflow"), ("keras", "torch")]
)
def test_a_network_in_another_convention(tmp_path, publisher, asked):
    path = write(tmp_path, publisher, published.tensors(publisher, NETWORK))
    expected = f"build it with `convention={CONVENTIONS[publisher]!r}`."
    assert expected in sentence(path, convention=asked)


def test_a_keras_archive_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(b"PK")
    assert "model.save_weights(" in sentence(path)


@pytest.mark.parametrize("writer", [write_safetensors, write_legacy, write_weights_h5])
@pytest.mark.parametrize("size", [0, 7, 300, 5000, 0.5, 0.99])
def test_truncated_files(tmp_path, writer, size):
    suffix = ".safetensors" if writer is write_safetensors else ".h5"
    publisher = "torchvision" if writer is write_safetensors else "keras"
    path = writer(tmp_path / f"half{suffix}", published.tensors(publisher, NETWORK))
    content = path.read_bytes()
    path.write_bytes(content[: size if isinstance(size, int) else int(size * len(content))])
    text = sentence(path, convention=CONVENTIONS[publisher])
    assert text.startswith(f"{path} cannot be read as ")
    assert "damaged, incomplete" in text


@pytest.mark.parametrize("name", ["text.safetensors", "text.h5", "text.weights.h5"])
def test_files_of_something_else(tmp_path, name):
    path = tmp_path / name
    path.write_text("<html>404 Not Found</html>" * 100)
    assert sentence(path).startswith(f"{path} cannot be read as ")


def test_damage_inside_hdf5(tmp_path):
    path = write_legacy(tmp_path / "a.h5", published.tensors("keras", NETWORK))
    content = bytearray(path.read_bytes())
    content[96:4096] = bytes(4000)
    path.write_bytes(content)
    assert sentence(path, convention="tensorflow").startswith(f"{path} cannot be read as ")


def test_a_network_inside_another_model(tmp_path):
    import h5py

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["base/a/kernel"] = file["base/b/kernel"] = np.zeros(2)
        file.attrs["layer_names"] = [b"base"]
        file["base"].attrs["weight_names"] = [b"a/kernel", b"b/kernel"]
    with h5py.File(tmp_path / "a.weights.h5", "w") as file:
        file["layers/base/layers/conv2d/vars/0"] = 1
    for name in ("a.h5", "a.weights.h5"):
        assert "layer 'base' is a network of its own" in sentence(tmp_path / name)


def one_layer(path, *, attributes=("conv1/kernel:0",)):
    """Writes a file of one layer without its tensor; returns the file, open."""
    import h5py

    file = h5py.File(path, "w")
    file.attrs["layer_names"] = np.array([b"conv1"])
    file.create_group("conv1").attrs["weight_names"] = np.array(attributes, "S")
    return file


def outside(kind, file, folder):
    import h5py

    (folder / "secret").write_bytes(bytes(range(16)))
    with h5py.File(folder / "other.h5", "w") as other:
        other["kernel"] = np.ones(4, np.float32)
        other["conv1/conv1/kernel:0"] = np.ones(4, np.float32)
    group = file["conv1"].require_group("conv1")
    if kind == "external storage":
        secret = [(str(folder / "secret"), 0, 16)]
        group.create_dataset("kernel:0", (4,), "f4", external=secret)
    elif kind == "external link":
        group["kernel:0"] = h5py.ExternalLink("other.h5", "kernel")
    elif kind == "external link to a layer":
        del file["conv1"]
        file["conv1"] = h5py.ExternalLink("other.h5", "conv1")
    elif kind == "soft link":
        file["aside"] = h5py.ExternalLink("other.h5", "kernel")
        group["kernel:0"] = h5py.SoftLink("/aside")
    elif kind == "virtual":
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "kernel", (4,))
        group.create_virtual_dataset("kernel:0", layout)


@pytest.mark.parametrize(
    ("kind", "expected"),
    {
        "external storage": "/conv1/conv1/kernel:0 is stored in",
        "external link": "/conv1/conv1/kernel:0 is a link to kernel in other.h5 outside",
        "external link to a layer": "its /conv1 is a link to conv1 in other.h5 outside",
        "soft link": "/conv1/conv1/kernel:0 is a link to /aside outside",
        "virtual": "/conv1/conv1/kernel:0 is a view of",
    }.items(),
)
def test_hdf5_that_points_to_other_files_is_refused_by_their_names(tmp_path, kind, expected):
    with one_layer(tmp_path / "a.h5") as file:
        outside(kind, file, tmp_path)
    text = sentence(tmp_path / "a.h5", convention="tensorflow")
    assert expected in text
    assert "all in one file" in text
    assert ("secret" in text) == (kind == "external storage")


def test_hdf5_whose_tensors_are_packed_or_announce_more_than_is_there(tmp_path):
    """A filter may be a plugin, and unpacks to a thousand times as much."""
    import h5py

    with one_layer(tmp_path / "a.h5") as file:
        group = file["conv1"].require_group("conv1")
        group.create_dataset("kernel:0", data=np.zeros(1000), compression="gzip")
    assert "is packed (deflate)" in sentence(tmp_path / "a.h5")
    with one_layer(tmp_path / "b.h5") as file:
        file["conv1"].require_group("conv1").create_dataset("kernel:0", (2**40,), "f4")
    assert "/conv1/conv1/kernel:0 has another size" in sentence(tmp_path / "b.h5")
    with one_layer(tmp_path / "c.h5") as file:
        group = file["conv1"].require_group("conv1")
        group.create_dataset("kernel:0", (1,), h5py.ref_dtype)
    assert "/conv1/conv1/kernel:0 holds no numbers" in sentence(tmp_path / "c.h5")


@pytest.mark.parametrize("damage", ["an object of no size", "a wrong length"])
def test_damaged_texts_of_hdf5_neither_loop_nor_fill_the_memory(tmp_path, damage):
    path = tmp_path / "a.h5"
    with one_layer(path) as file:
        file["conv1"].attrs["weight_names"] = ["conv1/kernel:0"]  # of any length
        file["conv1/conv1/kernel:0"] = np.zeros(3)
    content = bytearray(path.read_bytes())
    table = content.index(b"GCOL")
    if damage == "a wrong length":
        place = content.index(table.to_bytes(8, "little") + b"\1\0\0\0")
        content[place - 4 : place] = b"\xff\xff\xff\xff"
    else:
        content[table + 16 : table + 18] = content[table + 24 : table + 32] = b""
        content[table + 16 : table + 16] = bytes(10)
    assert open_weights(path).read(["conv1/kernel"])["conv1/kernel"].shape == (3,)
    path.write_bytes(content)
    text = sentence(path)
    assert "a text is longer" in text or "its texts is damaged" in text


def test_hdf5_with_a_driver_of_its_own(tmp_path):
    """The library looked for its settings far beyond the end of the file."""
    with one_layer(tmp_path / "a.h5"):
        pass
    content = bytearray((tmp_path / "a.h5").read_bytes())
    assert content[48:56] == b"\xff" * 8
    content[48:56] = (255).to_bytes(8, "little")
    (tmp_path / "a.h5").write_bytes(content)
    assert "it begins otherwise than Keras' files do" in sentence(tmp_path / "a.h5")


@pytest.mark.parametrize("suffix", [".h5", ".safetensors", ".pth"])
def test_a_named_pipe_is_not_waited_for(tmp_path, suffix):
    os.mkfifo(tmp_path / f"a{suffix}")
    assert "cannot be read (it is a named pipe and no file)" in sentence(tmp_path / f"a{suffix}")


def test_hdf5_of_something_else(tmp_path):
    import h5py

    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros((3, 3))
    assert "holds no weights of a Keras model" in sentence(path)


def test_no_file_and_other_files(tmp_path):
    assert "does not exist" in sentence(tmp_path / "gone.h5")
    assert "is a folder" in sentence(tmp_path)
    other = tmp_path / "weights.npz"
    other.write_bytes(b"")
    assert "not a kind of file" in sentence(other)


def test_grey_images(tmp_path):
    assert "three channels, not 1" in sentence(tmp_path / "any.h5", shape=(33, 33, 1))


def test_a_model_without_published_weights(tmp_path):
    path = tmp_path / "a.safetensors"
    safetensors.numpy.save_file({"a": np.zeros(3)}, path)
    with pytest.raises(UserError, match="no published weights fit the model 'cnn'"):
        pretrained.describe(str(path), "cnn")
    with pytest.raises(UserError, match="no published weights fit the model 'cnn'"):
        pretrained.describe("imagenet", "cnn")
    with pytest.raises(UserError, match="unknown `model=cnnn`; perhaps cnn is meant; choose"):
        pretrained.describe("imagenet", "cnnn")
