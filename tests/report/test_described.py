"""The lines that tell what a data set is."""

import pytest

from imgcls_jax.data import Description
from imgcls_jax.report import described

BIBTEX = """@TECHREPORT{Krizhevsky09learningmultiple,
    author = {Alex Krizhevsky},
    title = {Learning multiple {Layers}
      of features from tiny images},
    year = {2009}
}"""


def description(**more) -> Description:
    of = {"name": "birds", "version": "1.0.0", "class_names": ("owl", "tit"), "counts": {}}
    return Description(**{**of, "image_shape": (32, 32, 3), **more})


def test_what_is_known_has_a_line_and_nothing_else():
    assert described.lines(description(version=None)) == {
        "name": "birds", "classes": "2: owl, tit", "images": "32x32x3"
    }  # fmt: skip
    found = described.lines(
        description(
            class_names=tuple(f"bird {number}" for number in range(1000)),
            counts={"train": 50_000, "test": 1000},
            image_shape=(None, None, 3),
            download_bytes=168_513_733,
            licence="CC BY 4.0",
            homepage="https://birds.org",
            remarks=("It sings", "It flies"),
        )
    )
    assert found == {
        "name": "birds 1.0.0",
        "classes": "1,000: bird 0, bird 1, bird 2, bird 3, bird 4, bird 5, ...",
        "splits": "50,000 train, 1,000 test",
        "images": "of many sizes, 3 channels",
        "download": "168.5 MB",
        "licence": "CC BY 4.0",
        "homepage": "https://birds.org",
        "remarks": "It sings. It flies",
    }


def test_classes_without_names_are_counted_and_large_downloads_are_in_gigabytes():
    found = described.lines(description(class_names=("0", "1"), download_bytes=1_580_000_000))
    assert (found["classes"], found["download"]) == ("2", "1.58 GB")


@pytest.mark.parametrize(
    ("citation", "line"),
    [
        (BIBTEX, "Alex Krizhevsky (2009): Learning multiple Layers of features from tiny images"),
        (
            '@a{b, title="Eggs", author="Doe, J and Roe, R", year=2020}',
            "Doe, J and others (2020): Eggs",
        ),
        ("@a{b,\n title = {Eggs},\n year = {2020},\n}", "Eggs (2020)"),
        ("\n  Doe, J. Eggs. 2020.\nIn a basket.", "Doe, J. Eggs. 2020."),
    ],
)
def test_a_citation_is_one_line(citation, line):
    assert described.lines(description(citation=citation))["citation"] == line


def test_a_line_is_short_whatever_a_publisher_writes():
    found = described.lines(description(licence="free " * 100, homepage="a\nb"))
    assert len(found["licence"]) <= 92
    assert "\n" not in found["homepage"]
