"""Exported files whose words about themselves are wrong, or whose program is: one sentence each."""

import json
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imgcls_jax.errors import UserError
from imgcls_jax.predict import export, predictor

NAMES = ("a", "b", "c")


def means(images):
    return jax.nn.softmax(images.astype(jnp.float32).mean((1, 2)))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write(means, tmp_path_factory.mktemp("export") / "network.zip")


def write(network, path, **options):
    settings = {"class_names": NAMES, "image_shape": (4, 4, 3), "preprocessing": {"resize": "pad"}}
    return export.write(path, network, **settings | options)


def parts(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("meta.json")), archive.read("model.stablehlo")


def rewritten(path, meta, model, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("meta.json", meta if isinstance(meta, str) else json.dumps(meta))
        archive.writestr("model.stablehlo", model)
    return path


def refusal(path):
    with pytest.raises(UserError) as caught:
        export.read(path)
    said = str(caught.value)
    assert said.startswith(str(path))
    assert said.endswith(".")
    assert "\n" not in said
    return said


@pytest.mark.parametrize(
    "field", ["class_names", "image_shape", "preprocessing", "platforms", "jax", "format"]
)
def test_a_field_that_is_missing_or_of_another_type_is_named(field, written, tmp_path):
    meta, model = parts(written)
    lacking = {name: value for name, value in meta.items() if name != field}
    wrong_types = (None, 7, {}, [], [[1]], *(["x"] if field != "jax" else []))
    for wrong in (lacking, *(meta | {field: value} for value in wrong_types)):
        said = refusal(rewritten(tmp_path / "a.zip", wrong, model))
        assert field in said or (field == "format" and "by another version" in said)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({"image_shape": [4, 4]}, "`image_shape` is a list of 2 and not a list of 3"),
        ({"image_shape": [4, 4, 0]}, "`image_shape[2]` is 0 and not from 1 to 65536"),
        ({"image_shape": [4, 4, 1e30]}, "`image_shape[2]` is 1e+30 and not a whole number"),
        ({"image_shape": [8, 8, 3]}, "its program takes uint8 (batch, 4, 4, 3) and not uint8"),
        ({"class_names": ["a", "b"]}, "gives float32 (batch, 3) and not probabilities (B, 2)"),
        ({"class_names": ["a", "b", None]}, "`class_names[2]` is null and not text"),
        ({"platforms": ["cpu", "abacus"]}, "`platforms[1]` is 'abacus' and not one of cpu, cuda"),
        ({"platforms": ["cpu", "tpu"]}, "its program is for cpu and cuda, not cpu and tpu"),
        ({"preprocessing": {}}, "`preprocessing.resize` is missing"),
        ({"jax": 10**30}, "`jax` is 1000000000000000000000000000000 and not text"),
        ({"thresholds": [0.5]}, "there are 1 thresholds for 3 classes"),
        ({"thresholds": [0.5, 2, 0.5]}, "`thresholds[1]` is 2 and not from 0 to 1"),
    ],
)
def test_what_a_file_says_of_itself_is_held_to_its_range_and_its_program(
    edit, says, written, tmp_path
):
    meta, model = parts(written)
    assert says in refusal(rewritten(tmp_path / "a.zip", meta | edit, model))


def test_a_program_that_gives_more_than_an_array_is_refused(tmp_path):
    path = write(lambda images: (means(images), None), tmp_path / "a.zip")
    assert "its program takes or gives more than an array; copy it anew" in refusal(path)


@pytest.mark.parametrize("meta", ["[]", "[" * 10_000, '{"format": 1, "format": 1}', "NaN", ""])
def test_metadata_that_are_no_object_are_no_exported_network(meta, written, tmp_path):
    path = rewritten(tmp_path / "a.zip", meta, parts(written)[1])
    assert "is no exported network" in refusal(path)


def test_a_small_file_does_not_unpack_into_a_vast_one(written, tmp_path):
    meta, _ = parts(written)
    path = rewritten(tmp_path / "a.zip", meta, bytes(10**7), zipfile.ZIP_DEFLATED)
    assert "is no exported network" in refusal(path)


def test_a_program_that_cannot_be_compiled_is_a_sentence_at_the_first_call(
    written, tmp_path, capfd
):
    meta, model = parts(written)
    code = model.index(b"StableHLO_v")  # the portable artifact's own head
    damaged = model[:code] + bytes(40) + model[code + 40 :]
    path = rewritten(tmp_path / "a.zip", meta, damaged)
    with pytest.raises(UserError, match=r"a\.zip cannot be computed here \(.*\); copy it anew, or"):
        export.read(path).predict(np.zeros((2, 4, 4, 3), np.uint8))
    assert "Traceback" not in capfd.readouterr().err


def test_pictures_become_square_ones_of_one_channel_or_three(written, tmp_path):
    assert predictor.load(written).image_shape == (4, 4, 3)
    wide = write(means, tmp_path / "wide.zip", image_shape=(4, 5, 3))
    with pytest.raises(UserError, match="the network takes images of 4x5x3, and pictures become"):
        predictor.load(wide)


def test_nan_is_no_class(tmp_path):
    """argmax would take the first NaN for the largest."""
    from PIL import Image

    path = write(lambda x: means(x) / (x.max() > 300), tmp_path / "nan.zip")
    for name in ("a", "b"):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{name}.png")
    pictures = [str(tmp_path / f"{name}.png") for name in ("a", "b")]
    for found in predictor.predict(predictor.load(path), pictures):
        assert found.error == "gives NaN: the network or its file is damaged"
        assert found.probabilities is None
