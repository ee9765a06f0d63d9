"""Small archives in the layout of the published ones, put in the place of downloads.

Only the files are small. The stock builder reads them, but for counts that some builders know by
heart (`constants` of its module, `counts` of its configuration), which are those of the archive.
"""

import contextlib
import dataclasses
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from experiments.benchmarks.builders import (
    array_archives,
    folder_archives,
    imagenet_archives,
    listed_archives,
    photo_archives,
    rendered_archives,
)


@dataclasses.dataclass(frozen=True)
class Archive:
    """What a builder is given instead of downloads.

    Attributes:
      files: address -> content.
      names: address -> name of its file, where that is not the last part of the address.
      manual: name -> content, for the folder of manual downloads.
      constants: of the builder's module.
      counts: of the builder's configuration.
    """

    files: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    manual: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    constants: Mapping[str, int] = dataclasses.field(default_factory=dict)
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def digest(self) -> str:
        """Returns 16 digits of the SHA-256 of all files."""
        digest = hashlib.sha256()
        for name, content in sorted((self.files | self.manual).items()):
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()[:16]

    @contextlib.contextmanager
    def at_hand(self, builder: Any, folder: Path) -> Iterator[Path]:
        """Puts the files into a folder, for downloads and by hand, and has the builder expect them.

        Yields the folder: the `download_dir` and the `manual_dir`.
        """
        from tensorflow_datasets.core.download.checksums import UrlInfo
        from tensorflow_datasets.core.utils import Size

        folder.mkdir(parents=True, exist_ok=True)
        pinned = {}
        for url, content in self.files.items():
            name = self.names.get(url) or url.rpartition("/")[2].split("?")[0]
            pinned[url] = UrlInfo(Size(len(content)), hashlib.sha256(content).hexdigest(), name)
            (folder / name).write_bytes(content)
        for name, content in self.manual.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        kind = type(builder)
        module = sys.modules[kind.__module__]
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.object(kind, "url_infos", pinned))
            for name, value in self.constants.items():
                stack.enter_context(mock.patch.object(module, name, value))
            for name, value in self.counts.items():
                stack.enter_context(mock.patch.object(builder.builder_config, name, value))
            yield folder


ARCHIVES: Mapping[str, Callable[[np.random.Generator], dict]] = {
    **array_archives.ARCHIVES,
    **photo_archives.ARCHIVES,
    **folder_archives.ARCHIVES,
    **imagenet_archives.ARCHIVES,
    **listed_archives.ARCHIVES,
    **rendered_archives.ARCHIVES,
}


def make(name: str) -> Archive:
    """Draws the archive of a data set, such as "mnist" or "emnist/balanced"."""
    return Archive(**ARCHIVES[name](np.random.default_rng(sum(name.encode()))))
