"""Debian's package: what is run, what is left behind, and the answers where it fails."""

import time

import pytest
from data_helpers import CONTENTS, assert_holds, small_recipe, write_raw

from imgcls_jax.data.catalog import debian, download, fashion_mnist
from imgcls_jax.data.catalog.load import load
from imgcls_jax.errors import UserError

RECIPE = small_recipe(CONTENTS, debian=fashion_mnist.DEBIAN)

_UPDATES = 'case "$*" in *update*) exit 0;; esac\n'


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Writes shell scripts that play apt-get and dpkg-deb: (apt_get=..., dpkg_deb=...)."""
    folder = tmp_path / "bin"
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    monkeypatch.setattr(download, "no_route", lambda url: "no route in tests")
    raw = write_raw(tmp_path / "raw", CONTENTS)
    unpack = f'mkdir -p "$3/{fashion_mnist.DEBIAN.folder}" && cp {raw}/* "$3"/usr/share/*/*\n'

    def write(*, apt_get: str = _UPDATES + "touch x.deb\n", dpkg_deb: str = unpack):
        folder.mkdir(exist_ok=True)
        for name, script in (("apt-get", apt_get), ("dpkg-deb", dpkg_deb)):
            (folder / name).write_text(f"#!/bin/sh\n{script}")
            (folder / name).chmod(0o755)
        return folder

    return write


def refused(tmp_path) -> str:
    with pytest.raises(UserError) as error:
        load(RECIPE, data_dir=tmp_path / "data")
    message = str(error.value)
    assert "\n" not in message
    assert not list((tmp_path / "data").iterdir())
    return message


def test_the_package_is_checked_and_prepared(tmp_path, programs):
    programs()
    dataset = load(RECIPE, data_dir=tmp_path / "data")
    assert_holds(dataset, CONTENTS)
    assert dataset.verified
    assert dataset.source == "The Debian package dataset-fashion-mnist."
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"fashion_mnist"}


def test_apt_gets_folders_are_not_the_systems(tmp_path, programs):
    asked = tmp_path / "asked"
    programs(apt_get=f'echo "$PWD" "$@" >> {asked}\n{_UPDATES}touch x.deb\n')
    load(RECIPE, data_dir=tmp_path / "data")
    for line, command in zip(asked.read_text().splitlines(), ("update", "download"), strict=True):
        folder, *arguments = line.split()
        assert folder.startswith(str(tmp_path / "data"))
        assert command in arguments
        for name, path in (("", folder), ("::lists", f"{folder}/lists")):
            assert f"-oDir::State{name}={path}" in arguments
        assert f"-oDir::Cache={folder}/cache" in arguments


def test_what_apt_get_complains_of_is_the_reason(tmp_path, programs):
    programs(apt_get="echo 'Hit: a mirror'; echo 'E: Unable to locate package'; exit 100\n")
    assert "dataset-fashion-mnist: Unable to locate package)" in refused(tmp_path)
    programs(apt_get="exit 100\n")
    assert "apt-get failed and does not say why" in refused(tmp_path)
    programs(dpkg_deb="echo 'E: no archive'; exit 2\n")
    assert "dataset-fashion-mnist: no archive)" in refused(tmp_path)


def test_a_package_without_the_files(tmp_path, programs):
    programs(dpkg_deb='mkdir -p "$3"\n')
    assert "is not a folder" in refused(tmp_path)


def test_apt_get_without_end_is_ended_with_all_it_started(tmp_path, programs, monkeypatch):
    monkeypatch.setattr(debian, "_SECONDS", 0.3)
    child = tmp_path / "child"
    programs(apt_get=f"sleep 60 & echo $! > {child}; wait\n")
    started = time.monotonic()
    assert "apt-get did not end within 0.3 seconds" in refused(tmp_path)
    assert time.monotonic() - started < 10
    for _ in range(100):  # until the system has taken note
        if not alive(int(child.read_text())):
            return
        time.sleep(0.05)
    raise AssertionError("what apt-get started still runs")


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_systems_without_these_programs_are_not_asked(tmp_path, programs, monkeypatch):
    folder = programs()
    (folder / "dpkg-deb").unlink()
    monkeypatch.setenv("PATH", str(folder))
    assert not debian.exists()
    assert "Debian package" not in refused_without_folder(tmp_path)


def refused_without_folder(tmp_path) -> str:
    with pytest.raises(UserError) as error:
        load(RECIPE, data_dir=tmp_path / "data")
    assert not (tmp_path / "data").exists()
    return str(error.value)


@pytest.mark.slow
@pytest.mark.skipif(not debian.exists(), reason="needs apt-get and dpkg-deb")
def test_the_real_package(tmp_path):
    try:
        splits = debian.fetch(fashion_mnist.recipe(), tmp_path)
    except download.Unavailable as reason:
        pytest.skip(f"no mirror of Debian can be reached here: {reason}")
    assert not fashion_mnist.recipe().differing(splits)
    assert not list(tmp_path.iterdir())
