"""What a project has kept, read from its files and databases behind Ratchet's back."""

from __future__ import annotations

import shutil
import sqlite3
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


def make_tracking(state: str) -> str:
    """An MLflow store with nothing in it, for ``forked_ratchet.Driver.call``.

    Making one takes a second, copying it does not.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    folder = Path(state)
    folder.mkdir(parents=True)
    store = SqlAlchemyStore(f"sqlite:///{folder}/mlflow.db", (folder / "artifacts").as_uri())
    store.engine.dispose()
    return str(folder / "mlflow.db")


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


def score_by_mlflow(uri: str, data: str) -> dict[str, list[object]]:
    """What MLflow alone makes of the rows of a CSV file; for ``forked_ratchet.Driver.call``."""
    import mlflow
    import pandas as pd

    found = mlflow.pyfunc.load_model(uri).predict(pd.read_csv(data))
    return {str(name): column.tolist() for name, column in found.items()}
