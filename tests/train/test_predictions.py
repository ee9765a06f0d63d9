"""The table of predictions: a row for each example, and nothing in it that runs or breaks."""

import csv
import dataclasses

import numpy as np
import pytest

from imgcls_jax.data.dataset import Dataset, Split
from imgcls_jax.errors import UserError
from imgcls_jax.files import csv_text
from imgcls_jax.limits.temperature import of_probabilities
from imgcls_jax.train import predictions
from imgcls_jax.workdir import Workdir

PATHS = ("test/=cmd/1.jpg", "=1+1.jpg", '@a,"b".jpg', "-\n\t.jpg", "'quoted.jpg", "\udcff한.jpg")
NAMES = ("+cat", "dog\r")


@pytest.fixture
def dataset():
    labels = np.array([0, 1, 0, 1, 0, 1], np.int32)
    split = Split(np.zeros((6, 4, 4, 3), np.uint8), labels, PATHS)
    return Dataset("photos", split, split, NAMES, "here", None)


PROBABILITIES = np.linspace(0.05, 0.95, 6)[:, None] * [1, -1] + [0, 1]


def rows(folder) -> list[dict[str, str]]:
    with (folder / predictions.TABLE).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_a_row_tells_file_split_classes_and_probability(dataset, tmp_path):
    predictions.write(Workdir(tmp_path), dataset, PROBABILITIES, temperature=2.0)
    found = rows(tmp_path)
    assert list(found[0]) == ["path", "split", "true", "predicted", "probability"]
    assert [row["path"] for row in found] == [
        "test/=cmd/1.jpg", "'=1+1.jpg", '\'@a,"b".jpg', r"'-\n\t.jpg", "''quoted.jpg",
        r"\udcff한.jpg",
    ]  # fmt: skip
    assert [row["true"] for row in found] == ["'+cat", r"dog\r"] * 3
    assert [row["predicted"] for row in found] == [r"dog\r"] * 3 + ["'+cat"] * 3
    assert {row["split"] for row in found} == {"test"}
    expected = of_probabilities(PROBABILITIES, 2.0).max(axis=1)
    np.testing.assert_allclose([float(row["probability"]) for row in found], expected, atol=1e-6)


def test_examples_that_are_no_files_have_their_index(dataset, tmp_path):
    without = dataclasses.replace(dataset.test, paths=None)
    plain = dataclasses.replace(dataset, test=without)
    predictions.write(Workdir(tmp_path), plain, PROBABILITIES)
    found = rows(tmp_path)
    assert [row["index"] for row in found] == list("012345")
    assert float(found[0]["probability"]) == pytest.approx(0.95)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff20"])
def test_no_cell_begins_as_a_formula_and_an_apostrophe_is_taken_off_again(start):
    (line,) = csv_text([[f"{start}1", "plain", 7]]).splitlines()
    cell, *rest = next(csv.reader([line]))
    assert cell[0] in "'\\"
    assert rest == ["plain", "7"]


def test_paths_are_as_many_as_images():
    with pytest.raises(UserError, match="There are 2 images but 1 paths: give one path an image"):
        Split(np.zeros((2, 4, 4, 1), np.uint8), np.zeros(2, np.int32), ("a.png",))
