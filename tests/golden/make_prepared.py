"""Writes prepared.json: what TensorFlow prepares of the drawn archives, by stock TFDS builders.

And how it decodes JPEG files of every kind.

    PYTHONPATH=. python tests/golden/make_prepared.py [NAME ...]

It needs tensorflow and tensorflow-datasets; nothing of imgcls_jax takes part: TFDS' own download
manager finds the files in its folder of manual downloads, TensorFlow unpacks, decodes and encodes.
"""

import importlib.metadata
import json
import sys
import tempfile
from pathlib import Path

import jpeg_files
import tensorflow as tf
import tensorflow_datasets as tfds

from experiments.benchmarks.builders import archives, digests

OUT = Path(__file__).with_name("prepared.json")


def prepare(name: str, scratch: Path) -> dict:
    """Prepares one data set with TensorFlow; returns the digests of the archive and the records."""
    archive = archives.make(name)
    builder = tfds.builder(name, data_dir=scratch / "data")
    with archive.at_hand(builder, scratch / "files") as files:
        builder.download_and_prepare(
            download_dir=scratch / "downloads",
            download_config=tfds.download.DownloadConfig(manual_dir=files, try_download_gcs=False),
            file_format="array_record",
        )
    return {"archive": archive.digest(), **digests.of_folder(Path(builder.data_path))}


def main(names: list[str]) -> None:
    """Prepares all data sets, or those named beside what the file holds of the others."""
    tfds.disable_progress_bar()
    found = json.loads(OUT.read_text())["prepared"] if names else {}
    for name in names or archives.ARCHIVES:
        with tempfile.TemporaryDirectory() as scratch:
            found[name] = prepare(name, Path(scratch))
        print(name, flush=True)
    found = {name: found[name] for name in archives.ARCHIVES if name in found}
    versions = {"tensorflow": tf.__version__}
    versions["tensorflow_datasets"] = importlib.metadata.version("tensorflow-datasets")
    decoded = {
        name: jpeg_files.digest(tf.io.decode_image(content).numpy())
        for name, content in jpeg_files.files().items()
    }
    golden = {"versions": versions, "decoded": decoded, "prepared": found}
    OUT.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
