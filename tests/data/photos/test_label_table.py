"""The table of labels: its two forms, and every way in which it is no such table."""

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
