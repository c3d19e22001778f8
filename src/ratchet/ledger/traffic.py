"""Who answers how much: the one record of what serves, with everything that belongs together.

The record in force is the newest row that changed the champion or the traffic. A change of the
champion is a record of its own: all of the traffic, and the end of whatever split there was. A
split names its arms by version, and holds the digest of each version's bundle (model, recipe and
schema) and its threshold beside the weights: they change together, in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, bindparam, func, select

from ratchet.ledger.layout import PARTS, Layout
from ratchet.ledger.tables import deployments
from ratchet.ledger.tables import versions as versions_table

Kind = Literal["plain", "canary", "experiment"]

CHAMPION, TRAFFIC = "champion", "traffic"
_NEWEST = select(func.max(deployments.c.seq)).where(deployments.c.project == bindparam("project"))


@dataclass(frozen=True, slots=True)
class Arm:
    """A part of the traffic.

    Attributes:
        name: as the prediction log knows it.
        version: who answers.
        share: percent of the entities, in steps of 0.0001; 0 keeps a version loaded and waiting.
    """

    name: str
    version: int
    share: float


@dataclass(frozen=True, slots=True)
class Pinned:
    """What a version is, as the record holds it.

    Attributes:
        bundle_digest: over model, recipe, signature and decision.
        bundle_path: the bundle's folder, from the project's state folder.
    """

    version: int
    bundle_digest: str
    bundle_path: str
    threshold: float | None
    schema_digest: str | None


@dataclass(frozen=True, slots=True)
class Traffic:
    """A record of what serves.

    Attributes:
        seq: the number of its event; another number is another record.
        champion: the champion's version when the record was made.
        arms: their shares sum to 100.
        shadow: versions that answer too, without anybody seeing it.
        salt: of the hash that picks an entity's arm; one per rollout.
        layout: which parts of all entities belong to which arm.
        pinned: every version of the arms and the shadow.
    """

    seq: int
    at: datetime
    kind: Kind
    champion: int
    arms: tuple[Arm, ...]
    shadow: tuple[int, ...]
    salt: str
    layout: Layout
    pinned: Mapping[int, Pinned]
    by: str
    reason: str

    @property
    def versions(self) -> tuple[int, ...]:
        """The versions of the arms, each once; the shadows are not among them."""
        return tuple(dict.fromkeys(arm.version for arm in self.arms))

    @property
    def plain(self) -> bool:
        """Whether the champion answers everything, unwatched."""
        return self.kind == "plain" and not self.shadow


def newest_seq(connection: Connection, project: str) -> int:
    """The number of the newest deployment or split; 0 before the first."""
    return int(connection.scalar(_NEWEST, {"project": project}) or 0)


def read_traffic(
    connection: Connection,
    project: str,
    *,
    at: datetime | None = None,
    before: int | None = None,
) -> Traffic | None:
    """The record in force now, or at a time in the past; None when nothing serves.

    Args:
        before: the one that was in force before the record of this number.
    """
    query = select(deployments).where(
        deployments.c.project == project, deployments.c.alias.in_((CHAMPION, TRAFFIC))
    )
    if at is not None:
        query = query.where(deployments.c.at <= at)
    if before is not None:
        query = query.where(deployments.c.seq < before)
    row = connection.execute(query.order_by(deployments.c.seq.desc()).limit(1)).one_or_none()
    if row is None or row.version is None:
        return None
    return _plain(connection, row) if row.alias == CHAMPION else _split(connection, row)


def _plain(connection: Connection, row: Row[Any]) -> Traffic:
    return Traffic(
        seq=row.seq,
        at=row.at,
        kind="plain",
        champion=row.version,
        arms=(Arm(CHAMPION, row.version, 100.0),),
        shadow=(),
        salt="",
        layout=((PARTS, CHAMPION),),
        pinned=pin_versions(connection, row.project, [row.version]),
        by=row.by,
        reason=row.reason,
    )


def _split(connection: Connection, row: Row[Any]) -> Traffic:
    kept = row.traffic
    return Traffic(
        seq=row.seq,
        at=row.at,
        kind=kept["kind"],
        champion=row.version,
        # By name: what a later Ratchet adds is not for this one.
        arms=tuple(Arm(arm["name"], arm["version"], arm["share"]) for arm in kept["arms"]),
        shadow=tuple(kept["shadow"]),
        salt=kept["salt"],
        layout=tuple((int(high), str(arm)) for high, arm in kept["layout"]),
        pinned=pin_versions(connection, row.project, map(int, kept["versions"]), kept["versions"]),
        by=row.by,
        reason=row.reason,
    )


def pin_versions(
    connection: Connection,
    project: str,
    numbers: Iterable[int],
    kept: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[int, Pinned]:
    """The versions as the record holds them; where the bundles lie is the versions' to say."""
    table = versions_table.c
    rows = connection.execute(
        select(
            table.version,
            table.bundle_digest,
            table.bundle_path,
            table.threshold,
            table.schema_digest,
        ).where(table.project == project, table.version.in_(tuple(numbers)))
    )
    found = {row.version: Pinned(*row) for row in rows}
    for text, held in (kept or {}).items():
        known = {name: held[name] for name in ("bundle_digest", "threshold", "schema_digest")}
        found[int(text)] = replace(found[int(text)], **known)
    return dict(sorted(found.items()))
