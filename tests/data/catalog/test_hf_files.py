"""What the Hub tells and sends: commits that are kept, digests, and every way in which it fails."""

import types

import pytest
from hub_helpers import COMMIT, numbered, play, write_parquet
from huggingface_hub import errors

from imgcls_jax import data
from imgcls_jax.config import Config
from imgcls_jax.errors import UserError

FILE = "data/train-00000-of-00001.parquet"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    return play(monkeypatch, tmp_path)


@pytest.fixture
def filled(hub):
    write_parquet(hub.folder() / FILE, numbered(12), [0, 1] * 6, names=("a", "b"))
    return hub


def refused(name="hf:owner/name", **options) -> str:
    with pytest.raises(UserError) as raised:
        data.load(name, **options)
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith(".")
    return str(raised.value)


def test_a_branch_is_asked_for_again_and_a_name_or_commit_is_not(filled, monkeypatch):
    for _ in range(2):
        data.load("hf:owner/name")
        data.load(f"hf:owner/name@{COMMIT}")
    assert filled.asked == [("owner/name", None), ("owner/name", COMMIT)]
    data.load("hf:owner/name@main")
    data.load("hf:owner/name@main", offline=True)
    data.load("hf:owner/name@main")
    assert filled.asked[2:] == [("owner/name", "main")] * 2
    monkeypatch.setattr("imgcls_jax.data.catalog.route.no_route", lambda url, **_: "no answer")
    assert len(data.load("hf:owner/name@main").train) == 10  # as it was told before
    assert len(filled.downloaded) == 1


def test_what_the_hub_converted_is_read_where_there_is_no_parquet(hub):
    hub.folder().mkdir(parents=True)
    (hub.folder() / "train.zip").touch()
    converted = hub.folder("owner/name-converted") / "default/train/0000.parquet"
    write_parquet(converted, numbered(12), [0, 1] * 6, names=("a", "b"))
    assert len(data.load("hf:owner/name").train) == 10
    assert hub.asked == [("owner/name", None), ("owner/name", "refs/convert/parquet")]
    hub.folder("bare/one").mkdir(parents=True)
    assert "hf:bare/one has no Parquet files, and the Hub has converted none" in refused(
        "hf:bare/one"
    )


@pytest.mark.parametrize("small", [True, False])
def test_a_file_that_is_not_what_the_hub_told(filled, small):
    count = 1 if small else 60
    path = filled.folder() / "data/test-00000-of-00001.parquet"
    write_parquet(path, numbered(count), [0] * count, names=("a", "b"), groups=100)
    data.load("hf:owner/name")
    fetched = filled.cache / "owner/name" / FILE
    content = bytearray(fetched.read_bytes())
    content[40] ^= 1
    fetched.write_bytes(content)
    assert f"train-00000-of-00001.parquet is not what hf:owner/name holds at {COMMIT[:12]}" in (
        refused()
    )
    fetched.unlink()
    assert len(data.load("hf:owner/name").train) == 12  # fetched again


def test_no_route_is_one_sentence_and_offline_too(hub, monkeypatch):
    monkeypatch.setattr("imgcls_jax.data.catalog.route.no_route", lambda url, **_: "no answer")
    message = refused()
    assert "is not on this machine, and https://huggingface.co does not answer (no answer)" in (
        message
    )
    assert "give `data_dir`, a folder with a copy of its Parquet files" in message
    assert not hub.asked
    assert "`offline` forbids to fetch it" in refused(offline=True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refused()


def test_a_download_that_fails_and_one_that_there_is_no_room_for(filled, monkeypatch):
    def fails(*arguments, **options):
        raise OSError("the line went dead\nand more")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fails)
    message = refused()
    assert f"{FILE} of hf:owner/name cannot be fetched (the line went dead); run again" in message
    full = types.SimpleNamespace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: full)
    assert "has 0.0 MB left; make room, or set HF_HOME" in refused()
    monkeypatch.setattr("imgcls_jax.data.catalog.route.no_route", lambda url, **_: "gone")
    assert "does not answer (gone)" in refused()


def answers(hub, monkeypatch, error) -> None:
    def dataset_info(*arguments, **options):
        raise error

    listed = [types.SimpleNamespace(id="other/name")]
    api = types.SimpleNamespace(dataset_info=dataset_info, list_datasets=lambda **_: listed)
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: api)


RESPONSE = types.SimpleNamespace(headers={}, request=None)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (errors.RepositoryNotFoundError("no", response=RESPONSE), "no data set owner/name, or not"),
        (errors.RepositoryNotFoundError("no", response=RESPONSE), "(names like it: other/name)"),
        (errors.GatedRepoError("no", response=RESPONSE), "accept its terms: do so at https://hugg"),
        (errors.RevisionNotFoundError("no", response=RESPONSE), "has no revision main; give a"),
        (RuntimeError("out of order\nsee"), "does not tell what hf:owner/name is (out of order)"),
    ],
)
def test_what_the_hub_refuses(hub, monkeypatch, error, sentence):
    answers(hub, monkeypatch, error)
    assert sentence in refused()


@pytest.mark.parametrize("name", ["hf:", "hf:mnist", "hf:a/b/c/d", "hf:a/b@", "hf:a b/c", "hf:/x"])
def test_what_is_no_name(hub, name):
    assert "write hf:OWNER/NAME, hf:OWNER/NAME/CONFIG or hf:OWNER/NAME@REVISION" in refused(name)


def test_a_damaged_record_is_asked_for_again(filled):
    data.load("hf:owner/name")
    for record in filled.root.parent.joinpath("cache").rglob("*.json"):
        record.write_text("[]")
    assert len(data.load("hf:owner/name").train) == 10
    assert len(filled.asked) == 2


def test_the_configuration_and_the_commands_know_such_names(hub, fmnist_main):
    assert not Config.of(dataset="hf:owner/name/config@main").data.of_photos
    assert Config.of(dataset="hf:owner/name", image_size=64).data.options()["image_size"] == 64
    with pytest.raises(UserError, match="write hf:OWNER/NAME"):
        Config.of(dataset="hf:mnist")
    status, _, err = fmnist_main("--dataset=hf:owner/name", "--offline", "--epochs=1")
    assert status == 1
    assert "--offline forbids to fetch it" in err
    assert "or give --data_dir, a folder with a copy of its Parquet files." in err
    assert "Traceback" not in err
