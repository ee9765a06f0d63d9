"""Where a study is kept: the addresses that a storage may have, and its troubles as sentences.

    sqlite:///FILE                           one machine; the default
    postgresql://USER:PASSWORD@HOST/NAME     several machines; any database of SQLAlchemy's
    journal:///FILE                          several machines with a common file system

The path of a FILE is relative after three slashes, absolute after four. Optuna is imported here,
and only where a study is opened.
"""

import contextlib
import json
import re
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imgcls_jax.errors import UserError

ACCEPTED = "sqlite:///FILE, journal:///FILE, postgresql://USER@HOST/NAME or mysql://USER@HOST/NAME"
_JOURNAL = "journal:///"
_DISTRIBUTIONS = {"psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
_ATTEMPTS = 5  # to open a storage that another process makes at the same time


class StorageFailed(UserError):
    """The storage of a study cannot be used."""


def import_optuna() -> Any:
    """Returns the package.

    Raises:
      UserError: it is not installed.
    """
    try:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # what it logs is said elsewhere
    except ImportError as error:
        raise UserError(
            "a study needs the package optuna; pip install 'imgcls_jax[tune]', or '.[tune]' in a "
            "checkout."
        ) from error
    return optuna


def connect(url: str) -> Any:
    """Opens a storage, and makes it where it is not there.

    Raises:
      StorageFailed: the address cannot be read, or nothing answers there.
    """
    with explained(url):
        _require_address(url)
        for attempt in range(_ATTEMPTS):
            try:
                return _connected(url)
            except Exception as error:
                if attempt == _ATTEMPTS - 1 or not re.search("exist|unique|duplicate", str(error)):
                    raise
            time.sleep(0.5)  # another process makes the tables now
    raise AssertionError("unreachable")


def _connected(url: str) -> Any:
    storages = import_optuna().storages
    if url.startswith(_JOURNAL):
        path = Path(url.removeprefix(_JOURNAL))
        return storages.JournalStorage(storages.journal.JournalFileBackend(str(path)))
    options = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else None
    return storages.RDBStorage(url, engine_kwargs=options)


def _require_address(url: str) -> None:
    in_memory = re.fullmatch(r"sqlite(\+\w+)?:/{0,3}(:memory:)?(\?.*)?", url)
    if in_memory or re.fullmatch("journal:/*", url):
        raise StorageFailed(f"the `storage` {url} names no file; give {ACCEPTED}.")
    if url.startswith("journal:") and not url.startswith(_JOURNAL):
        raise StorageFailed(f"the `storage` {url} cannot be read; write it as {_JOURNAL}FILE.")


def without_password(url: str) -> str:
    """Returns a storage's address for people to read."""
    scheme, found, rest = url.partition("://")
    account, at, place = rest.rpartition("@")
    user, colon, _ = account.partition(":")
    place = re.sub(r"(?i)(passw(or)?d=)[^&]*", r"\1***", place)
    return f"{scheme}{found}{user}{':***' if colon else ''}{at}{place}"


@contextlib.contextmanager
def explained(url: str) -> Iterator[None]:
    """Turns what a storage says into one sentence; wrap nothing but the storage's own work in it.

    Raises:
      StorageFailed: in place of the storage's own exceptions.
    """
    import sqlalchemy.exc

    optuna = import_optuna()
    failures = (
        sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError, ImportError,
        OSError, json.JSONDecodeError,
    )  # fmt: skip
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    except (*failures, RuntimeError) as error:
        if not isinstance(error, failures) and "alembic" not in str(error).lower():
            raise
        raise StorageFailed(_sentence(url, error)) from error


def _sentence(url: str, error: BaseException) -> str:
    import sqlalchemy.exc

    cause, shown = error.__cause__ or error, without_password(url)
    if isinstance(cause, ImportError) and cause.name:
        package = _DISTRIBUTIONS.get(cause.name, cause.name)
        return (
            f"the `storage` {shown} needs the package {package}, which is not installed; "
            f"pip install {package}, or give another storage."
        )
    if isinstance(error, (sqlalchemy.exc.ArgumentError, sqlalchemy.exc.NoSuchModuleError)):
        return f"the `storage` {shown} cannot be read; give {ACCEPTED}."
    said = (str(getattr(cause, "orig", None) or cause).strip() or type(cause).__name__).splitlines()
    password = re.search(r"://[^/]*?:(.+)@", url)
    text = said[0][:200].replace(password[1], "***") if password else said[0][:200]
    return (
        f"the study's storage {shown} cannot be used ({text}); check the address and that it can "
        "be reached and written, then run the same command again."
    )


class Guarded:
    """A trial of Optuna's whose storage's troubles are told as such."""

    def __init__(self, trial: Any, url: str):
        self._trial, self._url = trial, url

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._trial, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            with explained(self._url):
                return found(*arguments, **options)

        return call
