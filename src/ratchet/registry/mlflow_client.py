"""The way to MLflow: imported late and quietly, looked for before it is used, faults in words.

MLflow retries for minutes where nothing answers, logs to stderr, and reports its use to its
makers unless it is told not to; none of that is wanted inside a run.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import socket
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ratchet.config.secrets import mask
from ratchet.errors import ConfigError, RatchetError, StorageError, UnreachableError
from ratchet.ledger.database import sqlite_fault

_CONNECT_SECONDS = 5.0
_SQLITE = "sqlite:///"
_FORCED = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_DEFAULTS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}
_NO_ANSWER = ("TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "DEADLINE_EXCEEDED")
_REFUSED = ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")


def connect(uri: str) -> Any:
    """An ``mlflow.MlflowClient`` for tracking and registry at ``uri``.

    Raises:
        StorageError: the SQLite file cannot be used.
        UnreachableError: the server does not answer.
        ConfigError: an address that leads nowhere.
    """
    new = uri.startswith(_SQLITE) and not Path(uri.removeprefix(_SQLITE)).exists()
    if not new:
        _look_for(uri)
    with uncollected():
        _import_quietly()
    with quietly(), faults(uri):
        from mlflow.tracking import MlflowClient

        if new:
            _make_store(Path(uri.removeprefix(_SQLITE)))

        address = uri.replace("postgresql://", "postgresql+psycopg://", 1)
        client = MlflowClient(tracking_uri=address, registry_uri=address)
        client.search_experiments(max_results=1)  # opens the store, and makes or checks its tables
        return client


def _make_store(path: Path) -> None:
    """A new store, made aside and renamed when it is whole.

    MLflow makes its tables statement by statement: a process that dies in between leaves a file
    in which neither it nor MLflow itself can go on.
    """
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    for left in path.parent.glob(f".{path.name}.*.partial*"):
        left.unlink()
    _try_file(partial)
    store = SqlAlchemyStore(f"{_SQLITE}{partial}", DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)
    store.engine.dispose()
    with closing(sqlite3.connect(partial)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    partial.replace(path)


_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def relocate(uri: str, old: str, new: str) -> None:
    """Tell an embedded store that its files lie elsewhere now: MLflow keeps absolute places.

    Raises:
        StorageError: the store cannot be written.
    """
    path = Path(uri.removeprefix(_SQLITE))
    try:
        with closing(sqlite3.connect(path, timeout=10)) as connection, connection:
            for table, column in _PLACES:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE {column} = ? OR {column} LIKE ? || '/%'",
                    (new.rstrip("/"), len(old.rstrip("/")) + 1, old, old.rstrip("/")),
                )
    except sqlite3.Error as error:
        raise sqlite_fault(error, str(path), "MLflow database") from None


def _import_quietly() -> None:
    # MLflow reads these when it is imported and when it is used, and sets its loggers up on
    # import: only after that can ``quietly`` turn them down.
    os.environ.update(_FORCED)
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("mlflow.tracking")


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the garbage collector still for a short, bounded piece of work.

    MLflow's 2,300 modules make half a million objects that stay: looking through them again and
    again was a third of the CPU time (1.8 s against 1.3 to open a store, 0.28 against 0.08 to
    log a run).
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@contextmanager
def quietly() -> Iterator[None]:
    """Keep MLflow's and Alembic's log lines and warnings off the screen; faults are raised."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    with uncollected(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def faults(uri: str) -> Iterator[None]:
    """Turn what MLflow raises into one of Ratchet's errors, without a password in it.

    Raises:
        UnreachableError: the server does not answer or refuses us.
        StorageError: the SQLite file or the artifact folder cannot be used.
    """
    try:
        yield
    except RatchetError:
        raise
    except OSError as error:
        # The exceptions of the HTTP client are OSErrors too.
        raise _unusable(uri, error.strerror or _first_line(error)) from None
    except Exception as error:
        if not type(error).__module__.startswith(("mlflow.", "sqlalchemy.", "sqlite3")):
            raise
        raise _fault_of(error, uri) from None


def _fault_of(error: Exception, uri: str) -> RatchetError:
    code = str(getattr(error, "error_code", ""))
    why = mask_words(_first_line(error))
    if "out-of-date database schema" in why:
        return StorageError(
            f"MLflow's database {place_of(uri)} was made by another version of MLflow",
            why=why.split(". ")[0],
            fix="back it up, then run `mlflow db upgrade` with its address",
            where=place_of(uri),
        )
    if code in _REFUSED:
        return UnreachableError(
            f"MLflow at {place_of(uri)} refuses us",
            why=why,
            fix="look at the user and the password in storage.tracking, or set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
            where=place_of(uri),
        )
    if code in _NO_ANSWER or uri.startswith("http"):
        return _unusable(uri, why)
    cause = getattr(error, "orig", None) or getattr(error.__cause__, "orig", None)
    if isinstance(cause, sqlite3.Error):
        return sqlite_fault(cause, place_of(uri), "MLflow database")
    return StorageError(
        f"MLflow's store {place_of(uri)} cannot be used",
        why=why,
        fix="see that the database and the folder of the artifacts can be written",
        where=place_of(uri),
    )


def _unusable(uri: str, why: str) -> RatchetError:
    if uri.startswith(_SQLITE):
        return StorageError(
            f"MLflow's store {place_of(uri)} cannot be used",
            why=mask_words(why),
            fix="see that its folder exists, has room, and can be written",
            where=place_of(uri),
        )
    return UnreachableError(
        f"MLflow at {place_of(uri)} does not answer",
        why=mask_words(why),
        fix="see that the server runs and that this machine may reach it",
        where=place_of(uri),
    )


def place_of(uri: str) -> str:
    """Where MLflow is, fit for a message: the file, or the address without its password."""
    return uri.removeprefix(_SQLITE) if uri.startswith(_SQLITE) else mask(uri)


def mask_words(text: str) -> str:
    """``text`` with the passwords of the addresses in it left out."""
    return " ".join(mask(word) for word in text.split())


def _look_for(uri: str) -> None:
    if uri.startswith(_SQLITE):
        _try_file(Path(uri.removeprefix(_SQLITE)))
        return
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        raise ConfigError(
            "The address of MLflow cannot be read",
            fix="set storage.tracking to `sqlite` or to http://host:port",
            where="storage.tracking",
        )
    usual = {"http": 80, "https": 443}.get(parts.scheme, 5432)
    try:
        socket.create_connection((host, port or usual), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise _unusable(uri, error.strerror or str(error)) from None


def _try_file(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as connection:
            if new:
                # Kept in the file: half the cost of MLflow's many commits, and somebody who
                # looks with `mlflow ui` never makes a run wait.
                connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise sqlite_fault(error, str(path), "MLflow database") from None
    except OSError as error:
        raise _unusable(f"{_SQLITE}{path}", error.strerror or str(error)) from None


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
