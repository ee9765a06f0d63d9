"""PyTorch's files of weights: tensors come back, anything else in the pickle is refused by name."""

import argparse
import builtins
import collections
import contextlib
import io
import itertools
import os
import pickle
import zipfile

import numpy as np
import pytest
from data_helpers import Calls
from golden import published_networks as published
from golden import torch_files as golden
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcls_jax import models, pretrained
from imgcls_jax.errors import UserError
from imgcls_jax.pretrained.files import open_weights


@pytest.fixture(params=golden.KINDS)
def kind(request):
    return request.param


def write(path, content: bytes):
    path.write_bytes(content)
    return path


def read_all(path) -> dict[str, np.ndarray]:
    file = open_weights(path)
    return file.read(file.shapes)


def refused(path) -> str:
    """Returns the sentence with which a file is refused, at the latest when it is read."""
    with pytest.raises(UserError) as raised:
        read_all(path)
    text = str(raised.value)
    assert text.startswith(f"{path} ")
    assert text.endswith(".")
    assert "\n" not in text
    return text


def archived(pickled: bytes, storages: dict[str, bytes] | None = None, **options) -> bytes:
    """Returns an archive as PyTorch lays it out."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        archive.writestr("a/data.pkl", pickled)
        for key, content in (storages or {}).items():
            archive.writestr(f"a/data/{key}", content)
    return file.getvalue()


class Floats:
    """Pickled as PyTorch pickles a view of a float32 storage."""

    def __init__(self, count, offset, shape, strides, key="0", kind="FloatStorage"):
        self.storage = count, key, kind
        self.view = offset, shape, strides


class Writer(pickle._Pickler):
    """Pickles `Floats` without PyTorch."""

    def persistent_id(self, value):
        if isinstance(value, tuple) and value[:1] == ("storage",):
            return value
        return None

    def save_global_of(self, module, name):
        self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())

    def save(self, value, *rest, **options):
        if not isinstance(value, Floats):
            return super().save(value, *rest, **options)
        count, key, kind = value.storage
        self.save_global_of("torch._utils", "_rebuild_tensor_v2")
        self.write(pickle.MARK + pickle.MARK)
        super().save("storage")
        self.save_global_of("torch", kind)
        for part in (key, "cpu", count):
            super().save(part)
        self.write(pickle.TUPLE + pickle.BINPERSID)
        for part in (*value.view, False, {}):
            super().save(part)
        self.write(pickle.TUPLE + pickle.REDUCE)


def pickled(content) -> bytes:
    file = io.BytesIO()
    Writer(file, 2).dump(content)
    return file.getvalue()


def test_tensors_come_back_whatever_their_strides(tmp_path, kind):
    file = open_weights(write(tmp_path / "a.pth", golden.content(kind)))
    assert file.layout == "torch"
    expected = golden.tensors()
    assert file.shapes == {name: value.shape for name, value in expected.items()}
    read = file.read(file.shapes)
    for name, value in expected.items():
        np.testing.assert_array_equal(read[name], value)
        assert read[name].dtype == value.dtype


@pytest.mark.parametrize("suffix", [".pt", ".bin", ".PTH", ".ckpt", ".pth.tar"])
def test_other_suffixes(tmp_path, suffix):
    file = open_weights(write(tmp_path / f"a{suffix}", golden.content("archive")))
    assert len(file.shapes) == len(golden.tensors())


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "model_state_dict"])
def test_a_network_in_a_checkpoint_trained_in_parallel(tmp_path, wrapper):
    tensors = published.tensors("timm", "mobilenet_v3_small")
    state, storages = {}, {}
    for key, (name, value) in enumerate(tensors.items()):
        strides = tuple(stride // value.itemsize for stride in value.strides)
        storage = "LongStorage" if value.dtype == np.int64 else "FloatStorage"
        view = (value.size, 0, value.shape, strides, str(key), storage)
        state[f"module.{name}"] = Floats(*view)
        storages[str(key)] = value.tobytes()
    content = state if wrapper is None else {"epoch": 3, wrapper: state}
    path = write(
        tmp_path / "mobilenetv3_small_100.lamb_in1k.pth", archived(pickled(content), storages)
    )
    assert pretrained.describe(str(path), "mobilenet_v3_small").convention == "torch"
    file = open_weights(path)
    assert file.shapes == published.shapes("timm", "mobilenet_v3_small")
    read = file.read(file.shapes)
    np.testing.assert_equal(read, tensors)


HOSTILE = {
    f"{os.system.__module__}.system": Calls(os.system, "touch ran"),
    "builtins.exec": Calls(exec, "open('ran', 'w')"),
    "builtins.getattr": Calls(builtins.getattr, "text", "join"),
    "argparse.Namespace": argparse.Namespace(lr=0.1),
    "collections.Counter": collections.Counter("a"),
    "numpy": np.float64(0.1),
}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("older", [False, True])
def test_code_is_refused_by_name_and_not_run(tmp_path, monkeypatch, name, protocol, older):
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps({"state_dict": {}, "args": HOSTILE[name]}, protocol)
    content = golden.before(content) if older else archived(content)
    text = refused(write(tmp_path / "a.pth", content))
    asked = name if protocol == 4 else name.replace("builtins", "__builtin__")
    assert f"its pickle asks for {asked}" in text
    assert "torch.save(model.state_dict(), PATH)" in text
    assert not (tmp_path / "ran").exists()


BAD_VIEWS = {
    "beyond the end": (8, 5, (4,), (1,)),
    "before the start": (8, 4, (2,), (-4,)),
    "more elements than numbers": (8, 0, (10**6, 10**6), (0, 0)),
    "huge": (8, 0, (2**62,), (1,)),
    "no whole number": (8, 0, (2.5,), (1,)),
    "other lengths": (8, 0, (2, 2), (1,)),
}


@pytest.mark.parametrize("view", BAD_VIEWS.values(), ids=BAD_VIEWS)
def test_views_outside_their_storage_are_damage(tmp_path, view):
    content = archived(pickled({"a": Floats(*view)}), {"0": bytes(32)})
    assert "cannot be read as a file of PyTorch" in refused(write(tmp_path / "a.pth", content))


def test_the_views_written_here_are_read_if_they_are_right(tmp_path):
    storage = np.arange(8, dtype=np.float32)
    content = pickled({"a": Floats(8, 1, (3, 2), (2, 1)), "b": Floats(8, 0, (2, 4), (1, 2))})
    file = open_weights(write(tmp_path / "a.pth", archived(content, {"0": storage.tobytes()})))
    read = file.read(["a", "b"])
    np.testing.assert_array_equal(read["a"], [[1, 2], [3, 4], [5, 6]])
    np.testing.assert_array_equal(read["b"], [[0, 2, 4, 6], [1, 3, 5, 7]])


def test_numbers_with_the_highest_byte_first(tmp_path):
    content = archived(
        pickled({"a": Floats(2, 0, (2,), (1,))}), {"0": np.float32([1, 2]).tobytes()}
    )
    swapped = archived(
        pickled({"a": Floats(2, 0, (2,), (1,))}),
        {"0": np.float32([1, 2]).byteswap().tobytes()},
    )
    with zipfile.ZipFile(tmp_path / "b.pth", "w") as archive:
        with zipfile.ZipFile(io.BytesIO(swapped)) as given:
            for name in given.namelist():
                archive.writestr(name, given.read(name))
        archive.writestr("a/byteorder", "big")
    for path in (write(tmp_path / "a.pth", content), tmp_path / "b.pth"):
        np.testing.assert_array_equal(open_weights(path).read(["a"])["a"], [1, 2])


def bomb(code: bytes) -> bytes:
    """A pickle of a tuple in tuples of 2**60 parts, at a place where it might be walked through."""
    doubled = b"(K\x01t" + b"".join(b"q\x00h\x00h\x00\x86" for _ in range(60))
    return b"\x80\x02}" + doubled + code


@pytest.mark.parametrize(
    "content",
    [
        bomb(b"K\x01s."),  # the key of a dict
        bomb(b"Q."),  # a storage
        bomb(b"R."),  # a call's arguments
        bomb(b"\x8c\x01a\x93."),  # a module's name
        b"\x80\x02K\x01r\xff\xff\xff\x7f.",  # place 2**31 of the memory
        b"\x80\x02X\xff\xff\xff\xffab.",  # a text of 4 GB
        b"\x80\x02\x8d" + b"\xff" * 7 + b"\x00ab.",
    ],
)
def test_small_pickles_stay_small(tmp_path, content):
    assert refused(write(tmp_path / "a.pth", archived(content)))
    assert refused(write(tmp_path / "b.pth", golden.before(content)))


def test_what_holds_no_tensors(tmp_path):
    for content in ([1, 2], {"a": 3}, {}, "text"):
        path = write(tmp_path / "a.pth", archived(pickle.dumps(content, 2)))
        assert "holds no tensors by name" in refused(path)


def test_what_is_no_file_of_pytorch(tmp_path):
    packed = archived(pickled({}), compression=zipfile.ZIP_DEFLATED)
    html, empty = b"<html>404 Not Found</html>", b""
    for content in (b"\x80\x04N.", html, empty, packed, packed[:20], archived(b"")):
        text = refused(write(tmp_path / "a.pth", content))
        assert "it is damaged, incomplete or something else" in text


def test_storages_of_another_size(tmp_path):
    pickle_of_8 = pickled({"a": Floats(8, 0, (8,), (1,))})
    for storages in ({}, {"0": bytes(31)}, {"1": bytes(32)}):
        refused(write(tmp_path / "a.pth", archived(pickle_of_8, storages)))


@pytest.mark.parametrize("share", [0, 0.01, 0.2, 0.5, 0.9, 0.999])
def test_truncated_files(tmp_path, kind, share):
    content = golden.content(kind)
    refused(write(tmp_path / "a.pth", content[: int(share * len(content))]))


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(golden.KINDS),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), min_size=1),
)
def test_flipped_bits_never_crash(tmp_path_factory, kind, flips):
    content = bytearray(golden.content(kind))
    for place, bit in flips:
        content[int(place * len(content))] ^= 1 << bit
    path = tmp_path_factory.getbasetemp() / "flipped.pth"
    with contextlib.suppress(UserError):
        read_all(write(path, bytes(content)))


@pytest.mark.slow
def test_every_flipped_bit_of_a_pickle_is_met(tmp_path):
    """In the older format, since a pickle in an archive has a checksum."""
    content = pickled({"a": Floats(8, 1, (3, 2), (2, 1)), "b": [1, "x", None, (2.5, 1, 2, 3)]})
    storage = pickle.dumps(["0"], 2) + (8).to_bytes(8, "little") + bytes(32)
    path = write(tmp_path / "a.pth", golden.before(content + storage))
    assert read_all(path)["a"].shape == (3, 2)
    for place, bit in itertools.product(range(len(content)), range(8)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        with contextlib.suppress(UserError):
            read_all(write(path, golden.before(bytes(flipped) + storage)))


def test_a_network_of_another_kind_is_refused_as_in_other_files(tmp_path):
    content = archived(pickled({"a.weight": Floats(8, 0, (8,), (1,))}), {"0": bytes(32)})
    path = write(tmp_path / "bert.pth", content)
    with pytest.raises(UserError, match=r"bert\.pth does not hold the weights of resnet18"):
        pretrained.load(
            str(path),
            model_name="resnet18",
            model=models.create("resnet18", num_classes=3),
            image_shape=(33, 33, 3),
        )
