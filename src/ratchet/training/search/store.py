"""What outlives the process of a search: its finished trials, in the ledger's database.

One Optuna study per candidate, in Optuna's own tables, so that Optuna's tools can read it. Trials
are written when they are over, in one transaction each; draws come from studies in memory
(``tuner.py``). Writing every parameter when it is drawn, as Optuna does by itself, takes 90 to 135
ms per trial on SQLite, against 7 to 16 ms like this.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ratchet.errors import StorageError
from ratchet.training.fitted import Proba
from ratchet.training.results import TrialRecord
from ratchet.training.scoring import LOWER_IS_BETTER

RECORD = "ratchet"
"""The attribute of a stored trial that holds its record."""

LOCK = 7_236_411_902
"""PostgreSQL's advisory lock under which Optuna's tables are made."""

BUSY_SECONDS = 60
LARGEST = 1e15


class SearchStore(Protocol):
    """Keeps the trials of one search. Several threads and processes may use it at once."""

    def load(self) -> tuple[TrialRecord, ...]:
        """Every trial that is over, whoever tried it."""
        ...

    def save(self, record: TrialRecord, key: str, oof: Proba | None) -> None:
        """Keep a trial; once this returns, a killed process does not lose it."""
        ...

    def oof(self, key: str) -> Proba | None:
        """The out-of-fold scores that were saved under ``key``, if they are at hand."""
        ...


class OptunaStore:
    """Trials in Optuna's tables at ``url``, out-of-fold scores as ``.npy`` in ``folder``.

    ``digest`` tells this search from all others: rows, settings and code. ``url`` is the ledger's:
    ``sqlite:////absolute/file.db`` or ``postgresql://...``.
    """

    def __init__(self, url: str, folder: Path, digest: str) -> None:
        self._url = url
        self._folder = folder / digest
        self._digest = digest
        self._studies: dict[str, Any] = {}
        self._storage: Any = None
        self._lock = threading.RLock()

    def load(self) -> tuple[TrialRecord, ...]:
        """See ``SearchStore``."""
        with self._lock, _faults(self._url):
            import optuna

            storage = self._open()
            prefix = f"{self._digest}/"
            names = [
                name
                for name in optuna.study.get_all_study_names(storage)
                if name.startswith(prefix)
            ]
            records = [
                TrialRecord.from_json(json.loads(trial.user_attrs[RECORD]))
                for name in names
                for trial in self._study(name.removeprefix(prefix)).get_trials(deepcopy=False)
                if RECORD in trial.user_attrs and trial.state.is_finished()
            ]
        return tuple(sorted(records, key=lambda record: (record.started, record.number)))

    def save(self, record: TrialRecord, key: str, oof: Proba | None) -> None:
        """See ``SearchStore``."""
        if oof is not None:
            self._write(key, oof)
        with self._lock, _faults(self._url):
            self._study(record.candidate, record.metric).add_trial(_frozen(record))

    def oof(self, key: str) -> Proba | None:
        """See ``SearchStore``."""
        path = self._path(key)
        return np.load(path) if path.exists() else None

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._storage is not None:
                self._storage.remove_session()
                self._storage.engine.dispose()
                self._storage = None
                self._studies.clear()

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.npy"

    def _write(self, key: str, oof: Proba) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft = self._folder / f"{key}.{uuid.uuid4().hex}.tmp"
            with draft.open("wb") as file:
                np.save(file, oof)
            draft.replace(self._path(key))
        except OSError as error:
            raise StorageError(
                "The scores of a trial cannot be kept",
                why=error.strerror or str(error),
                where=str(self._folder),
            ) from None

    def _study(self, candidate: str, metric: str = "") -> Any:
        import optuna

        name = f"{self._digest}/{candidate}"
        if name not in self._studies:
            direction = "minimize" if metric in LOWER_IS_BETTER else "maximize"
            storage = self._open()  # takes the same lock
            with self._one_at_a_time():
                if metric:
                    study = optuna.create_study(
                        storage=storage,
                        study_name=name,
                        direction=direction,
                        load_if_exists=True,
                    )
                else:
                    study = optuna.load_study(storage=storage, study_name=name)
            self._studies[name] = study
        return self._studies[name]

    def _open(self) -> Any:
        if self._storage is None:
            import optuna

            optuna.logging.set_verbosity(optuna.logging.ERROR)
            with self._one_at_a_time():
                self._storage = _open_storage(self._url)
        return self._storage

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Only one process at a time makes tables and studies: Optuna looks first and then makes.

        The lock goes with its process, so that a killed one leaves nothing behind but tables that
        are there already, and making them goes on from these.
        """
        if self._url.startswith("sqlite"):
            path = Path(self._url.removeprefix("sqlite:///"))
            with _file_lock(path.with_name(path.name + ".studies.lock")):
                yield
        else:
            with _advisory_lock(_address(self._url)):
                yield


def _open_storage(url: str) -> Any:
    from optuna.storages import RDBStorage
    from sqlalchemy import event

    if not url.startswith("sqlite"):
        return RDBStorage(_address(url), engine_kwargs={"pool_pre_ping": True})
    Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": BUSY_SECONDS}})

    @event.listens_for(storage.engine, "connect")
    def prepare(raw: Any, _record: Any) -> None:
        raw.isolation_level = None  # we say BEGIN ourselves, see below
        raw.execute("PRAGMA journal_mode = WAL")
        # A trial that a power cut takes is tried again: it need not wait for the disk.
        raw.execute("PRAGMA synchronous = NORMAL")

    @event.listens_for(storage.engine, "begin")
    def begin(connection: Any) -> None:
        # One that starts as a reader fails at once when another one wrote meanwhile.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    storage.engine.dispose()
    return storage


def _address(url: str) -> str:
    """The ledger's PostgreSQL address for SQLAlchemy with psycopg 3."""
    scheme, _, rest = url.partition("://")
    return url if "+" in scheme else f"postgresql+psycopg://{rest}"


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        if os.name == "posix":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _advisory_lock(url: str) -> Iterator[None]:
    from sqlalchemy import create_engine, text

    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
            yield
    finally:
        engine.dispose()


@contextmanager
def _faults(url: str) -> Iterator[None]:
    """A database's faults in our words, without its password."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        place = url.rpartition("@")[2] if "@" in url else url.removeprefix("sqlite:///")
        cause = error.__cause__ or error
        raise StorageError(
            "The trials of the search cannot be kept",
            why=" ".join(str(cause).split())[:300],
            fix="check that the ledger's database can be reached and written",
            where=place,
            code="search_store",
        ) from None


def _frozen(record: TrialRecord) -> Any:
    """The record as a trial of Optuna; its parameters only where they came to a score."""
    import optuna
    from optuna.distributions import FloatDistribution

    finished = record.status == "finished" and record.mean is not None
    states = optuna.trial.TrialState
    numbers: Sequence[tuple[str, Any]] = [
        (name, float(value))
        for name, value in record.tuned.items()
        if finished and isinstance(value, int | float) and not isinstance(value, bool)
    ]
    failed = record.status == "failed" or record.mean is None
    return optuna.trial.create_trial(
        state=states.COMPLETE if finished else states.FAIL if failed else states.PRUNED,
        value=None if failed else record.mean,
        params=dict(numbers),
        # Of any range: Optuna wants the same one for all trials of a study.
        distributions=dict.fromkeys(
            [name for name, _ in numbers], FloatDistribution(-LARGEST, LARGEST)
        ),
        user_attrs={RECORD: json.dumps(record.to_json(), default=_plain)},
    )


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a trial holds a {type(value).__name__}")


def store_digest(*parts: str) -> str:
    """A study's name from what tells the search from others."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
