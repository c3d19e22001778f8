"""Splitting the traffic: what is asked for, whether it may be, and the row that says so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import insert

from ratchet import ids
from ratchet.errors import ConflictError, UsageError
from ratchet.ledger.deployments import current_deployment
from ratchet.ledger.events import Transaction
from ratchet.ledger.layout import PARTS, Layout, lay_out
from ratchet.ledger.results import gates_passed
from ratchet.ledger.tables import deployments
from ratchet.ledger.traffic import CHAMPION, TRAFFIC, Arm, Kind, Traffic, pin_versions, read_traffic
from ratchet.ledger.versions import get_version

SHADOW = "shadow"
"""What the prediction log calls an answer that nobody saw: no arm may be called so."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z")


@dataclass(frozen=True, slots=True)
class Split:
    """A change of the traffic, asked for.

    Attributes:
        arms: the first one is the one the others grow at the cost of.
        expected_seq: ``Traffic.seq`` when this was planned.
        salt: None keeps the running rollout's, or makes a new one for a new rollout.
        forced: let versions answer whose gates did not pass.
    """

    arms: tuple[Arm, ...]
    shadow: tuple[int, ...]
    kind: Kind
    by: str
    reason: str
    expected_seq: int
    salt: str | None = None
    forced: bool = False


def set_traffic(tx: Transaction, wanted: Split) -> Traffic:
    """Put a split in force; the same split again changes nothing.

    Raises:
        UsageError: no such version, or arms that make no split.
        ConflictError: no champion, the record moved since ``expected_seq`` was read, or a
            version's gates did not pass and it is not forced.
    """
    parts = check_split(wanted)
    current = read_traffic(tx.connection, tx.project)
    if current is None:
        raise ConflictError(
            "Nothing serves, so there is no traffic to split",
            fix="make a version champion first: ratchet promote VERSION",
            code="no_champion",
        )
    if current.seq != wanted.expected_seq:
        raise ConflictError(
            "What serves has changed since this was planned",
            why=f"by {current.by}: {current.reason}",
            fix="look at `ratchet rollout show`, then try again",
            code="traffic_changed",
        )
    if same_split(current, wanted):
        return current
    _require_proof(tx, wanted, current)
    goes_on = continues(current, wanted)
    salt = wanted.salt or (current.salt if goes_on else "")
    if not salt and wanted.kind != "plain":
        salt = ids.token()
    layout = lay_out(parts, current.layout if goes_on else ())
    return _insert(tx, wanted, current, salt, layout)


def check_split(wanted: Split) -> dict[str, int]:
    """The parts of each arm, when the arms make a split.

    Raises:
        UsageError: they do not.
    """
    names = [arm.name for arm in wanted.arms]
    problem = ""
    if not names:
        problem = "there is no arm"
    elif len(set(names)) < len(names):
        problem = f"an arm is named twice: {', '.join(names)}"
    elif bad := [name for name in names if not _NAME.match(name) or name == SHADOW]:
        problem = f"{bad[0]!r} is no name for an arm"
    elif wanted.kind == "plain" and names != [CHAMPION]:
        problem = "plain traffic has one arm, the champion"
    elif both := set(wanted.shadow) & {arm.version for arm in wanted.arms}:
        problem = f"version {min(both)} cannot shadow itself"
    elif len(set(wanted.shadow)) < len(wanted.shadow):
        problem = "a version shadows twice"
    else:
        problem = _share_problem(wanted.arms)
    if problem:
        raise UsageError(
            f"That is no split of the traffic: {problem}",
            fix="for example: ratchet rollout split champion=90 challenger=10 --reason WHY",
            code="bad_split",
        )
    return {arm.name: round(arm.share * PARTS / 100) for arm in wanted.arms}


def same_split(current: Traffic, wanted: Split) -> bool:
    """Whether ``wanted`` is in force already."""
    return (
        (current.arms, current.shadow, current.kind) == (wanted.arms, wanted.shadow, wanted.kind)
    ) and wanted.salt in (None, current.salt)


def continues(current: Traffic, wanted: Split) -> bool:
    """Whether ``wanted`` is the running rollout with other weights: entities keep their arms."""
    before = {arm.name: arm.version for arm in current.arms}
    after = {arm.name: arm.version for arm in wanted.arms}
    shared = before.keys() & after.keys()
    return (
        current.kind == wanted.kind != "plain"
        and wanted.salt in (None, current.salt)
        and len(shared) > 1
        and all(before[name] == after[name] for name in shared)
    )


def _share_problem(arms: Iterable[Arm]) -> str:
    total = 0
    for arm in arms:
        parts = arm.share * PARTS / 100
        # A NaN is neither at least 0 nor at most 100.
        if not 0 <= arm.share <= 100:
            return f"the share of {arm.name} is not between 0 and 100"
        if abs(parts - round(parts)) > 1e-3:
            return f"the share of {arm.name} is finer than 0.0001 %"
        total += round(parts)
    return "" if total == PARTS else f"the shares sum to {total * 100 / PARTS:g}, not to 100"


def _require_proof(tx: Transaction, wanted: Split, current: Traffic) -> None:
    """Versions must exist; what answers must have passed its gates, or serve already."""
    for number in wanted.shadow:
        get_version(tx.connection, tx.project, number)
    champion = current_deployment(tx.connection, tx.project, "champion")
    for arm in wanted.arms:
        version = get_version(tx.connection, tx.project, arm.version)
        if champion is not None and arm.name == CHAMPION and arm.version != champion.version:
            raise ConflictError(
                f"The champion is version {champion.version}, not version {arm.version}",
                fix="look at `ratchet rollout show`, then try again",
                code="champion_changed",
            )
        proven = (
            wanted.forced
            or arm.version in current.versions
            or gates_passed(tx.connection, tx.project, version.run_id)
        )
        if not proven:
            raise ConflictError(
                f"Version {arm.version} may not answer: its gates did not pass",
                fix=f"see why with `ratchet show {version.run_id}`, or let it shadow",
                code="gate_not_passed",
            )


def _insert(tx: Transaction, wanted: Split, current: Traffic, salt: str, layout: Layout) -> Traffic:
    champion = get_version(tx.connection, tx.project, current.champion)
    numbers = dict.fromkeys([*(arm.version for arm in wanted.arms), *wanted.shadow])
    pinned = pin_versions(tx.connection, tx.project, numbers)
    traffic = {
        "kind": wanted.kind,
        "salt": salt,
        "arms": [asdict(arm) for arm in wanted.arms],
        "layout": [list(stretch) for stretch in layout],
        "shadow": list(wanted.shadow),
        "versions": {
            str(number): {
                "bundle_digest": pin.bundle_digest,
                "threshold": pin.threshold,
                "schema_digest": pin.schema_digest,
            }
            for number, pin in pinned.items()
        },
    }
    values: dict[str, Any] = {
        "alias": TRAFFIC,
        "action": "clear" if wanted.kind == "plain" and not wanted.shadow else "split",
        "version": current.champion,
        "previous_version": current.champion,
        "by": wanted.by,
        "reason": wanted.reason,
        "forced": wanted.forced,
        "traffic": traffic,
        "threshold": champion.threshold,
        "schema_digest": champion.schema_digest,
    }
    seq = tx.append("deployed", values)
    tx.connection.execute(
        insert(deployments).values(project=tx.project, seq=seq, at=tx.at, **values)
    )
    return Traffic(
        seq,
        tx.at,
        wanted.kind,
        current.champion,
        wanted.arms,
        wanted.shadow,
        salt,
        layout,
        pinned,
        wanted.by,
        wanted.reason,
    )
