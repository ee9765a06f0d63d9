"""Where prepared TFDS data sets lie on this machine."""

import os
from pathlib import Path

from imgcls_jax.errors import UserError


def data_dir_of(given: str | os.PathLike | None) -> Path:
    """Returns the TFDS folder: the one given, else $TFDS_DATA_DIR, else ~/tensorflow_datasets.

    Raises:
      UserError: it is in a home that this user has not, or a file.
    """
    where = given or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    try:
        data_dir = Path(where).expanduser().absolute()
    except RuntimeError as error:  # neither HOME nor an entry of the user
        raise UserError(
            f"{where} is in no home that this user has: give `data_dir` or TFDS_DATA_DIR."
        ) from error
    existing = next(path for path in (data_dir, *data_dir.parents) if os.path.exists(path))
    if not existing.is_dir():
        raise UserError(
            f"`data_dir={data_dir}` cannot be a folder because {existing} is a file: "
            "give another `data_dir` or TFDS_DATA_DIR."
        )
    return data_dir
