"""Where the measured result files go."""

from pathlib import Path

from experiments import reproduce


def test_results_go_into_a_checkout_and_never_among_installed_packages(tmp_path):
    assert reproduce.results_folder().name == "results"
    assert list(reproduce.results_folder().glob("run5*.json"))
    assert reproduce.results_folder(tmp_path) == Path("results")
    (tmp_path / "results").mkdir()
    assert reproduce.results_folder(tmp_path) == tmp_path / "results"
