"""Data sets of the Hugging Face Hub: small images, photos, splits, and what is refused."""

import numpy as np
import pyarrow.parquet
import pytest
from hub_helpers import COMMIT, numbered, play, write_parquet

from imgcls_jax import data
from imgcls_jax.data.photos.lazy import LazyPhotos
from imgcls_jax.errors import UserError

NAMES = ("cat", "dog", "owl")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    return play(monkeypatch, tmp_path)


def labels(count: int) -> list[int]:
    return [number % 3 for number in range(count)]


def write(folder, split: str, count: int, *, first: int = 0, shards: int = 1, **options):
    """Writes a split in some files, its images numbered from `first`."""
    images = numbered(count, first=first, **{k: options.pop(k) for k in ("side",) & options.keys()})
    parts = zip(np.array_split(images, shards), np.array_split(labels(count), shards), strict=True)
    for number, (part, of) in enumerate(parts):
        path = folder / f"data/{split}-{number:05}-of-{shards:05}.parquet"
        write_parquet(path, part, of.tolist(), names=NAMES, **options)


def values(split) -> list[int]:
    return np.asarray(split.images[:])[:, 0, 0, 0].tolist()


def test_small_images_come_as_they_are_and_are_fetched_once(hub):
    write(hub.folder(), "train", 20, shards=2)
    write(hub.folder(), "test", 7, first=20)
    write(hub.folder(), "unsupervised", 4)
    loaded = data.load("hf:owner/name")
    assert values(loaded.train) == list(range(20))
    assert values(loaded.test) == list(range(20, 27))
    assert loaded.train.labels.tolist() == labels(20)
    assert loaded.image_shape == (6, 6, 3)
    assert loaded.class_names == NAMES
    assert loaded.verified is True
    assert loaded.validation is None
    assert f"hf:owner/name at {COMMIT[:12]} on the Hugging Face Hub" in loaded.source
    assert loaded.notes == ("Splits that are not used: unsupervised",)
    assert len(hub.downloaded) == 3
    asked = len(hub.asked)
    again = data.load("hf:owner/name", offline=True)
    np.testing.assert_array_equal(again.train.images, loaded.train.images)
    assert (len(hub.downloaded), len(hub.asked)) == (3, asked)


def test_grey_images_have_one_channel_and_one_coloured_image_makes_three(hub):
    grey = numbered(9, channels=1)
    write_parquet(hub.folder() / "data/train.parquet", grey, labels(9), names=NAMES)
    write_parquet(hub.folder() / "data/test.parquet", grey[:3], labels(3), names=NAMES)
    assert data.load("hf:owner/name").image_shape == (6, 6, 1)
    write_parquet(hub.folder("o/mixed") / "train.parquet", grey, labels(9), names=NAMES)
    write_parquet(hub.folder("o/mixed") / "test.parquet", numbered(3), labels(3), names=NAMES)
    mixed = data.load("hf:o/mixed")
    assert mixed.image_shape == (6, 6, 3)
    np.testing.assert_array_equal(mixed.train.images, grey.repeat(3, axis=-1))


def test_without_a_test_split_each_class_gives_its_share(hub):
    write(hub.folder(), "train", 30)
    loaded = data.load("hf:owner/name", test_fraction=0.2)
    assert np.bincount(loaded.test.labels).tolist() == [2, 2, 2]
    assert sorted(values(loaded.train) + values(loaded.test)) == list(range(30))
    assert "20 % of the training examples" in loaded.notes[0]
    other = data.load("hf:owner/name", test_fraction=0.2, split_seed=1)
    assert values(other.test) != values(loaded.test)


def test_the_validation_split_is_the_test_split_where_there_is_no_other(hub):
    write(hub.folder(), "train", 12)
    write(hub.folder(), "valid", 6, first=12)
    loaded = data.load("hf:owner/name")
    assert values(loaded.test) == list(range(12, 18))
    assert loaded.validation is None
    assert "the validation split is the test set" in loaded.notes[0]


def test_a_test_split_without_labels_is_not_used(hub):
    write(hub.folder(), "train", 12)
    write(hub.folder(), "validation", 6, first=12)
    hidden = hub.folder() / "data/test-00000-of-00001.parquet"
    write_parquet(hidden, numbered(3), [-1] * 3, names=NAMES)
    loaded = data.load("hf:owner/name")
    assert values(loaded.test) == list(range(12, 18))
    assert "The test split has no labels: the validation split is the test" in loaded.notes[0]


def test_parts_of_splits_by_the_settings(hub):
    write(hub.folder(), "train", 12)
    write(hub.folder(), "validation", 6, first=12)
    parts = {"train_split": "train[:50%]+validation[3:]", "test_split": "train[50%:]"}
    loaded = data.load("hf:owner/name", **parts)
    assert values(loaded.train) == [0, 1, 2, 3, 4, 5, 15, 16, 17]
    assert values(loaded.test) == [6, 7, 8, 9, 10, 11]
    assert loaded.validation is None
    joined = data.load("hf:owner/name", test_split="validation[:2]")
    assert (values(joined.train), values(joined.test)) == (list(range(12)), [12, 13])
    with pytest.raises(UserError, match=r"`train_split=train` and .* share 6 examples"):
        data.load("hf:owner/name", test_split="train[6:]")
    with pytest.raises(UserError, match=r"names a split 'trian' that is not there"):
        data.load("hf:owner/name", train_split="trian")


@pytest.mark.parametrize("feed", ["resident", "streamed"])
def test_photos_become_squares_at_once_or_streamed(hub, feed):
    write(hub.folder(), "train", 30, side=100, kind="JPEG", shards=2)
    write(hub.folder(), "test", 6, first=30, side=100, kind="JPEG")
    loaded = data.load("hf:owner/name", image_size=16, feed=feed, hold_out=0.2)
    assert loaded.image_shape == (16, 16, 3)
    assert isinstance(loaded.train.images, LazyPhotos) == (feed == "streamed")
    assert len(loaded.validation) == 6
    found = values(loaded.train) + values(loaded.validation)
    np.testing.assert_allclose(sorted(found), range(30), atol=1)
    np.testing.assert_allclose(values(loaded.test), range(30, 36), atol=1)
    again = data.load("hf:owner/name", image_size=16, feed=feed, hold_out=0.2)
    np.testing.assert_array_equal(again.train.images[:], loaded.train.images[:])


def test_images_of_many_or_large_sizes_need_one(hub):
    write(hub.folder(), "train", 12, side=97)
    with pytest.raises(UserError, match=r"sizes such as 97x97, and .* give `image_size`"):
        data.load("hf:owner/name")
    mixed = hub.folder("o/mixed") / "train.parquet"
    images = [*numbered(199), numbered(1, side=7)[0]]
    write_parquet(mixed, images, labels(200), names=NAMES)
    with pytest.raises(UserError, match=r"sizes such as 6x6, 7x7, and"):
        data.load("hf:o/mixed")
    images[100], images[199] = images[199], images[100]  # in a row that is not looked at first
    write_parquet(hub.folder("o/later") / "train.parquet", images, labels(200), names=NAMES)
    with pytest.raises(UserError, match=r"Row 100 of train.parquet .* of 7x7 .* first of 6x6"):
        data.load("hf:o/later")


def test_a_picture_that_cannot_be_read_is_named(hub):
    write(hub.folder(), "train", 12)
    cells = [{"bytes": b"no picture", "path": None}] * 6
    path = hub.folder() / "data/test-00000-of-00001.parquet"
    write_parquet(path, numbered(6), labels(6), names=NAMES)
    table = pyarrow.parquet.read_table(path)
    pyarrow.parquet.write_table(table.set_column(0, "image", pyarrow.array(cells)), path)
    with pytest.raises(UserError, match=r"Row 0 of test-00000.* of hf:owner/name@.* is no image"):
        data.load("hf:owner/name")
    with pytest.raises(UserError, match=r"6 of the 18 images in hf:owner/name.* cannot be read"):
        data.load("hf:owner/name", image_size=8)
    train = {"train_split": "train[:9]", "test_split": "train[9:]"}
    assert len(data.load("hf:owner/name", image_size=8, **train).test) == 3


def test_a_split_that_the_hub_converted_in_part_is_said_to_be_one(hub):
    path = hub.folder("owner/name-converted") / "default/partial-train/0000.parquet"
    write_parquet(path, numbered(12), labels(12), names=NAMES)
    hub.folder().mkdir(parents=True)
    loaded = data.load("hf:owner/name")
    assert loaded.notes[0] == "Only the beginning of the split is there: partial-train"
    assert len(loaded.train) == 9


def test_configurations_are_data_sets_of_their_own(hub):
    for config, first in (("letters", 0), ("digits", 100)):
        images = numbered(12, first=first)
        write_parquet(hub.folder() / config / "train.parquet", images, labels(12), names=NAMES)
    for _ in range(2):
        letters, digits = (data.load(f"hf:owner/name/{name}") for name in ("letters", "digits"))
        assert max(values(letters.train)) < 12
        assert min(values(digits.train)) >= 100
    assert (letters.name, digits.name) == ("owner-name-letters", "owner-name-digits")
    assert data.describe("hf:owner/name/letters").name == "hf:owner/name/letters"
    with pytest.raises(UserError, match="has the configurations digits, letters; write one"):
        data.load("hf:owner/name")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"feed": "streamed"}, "takes no `feed` without `image_size`; leave it out"),
        ({"colour": 1, "image_size": 8}, "takes no `colour`; leave it out"),
        ({"image_size": 8, "folds": 5}, "`folds`, `duplicates` and `corrupt` are for photos in"),
        ({"image_size": 8, "label_file": "a.csv"}, "`label_file` is for folders of photos"),
        ({"image_size": "8"}, "wrong type"),
        ({"raw_dir": "here"}, "have no raw files"),
        ({"hold_out": 0.2}, "has a validation split; leave out `hold_out`"),
        ({"test_fraction": 2}, "must be above 0 and below 1"),
    ],
)
def test_options_that_mean_nothing_here(hub, options, sentence):
    for split in ("train", "validation", "test"):
        write(hub.folder(), split, 6)
    with pytest.raises(UserError, match=sentence):
        data.load("hf:owner/name", **options)


def test_a_copy_in_a_folder_needs_no_hub(hub, tmp_path):
    write(tmp_path / "copy", "train", 12)
    write(tmp_path / "copy", "test", 3)
    (tmp_path / "copy" / "README.md").write_text("---\nlicense: mit\n---\nA data set.\n")
    loaded = data.load("hf:owner/name", data_dir=tmp_path / "copy", offline=True)
    assert len(loaded.train) == 12
    assert loaded.verified is None
    assert str(tmp_path / "copy") in loaded.source
    assert not hub.asked
    told = data.describe("hf:owner/name", data_dir=tmp_path / "copy")
    assert (told.licence, dict(told.counts)) == ("mit", {"train": 12, "test": 3})
    write(tmp_path / "copy", "test", 3, first=50)
    assert values(data.load("hf:owner/name", data_dir=tmp_path / "copy").test) == [50, 51, 52]
    streamed = {"image_size": 8, "feed": "streamed", "data_dir": tmp_path / "moved"}
    (tmp_path / "copy").rename(tmp_path / "moved")
    photos = data.load("hf:owner/name", **streamed)
    assert str(tmp_path) not in photos.train.images.source.identity()
    with pytest.raises(UserError, match="holds no Parquet file"):
        data.load("hf:owner/name", data_dir=tmp_path / "empty")


def test_describe_tells_before_and_after_the_files_are_here(hub, monkeypatch):
    write(hub.folder(), "train", 12)
    write(hub.folder(), "test", 3)
    splits = [{"name": "train", "num_examples": 12}, {"name": "test", "num_examples": 3}]
    hub.card = {"license": ["mit", "other"], "dataset_info": {"splits": splits}}

    class FileSystem:
        def open(self, name, mode, *, block_size):
            repository, _, path = name.partition(f"@{COMMIT}/")
            return (hub.root / repository.removeprefix("datasets/") / path).open(mode)

    monkeypatch.setattr("huggingface_hub.HfFileSystem", FileSystem)
    before = data.describe("hf:owner/name")
    assert not hub.downloaded
    assert before.class_names == NAMES
    assert before.image_shape == (6, 6, 3)
    assert not before.photos
    assert dict(before.counts) == {"train": 12, "test": 3}
    assert before.licence == "mit, other"
    assert before.version == COMMIT
    sizes = [path.stat().st_size for path in hub.folder().rglob("*.parquet")]
    assert before.download_bytes == sum(sizes)
    hub.card = {}
    data.load("hf:owner/name")
    monkeypatch.delattr("huggingface_hub.HfFileSystem")
    assert data.describe("hf:owner/name", offline=True) == before


def test_describe_says_what_it_cannot_know(hub, monkeypatch):
    write(hub.folder(), "train", 12)
    monkeypatch.setattr("huggingface_hub.HfFileSystem", None)
    told = data.describe("hf:owner/name")
    assert told.photos
    assert told.class_names == ()
    assert "known once it is fetched" in told.remarks[0]
