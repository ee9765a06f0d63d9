"""Records of TensorFlow's files by index, and what is read of an Example."""

import pytest
import tensorflow_datasets as tfds
from prepared_helpers import framed
from tensorflow_datasets.proto import tf_example_pb2

from imgcls_jax.data.catalog.folders import example_proto, tfrecords

RECORDS = [b"abc", b"", bytes(range(40))]
# What tf.io.TFRecordWriter of TensorFlow 2.21 writes of them.
GOLDEN = bytes.fromhex(
    "0300000000000000b099490e6162636e57f121000000000000000029039807d8ea82a22800000000000000"
    "ff70164a000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223242526"
    "2775118983"
)


def test_the_helper_writes_what_tensorflow_writes():
    assert b"".join(map(framed, RECORDS)) == GOLDEN


def test_records_are_had_by_their_index_across_files(tmp_path):
    files = [tmp_path / "0", tmp_path / "1", tmp_path / "2"]
    files[0].write_bytes(GOLDEN)
    files[1].write_bytes(b"")
    files[2].write_bytes(framed(b"last"))
    found = tfrecords.TFRecords(files, [*map(tfrecords.offsets, files)])
    assert [found[index] for index in range(len(found))] == [*RECORDS, b"last"]
    assert found.__getitems__([3, 0]) == [b"last", b"abc"]


@pytest.mark.parametrize("cut", [1, 5, 60, len(GOLDEN) - 1])
def test_a_cut_file_is_told(tmp_path, cut):
    file = tmp_path / "0"
    file.write_bytes(GOLDEN[:cut])
    with pytest.raises(ValueError, match="0 ends within record"):
        tfrecords.offsets(file)


@pytest.mark.parametrize("record", range(len(RECORDS)))
@pytest.mark.parametrize("bit", [0, 7, 35, 63, 64, 95])
def test_a_length_that_its_crc_denies_is_told(tmp_path, record, bit):
    file = tmp_path / "0"
    content = bytearray(GOLDEN)
    content[sum(len(one) + 16 for one in RECORDS[:record]) + bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)
    with pytest.raises(ValueError, match=f"^0 is damaged: the length of record {record} does not"):
        tfrecords.offsets(file)


def test_zeros_are_no_records(tmp_path):
    file = tmp_path / "0"
    file.write_bytes(GOLDEN + bytes(64))
    with pytest.raises(ValueError, match="the length of record 3 does not match its CRC"):
        tfrecords.offsets(file)


def test_a_file_that_becomes_shorter_is_told(tmp_path):
    file = tmp_path / "0"
    file.write_bytes(GOLDEN)
    found = tfrecords.TFRecords([file], [tfrecords.offsets(file)])
    file.write_bytes(GOLDEN[:50])
    with pytest.raises(OSError, match="has become shorter"):
        found[2]


def example(**features) -> bytes:
    made = tf_example_pb2.Example()
    for name, values in features.items():
        of = made.features.feature[name]
        for value in values:
            if isinstance(value, bytes):
                of.bytes_list.value.append(value)
            elif isinstance(value, float):
                of.float_list.value.append(value)
            else:
                of.int64_list.value.append(value)
    return made.SerializeToString()


def test_the_image_and_the_label_of_an_example_are_read():
    record = example(picture=[b"\x89PNG"], kind=[-1], box=[0.5, 1.0], mask=[b"no"], id=[2**40])
    assert example_proto.read(record, image="picture", label="kind") == (b"\x89PNG", -1)


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (b"\xff\xff", "is no tf.train.Example"),
        (b"", "has not one 'image' and one 'label' but nothing"),
        (example(image=[b"x"], tags=[1, 2]), "but image, tags"),
        (example(image=[b"x"], label=[1, 2]), "has not one 'image' and one 'label'"),
        (example(image=[1], label=[1]), "has not one 'image' and one 'label'"),
    ],
    # The bytes of an example are in another order in each process.
    ids=["no example", "nothing", "other names", "two labels", "a number for an image"],
)
def test_other_records_are_told(record, sentence):
    with pytest.raises(ValueError, match=sentence):
        example_proto.read(record, image="image", label="label")


def test_tfds_reads_the_same_of_its_own_example():
    features = tfds.features.FeaturesDict({"label": tfds.features.ClassLabel(num_classes=300)})
    record = example(image=[b"x"], label=[299])
    assert features.deserialize_example_np(record)["label"] == 299
    assert example_proto.read(record, image="image", label="label")[1] == 299
