"""From files to probabilities: preparing, finding, batching, and what a run or a file gives."""

from collections import Counter

import flax.linen as nn
import numpy as np
import pytest
from conftest import QUICK
from PIL import Image

from imgcls_jax import models
from imgcls_jax.config import Config
from imgcls_jax.data.photos import kinds
from imgcls_jax.errors import UserError
from imgcls_jax.models import tta
from imgcls_jax.models.layers import last_map, mean_of_pixels
from imgcls_jax.predict import predictor, restored
from imgcls_jax.train.setup import make_network


def fake(size=4, channels=3, resize="crop", seen=None):
    """Probabilities by the image's mean; notes the sizes of batches in `seen`."""

    def probabilities(images):
        assert images.dtype == np.uint8
        if seen is not None:
            seen.append(len(images))
        mean = images.mean((1, 2, 3)) / 255
        return np.stack([mean, 1 - mean], axis=1)

    return predictor.Predictor(
        probabilities, ("bright", "dark"), (size, size, channels), {"resize": resize}
    )


def picture(path, value, size=(4, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, value if isinstance(value, tuple) else (value,) * 3).save(path)
    return str(path)


def test_pictures_become_grey_for_networks_that_take_grey(tmp_path):
    path = picture(tmp_path / "a.png", (200, 100, 50), size=(9, 6))
    grey = fake(channels=1).prepare(path)
    assert grey.shape == (4, 4, 1)
    assert (grey == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)).all()
    for value in (0, 77, 255):
        assert (fake(channels=1).prepare(picture(tmp_path / "b.png", value)) == value).all()
    assert (fake().prepare(path) == (200, 100, 50)).all()


def test_pictures_are_resized_as_in_training(tmp_path):
    path = picture(tmp_path / "a.png", 255, size=(16, 4))
    assert fake(resize="pad").prepare(path).min() == 0
    assert fake(resize="crop").prepare(path).min() == 255


def test_folders_are_searched_in_order_and_files_taken_as_they_are(tmp_path, monkeypatch):
    for name in ("b/2.JPG", "b/1.png", "a.jpeg", ".hidden/3.png", "b/.4.png", "notes.txt"):
        picture(tmp_path / name, 0) if "." in name[-5:] and name != "notes.txt" else None
    (tmp_path / "notes.txt").write_text("no image")
    text = str(tmp_path / "notes.txt")
    for name in ("b/@eaDir/4.png", "b/Thumbs.db", "b/photo.HEIC", "b/clip.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    monkeypatch.setattr(kinds, "heic_is_read", lambda: False)
    found = predictor.find_images([text, tmp_path, "none.png"], passed := Counter())
    assert passed == {
        "HEIC (pip install pillow-heif to read them)": 1,
        "not an image (.mp4)": 1,
        "not an image (.txt)": 1,
    }
    names = [str(tmp_path / name) for name in ("a.jpeg", "b/1.png", "b/2.JPG")]
    assert found == [text, *names, "none.png"]


@pytest.mark.parametrize(
    ("files", "batches"), [(0, []), (3, [3]), (4, [4]), (5, [4, 4]), (9, [4, 4, 4])]
)
def test_all_batches_have_one_size_unless_there_is_one(files, batches, tmp_path, monkeypatch):
    monkeypatch.setattr(predictor, "eval_batch_size", lambda shape: 4)
    paths = [picture(tmp_path / f"{number}.png", 20 * number) for number in range(files)]
    seen = []
    found = list(predictor.predict(fake(seen=seen), paths))
    assert seen == batches
    assert [prediction.path for prediction in found] == paths
    means = [prediction.probabilities[0] * 255 for prediction in found]
    np.testing.assert_allclose(means, 20 * np.arange(files), atol=1e-9)


def test_bad_files_keep_their_places_and_cost_no_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(predictor, "eval_batch_size", lambda shape: 2)
    for number in (1, 2, 4, 6):
        picture(tmp_path / f"{number}.png", 20 * number)
    (tmp_path / "0.png").write_bytes(b"")
    (tmp_path / "3.png").write_text("text")
    paths = [str(tmp_path / f"{number}.png") for number in range(7)]  # there is no 5
    seen = []
    found = list(predictor.predict(fake(seen=seen), paths))
    assert [prediction.path for prediction in found] == paths
    assert seen == [2, 2]
    assert found[0].error == "is empty (0 bytes)"
    assert "no image" in found[3].error
    assert "No such file" in found[5].error
    for number in (1, 2, 4, 6):
        assert found[number].error is None
        assert found[number].probabilities[0] == pytest.approx(20 * number / 255)


def test_few_files_are_decoded_ahead(tmp_path, monkeypatch):
    """Of many files only a few batches are held, wherever the reader is."""
    monkeypatch.setattr(predictor, "eval_batch_size", lambda shape: 2)
    path, started = picture(tmp_path / "a.png", 9), []
    network = fake()
    prepare = predictor.Predictor.prepare

    def counted(self, source):
        started.append(source)
        return prepare(self, source)

    monkeypatch.setattr(predictor.Predictor, "prepare", counted)
    predictions = predictor.predict(network, [path] * 100)
    for taken in range(1, 21):
        next(predictions)
        assert len(started) <= taken + 2 * 2 + 2 * 2
    predictions.close()
    assert len(started) < 40


def test_large_images_come_in_small_batches():
    assert fake(size=224).batch_size == 32
    assert fake(size=600).batch_size == 4
    assert fake(size=5000).batch_size == 1
    assert fake(size=28).batch_size == 250


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return tmp_path_factory.mktemp("run") / "digits"


def test_a_run_and_its_export_give_the_probabilities_of_the_test_set(fmnist_main, workdir, digits):
    status, _, err = fmnist_main(*QUICK, f"--workdir={workdir}", "--nofigures")
    assert status == 0, err
    expected = np.load(workdir / "predictions.npz")["probabilities"]
    network = predictor.load(workdir)
    assert network.class_names == tuple(digits.class_names)
    assert network.image_shape == (8, 8, 1)
    found = network.probabilities(digits.test.images)
    np.testing.assert_allclose(found, expected, atol=1e-6)

    exported = predictor.load(network.export(workdir / "network.zip"))
    assert exported.preprocessing == network.preprocessing == {"resize": "crop"}
    assert exported.grad_cam is None
    np.testing.assert_allclose(exported.probabilities(digits.test.images), expected, atol=1e-6)


@pytest.mark.parametrize("eval_size", [None, 12])
def test_saliency_sees_what_the_network_sees(monkeypatch, eval_size):
    """uint8 pixels, enlarged and normalised as the run's: the map is of those, not of raw ones."""

    class Map(nn.Module):
        @nn.compact
        def __call__(self, images, train=False):
            return mean_of_pixels(last_map(self, images))  # a channel is the logit of its class

    monkeypatch.setattr(models, "create", lambda name, **options: Map())
    config = Config.of(
        dataset="folder", image_size=8, eval_size=eval_size, model="resnet18", normalise="symmetric"
    )
    network = make_network(config, num_classes=3, image_shape=(8, 8, 3), constants={})
    record = {"class_names": list("rgb"), "image_shape": [8, 8, 3], "resize": "pad"}
    found = restored.Restored(network, {}, record)
    monkeypatch.setattr(restored, "restore", lambda path: found)
    predicts = predictor.from_workdir("run")
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    cams = predicts.grad_cam(images, np.array([0, 2]))
    seen = 2 * np.asarray(tta.enlarge(images / np.float32(255), eval_size)) - 1
    assert seen.shape == (2, eval_size or 8, eval_size or 8, 3)
    for cam, image, c in zip(cams, seen, (0, 2), strict=True):
        weighed = np.maximum(image[..., c] - image.mean(-1), 0)  # the others weigh -1/3 each
        np.testing.assert_allclose(cam, weighed / weighed.max(), atol=1e-5)
    assert predicts.preprocessing == {"resize": "pad"}
    assert predicts.class_names == ("r", "g", "b")


def test_what_is_neither_run_nor_export_is_one_clear_sentence(tmp_path):
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").mkdir()
    for name, says in (
        ("none", "there is no"),
        ("text", "is no exported network"),
        ("empty", "holds no run"),
    ):
        with pytest.raises(UserError, match=says) as caught:
            predictor.load(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)
