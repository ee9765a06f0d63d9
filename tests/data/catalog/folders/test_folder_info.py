"""What a prepared folder tells of itself: believed only as far as TFDS might have written it."""

import json
import subprocess
import sys

import pytest
from fuzz.records import _prepared

from imgcls_jax.data.catalog.folders import folder_info
from imgcls_jax.errors import UserError


@pytest.fixture
def folder(tmp_path):
    _prepared("tfrecord", tmp_path)
    return tmp_path / "tiny" / "1.0.0"


def told(folder, **changes):
    path = folder / "dataset_info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def split(**changes):
    return [{"name": "train", "shardLengths": ["3"]} | changes]


ODD = {
    "files in another folder": {"splits": split(filepathTemplate="../../{SPLIT}")},
    "a file of the system": {"splits": split(filepathTemplate="/etc/passwd")},
    "a split that is a path": {"splits": split(name="../../train")},
    "a field that is none": {"splits": split(filepathTemplate="{SPLIT}-{HOME}")},
    "a name that is a path": {"name": "../tiny"},
    "a name that is a list": {"name": ["tiny"]},
    "fewer than no examples": {"splits": split(shardLengths=["5", "-2"])},
    "a split that comes twice": {"splits": split() * 2},
    "a length that is true": {"splits": split(shardLengths=[True])},
    "a length that is broken": {"splits": split(shardLengths=[3.5])},
    "more examples than there can be": {"splits": split(shardLengths=["9" * 30])},
    "a size that is no number": {"downloadSize": "large"},
    "a place that is a number": {"location": 3},
    "a citation that is a list": {"citation": ["a"]},
    "a licence that is an object": {"redistributionInfo": {"license": {}}},
}


@pytest.mark.parametrize("changes", ODD.values(), ids=ODD)
def test_what_tfds_never_writes_is_refused_in_one_sentence(folder, changes):
    assert folder_info.read(folder).description.counts == {"train": 3}
    told(folder, **changes)
    with pytest.raises(UserError, match="is no TFDS data set that can be read"):
        folder_info.read(folder)


def test_a_template_is_not_a_program(folder):
    """By `str.format` a width makes a short template as long as it likes."""
    told(folder, splits=split(filepathTemplate="{SPLIT:>999999999}"))
    with pytest.raises(UserError, match="is half prepared"):
        folder_info.read(folder)


def test_shapes_that_no_image_has_and_a_million_million_classes(folder):
    tree = json.loads((folder / "features.json").read_text())
    features = tree["featuresDict"]["features"]
    (folder / "label.labels.txt").unlink()
    features["label"]["classLabel"]["numClasses"] = str(10**12)
    (folder / "features.json").write_text(json.dumps(tree))
    with pytest.raises(UserError, match="1000000000000 classes"):
        folder_info.read(folder)
    features["label"]["classLabel"]["numClasses"] = "3"
    for shape in (["2", "2", "3", "3"], ["2", "9" * 400, "3"], ["0", "2", "3"]):
        features["image"]["image"]["shape"]["dimensions"] = shape
        (folder / "features.json").write_text(json.dumps(tree))
        with pytest.raises(UserError, match=r"images of the shape \("):
            folder_info.read(folder)


def test_no_module_is_imported_by_a_name_in_a_data_set(folder):
    """TFDS imports whatever its features are called by."""
    code = (
        "import sys; from pathlib import Path\n"
        "from imgcls_jax.data.catalog import builder\n"
        "try: builder.read(Path(sys.argv[1]), key=None)\n"
        "except Exception as error: print(repr(error), 'antigravity' in sys.modules)"
    )
    tree = json.loads((folder / "features.json").read_text())
    tree["featuresDict"]["features"]["image"]["pythonClassName"] = "antigravity.Image"
    (folder / "features.json").write_text(json.dumps(tree))
    command = [sys.executable, "-c", code, str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "ValueError('features of antigravity.Image') False"
    with pytest.raises(UserError, match=r"features of antigravity.Image"):
        folder_info.read(folder)
