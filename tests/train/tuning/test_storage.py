"""Where a study is kept: addresses that are accepted, journals, troubles as one sentence each."""

import sys

import pytest
from study_helpers import search, trained

from imgcls_jax.train.tuning.storage import StorageFailed, connect, without_password
from imgcls_jax.train.tuning.trials import run_trials

pytest.importorskip("optuna")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nothing", "cannot be read; give sqlite:///FILE, journal:///FILE, postgresql://"),
        ("redis://host/0", "cannot be read; give sqlite:///FILE"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("journal:///", "names no file"),
        ("journal://study.log", "write it as journal:///FILE"),
        ("journal:////nowhere/study.log", "No such file or directory"),
        ("sqlite:////nowhere/study.db", "unable to open database file"),
    ],
)
def test_an_address_that_cannot_be_used_is_one_sentence(url, said):
    with pytest.raises(StorageFailed) as caught:
        connect(url)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(
    ("scheme", "module", "package"),
    [
        ("postgresql+psycopg2", "psycopg2", "psycopg2-binary"),
        ("mysql", "MySQLdb", "mysqlclient"),
        ("mysql+pymysql", "pymysql", "pymysql"),
    ],
)
def test_a_missing_driver_says_what_to_install(monkeypatch, scheme, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(StorageFailed, match=f"pip install {package}, or") as caught:
        connect(f"{scheme}://me:secret@127.0.0.1:1/db")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["study.db", "study.log"])
def test_a_file_that_is_something_else_is_one_sentence(tmp_path, name):
    (tmp_path / name).write_bytes(b"no database\n" * 100)
    scheme = "sqlite" if name.endswith("db") else "journal"
    with pytest.raises(StorageFailed, match="cannot be used"):
        connect(f"{scheme}:///{tmp_path / name}")


def test_a_password_is_never_shown():
    assert without_password("mysql://me:s@cr/t@host/db") == "mysql://me:***@host/db"
    assert without_password("postgresql://host/db?user=me&password=s") == (
        "postgresql://host/db?user=me&password=***"
    )


def test_a_study_in_a_journal_is_one_like_any_other(tmp_path, digits, monkeypatch):
    monkeypatch.setattr("imgcls_jax.train.tuning.trials._train", trained)
    of = search(tmp_path, storage="journal")
    run_trials(of, digits, jobs=1, deadline=None)
    records = of.open().records()
    assert [record["state"] for record in records] == ["complete"] * 3
    run_trials(of, digits, jobs=1, deadline=None)
    assert of.open().records() == records
