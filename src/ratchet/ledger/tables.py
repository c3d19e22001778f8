"""The ledger's tables, as the newest schema version has them (``migrations.py`` makes them).

Every name starts with ``ratchet_``: a PostgreSQL database is often shared with MLflow, which has
tables called ``runs`` and ``metrics`` of its own. Times are text in UTC, always 27 characters
(``2026-11-21T02:49:15.000000Z``), so that text order is time order and the hash chain sees the
same bytes in every database; JSON is canonical text for the same reason.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from ratchet.ids import canonical_json


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it on every database.

    Tuples become lists, times text, numbers that are not finite become null; NUL bytes and
    unpaired surrogates, which PostgreSQL and UTF-8 refuse, are replaced.
    """
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, datetime):
        return moment_text(value)
    if isinstance(value, Mapping):
        return {str(plain(str(key))): plain(item) for key, item in value.items()}
    listed = getattr(value, "tolist", None)  # NumPy's numbers and arrays, without importing it
    if callable(listed):
        return plain(listed())
    return [plain(item) for item in value]


def moment_text(at: datetime) -> str:
    """A time as the ledger writes it: UTC, microseconds, 27 characters."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> datetime:
    """The time that ``moment_text`` wrote."""
    return datetime.fromisoformat(text)


class Moment(TypeDecorator[datetime]):
    """A time with its zone, kept as text."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """To text."""
        return None if value is None else moment_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """From text."""
        return None if value is None else moment(value)


class Json(TypeDecorator[Any]):
    """A JSON value, kept as canonical text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """To text."""
        return None if value is None else canonical_json(plain(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """From text."""
        return None if value is None else json.loads(value)


class Plain(TypeDecorator[str]):
    """Text from outside, made fit for every database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Without what PostgreSQL or UTF-8 refuse."""
        return None if value is None else str(plain(value))


metadata = MetaData()

schema = Table(
    "ratchet_schema",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("applied", Moment, nullable=False),
)

chains = Table(
    "ratchet_chains",
    metadata,
    Column("project", Plain, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("at", Moment),
    Column("hash", String(64), nullable=False),
)

events = Table(
    "ratchet_events",
    metadata,
    Column("project", Plain, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("kind", Plain, nullable=False),
    Column("run_id", Plain),
    Column("facts", Json, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ratchet_events_by_kind", "project", "kind"),
    Index("ratchet_events_by_run", "project", "run_id"),
)

runs = Table(
    "ratchet_runs",
    metadata,
    Column("project", Plain, primary_key=True),
    Column("run_id", Plain, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("trigger", Plain, nullable=False),
    Column("trigger_key", Plain),
    Column("status", Plain, nullable=False),
    Column("outcome", Plain),
    Column("reason", Plain, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("inputs_key", Plain),
    Column("config_digest", Plain),
    Column("snapshot_version", BigInteger),
    Column("snapshot_digest", Plain),
    Column("started", Moment, nullable=False),
    Column("finished", Moment),
    Column("seconds", Double),
    Column("summary", Json, nullable=False),
    UniqueConstraint("project", "trigger_key", name="ratchet_one_run_per_trigger"),
    Index("ratchet_runs_by_seq", "project", "seq"),
    Index("ratchet_runs_by_inputs", "project", "inputs_key"),
)

steps = Table(
    "ratchet_steps",
    metadata,
    Column("project", Plain, primary_key=True),
    Column("run_id", Plain, primary_key=True),
    Column("name", Plain, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("status", Plain, nullable=False),
    Column("key", Plain),
    Column("output_digest", Plain),
    Column("folder", Plain),
    Column("started", Moment),
    Column("recorded", Moment, nullable=False),
    Column("seconds", Double),
    Column("cached", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Json),
    Index("ratchet_steps_by_key", "project", "key"),
)

candidates = Table(
    "ratchet_candidates",
    metadata,
    Column("project", Plain, primary_key=True),
    Column("run_id", Plain, primary_key=True),
    Column("candidate", Plain, primary_key=True),
    Column("algorithm", Plain, nullable=False),
    Column("best", Boolean, nullable=False),
    Column("params", Json, nullable=False),
    Column("seconds", Double),
    Column("error", Plain),
)

metrics = Table(
    "ratchet_metrics",
    metadata,
    Column("project", Plain, primary_key=True),
    Column("run_id", Plain, primary_key=True),
    Column("candidate", Plain, primary_key=True),
    Column("split", Plain, primary_key=True),
    Column("metric", Plain, primary_key=True),
    Column("algorithm", Plain, nullable=False),
    Column("value", Double),
    Column("low", Double),
    Column("high", Double),
    Column("std", Double),
    Index("ratchet_metrics_by_name", "project", "metric"),
)

gates = Table(
    "ratchet_gates",
    metadata,
    Column("project", Plain, primary_key=True),
    Column("run_id", Plain, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("name", Plain, nullable=False),
    Column("value", Double),
    Column("threshold", Double),
    Column("passed", Boolean, nullable=False),
    Column("reason", Plain, nullable=False),
    Column("origin", Plain, nullable=False),
)

versions = Table(
    "ratchet_versions",
    metadata,
    Column("project", Plain, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("run_id", Plain, nullable=False),
    Column("bundle_digest", Plain, nullable=False),
    Column("bundle_path", Plain, nullable=False),
    Column("status", Plain, nullable=False),
    Column("mlflow_version", Plain),
    Column("threshold", Double),
    Column("schema_digest", Plain),
    Column("created", Moment, nullable=False),
    UniqueConstraint("project", "run_id", "bundle_digest", name="ratchet_one_version_per_bundle"),
)

deployments = Table(
    "ratchet_deployments",
    metadata,
    Column("project", Plain, primary_key=True),
    # The number of the deployment's own event, so that an audit can hold one against the other.
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("alias", Plain, nullable=False),
    Column("action", Plain, nullable=False),
    Column("version", Integer),
    Column("previous_version", Integer),
    Column("by", Plain, nullable=False),
    Column("reason", Plain, nullable=False),
    Column("run_id", Plain),
    # The run that this row promotes, or null: the database itself keeps it at one per run.
    Column("promotes_run", Plain),
    Column("forced", Boolean, nullable=False),
    Column("traffic", Json, nullable=False),
    Column("threshold", Double),
    Column("schema_digest", Plain),
    UniqueConstraint("project", "promotes_run", name="ratchet_one_promotion_per_run"),
    Index("ratchet_deployments_by_alias", "project", "alias", "seq"),
)

leases = Table(
    "ratchet_leases",
    metadata,
    Column("project", Plain, primary_key=True),
    Column("token", Plain, nullable=False),
    Column("machine", Plain, nullable=False),
    Column("host", Plain, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("process_started", Plain),
    Column("purpose", Plain, nullable=False),
    Column("since", Moment, nullable=False),
    Column("heartbeat", Moment, nullable=False),
    Column("expires", Moment, nullable=False),
)

outbox = Table(
    "ratchet_outbox",
    metadata,
    Column("project", Plain, primary_key=True),
    Column("key", Plain, primary_key=True),
    Column("channel", Plain, nullable=False),
    Column("occasion", Plain, nullable=False),
    Column("run_id", Plain),
    Column("body", Json, nullable=False),
    Column("status", Plain, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created", Moment, nullable=False),
    Column("due", Moment, nullable=False),
    Column("claimed_until", Moment),
    Column("delivered", Moment),
    Column("last_error", Plain, nullable=False),
    Index("ratchet_outbox_by_due", "project", "status", "due"),
)

holdout_uses = Table(
    "ratchet_holdout_uses",
    metadata,
    Column("project", Plain, primary_key=True),
    Column("run_id", Plain, primary_key=True),
    # A run that climbs from a cheap way of training to a dearer one decides on several models.
    Column("challenger", Plain, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("at", Moment, nullable=False),
    Column("holdout_id", Plain, nullable=False),
    Column("use", Integer, nullable=False),
    Column("comparison", Plain, nullable=False),
    Column("champion", Integer, nullable=False),
    Column("metric", Plain, nullable=False),
    Column("rule", Plain, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("first", Plain),
    Column("last", Plain),
    Column("sketch", Json, nullable=False),
    Column("difference", Double),
    Column("se", Double),
    Column("level", Double),
    Column("verdict", Plain),
    Column("passed", Boolean),
    Column("shown", Double),
    Column("shown_to", Plain),
    Column("judged", Moment),
    UniqueConstraint("project", "comparison", name="ratchet_one_use_per_comparison"),
    Index("ratchet_holdout_uses_by_seq", "project", "seq"),
)

keys = Table(
    "ratchet_keys",
    metadata,
    Column("project", Plain, primary_key=True),
    Column("key_id", Plain, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("at", Moment, nullable=False),
    Column("name", Plain, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("by", Plain, nullable=False),
    Column("revoked_seq", BigInteger),
    Column("revoked", Moment),
    Column("revoked_by", Plain),
)

rollouts = Table(
    "ratchet_rollouts",
    metadata,
    Column("project", Plain, primary_key=True),
    Column("rollout_id", Plain, primary_key=True),
    # The number of the event that changed it last.
    Column("seq", BigInteger, nullable=False),
    Column("changed", Moment, nullable=False),
    Column("version", Integer, nullable=False),
    Column("previous", Integer, nullable=False),
    Column("run_id", Plain),
    Column("strategy", Plain, nullable=False),
    Column("status", Plain, nullable=False),
    Column("stage", Integer, nullable=False),
    Column("share", Double, nullable=False),
    Column("rules", Json, nullable=False),
    Column("salt", Plain, nullable=False),
    # The record of what serves that it stands on; another one in force means somebody else acted.
    Column("record", BigInteger),
    Column("started", Moment, nullable=False),
    Column("stage_started", Moment, nullable=False),
    Column("promoted", Moment),
    Column("ended", Moment),
    Column("watch", Plain, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("by", Plain, nullable=False),
    Column("reason", Plain, nullable=False),
    Index("ratchet_rollouts_by_seq", "project", "seq"),
)

experiments = Table(
    "ratchet_experiments",
    metadata,
    Column("project", Plain, primary_key=True),
    Column("experiment_id", Plain, primary_key=True),
    Column("name", Plain, nullable=False),
    Column("status", Plain, nullable=False),
    Column("arms", Json, nullable=False),
    Column("split", Json, nullable=False),
    Column("metric", Plain, nullable=False),
    Column("salt", Plain, nullable=False),
    Column("started", Moment, nullable=False),
    Column("ends", Moment),
    Column("decided", Moment),
    Column("verdict", Plain),
    Column("evidence", Json, nullable=False),
    # The number of the event that changed it last.
    Column("seq", BigInteger, nullable=False),
    Column("changed", Moment),
    Column("rules", Json, nullable=False),
    Column("record", BigInteger),
    # When the last entity was assigned.
    Column("stopped", Moment),
    Column("by", Plain, nullable=False),
    Column("reason", Plain, nullable=False),
)
