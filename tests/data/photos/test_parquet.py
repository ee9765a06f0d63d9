"""Pictures in Parquet files: by their number, in an order that spares the disk, damaged or not."""

import contextlib
import pickle

import numpy as np
import pyarrow.parquet
import pytest
from hub_helpers import numbered, write_parquet
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcls_jax.data.photos import parquet, streaming
from imgcls_jax.data.photos.decode import BadImage, decode
from imgcls_jax.data.photos.parquet import ParquetPhotos
from imgcls_jax.errors import UserError


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two files, of 30 and 25 rows in groups of 5."""
    folder = tmp_path_factory.mktemp("parquet")
    for name, count, first in (("a", 30, 0), ("b", 25, 30)):
        path = folder / f"{name}.parquet"
        write_parquet(path, numbered(count, first=first), [0] * count, groups=5)
    return tuple(str(folder / f"{name}.parquet") for name in "ab")


def photos(files, rows=None) -> ParquetPhotos:
    rows = np.arange(55) if rows is None else np.asarray(rows)
    return ParquetPhotos("hf:o/n", tuple(files), "image", rows, rows.astype(np.int32) * 10)


def value(source, index) -> int:
    return int(decode(source[index][0])[0, 0, 0])


def test_every_picture_by_its_number_and_some_of_them(files):
    source = photos(files)
    assert [value(source, index) for index in range(55)] == list(range(55))
    assert source[31][1] == 310
    some = source.take(np.array([54, 29, 30]))
    assert [value(some, index) for index in range(3)] == [54, 29, 30]
    assert some.name(0) == "Row 24 of b.parquet of hf:o/n"
    assert some.name(1) == "Row 29 of a.parquet of hf:o/n"
    assert some.identity() != source.identity()


def test_an_epoch_reads_each_group_once_though_pictures_of_several_are_mixed(files, monkeypatch):
    monkeypatch.setattr(parquet, "_KEPT_BYTES", 6 * photos(files)._groups.largest)
    source = photos(files)
    read, reads = source._groups.read, []
    monkeypatch.setattr(source._groups, "read", lambda group: reads.append(group) or read(group))
    order = source.order(3, 0)
    assert sorted(order.tolist()) == list(range(55))
    for index in order:
        source[int(index)]
    assert sorted(reads) == list(range(11))
    assert reads != sorted(reads)
    assert len(source._kept) <= 6
    windows = [set(order[first : first + 15] // 5) for first in (0, 15, 30)]
    assert [len(groups) for groups in windows] == [3, 3, 3]
    assert np.count_nonzero(np.diff(order[:15] // 5)) > 2  # the three are mixed
    np.testing.assert_array_equal(photos(files).order(3, 0), order)
    assert not np.array_equal(source.order(3, 1), order)
    assert not np.array_equal(source.order(4, 0), order)


def test_a_stream_of_rows_goes_on_where_it_stopped(files):
    source = photos(files)

    def stream(source):
        return streaming.stream(source, batch_size=10, size=6, seed=1)

    with stream(source) as one:
        batches = [next(one) for _ in range(12)]
    seen = np.concatenate([batch["index"] for batch in batches[:6]])
    assert sorted(seen.tolist()) == list(range(55))
    for batch in batches:
        np.testing.assert_array_equal(batch["image"][:, 0, 0, 0], batch["index"])
        np.testing.assert_array_equal(batch["label"], batch["index"] * 10)
    with stream(source) as first:
        for _ in range(4):
            next(first)
        state = first.get_state()
    with stream(pickle.loads(pickle.dumps(source))) as second:
        second.set_state(state)
        np.testing.assert_array_equal(next(second)["image"], batches[4]["image"])
    in_order = streaming.stream(source, batch_size=55, size=6, epochs=1, shuffle=False)
    with in_order as evaluated:
        assert next(evaluated)["index"].tolist() == list(range(55))


def test_a_row_without_a_picture_and_a_group_that_is_too_large(tmp_path, files, monkeypatch):

    table = pyarrow.parquet.read_table(files[1]).slice(0, 2)
    empty = table.set_column(
        0, "image", pyarrow.array([{"bytes": None}, None], table.schema[0].type)
    )
    pyarrow.parquet.write_table(empty, tmp_path / "x.parquet")
    source = photos([tmp_path / "x.parquet"], [0, 1])
    for index in range(2):
        with pytest.raises(BadImage, match="is empty"):
            decode(source[index][0])
    monkeypatch.setattr(parquet, "_LARGEST", 100)
    with pytest.raises(UserError, match=r"a.parquet holds 0.0 GB in one row group"):
        photos(files)[0]


def test_a_file_that_is_gone_or_no_parquet_file(tmp_path, files):
    path = tmp_path / "x.parquet"
    with pytest.raises(UserError, match=r"x.parquet is no Parquet file that can be read"):
        photos([path])[0]
    path.write_bytes(b"PAR1 but no more PAR1")
    with pytest.raises(UserError, match=r"x.parquet is no Parquet file that can be read"):
        photos([path])[0]
    assert "-1" in photos([tmp_path / "y.parquet"]).fingerprint()
    assert photos(files).fingerprint() != photos([files[0], path]).fingerprint()


def test_descriptions_of_columns_are_not_looked_at(tmp_path, files):
    """By a damaged one pyarrow raises what Python cannot catch, and here a name that is no text."""
    path = tmp_path / "x.parquet"
    with open(files[1], "rb") as file:
        parts = file.read().split(b"image")
    path.write_bytes(b"image".join(parts[:2]) + b"\x80mage" + b"image".join(parts[2:]))
    for damaged, whole in zip(photos([path], [0, 1]), photos([files[1]], [0, 1]), strict=True):
        assert damaged == whole


@settings(deadline=None, max_examples=30)
@given(damage=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_damage_ends_in_pictures_or_one_sentence(tmp_path_factory, files, damage):
    with open(files[1], "rb") as file:
        content = bytearray(file.read())
    for place, byte in damage:
        content[int(place * (len(content) - 1))] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.parquet"
    path.write_bytes(content)
    source = photos([path], range(25))
    for index in (0, 12, 24):
        with contextlib.suppress(UserError):
            assert decode(source[index][0]).dtype == np.uint8
