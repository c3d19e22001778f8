"""Every older ledger becomes one of today, and the sum of the migrations is ``tables.py``."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from ratchet.errors import StorageError
from ratchet.ledger import migrations
from ratchet.ledger.holdouts import HoldoutRows
from ratchet.ledger.migrations import MIGRATIONS, Migration, migrate, newest
from ratchet.ledger.rollouts import Begin
from ratchet.ledger.store import open_ledger
from ratchet.ledger.tables import metadata

AT = datetime(2026, 11, 21, tzinfo=UTC)


def from_version(number: int, path: Path) -> str:
    """A ledger file as an older version wrote it."""
    script = Path(__file__).with_name(f"ledger_version_{number}.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return f"sqlite:///{path}"


def test_the_numbers_rise_by_one() -> None:
    assert [migration.version for migration in MIGRATIONS] == list(range(1, newest() + 1))


def test_the_migrations_make_exactly_the_tables(tmp_path: Path) -> None:
    declared = create_engine(f"sqlite:///{tmp_path / 'declared.db'}")
    metadata.create_all(declared)
    with open_ledger(f"sqlite:///{tmp_path / 'migrated.db'}", project="p") as ledger:
        wanted, made = inspect(declared), inspect(ledger.database.engine)
        assert sorted(made.get_table_names()) == sorted(wanted.get_table_names())
        for table in wanted.get_table_names():
            assert shape(made, table) == shape(wanted, table), table
    declared.dispose()


def shape(found: Any, table: str) -> dict[str, object]:
    # SQLite calls a DOUBLE PRECISION column REAL when it is asked.
    types = {"REAL": "DOUBLE"}
    return {
        "columns": [
            (
                c["name"],
                types.get(str(c["type"]), str(c["type"])),
                c["nullable"] or c["primary_key"],
            )
            for c in found.get_columns(table)
        ],
        "key": found.get_pk_constraint(table)["constrained_columns"],
        "unique": sorted(
            (u["name"], tuple(u["column_names"])) for u in found.get_unique_constraints(table)
        ),
        "indexes": sorted(
            (i["name"], tuple(i["column_names"]))
            for i in found.get_indexes(table)
            if not i["unique"]
        ),
    }


def test_a_ledger_of_version_1_keeps_everything(tmp_path: Path) -> None:
    url = from_version(1, tmp_path / "ledger.db")
    with open_ledger(url, project="churn", now=lambda: AT) as ledger:
        champion = ledger.champion()
        assert champion is not None
        assert (champion.version, champion.bundle_digest, champion.threshold) == (1, "b1", 0.5)
        step = ledger.find_step("step-key")
        assert step is not None
        assert step.folder == "runs/a/train"
        assert ledger.candidates("20261121-020000-aaaa")[0].measures[0].value == 0.84
        assert ledger.gates_passed("20261121-020000-aaaa")
        waiting = ledger.unfinished_run()
        assert waiting is not None
        ledger.finish_run(waiting.run_id, "failed", "stopped")
        assert ledger.outbox() == ()
        report = ledger.verify_chain()
        assert (report.intact, report.events) == (True, 9)


def test_decisions_that_version_2_knew_as_events_count_on(tmp_path: Path) -> None:
    url = from_version(2, tmp_path / "ledger.db")
    with open_ledger(url, project="churn", now=lambda: AT) as ledger:
        assert [entry.key for entry in ledger.outbox()] == ["k1"]
        waiting = ledger.unfinished_run()
        assert waiting is not None
        rows = HoldoutRows(8, tuple(ledger.events(kind="holdout_used")[0].facts["sketch"]))
        asked = {"comparison": "c", "champion": 1, "metric": "roc_auc", "rule": "unseen"}
        # Its own event is not another decision.
        assert ledger.note_holdout_use(waiting.run_id, "retune", rows, **asked).use == 2
        asked["comparison"] = "d"
        assert ledger.note_holdout_use("next", "retune", rows, **asked).use == 4
        assert ledger.verify_chain().intact


def test_a_ledger_of_version_3_takes_keys(tmp_path: Path) -> None:
    url = from_version(3, tmp_path / "ledger.db")
    with open_ledger(url, project="churn", now=lambda: AT) as ledger:
        champion = ledger.champion()
        assert champion is not None
        assert (champion.version, champion.bundle_path) == (1, "bundles/1")
        assert ledger.api_keys() == ()
        ledger.add_key("0a1b2c3d", "shop", ["predict"], "0" * 64, by="me")
        assert [key.name for key in ledger.api_keys()] == ["shop"]
        assert ledger.verify_chain().intact


def test_an_older_ledger_takes_rollouts(tmp_path: Path) -> None:
    url = from_version(3, tmp_path / "ledger.db")
    with open_ledger(url, project="churn", now=lambda: AT) as ledger:
        assert (ledger.rollouts(), ledger.live_rollout()) == ((), None)
        run_id = ledger.version(1).run_id
        ledger.add_version(run_id, "another", "bundles/2")
        made = ledger.begin_rollout(
            Begin(2, "manual", "awaiting_approval", {"steps": [100.0]}, "me", "why", forced=True)
        )
        assert ledger.live_rollout() == made
        assert ledger.verify_chain().intact


def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = from_version(1, tmp_path / "ledger.db")
    broken = (
        *MIGRATIONS,
        Migration(
            newest() + 1, "broken", ("CREATE TABLE ratchet_new (n INTEGER)", "CREATE nonsense")
        ),
    )
    monkeypatch.setattr(migrations, "MIGRATIONS", broken)
    monkeypatch.setitem(migrate.__kwdefaults__, "migrations", broken)
    with pytest.raises(Exception, match="refused a statement"):
        open_ledger(url, project="churn")
    monkeypatch.undo()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        assert connection.execute("select max(version) from ratchet_schema").fetchone() == (1,)
        names = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
    assert not {"ratchet_new", "ratchet_outbox"} & {name for (name,) in names}


def test_a_newer_ledger_is_refused_behind_the_lock_too(tmp_path: Path) -> None:
    with (
        open_ledger(f"sqlite:///{tmp_path / 'l.db'}", project="p") as ledger,
        ledger.database.write() as connection,
    ):
        connection.execute(text("update ratchet_schema set version = 99 where version = 1"))
        with pytest.raises(StorageError, match="newer Ratchet"):
            migrate(connection, at=AT, place="here")
