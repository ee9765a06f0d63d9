"""The table of labels: its two forms, and every way in which it is no such table."""

import pyarrow
import pyarrow.parquet
import pytest

from imgcls_jax.data.photos import label_table
from imgcls_jax.errors import UserError


def read(tmp_path, content: str | bytes):
    path = tmp_path / "labels.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return label_table.read(path)


def test_both_forms_say_the_same(tmp_path):
    bars = "\ufeffpath,Labels,Split\r\na.jpg,dark | cat;dark,train\r\n\r\nb\\c.jpg,,Validierung\r\n"
    marks = "file,cat,split,dark\na.jpg,1,train,1\nb/c.jpg,0,Validierung,0\n"
    for content in (bars, marks):
        table = read(tmp_path, content)
        assert table.names == ("cat", "dark")
        assert [set(row.labels) for row in table.rows] == [{"cat", "dark"}, set()]
        assert [row.path for row in table.rows] == ["a.jpg", "b/c.jpg"]
        assert [row.split for row in table.rows] == ["train", "Validierung"]
        assert table.has_splits
        assert table.several


def test_one_label_each_is_not_several_and_an_unused_column_is_a_label(tmp_path):
    table = read(tmp_path, "path,cat,dog\na.jpg,1,0\nb.jpg,1,0\n")
    assert not table.several
    assert not table.has_splits
    assert table.names == ("cat", "dog")


def test_labels_in_two_spellings_of_unicode_are_one(tmp_path):
    table = read(tmp_path, "path,label\na.jpg,caf\u00e9\nb.jpg,cafe\u0301 \nc.jpg,tea\n")
    assert table.names == ("caf\u00e9", "tea")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty; write a header"),
        ("\n \n", "is empty; write a header"),
        ("path,labels\n", "has one line only"),
        ("path;labels\na.jpg;cat\n", "has semicolons between its columns"),
        ("path\tlabels\na.jpg\tcat\n", "has tabs between its columns"),
        ("path\na.jpg\n", "has one column only"),
        ("path,split\na.jpg,train\n", "has no column of labels"),
        ("a.jpg,cat\nb.jpg,dog\n", "begins with a photo, a.jpg"),
        ("path,,cat\na.jpg,1,0\n", "has a column without a name"),
        ("path,cat,cat\na.jpg,1,0\n", "has two columns cat"),
        ("path,labels\na.jpg,cat\nb.jpg,cat,dog\n", "line 3 of .* has 3 cells and the header 2"),
        ("path,cat,dog\na.jpg,1,yes\n", "line 2 of .* has yes under dog, where 0 or 1 is expected"),
        ("path,cat,dog\na.jpg,1,\n", "line 2 of .* has nothing under dog"),
        ("path,labels\na.jpg,cat\nb.jpg,\n", "has the label cat only, and at least two"),
        ("path,labels\na.jpg,\nb.jpg,|\n", "has no label at all"),
        ("path,labels\na.jpg,caf\u00e9\n".encode("latin-1"), "is no text in UTF-8; save it"),
        ("path,labels\na.jpg,cat\n".encode("utf-16"), "is no text in UTF-8; save it"),
        ('path,labels\na.jpg,"cat\n', "is no CSV file"),
    ],
)
def test_what_is_no_table_is_one_sentence(tmp_path, content, sentence):
    with pytest.raises(UserError, match=sentence) as raised:
        read(tmp_path, content)
    assert "labels.csv" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.csv cannot be read"):
        label_table.read(tmp_path / "nowhere.csv")


def test_the_file_is_found_beside_the_photos_too(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "labels.csv").touch()
    monkeypatch.chdir(tmp_path)
    beside = tmp_path / "photos" / "labels.csv"
    assert label_table.find("labels.csv", tmp_path / "photos") == beside
    (tmp_path / "labels.csv").touch()
    assert label_table.find("labels.csv", tmp_path / "photos").resolve() == tmp_path / "labels.csv"


PARQUET = {
    "one label": {"path": ["a.jpg", "b.jpg"], "label": ["cat", "dog"]},
    "numbers of pandas": {"__index_level_0__": [0, 1], "file": ["a.jpg", "b.jpg"], "class": [3, 7]},
    "lists": {
        "image": ["a.jpg", "b.jpg"],
        "labels": [["cat", "dog"], []],
        "split": ["train", None],
    },
    "marks": {"id": [12, 13], "cat": [True, False], "dog": [1.0, 0.0]},
    "empty": {"id": [12, 13], "target": [3.0, None]},
}
READ = {
    "one label": [("a.jpg", {"cat"}), ("b.jpg", {"dog"})],
    "numbers of pandas": [("a.jpg", {"3"}), ("b.jpg", {"7"})],
    "lists": [("a.jpg", {"cat", "dog"}), ("b.jpg", set())],
    "marks": [("12", {"cat", "dog"}), ("13", set())],
}


def parquet(tmp_path, columns):
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "labels.parquet")
    return label_table.read(tmp_path / "labels.parquet")


@pytest.mark.parametrize("name", READ)
def test_parquet_says_what_csv_says(tmp_path, name):
    table = parquet(tmp_path, PARQUET[name])
    assert [(row.path, set(row.labels)) for row in table.rows] == READ[name]
    assert table.has_splits == (name == "lists")
    assert [row.line for row in table.rows] == [1, 2]


def test_parquet_that_is_no_table_of_labels(tmp_path):
    refused = [
        ({"path": ["a.jpg"], "box": [{"x": 1}]}, "has the column box of dict, where text or"),
        ({"path": ["a.jpg"]}, "has one column only"),
        ({"path": pyarrow.array([], "string"), "label": pyarrow.array([], "string")}, "is empty;"),
        (PARQUET["empty"], "has the label 3 only"),
    ]
    for columns, sentence in refused:
        with pytest.raises(UserError, match=f"labels.parquet {sentence}"):
            parquet(tmp_path, columns)
    (tmp_path / "labels.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"labels.parquet is no Parquet file that can be read"):
        label_table.read(tmp_path / "labels.parquet")
    with pytest.raises(UserError, match=r"none.parquet cannot be read \(no such file\)"):
        label_table.read(tmp_path / "none.parquet")


@pytest.mark.parametrize(
    ("content", "path", "labels", "ignored"),
    [
        ("label,filename\ncat,a.jpg\ndog,b.jpg\n", "a.jpg", {"cat"}, ()),
        ("class,x\ncat,a.jpg\ndog,b.jpg\n", "a.jpg", {"cat"}, ()),
        (",Image,Category\n0,a.jpg,cat\n1,b.jpg,dog\n", "a.jpg", {"cat"}, ("without a name",)),
        ("Unnamed: 0,id,breed\n0,x,cat\n1,y,dog\n", "x", {"cat"}, ("Unnamed: 0",)),
        ("filename,width,class\na.jpg,640,cat\nb.jpg,48,dog\n", "a.jpg", {"cat"}, ("width",)),
        ("id,image_id,dx,age\n1,i1,cat,5\n2,i2,dog,6\n", "i1", {"cat"}, ("id", "age")),
        ("image_id,healthy,rust\nTrain_0,1,0\nTrain_1,0,1\n", "Train_0", {"healthy"}, ()),
        ("image,class,tag\na.jpg,1,0\nb.jpg,0,1\n", "a.jpg", {"class"}, ()),
        ("anything,else\na.jpg,cat\nb.jpg,dog\n", "a.jpg", {"cat"}, ()),
    ],
)
def test_columns_are_known_by_the_names_that_people_give_them(
    tmp_path, content, path, labels, ignored
):
    table = read(tmp_path, content)
    assert (table.rows[0].path, set(table.rows[0].labels)) == (path, labels)
    assert table.ignored == ignored
