"""Which model version serves: a list that only grows; its last row is in force.

The rows of how the traffic is split are in the same list (``traffic.py``): a champion that changes
ends a split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, insert, select

from ratchet.errors import ConflictError, UsageError
from ratchet.ledger.events import Transaction
from ratchet.ledger.results import gates_passed
from ratchet.ledger.runs import gates_digest
from ratchet.ledger.tables import deployments
from ratchet.ledger.versions import Version, get_version, set_status

Alias = Literal["champion", "challenger", "staging"]
Action = Literal["promote", "rollback", "remove", "split", "clear"]

ALIASES: tuple[Alias, ...] = ("champion", "challenger", "staging")


@dataclass(frozen=True, slots=True)
class Deployment:
    """One change of what an alias points to, or of how the traffic is split.

    Attributes:
        seq: the number of its event.
        alias: ``traffic``: the aliases stay, their shares change.
        version: the version from then on, or None: the alias was removed.
        run_id: the run that asked for it, if a run did.
        forced: whether a gate was overruled.
        traffic: share in percent by version; of a split its whole record.
    """

    seq: int
    at: datetime
    alias: Alias | Literal["traffic"]
    action: Action
    version: int | None
    previous_version: int | None
    by: str
    reason: str
    run_id: str | None = None
    forced: bool = False
    traffic: Mapping[str, Any] = field(default_factory=dict)
    threshold: float | None = None
    schema_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an alias, asked for.

    Attributes:
        expected_previous: the version the alias had when this was planned; None when it had none.
        run_id: the run this promotes; a run promotes at most once.
    """

    version: int | None
    alias: Alias
    expected_previous: int | None
    by: str
    reason: str
    action: Action = "promote"
    run_id: str | None = None
    forced: bool = False

    @property
    def promotes_run(self) -> str | None:
        """The run whose one promotion this is."""
        return self.run_id if (self.alias, self.action) == ("champion", "promote") else None


def deploy(tx: Transaction, change: Change) -> Deployment:
    """Point an alias to a version, or to none; who becomes champion is challenger no more.

    Doing the same again changes nothing: the row that is there is given back, whether the run
    was promoted before or the alias points to the version already.

    Raises:
        UsageError: no such version.
        ConflictError: the alias moved since ``expected_previous`` was read; the run promoted
            another version before; or the version's gates did not pass and it is not forced.
    """
    done = _promotion_of(tx, change)
    if done is not None:
        return done
    current = current_deployment(tx.connection, tx.project, change.alias)
    serving = None if current is None else current.version
    if serving != change.expected_previous:
        raise ConflictError(
            f"The {change.alias} is {_named(serving)}, not {_named(change.expected_previous)}",
            why="it changed since this was planned",
            fix="look at `ratchet models`, then try again",
            code="champion_changed",
        )
    if serving == change.version and current is not None:
        return current
    version = None
    if change.version is not None:
        version = get_version(tx.connection, tx.project, change.version)
        _require_proof(tx, change, version)
    elif current is None:
        raise UsageError(f"There is no {change.alias} to remove")
    deployed = _insert(tx, change, serving, version)
    if change.alias == "champion":
        if serving is not None:
            set_status(tx, serving, "retired")
        if version is not None:
            set_status(tx, version.version, "champion")
            _drop_challenger(tx, change)
    return deployed


def current_deployment(
    connection: Connection, project: str, alias: Alias, *, at: datetime | None = None
) -> Deployment | None:
    """The row in force for an alias, now or at a time in the past; None before the first."""
    query = select(deployments).where(
        deployments.c.project == project, deployments.c.alias == alias
    )
    if at is not None:
        query = query.where(deployments.c.at <= at)
    row = connection.execute(query.order_by(deployments.c.seq.desc()).limit(1)).one_or_none()
    return None if row is None else _deployment(row)


def list_deployments(
    connection: Connection, project: str, alias: Alias | None = None
) -> tuple[Deployment, ...]:
    """All deployments in order, of one alias or of all."""
    query = select(deployments).where(deployments.c.project == project)
    if alias is not None:
        query = query.where(deployments.c.alias == alias)
    return tuple(_deployment(row) for row in connection.execute(query.order_by(deployments.c.seq)))


def previous_champion(history: Sequence[Deployment]) -> int | None:
    """The version a rollback goes to: the champion before the one in force.

    A promotion puts a version on a pile, a rollback takes off what lies above its version; so a
    second rollback goes further back instead of returning to the model that was left behind.

    Args:
        history: the champion's deployments in order.
    """
    pile: list[int] = []
    for row in history:
        if row.version is None:
            pile.clear()
        elif row.action == "rollback" and row.version in pile:
            while pile[-1] != row.version:
                pile.pop()
        else:
            pile.append(row.version)
    older = [version for version in pile[:-1] if version != pile[-1]]
    return older[-1] if older else None


def _promotion_of(tx: Transaction, change: Change) -> Deployment | None:
    if change.promotes_run is None:
        return None
    place = (deployments.c.project == tx.project) & (
        deployments.c.promotes_run == change.promotes_run
    )
    row = tx.connection.execute(select(deployments).where(place)).one_or_none()
    if row is not None and row.version != change.version:
        raise ConflictError(
            f"The run {change.promotes_run} promoted version {row.version} before",
            why="one run promotes at most once",
            fix=f"promote it by hand: ratchet promote {change.version}",
        )
    return None if row is None else _deployment(row)


def _require_proof(tx: Transaction, change: Change, version: Version) -> None:
    if change.alias != "champion" or change.forced:
        return
    if change.action == "rollback":
        served = list_deployments(tx.connection, tx.project, "champion")
        if all(row.version != version.version for row in served):
            raise ConflictError(
                f"Version {version.version} never was champion, so there is no way back to it",
                fix=f"promote it: ratchet promote {version.version}",
            )
    elif not gates_passed(tx.connection, tx.project, version.run_id):
        raise ConflictError(
            f"Version {version.version} cannot become champion: its gates did not pass",
            fix=f"see why with `ratchet show {version.run_id}`",
            code="gate_not_passed",
        )


def _drop_challenger(tx: Transaction, change: Change) -> None:
    challenger = current_deployment(tx.connection, tx.project, "challenger")
    if challenger is not None and challenger.version == change.version:
        dropped = replace(
            change,
            alias="challenger",
            version=None,
            action="remove",
            reason="it became champion",
        )
        _insert(tx, dropped, challenger.version, None)


def _insert(
    tx: Transaction, change: Change, previous: int | None, version: Version | None
) -> Deployment:
    serves_all = change.alias == "champion" and version is not None
    values: dict[str, Any] = {
        "alias": change.alias,
        "action": change.action,
        "version": change.version,
        "previous_version": previous,
        "by": change.by,
        "reason": change.reason,
        "forced": change.forced,
        "traffic": {str(change.version): 100.0} if serves_all else {},
        "threshold": None if version is None else version.threshold,
        "schema_digest": None if version is None else version.schema_digest,
    }
    evidence = _evidence(tx, version)
    seq = tx.append("deployed", {**values, "evidence": evidence}, run_id=change.run_id)
    tx.connection.execute(
        insert(deployments).values(
            project=tx.project,
            seq=seq,
            at=tx.at,
            run_id=change.run_id,
            promotes_run=change.promotes_run,
            **values,
        )
    )
    return Deployment(seq, tx.at, run_id=change.run_id, **values)


def _evidence(tx: Transaction, version: Version | None) -> dict[str, str] | None:
    """The digests of what is deployed, and of what it was judged by."""
    if version is None:
        return None
    return {
        "bundle": version.bundle_digest,
        "run": version.run_id,
        "gates": gates_digest(tx.connection, tx.project, version.run_id),
    }


def _named(version: int | None) -> str:
    return "none" if version is None else f"version {version}"


def _deployment(row: Row[Any]) -> Deployment:
    fields = dict(row._mapping)
    del fields["project"], fields["promotes_run"]
    return Deployment(**fields)
