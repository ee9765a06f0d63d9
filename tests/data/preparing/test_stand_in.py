"""The stand-in for TensorFlow: scoped, clear about what it lacks, and as TensorFlow where it is."""

import functools
import io

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core.utils import lazy_imports_utils

from experiments.benchmarks.builders import drawn
from imgcls_jax.data.catalog.preparing import encoding, gfile, stand_in
from imgcls_jax.data.catalog.preparing.tensors import NotSupplied


def test_stands_in_for_a_while_and_leaves_everything_as_it_was():
    lazy = lazy_imports_utils.tensorflow
    before = dict(vars(lazy))
    with stand_in.supplied():
        assert lazy.io.gfile.GFile is gfile.GFile
        with stand_in.supplied():  # one preparation within another
            assert lazy.executing_eagerly()
        assert lazy.executing_eagerly()
    assert vars(lazy) == before


def test_an_error_inside_leaves_everything_as_it_was_too():
    before = dict(vars(lazy_imports_utils.tensorflow))
    with pytest.raises(RuntimeError), stand_in.supplied():
        raise RuntimeError
    assert vars(lazy_imports_utils.tensorflow) == before


def test_takes_the_place_of_an_imported_tensorflow_for_a_while(monkeypatch):
    real = object()
    monkeypatch.setitem(vars(lazy_imports_utils.tensorflow), "_module", real)
    with stand_in.supplied():
        assert lazy_imports_utils.tensorflow.string is np.object_
    assert vars(lazy_imports_utils.tensorflow)["_module"] is real


@pytest.mark.parametrize("name", ["image.resize", "data", "io.gfile.stat", "compat.v1"])
def test_a_name_that_is_missing_is_named(name):
    *above, last = name.split(".")
    with stand_in.supplied():
        found = functools.reduce(getattr, above, lazy_imports_utils.tensorflow)
        with pytest.raises(NotSupplied, match=f"^tf.{name}$"):
            getattr(found, last)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("io.gfile.GFile", True),
        ("errors.NotFoundError.args", True),
        ("io.gfile", False),
        ("image.resize", False),
        ("io.gfile.GFileX", False),
    ],
)
def test_is_supplied(name, expected):
    assert stand_in.is_supplied(name) is expected


def test_image_features_encode_arrays():
    rng = np.random.default_rng(0)
    feature = tfds.features.Image(shape=(None, None, 3))
    image = drawn.pixels(rng, 9, 14)
    with stand_in.supplied():
        encoded = feature.encode_example(image)
    assert type(encoded) is bytes
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encoded))), image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_png_holds_every_bit(dtype):
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (7, 5, 1), dtype)
    encoded = encoding.encode_png(image).numpy()
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encoded))), image[..., 0])


def test_what_pillow_cannot_do_is_named():
    with pytest.raises(NotSupplied, match="16-bit colours"):
        encoding.encode_png(np.zeros((2, 2, 3), np.uint16))
    with pytest.raises(NotSupplied, match="16 bits per channel"):
        encoding.decode_png(encoding.encode_png(np.zeros((2, 2, 1), np.uint16)))
    with pytest.raises(NotSupplied, match=r"tf.io.decode_image with channels=3"):
        encoding.decode_image(b"GIF89a", channels=3, dtype=None)
    with pytest.raises(NotSupplied, match="other files than JPEG, PNG and BMP"):
        encoding.decode_image(b"GIF89a")


def file_of(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_png_files_are_decoded_as_stored():
    colours = Image.fromarray(drawn.pixels(np.random.default_rng(0), 8, 8))
    palette = colours.convert("P")
    for image, channels in ((colours.convert("L"), 1), (colours, 3), (palette, 3)):
        decoded = encoding.decode_image(file_of(image, "PNG"))
        assert decoded.shape == (8, 8, channels)
        again = image.convert("RGB") if image.mode == "P" else image
        np.testing.assert_array_equal(decoded.numpy().squeeze(), np.asarray(again))
    assert encoding.decode_image(file_of(palette, "PNG", transparency=0)).shape == (8, 8, 4)
    assert encoding.decode_png(file_of(colours.convert("LA"), "PNG"), channels=3).shape == (8, 8, 3)


def test_bmp_files_are_decoded():
    image = drawn.pixels(np.random.default_rng(0), 6, 7)
    decoded = encoding.decode_image(file_of(Image.fromarray(image), "BMP"))
    np.testing.assert_array_equal(decoded, image)


def test_gfile(tmp_path):
    with gfile.GFile(tmp_path / "a.txt", "w") as file:
        file.write("ä\r\nb\n")
    with gfile.GFile(tmp_path / "a.txt") as file:
        assert list(file) == ["ä\r\n", "b\n"]
    gfile.makedirs(tmp_path / "folder" / "inner")
    gfile.copy(tmp_path / "a.txt", tmp_path / "folder" / ".b.txt")
    with pytest.raises(FileExistsError):
        gfile.copy(tmp_path / "a.txt", tmp_path / "folder" / ".b.txt")
    assert gfile.listdir(tmp_path) == ["a.txt", "folder"]
    assert gfile.glob(f"{tmp_path}/*/*.txt") == [str(tmp_path / "folder" / ".b.txt")]
    assert [names for _, *names in gfile.walk(tmp_path / "folder")] == [
        [["inner"], [".b.txt"]],
        [[], []],
    ]
    gfile.rename(tmp_path / "folder" / ".b.txt", tmp_path / "c.txt")
    with pytest.raises(FileExistsError):
        gfile.rename(tmp_path / "a.txt", tmp_path / "c.txt")
    gfile.remove(tmp_path / "a.txt")
    gfile.rmtree(tmp_path / "folder")
    assert gfile.listdir(tmp_path) == ["c.txt"]
    assert gfile.exists(tmp_path / "c.txt")
    assert not gfile.isdir(tmp_path / "c.txt")


def test_a_file_that_was_closed_opens_anew(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.arange(3), b=np.arange(2))
    with gfile.GFile(tmp_path / "a.npz", "rb") as file:
        arrays = np.load(file)
    assert file.closed
    assert [len(arrays[name]) for name in ("a", "b")] == [3, 2]
    file.close()
    assert file.closed


def test_more_files_may_be_open_for_a_while():
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = min(256, before[0])
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        with gfile.many_open():
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > soft
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == soft
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("act", [gfile.exists, gfile.listdir, gfile.GFile, gfile.glob])
def test_addresses_are_not_taken_for_paths(act):
    with pytest.raises(gfile.Elsewhere, match=r"tf\.io\.gfile of gs:// addresses") as caught:
        act("gs://tfds-data/a.txt")
    assert not isinstance(caught.value, gfile.Unimplemented)
    with (
        stand_in.supplied(),
        pytest.raises(lazy_imports_utils.tensorflow.errors.UnimplementedError, match="ftp://"),
    ):
        act("ftp://user:word@example.org/a.txt")
