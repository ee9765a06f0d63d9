"""Where the measured result files go."""

import subprocess
import sys

import pytest

_CODE = """
import sys
from pathlib import Path

from experiments.evidence.store import results_folder

assert list(results_folder().glob("run5*.json")), "the checkout's own"
given = Path(sys.argv[1])
assert results_folder(given) == Path("results"), "an installed copy has none"
(given / "results").mkdir()
assert results_folder(given) == given / "results"
"""


@pytest.mark.slow
def test_results_go_into_a_checkout_and_never_among_installed_packages(tmp_path):
    """In a process of its own, since two programs with flags of one name do not share one."""
    subprocess.run([sys.executable, "-c", _CODE, str(tmp_path)], check=True)
