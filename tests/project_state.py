"""What a project has kept, read from its files and databases behind Ratchet's back."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kept:
    """Everything that says which models there are and which of them serves.

    ``mlflow`` and ``ledger`` are the registered versions, ``aliases`` MLflow's, ``served`` the
    ledger's list of deployments, ``bundles`` the files of the registered bundles.
    """

    mlflow: tuple[tuple[object, ...], ...]
    aliases: tuple[tuple[object, ...], ...]
    ledger: tuple[tuple[object, ...], ...]
    served: tuple[tuple[object, ...], ...]
    bundles: tuple[str, ...]

    @property
    def champion(self) -> object:
        """The version that serves, by the ledger."""
        served = [version for alias, version in self.served if alias == "champion"]
        return served[-1] if served else None


def kept(folder: Path) -> Kept:
    state = folder / ".ratchet"
    bundles = state / "bundles"
    return Kept(
        mlflow=ask(
            state / "mlflow.db", "select name, version, status from model_versions order by version"
        ),
        aliases=ask(
            state / "mlflow.db",
            "select name, alias, version from registered_model_aliases order by alias",
        ),
        ledger=ask(
            state / "ledger.db",
            "select version, run_id, status from ratchet_versions order by version",
        ),
        served=ask(
            state / "ledger.db", "select alias, version from ratchet_deployments order by seq"
        ),
        bundles=tuple(
            sorted(
                path.relative_to(bundles).as_posix()
                for path in bundles.rglob("*")
                if path.is_file()
            )
        ),
    )


def ask(database: Path, query: str) -> tuple[tuple[object, ...], ...]:
    """The rows of a query; none when the database or the table is not there."""
    if not database.is_file():
        return ()
    connection = sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, timeout=20)
    try:
        return tuple(connection.execute(query).fetchall())
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return ()
        raise
    finally:
        connection.close()


MIGRATED = """
import sys, warnings
warnings.simplefilter("ignore")
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
SqlAlchemyStore(sys.argv[1], sys.argv[2])
"""


def make_tracking(state: Path) -> Path:
    """An MLflow store with nothing in it: making one takes seconds, copying it does not."""
    state.mkdir(parents=True)
    uri, artifacts = f"sqlite:///{state}/mlflow.db", (state / "artifacts").as_uri()
    subprocess.run(
        [sys.executable, "-c", MIGRATED, uri, artifacts], check=True, capture_output=True
    )
    return state / "mlflow.db"


def give_tracking(folder: Path, store: Path) -> Path:
    """A project that was never run, with a copy of an empty MLflow store."""
    (folder / ".ratchet").mkdir(parents=True)
    shutil.copy(store, folder / ".ratchet" / "mlflow.db")
    return folder


def half_written(folder: Path) -> list[str]:
    """Step folders that look finished and are not."""
    runs = folder / ".ratchet" / "runs"
    steps = [path for path in runs.glob("*/*") if path.is_dir() and not path.name.startswith(".")]
    return [str(path.relative_to(runs)) for path in steps if not (path / "facts.json").is_file()]
