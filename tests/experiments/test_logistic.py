"""Run 8's command: the settings that it takes."""

import pytest


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_a_seed_out_of_bounds_is_told_both_bounds(fmnist_main, tmp_path, seed):
    status, _, err = fmnist_main("--run=8", f"--seed={seed}", f"--workdir={tmp_path / 'run'}")
    assert status == 1
    assert f"--seed={seed} cannot be used; it must be from 0 to 2147483647" in err
