"""The ledger's schema, version by version, and the way from any older one to the newest.

A migration that was released is never edited: a test holds the sum of all of them against
``tables.py``. The statements are plain SQL that SQLite and PostgreSQL both understand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, inspect, select, text
from sqlalchemy.engine import Connection

from ratchet.errors import StorageError
from ratchet.ledger.database import Database, open_database
from ratchet.ledger.tables import schema

# Any constant of ours: whoever holds this PostgreSQL advisory lock migrates, the others wait.
_MIGRATION_LOCK = 7_228_838_111


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema: its number, what it is for, and its statements."""

    version: int
    name: str
    statements: tuple[str, ...]


_FIRST = (
    """
    CREATE TABLE ratchet_chains (
        project TEXT PRIMARY KEY, seq BIGINT NOT NULL, at VARCHAR(27), hash VARCHAR(64) NOT NULL)
    """,
    """
    CREATE TABLE ratchet_events (
        project TEXT NOT NULL, seq BIGINT NOT NULL, at VARCHAR(27) NOT NULL, kind TEXT NOT NULL,
        run_id TEXT, facts TEXT NOT NULL, previous VARCHAR(64) NOT NULL, hash VARCHAR(64) NOT NULL,
        PRIMARY KEY (project, seq))
    """,
    "CREATE INDEX ratchet_events_by_kind ON ratchet_events (project, kind)",
    "CREATE INDEX ratchet_events_by_run ON ratchet_events (project, run_id)",
    """
    CREATE TABLE ratchet_runs (
        project TEXT NOT NULL, run_id TEXT NOT NULL, seq BIGINT NOT NULL, trigger TEXT NOT NULL,
        trigger_key TEXT, status TEXT NOT NULL, outcome TEXT, reason TEXT NOT NULL,
        attempts INTEGER NOT NULL, inputs_key TEXT, config_digest TEXT,
        snapshot_version BIGINT, snapshot_digest TEXT,
        started VARCHAR(27) NOT NULL, finished VARCHAR(27), seconds DOUBLE PRECISION,
        summary TEXT NOT NULL,
        PRIMARY KEY (project, run_id),
        CONSTRAINT ratchet_one_run_per_trigger UNIQUE (project, trigger_key))
    """,
    "CREATE INDEX ratchet_runs_by_seq ON ratchet_runs (project, seq)",
    "CREATE INDEX ratchet_runs_by_inputs ON ratchet_runs (project, inputs_key)",
    """
    CREATE TABLE ratchet_steps (
        project TEXT NOT NULL, run_id TEXT NOT NULL, name TEXT NOT NULL, seq BIGINT NOT NULL,
        status TEXT NOT NULL, key TEXT, output_digest TEXT, folder TEXT, started VARCHAR(27),
        recorded VARCHAR(27) NOT NULL, seconds DOUBLE PRECISION, cached BOOLEAN NOT NULL,
        attempts INTEGER NOT NULL, error TEXT,
        PRIMARY KEY (project, run_id, name))
    """,
    "CREATE INDEX ratchet_steps_by_key ON ratchet_steps (project, key)",
    """
    CREATE TABLE ratchet_candidates (
        project TEXT NOT NULL, run_id TEXT NOT NULL, candidate TEXT NOT NULL,
        algorithm TEXT NOT NULL, best BOOLEAN NOT NULL, params TEXT NOT NULL,
        seconds DOUBLE PRECISION, error TEXT,
        PRIMARY KEY (project, run_id, candidate))
    """,
    """
    CREATE TABLE ratchet_metrics (
        project TEXT NOT NULL, run_id TEXT NOT NULL, candidate TEXT NOT NULL, split TEXT NOT NULL,
        metric TEXT NOT NULL, algorithm TEXT NOT NULL, value DOUBLE PRECISION,
        low DOUBLE PRECISION, high DOUBLE PRECISION, std DOUBLE PRECISION,
        PRIMARY KEY (project, run_id, candidate, split, metric))
    """,
    "CREATE INDEX ratchet_metrics_by_name ON ratchet_metrics (project, metric)",
    """
    CREATE TABLE ratchet_gates (
        project TEXT NOT NULL, run_id TEXT NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL,
        value DOUBLE PRECISION, threshold DOUBLE PRECISION, passed BOOLEAN NOT NULL,
        reason TEXT NOT NULL, origin TEXT NOT NULL,
        PRIMARY KEY (project, run_id, position))
    """,
    """
    CREATE TABLE ratchet_versions (
        project TEXT NOT NULL, version INTEGER NOT NULL, run_id TEXT NOT NULL,
        bundle_digest TEXT NOT NULL, bundle_path TEXT NOT NULL, status TEXT NOT NULL,
        mlflow_version TEXT, threshold DOUBLE PRECISION, schema_digest TEXT,
        created VARCHAR(27) NOT NULL,
        PRIMARY KEY (project, version),
        CONSTRAINT ratchet_one_version_per_bundle UNIQUE (project, run_id, bundle_digest))
    """,
    """
    CREATE TABLE ratchet_deployments (
        project TEXT NOT NULL, seq BIGINT NOT NULL, at VARCHAR(27) NOT NULL, alias TEXT NOT NULL,
        action TEXT NOT NULL, version INTEGER, previous_version INTEGER, by TEXT NOT NULL,
        reason TEXT NOT NULL, run_id TEXT, promotes_run TEXT, forced BOOLEAN NOT NULL,
        traffic TEXT NOT NULL, threshold DOUBLE PRECISION, schema_digest TEXT,
        PRIMARY KEY (project, seq),
        CONSTRAINT ratchet_one_promotion_per_run UNIQUE (project, promotes_run))
    """,
    "CREATE INDEX ratchet_deployments_by_alias ON ratchet_deployments (project, alias, seq)",
    """
    CREATE TABLE ratchet_leases (
        project TEXT PRIMARY KEY, token TEXT NOT NULL, machine TEXT NOT NULL, host TEXT NOT NULL,
        pid BIGINT NOT NULL, process_started TEXT, purpose TEXT NOT NULL,
        since VARCHAR(27) NOT NULL, heartbeat VARCHAR(27) NOT NULL, expires VARCHAR(27) NOT NULL)
    """,
)

_OUTBOX = (
    """
    CREATE TABLE ratchet_outbox (
        project TEXT NOT NULL, key TEXT NOT NULL, channel TEXT NOT NULL, occasion TEXT NOT NULL,
        run_id TEXT, body TEXT NOT NULL, status TEXT NOT NULL, attempts INTEGER NOT NULL,
        created VARCHAR(27) NOT NULL, due VARCHAR(27) NOT NULL, claimed_until VARCHAR(27),
        delivered VARCHAR(27), last_error TEXT NOT NULL,
        PRIMARY KEY (project, key))
    """,
    "CREATE INDEX ratchet_outbox_by_due ON ratchet_outbox (project, status, due)",
)

_HOLDOUTS = (
    """
    CREATE TABLE ratchet_holdout_uses (
        project TEXT NOT NULL, run_id TEXT NOT NULL, challenger TEXT NOT NULL,
        seq BIGINT NOT NULL, at VARCHAR(27) NOT NULL, holdout_id TEXT NOT NULL,
        use INTEGER NOT NULL, comparison TEXT NOT NULL, champion INTEGER NOT NULL,
        metric TEXT NOT NULL, rule TEXT NOT NULL, rows BIGINT NOT NULL, first TEXT, last TEXT,
        sketch TEXT NOT NULL, difference DOUBLE PRECISION, se DOUBLE PRECISION,
        level DOUBLE PRECISION, verdict TEXT, passed BOOLEAN, shown DOUBLE PRECISION,
        shown_to TEXT, judged VARCHAR(27),
        PRIMARY KEY (project, run_id, challenger),
        CONSTRAINT ratchet_one_use_per_comparison UNIQUE (project, comparison))
    """,
    "CREATE INDEX ratchet_holdout_uses_by_seq ON ratchet_holdout_uses (project, seq)",
)

_KEYS = (
    """
    CREATE TABLE ratchet_keys (
        project TEXT NOT NULL, key_id TEXT NOT NULL, seq BIGINT NOT NULL, at VARCHAR(27) NOT NULL,
        name TEXT NOT NULL, scopes TEXT NOT NULL, digest VARCHAR(64) NOT NULL, by TEXT NOT NULL,
        revoked_seq BIGINT, revoked VARCHAR(27), revoked_by TEXT,
        PRIMARY KEY (project, key_id))
    """,
)

_ROLLOUTS = (
    """
    CREATE TABLE ratchet_rollouts (
        project TEXT NOT NULL, rollout_id TEXT NOT NULL, seq BIGINT NOT NULL,
        changed VARCHAR(27) NOT NULL, version INTEGER NOT NULL, previous INTEGER NOT NULL,
        run_id TEXT, strategy TEXT NOT NULL, status TEXT NOT NULL, stage INTEGER NOT NULL,
        share DOUBLE PRECISION NOT NULL, rules TEXT NOT NULL, salt TEXT NOT NULL, record BIGINT,
        started VARCHAR(27) NOT NULL, stage_started VARCHAR(27) NOT NULL, promoted VARCHAR(27),
        ended VARCHAR(27), watch TEXT NOT NULL, evidence TEXT NOT NULL, by TEXT NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (project, rollout_id))
    """,
    "CREATE INDEX ratchet_rollouts_by_seq ON ratchet_rollouts (project, seq)",
    """
    CREATE TABLE ratchet_experiments (
        project TEXT NOT NULL, experiment_id TEXT NOT NULL, name TEXT NOT NULL,
        status TEXT NOT NULL, arms TEXT NOT NULL, split TEXT NOT NULL, metric TEXT NOT NULL,
        salt TEXT NOT NULL, started VARCHAR(27) NOT NULL, ends VARCHAR(27), decided VARCHAR(27),
        verdict TEXT, evidence TEXT NOT NULL,
        PRIMARY KEY (project, experiment_id))
    """,
)

# Nobody wrote an experiment before these columns were there.
_EXPERIMENTS = (
    "ALTER TABLE ratchet_experiments ADD COLUMN seq BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE ratchet_experiments ADD COLUMN changed VARCHAR(27)",
    "ALTER TABLE ratchet_experiments ADD COLUMN rules TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE ratchet_experiments ADD COLUMN record BIGINT",
    "ALTER TABLE ratchet_experiments ADD COLUMN stopped VARCHAR(27)",
    "ALTER TABLE ratchet_experiments ADD COLUMN by TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE ratchet_experiments ADD COLUMN reason TEXT NOT NULL DEFAULT ''",
)

MIGRATIONS: tuple[Migration, ...] = (
    Migration(1, "runs, events, versions, deployments, leases", _FIRST),
    Migration(2, "alerts that wait to be delivered", _OUTBOX),
    Migration(3, "decisions on test rows", _HOLDOUTS),
    Migration(4, "API keys", _KEYS),
    Migration(5, "rollouts and experiments", _ROLLOUTS),
    Migration(6, "experiments step by step", _EXPERIMENTS),
)


def newest() -> int:
    """The schema version that this Ratchet writes."""
    return MIGRATIONS[-1].version


def schema_version(connection: Connection) -> int:
    """The database's schema version; 0 when it holds no ledger."""
    if not inspect(connection).has_table(schema.name):
        return 0
    return int(connection.scalar(select(func.max(schema.c.version))) or 0)


def refuse_newer(version: int, *, place: str) -> None:
    """Stop before a ledger that a newer Ratchet wrote.

    Raises:
        StorageError: it is newer (code ``newer_ledger``).
    """
    if version > newest():
        raise StorageError(
            f"The ledger {place} was written by a newer Ratchet",
            why=f"its schema is version {version}, this Ratchet knows up to {newest()}",
            fix="pip install --upgrade ratchet-ml",
            where=place,
            code="newer_ledger",
        )


def migrate(
    connection: Connection,
    *,
    at: datetime,
    place: str,
    migrations: Sequence[Migration] = MIGRATIONS,
) -> tuple[int, ...]:
    """Bring the schema up to date inside the caller's transaction.

    Safe when several processes do it at once: SQLite's write transaction and PostgreSQL's
    advisory lock let one in at a time, and the version is read again behind the lock.

    Returns:
        The versions that were applied.

    Raises:
        StorageError: the database is newer than this Ratchet.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
    current = schema_version(connection)
    refuse_newer(current, place=place)
    if current == 0:
        schema.create(connection, checkfirst=True)
    applied = [migration for migration in migrations if migration.version > current]
    for migration in applied:
        for statement in migration.statements:
            connection.execute(text(statement))
        connection.execute(
            insert(schema).values(version=migration.version, name=migration.name, applied=at)
        )
    return tuple(migration.version for migration in applied)


def open_current(
    url: str, *, create: bool, now: Callable[[], datetime], busy_seconds: float
) -> Database:
    """Open a ledger's database and bring its schema up to date; see ``store.open_ledger``."""
    database = open_database(url, create=create, busy_seconds=busy_seconds)
    try:
        with database.read() as connection:
            version = schema_version(connection)
        refuse_newer(version, place=database.place)
        if version < newest():
            with database.write() as connection:
                migrate(connection, at=now(), place=database.place)
    except BaseException:
        database.close()
        raise
    return database
