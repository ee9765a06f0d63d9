"""What is written of predictions: an aligned table, CSV and JSON that read back, whole files."""

import csv
import io
import json
import os

import numpy as np
import pytest

from imgcls_jax.errors import UserError
from imgcls_jax.predict import output
from imgcls_jax.predict.judge import Asked, Judgement
from imgcls_jax.predict.predictor import Prediction
from imgcls_jax.report.lettering import width

NAMES = ("한국", "a\nb", "with, comma", "an exceedingly long name of a class that goes on and on")
PREDICTIONS = [
    Prediction("한/1.jpg", probabilities=np.float32([0.1, 0.2, 0.3, 0.4])),
    Prediction("b\n\udcff.png", probabilities=np.float32([0.97, 0.01, 0.01, 0.01])),
]
PATHS = [prediction.path for prediction in PREDICTIONS]


def written(form, tmp_path, *, predictions=PREDICTIONS, top=3, paths=PATHS, **judged) -> str:
    path, of = tmp_path / "out" / "report", {"class_names": NAMES, "top": top}
    with output.open_report(form, path, paths=paths, **of, **judged) as write:
        for prediction in predictions:
            write(prediction)
    assert os.listdir(path.parent) == ["report"]
    return path.read_text(encoding="utf-8")


def test_the_tables_columns_stand_below_each_other(tmp_path):
    header, *lines = written("table", tmp_path).splitlines()
    assert len(lines) == 6
    column = header.index("class")
    end = header.index("probability") + len("probability")
    for line in lines:
        before = next(n for n in range(len(line) + 1) if width(line[:n]) == column)
        assert line[before - 1] == " " != line[before]
        until = next(n for n in range(len(line) + 1) if width(line[:n]) == end)
        assert line[until - 6 : until].startswith("0.")
    assert lines[0].startswith("한/1.jpg ")
    assert [line[:1] for line in lines[1:3]] == [" ", " "]
    assert r"b\n\udcff.png" in lines[3]
    assert "0.9700  ███████████████████" in lines[3]
    assert r"a\nb" in lines[4]


def test_long_paths_keep_their_ends(tmp_path):
    long = Prediction("folder/" * 20 + "a.jpg", probabilities=np.float32([1, 0, 0, 0]))
    text = written("table", tmp_path, predictions=[long], paths=[long.path], top=1)
    assert text.splitlines()[1].startswith("…")
    assert "/folder/a.jpg  한국" in text


def test_csv_reads_back(tmp_path):
    header, *rows = csv.reader(io.StringIO(written("csv", tmp_path)))
    assert header == [
        "file", "class_1", "probability_1", "class_2", "probability_2", "class_3", "probability_3"
    ]  # fmt: skip
    assert rows[0] == ["한/1.jpg", NAMES[3], "0.4", "with, comma", "0.3", r"a\nb", "0.2"]
    assert rows[1][:3] == [r"b\n\udcff.png", "한국", "0.97"]


@pytest.mark.parametrize("top", [1, 4, 9])
def test_json_reads_back(top, tmp_path):
    found = json.loads(written("json", tmp_path, top=top))
    assert [record["file"] for record in found] == PATHS
    for record, prediction in zip(found, PREDICTIONS, strict=True):
        assert len(record["top"]) == min(top, 4)
        for entry in record["top"]:
            value = prediction.probabilities[NAMES.index(entry["class"])]
            assert entry["probability"] == pytest.approx(value, abs=1e-6)
    assert "한국" in written("json", tmp_path, top=4)
    assert json.loads(written("json", tmp_path, predictions=[])) == []


def judged(prediction):
    """Knows the first picture, not the second, and gives two and one classes."""
    known = prediction is PREDICTIONS[0]
    return Judgement(2 if known else None, (3, 2) if known else (0,))


def test_decisions_and_sets_are_written_beside_the_probabilities(tmp_path):
    given = {"judge": judged, "asked": Asked(unknown=0.05, coverage=0.9)}
    _, *rows = csv.reader(io.StringIO(written("csv", tmp_path, top=1, **given)))
    assert rows[0] == ["한/1.jpg", "with, comma", f"{NAMES[3]} | with, comma", NAMES[3], "0.4"]
    assert rows[1][1:] == ["unknown", "한국", "한국", "0.97"]
    found = json.loads(written("json", tmp_path, top=1, **given))
    assert [record["decision"] for record in found] == ["with, comma", None]
    assert [record["set"] for record in found] == [[NAMES[3], "with, comma"], ["한국"]]
    header, *lines = written("table", tmp_path, top=1, **given).splitlines()
    assert len(lines) == 3
    assert header.split() == ["file", "decision", "class", "probability"]
    assert lines[0].split()[1:3] == ["with,", "comma"]
    assert lines[1].split()[:2] == ["with,", "comma"]  # of the set; neither file nor decision again
    assert "  unknown  " in lines[2]
    column = header.index("class")
    for line in lines:
        before = next(n for n in range(len(line) + 1) if width(line[:n]) == column)
        assert line[before - 1] == " " != line[before]


def test_a_report_that_fails_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "report.csv"
    path.write_text("earlier")

    def fails():
        with output.open_report("csv", path, paths=PATHS, class_names=NAMES, top=1) as write:
            write(PREDICTIONS[0])
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert path.read_text() == "earlier"
    assert os.listdir(tmp_path) == ["report.csv"]


def test_a_file_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match=r"cannot write .*report\.csv"),
        output.open_report(
            "csv", tmp_path / "file" / "report.csv", paths=PATHS, class_names=NAMES, top=1
        ),
    ):
        pass
