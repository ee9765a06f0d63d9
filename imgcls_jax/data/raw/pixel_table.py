"""Images as rows of a CSV file, `label,pixel1,...,pixel784`, as Kaggle has Fashion-MNIST."""

from pathlib import Path

import numpy as np

from imgcls_jax.data.raw import layouts
from imgcls_jax.data.raw.layouts import AGAIN
from imgcls_jax.errors import UserError, printable

_NUMBER_BYTES = len("255,")


def read_pixels(
    path: Path, *, shape: tuple[int, int] = (28, 28), num_classes: int, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Reads grey images as uint8 (N, H, W, 1), and their labels as int32 (N,).

    Args:
      path: the file, gzipped or not.
      shape: the (H, W) of the images, whose rows are one behind the other.
      num_classes: labels are below this.
      count: the N it must have.

    Raises:
      UserError: it is unreadable, has other columns or rows, or a cell that is no number of 0..255.
    """
    import pyarrow
    import pyarrow.csv

    expected = ["label", *(f"pixel{number}" for number in range(1, shape[0] * shape[1] + 1))]
    limit = 2 * (count * len(expected) * (_NUMBER_BYTES + 1)) + 2**20
    data = layouts.read(path, limit=limit)
    header = data[: 2**16].split(b"\n", 1)[0].decode("utf-8-sig", "replace").strip()
    columns = [name.strip('"').strip() for name in header.split(",")]
    if columns != expected:
        raise UserError(
            f"{path} has the columns {printable(_shortened(columns))} where label,pixel1,...,"
            f"{expected[-1]} are expected: {AGAIN}."
        )
    try:
        table = pyarrow.csv.read_csv(
            pyarrow.BufferReader(data),
            read_options=pyarrow.csv.ReadOptions(column_names=expected, skip_rows=1),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(expected, pyarrow.uint8()), null_values=[]
            ),
        )
    except Exception as error:  # pyarrow's, of several kinds
        reason = printable(str(error).split("\n")[0])[:200].rstrip(".")
        raise UserError(
            f"{path} is truncated, damaged or no CSV file of numbers 0..255 ({reason}): {AGAIN}."
        ) from error
    if len(table) != count:
        raise UserError(f"{path} holds {len(table)} rows where {count} are expected: {AGAIN}.")
    labels = table.column("label").to_numpy().astype(np.int32)
    if labels.max() >= num_classes:
        raise UserError(
            f"{path} has the label {labels.max()} where 0..{num_classes - 1} are expected: {AGAIN}."
        )
    images = np.empty((count, len(expected) - 1), np.uint8)
    for number, name in enumerate(expected[1:]):
        images[:, number] = table.column(name).to_numpy()
    return images.reshape(count, *shape, 1), labels


def _shortened(columns: list[str]) -> str:
    more = f" and {len(columns) - 4} more" if len(columns) > 5 else ""
    return ",".join(columns[: 4 if more else 5])[:100] + more
