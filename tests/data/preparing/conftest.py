"""What tests of preparing begin with."""

import gzip
from pathlib import Path

import pytest
from builder_helpers import PHOTOS

from experiments.benchmarks.builders import drawn
from imgcls_jax.data.catalog import preparing
from imgcls_jax.errors import UserError


@pytest.fixture
def downloads(tmp_path) -> Path:
    folder = tmp_path / "downloads"
    folder.mkdir()
    (folder / "photos.tar.gz").write_bytes(gzip.compress(drawn.tar(PHOTOS)))
    return folder


@pytest.fixture
def refused(tmp_path, downloads):
    """Prepares, expects an error of one sentence, and that nothing stays behind; returns it."""

    def refuse(made, **options) -> str:
        with pytest.raises(UserError) as caught:
            preparing.prepare(made, **{"download_dir": downloads, **options})
        assert "\n" not in str(caught.value)
        assert str(caught.value).endswith(".")
        left = [path.name for path in (tmp_path / "data").rglob("*") if path.is_file()]
        assert set(left) <= {".lock"}
        return str(caught.value)

    return refuse
