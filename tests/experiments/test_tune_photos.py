"""Studies of photos that have a validation split of their own: what their winner is trained on."""

import pytest
from absl import flags
from photo_helpers import write_photos
from study_helpers import planned

pytest.importorskip("optuna")

from experiments import ensemble, tune
from experiments.cli import flags as cli
from experiments.cli import tuning
from imgcls_jax.data.dataset import identity
from imgcls_jax.train.tuning import tune as library


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def divided(tmp_path_factory):
    """Photos that have a validation split of their own."""
    folder = tmp_path_factory.mktemp("divided")
    for seed, split in enumerate(("train", "valid", "test")):
        write_photos(folder / split, each=8 - 2 * seed, seed=seed)
    return folder


PHOTOS = (
    "transfer", "--image_size=32", "--model=mobilenet_v3_small", "--weights=none",
    "--trainable=all",
)  # fmt: skip


@pytest.mark.parametrize("feed", ["resident", "streamed"])
def test_the_printed_command_trains_on_what_the_finals_do(divided, tmp_path, feed):
    call = (*PHOTOS, f"--data_dir={divided}", f"--feed={feed}")
    plan = planned(*call, folder=tmp_path / "study")
    assert {name: len(split) for name, split in plan.dataset.splits.items()} == {
        "train": 24, "validation": 18, "test": 12
    }  # fmt: skip
    whole = tuning.load_whole(plan)
    assert {name: len(split) for name, split in whole.splits.items()} == {"train": 42, "test": 12}
    settings = library.final_settings(plan.search, {"first": True})
    printed = tuning.command("transfer", tuning.setting_flags(settings))
    assert "--join_validation" in printed
    for name in flags.FLAGS:
        flags.FLAGS[name].unparse()
    flags.FLAGS(printed[2:])
    config = tuning.configured("transfer", None, None, cli.given_settings())
    assert config == library.final_config(plan.search, {"first": True})
    assert identity(cli.load_dataset(config)) == identity(whole) != plan.search.data


def test_photos_without_a_validation_split_have_none_to_join(any_main, tmp_path):
    plan = planned(
        *PHOTOS, f"--data_dir={write_photos(tmp_path / 'plain')}", folder=tmp_path / "study"
    )
    settings = library.final_settings(plan.search, {"first": True})
    assert tuning.setting_flags(settings)[-1:] == ["--hold_out=0"]
    assert tuning.load_whole(plan).validation is None
    status, _, err = any_main(
        tune.main, *PHOTOS, "--join_validation", f"--workdir={tmp_path / 'new'}"
    )
    assert (status, err.count("\n")) == (1, 1)
    assert "takes no --join_validation: its trials choose by that split" in err


@pytest.mark.slow
def test_a_study_of_photos_with_a_validation_split_makes_an_ensemble(any_main, divided, tmp_path):
    status, _, err = any_main(
        tune.main, *PHOTOS, f"--data_dir={divided}", "--epochs=1", "--batch_size=6", "--trials=1",
        "--seeds=2", "--jobs=1", "--nofigures", f"--workdir={tmp_path / 'study'}",
    )  # fmt: skip
    assert (status, err) == (0, "")
    status, out, err = any_main(
        ensemble.main,
        f"--members={tmp_path / 'study'}", "--best=2", f"--data_dir={divided}", "--nofigures",
        f"--workdir={tmp_path / 'both'}",
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert "42 train, 12 test" in out
