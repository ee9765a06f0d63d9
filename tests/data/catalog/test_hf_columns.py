"""The columns of a Parquet file: which are found, what labels mean, what is refused."""

import json

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from imgcls_jax.data.catalog.hf import columns
from imgcls_jax.errors import UserError

FILES = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
INT, TEXT = pyarrow.int64(), pyarrow.string()


def schema(told=None, **kinds):
    features = {"huggingface": told if isinstance(told, str) else json.dumps(told)}
    return pyarrow.schema(kinds, metadata=features if told else None)


def classes(*names, of=("a", "b")):
    features = {name: {"_type": "ClassLabel", "names": list(of)} for name in names}
    return {"info": {"features": features}}


def find(*arguments, **kinds):
    return columns.find(schema(*arguments, **kinds), "hf:o/n")[:3]


def test_the_columns_that_are_found():
    names = ("a", "b")
    assert find(classes("label"), image=FILES, label=INT) == ("image", "label", names)
    assert find(classes("species"), id=INT, species=INT, jpg=FILES) == ("jpg", "species", names)
    assert find(image=FILES, label=INT) == ("image", "label", None)
    assert find(IMG=pyarrow.binary(), Class=TEXT, x=INT) == ("IMG", "Class", None)
    assert find(image=FILES, mask=FILES, label=INT) == ("image", "label", None)
    assert find("no json", image=FILES, label=INT) == ("image", "label", None)
    assert find({"info": 3}, image=FILES, label=INT) == ("image", "label", None)
    both = columns.find(
        schema(classes("coarse_label", "fine_label"), img=FILES, coarse_label=INT, fine_label=INT),
        "hf:o/n",
    )
    assert (both.label, both.others) == ("fine_label", ("coarse_label",))


@pytest.mark.parametrize(
    ("kinds", "sentence"),
    [
        ({"image": FILES, "caption": TEXT}, r"has no labels among its columns image \(struct<"),
        ({"image": FILES, "id": INT}, r"has no labels among .*id \(int64\)"),
        ({"label": INT}, r"has no images among its columns label \(int64\)"),
        ({"left": FILES, "right": FILES, "label": INT}, "2 columns that may be the images"),
        ({"image": pyarrow.list_(INT), "label": INT}, "has no images"),
        ({"image": FILES, "label": pyarrow.list_(INT)}, "has no labels"),
        ({"image": FILES, "a\nb": pyarrow.float32()}, r"a\\nb \(float\)"),
    ],
)
def test_the_refusal_says_what_columns_there_are(kinds, sentence):
    with pytest.raises(UserError, match=sentence) as raised:
        find(**kinds)
    assert "called label, labels," in str(raised.value)
    assert "\n" not in str(raised.value)


def test_of_several_columns_with_names_of_classes_one_must_be_called_label():
    with pytest.raises(UserError, match="2 columns that may be the labels"):
        find(classes("one", "two"), image=FILES, one=INT, two=INT)


def write(tmp_path, **values):
    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(pyarrow.table(values), path)
    return path


def test_labels_of_each_kind(tmp_path):
    whole = columns.read_labels([write(tmp_path, label=[3, 1, 3])] * 2, "label")
    assert whole.tolist() == [3, 1, 3, 3, 1, 3]
    text = columns.read_labels([write(tmp_path, label=["cat", "ant"])], "label")
    numbers, names = columns.numbered({"train": text}, None, "hf:o/n")
    assert (numbers["train"].tolist(), names) == ([1, 0], ("ant", "cat"))
    assert numbers["train"].dtype == np.int32
    few = columns.numbered({"train": whole, "test": np.array([10])}, None, "hf:o/n")
    assert few[1] == ("1", "3", "10")  # by their size, not as text
    truth = columns.read_labels([write(tmp_path, label=[True, False])], "label")
    assert columns.numbered({"train": truth}, None, "hf:o/n")[1] == ("0", "1")
    codes = pyarrow.array(["b", "a", "b"]).dictionary_encode()
    assert columns.read_labels([write(tmp_path, label=codes)], "label").tolist() == ["b", "a", "b"]


def test_labels_that_are_no_classes_or_missing(tmp_path):
    labels = {"train": np.array([0, 1, 0]), "test": np.array([-1, 1])}
    numbers, _ = columns.numbered(labels, ("a", "b"), "hf:o/n")
    assert numbers["test"].tolist() == [-1, 1]
    with pytest.raises(UserError, match="has the label 2 in its test split and 2 names"):
        columns.numbered(labels | {"test": np.array([2])}, ("a", "b"), "hf:o/n")
    with pytest.raises(UserError, match="has 1 class only"):
        columns.numbered({"train": np.array([5, 5])}, None, "hf:o/n")
    with pytest.raises(UserError, match=r"row 1 of .*x.parquet has no label"):
        columns.read_labels([write(tmp_path, label=["a", None])], "label")
    with pytest.raises(UserError, match=r"the column label of .*x.parquet cannot be read"):
        columns.read_labels([write(tmp_path, other=["a"])], "label")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and no more")
    for read in (columns.read_schema, lambda path: columns.read_labels([path], "label")):
        with pytest.raises(UserError, match=r"x.parquet .*cannot? be read|that can be read"):
            read(tmp_path / "x.parquet")
