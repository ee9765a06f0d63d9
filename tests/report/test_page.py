"""The report of a run: one file that loads nothing, in which names are text, and all is found."""

import base64
import html.parser
import io
import re

import numpy as np
import pytest
from golden import behaviour
from PIL import Image

from imgcls_jax.config import Config
from imgcls_jax.data.dataset import Dataset, Split
from imgcls_jax.report import page, run_page
from imgcls_jax.workdir import Workdir

EVIL = "<script>alert('&')</script>"
VOID = ("meta", "img", "br")


class Reader(html.parser.HTMLParser):
    """Reads a page; keeps its tags, its attributes and its text, and checks that tags close."""

    def __init__(self, content: str):
        super().__init__()
        self.tags, self.attributes, self.words, self._open = [], [], [], []
        self.feed(content)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.words)


@pytest.fixture
def finished(tmp_path):
    """A finished run on four photos of two classes, one of them confidently wrong."""
    workdir, old = Workdir(tmp_path), behaviour.GOLDEN.with_name("old_runs") / "finished"
    summary = Workdir(old).summary() | {
        "run": "folder mlp",
        "watched": None,
        "examples": {"train": 2, "test": 4},
        "per_class": {
            name: {"precision": 0.5, "recall": 2 / 3, "f1": 0.571, "support": 2}
            for name in (EVIL, "dog")
        },
        "documented": {"figures": {"test_accuracy": 0.8894}},
        "difference": {"test_accuracy": -0.0125},
    }
    workdir.claim(Config.of(dataset="folder", image_size=8, lr=0.02))
    workdir.write_json("summary.json", summary)
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.03, 0.97], [0.4, 0.6]], np.float32)
    arrays = {"labels": np.array([0, 0, 0, 1], np.int32), "probabilities": probabilities}
    workdir.write_arrays("predictions.npz", **arrays)
    paths = ("a/1.jpg", "a/2.jpg", f"a/{EVIL}.jpg", "b/4.jpg")
    images = np.zeros((4, 8, 8, 3), np.uint8)
    test = Split(images, arrays["labels"], paths)
    train = Split(images[:2], np.array([0, 1], np.int32), paths[:2])
    notes = (f"Folders within class folders: {EVIL}",)
    return workdir, Dataset("photos", train, test, (EVIL, "dog"), "here", None, notes=notes)


@pytest.fixture
def figures(tmp_path):
    """A small drawing, and a wide sheet of noise as large as one of photos."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 600, 3), np.uint8)
    paths = [tmp_path / "learning_curves.png", tmp_path / "mistakes.png"]
    Image.new("RGB", (80, 60), "white").save(paths[0])
    Image.fromarray(noise).resize((900, 300)).save(paths[1])
    return paths


def test_a_report_holds_everything_and_loads_nothing(finished, figures):
    workdir, dataset = finished
    command = "python -m experiments.transfer --data_dir='my photos'"
    path = run_page.write(workdir, dataset, figures=figures, command=command)
    assert path == workdir.path / "report.html"
    content = path.read_text()
    read = Reader(content)
    assert "script" not in read.tags
    assert not {"link", "iframe", "object"} & set(read.tags)
    loaded = [value for name, value in read.attributes if name in ("src", "href")]
    assert len(loaded) == 2
    assert all(value.startswith("data:image/") for value in loaded)
    assert "url(" not in content
    assert "@import" not in content
    accuracy = Workdir(workdir.path).summary()["test_accuracy"]
    for words in (
        f"{accuracy:.4f}", "95 % interval", "documented test accuracy", "0.8894", "ours -0.0125",
        "folder mlp on photos", "2 train, 4 test", command, "jax", "lr", "0.02",
        f"a/{EVIL}.jpg", "2 of 4 test photos", "there is no validation line", "0.667",
    ):  # fmt: skip
        assert words in read.text, words
    assert "prefers-color-scheme: dark" in content
    assert "0.970" in read.text
    first, second = (read.text.index(name) for name in (f"a/{EVIL}.jpg", "a/2.jpg"))
    assert first < second  # the worst first


def test_pictures_are_small_and_whole(figures):
    kinds = []
    for path in figures:
        found = re.search(r'src="data:image/(\w+);base64,([^"]+)"', page.picture(path, "noise"))
        content = base64.b64decode(found[2])
        with Image.open(io.BytesIO(content)) as image, Image.open(path) as original:
            assert image.size == original.size
            assert image.format.lower() == found[1]
        assert len(content) <= path.stat().st_size
        kinds.append(found[1])
    assert kinds == ["png", "jpeg"]


def test_a_report_without_figures_and_without_files_has_no_empty_sections(finished):
    workdir, dataset = finished
    plain = Split(dataset.test.images, dataset.test.labels)
    digits = Dataset("digits", plain, plain, ("0", "1"), "here", True)
    read = Reader(run_page.write(workdir, digits, figures=[], command="x").read_text())
    assert "Figures" not in read.text
    assert "Worst mistakes" not in read.text
    assert "img" not in read.tags


def test_a_run_without_mistakes_says_so(finished):
    workdir, dataset = finished
    right = {"labels": dataset.test.labels, "probabilities": np.eye(2)[dataset.test.labels]}
    workdir.write_arrays("predictions.npz", **right)
    path = run_page.write(workdir, dataset, figures=[], command="x")
    assert "No mistakes." in Reader(path.read_text()).text


def test_a_finished_run_of_an_older_version_has_a_report(finished):
    """What version 0.1 left has no sizes of splits, no temperature and one interval."""
    workdir, dataset = finished
    old = Workdir(behaviour.GOLDEN.with_name("old_runs") / "finished").summary()
    workdir.write_json("summary.json", old)
    read = Reader(run_page.write(workdir, dataset, figures=[], command="x").read_text())
    assert "mean recall" in read.text
