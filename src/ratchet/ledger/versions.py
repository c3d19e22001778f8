"""Model versions: numbered, added once per bundle, linked to MLflow's registry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, func, insert, select, update

from ratchet.errors import UsageError
from ratchet.ledger.events import Transaction
from ratchet.ledger.tables import versions

VersionStatus = Literal["candidate", "rejected", "champion", "retired"]


@dataclass(frozen=True, slots=True)
class Version:
    """A model version.

    Attributes:
        version: its number, 1, 2, 3, ... in the project.
        status: ``candidate`` until it serves, ``champion`` while it does, ``retired`` after;
            ``rejected`` by a gate.
        mlflow_version: its number in MLflow's registry, once it is there.
        threshold: the decision threshold, for a binary task.
        schema_digest: digest of the input columns.
    """

    version: int
    run_id: str
    bundle_digest: str
    bundle_path: str
    status: VersionStatus
    mlflow_version: str | None
    threshold: float | None
    schema_digest: str | None
    created: datetime


def add_version(
    tx: Transaction,
    run_id: str,
    bundle_digest: str,
    bundle_path: str,
    *,
    status: VersionStatus = "candidate",
    threshold: float | None = None,
    schema_digest: str | None = None,
) -> Version:
    """Add a model version; the one already there when the run added this bundle before."""
    mine = versions.c.project == tx.project
    same = (versions.c.run_id == run_id) & (versions.c.bundle_digest == bundle_digest)
    row = tx.connection.execute(select(versions).where(mine, same)).one_or_none()
    if row is not None:
        return _version(row)
    number = 1 + int(tx.connection.scalar(select(func.max(versions.c.version)).where(mine)) or 0)
    version = Version(
        number, run_id, bundle_digest, bundle_path, status, None, threshold, schema_digest, tx.at
    )
    fields = {name: getattr(version, name) for name in Version.__slots__}
    tx.connection.execute(insert(versions).values(project=tx.project, **fields))
    facts = {
        "version": number,
        "bundle_digest": bundle_digest,
        "status": status,
        "threshold": threshold,
        "schema_digest": schema_digest,
    }
    tx.append("version_added", facts, run_id=run_id)
    return version


def link_version(tx: Transaction, number: int, mlflow_version: str) -> Version:
    """Note the number a version has in MLflow's registry.

    Raises:
        UsageError: no such version.
    """
    version = get_version(tx.connection, tx.project, number)
    if version.mlflow_version != mlflow_version:
        _set(tx, number, mlflow_version=mlflow_version)
        facts = {"version": number, "mlflow_version": mlflow_version}
        tx.append("version_linked", facts, run_id=version.run_id)
    return get_version(tx.connection, tx.project, number)


def get_version(connection: Connection, project: str, number: int) -> Version:
    """One version.

    Raises:
        UsageError: there is none of this number (code ``no_version``).
    """
    place = (versions.c.project == project) & (versions.c.version == number)
    row = connection.execute(select(versions).where(place)).one_or_none()
    if row is None:
        raise UsageError(
            f"There is no version {number} of {project}",
            fix="list them with `ratchet models`",
            code="no_version",
        )
    return _version(row)


def list_versions(connection: Connection, project: str) -> tuple[Version, ...]:
    """All versions, newest first."""
    query = select(versions).where(versions.c.project == project)
    return tuple(
        _version(row) for row in connection.execute(query.order_by(versions.c.version.desc()))
    )


def set_status(tx: Transaction, number: int, status: VersionStatus) -> None:
    """Change a version's status, as part of the deployment that changes it."""
    _set(tx, number, status=status)


def _set(tx: Transaction, number: int, **values: Any) -> None:
    place = (versions.c.project == tx.project) & (versions.c.version == number)
    tx.connection.execute(update(versions).where(place).values(**values))


def _version(row: Row[Any]) -> Version:
    fields = dict(row._mapping)
    del fields["project"]
    return Version(**fields)
