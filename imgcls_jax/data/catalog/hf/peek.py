"""The head of a Parquet file, of this machine or of the Hub: its columns and a few pictures."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from PIL import Image

from imgcls_jax.data.catalog.hf import files as hub_files
from imgcls_jax.data.catalog.hf.repository import Repository
from imgcls_jax.data.photos.parquet import contents

_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")
_PICTURES = 16
_BLOCK = 2**18  # bytes asked for at a time


class Peeked(NamedTuple):
    """What the head of a file shows: pyarrow's schema, and its first rows as a record batch."""

    schema: Any
    rows: Any

    def shape(self, column: str) -> tuple[int | None, int | None, int]:
        """Returns the shape of the first pictures in a column, sides None where they vary."""
        shapes = set()
        for content in contents(self.rows.column(column)).to_pylist():
            file = io.BytesIO(content or b"")
            with contextlib.suppress(Exception), Image.open(file, formats=_FORMATS) as opened:
                grey = opened.mode in ("1", "L")
                shapes.add((opened.height, opened.width, 1 if grey else 3))
        channels = max((shape[2] for shape in shapes), default=3)
        sides = {shape[:2] for shape in shapes}
        return (*sides.pop(), channels) if len(sides) == 1 else (None, None, channels)


def read(source: Repository, path: str, *, here: bool) -> Peeked | None:
    """Reads the head of a file, over the network where it is not here; None where it cannot."""
    import pyarrow.parquet

    with contextlib.suppress(Exception), contextlib.ExitStack() as stack:
        if here:
            file = hub_files.fetch(source, [path])[0]
        else:
            from huggingface_hub import HfFileSystem

            name = f"datasets/{source.name}@{source.commit}/{path}"
            file = stack.enter_context(HfFileSystem().open(name, "rb", block_size=_BLOCK))
        opened = pyarrow.parquet.ParquetFile(file, pre_buffer=False, buffer_size=_BLOCK)
        rows = next(opened.iter_batches(batch_size=_PICTURES, row_groups=[0]))
        return Peeked(opened.schema_arrow, rows)
    return None


def counts(source: Repository, files: Mapping[str, Sequence[str]], *, here: bool) -> dict[str, int]:
    """Returns the rows of each split: of its files where they are here, else as the card has it.

    Args:
      files: split -> paths in the repository.
    """
    import pyarrow.parquet

    if here:
        with contextlib.suppress(Exception):
            return {
                split: sum(
                    pyarrow.parquet.read_metadata(path).num_rows
                    for path in hub_files.fetch(source, paths)
                )
                for split, paths in files.items()
            }
    told = source.card.get("dataset_info")
    if isinstance(told, dict):
        told = [told]
    for info in told if isinstance(told, list) and len(told) == 1 else ():
        with contextlib.suppress(KeyError, TypeError, ValueError):
            found = {str(of["name"]): int(of["num_examples"]) for of in info["splits"]}
            return {split: found[split] for split in files if split in found}
    return {}
