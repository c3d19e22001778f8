"""The steps of a rollout: its row, the aliases and what serves change in one transaction.

Whoever dies leaves the step before or the step after, and nothing between.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, update

from ratchet import ids
from ratchet.errors import ConflictError
from ratchet.ledger.deployments import Action, Change, current_deployment, deploy
from ratchet.ledger.events import Transaction
from ratchet.ledger.experiment_steps import refuse_beside_experiment
from ratchet.ledger.results import gates_passed
from ratchet.ledger.rollouts import (
    CHALLENGER,
    CHANGED,
    Begin,
    Move,
    Rollout,
    Serves,
    get_rollout,
    list_rollouts,
    rollout_place,
)
from ratchet.ledger.splitting import Split, set_traffic
from ratchet.ledger.tables import rollouts
from ratchet.ledger.traffic import CHAMPION, Arm, Kind, Traffic, read_traffic
from ratchet.ledger.versions import get_version, set_status

_TOLD = (
    "rollout_id",
    "version",
    "previous",
    "strategy",
    "status",
    "stage",
    "share",
    "stage_started",
    "watch",
    "rules",
    "evidence",
    "by",
    "reason",
)


def begin_rollout(tx: Transaction, wanted: Begin) -> Rollout:
    """Begin a rollout; the one that is there when the same run asked for it before.

    Raises:
        UsageError: no such version.
        ConflictError: another rollout is open, nothing serves, the version serves already, the
            traffic is split, or the version's gates did not pass.
    """
    version = get_version(tx.connection, tx.project, wanted.version)
    known = list_rollouts(tx.connection, tx.project)
    for rollout in known:
        if wanted.run_id is not None and rollout.run_id == wanted.run_id:
            return rollout
    for rollout in known:
        if rollout.open:
            raise ConflictError(
                f"Version {rollout.version} is being rolled out",
                why=f"since {rollout.started:%Y-%m-%d %H:%M} UTC; one at a time",
                fix="wait for its end (ratchet rollout show), or: ratchet rollout abort",
                code="rollout_in_progress",
            )
    refuse_beside_experiment(tx)
    traffic = _traffic_to_take(tx, wanted, known)
    if not wanted.forced and not gates_passed(tx.connection, tx.project, version.run_id):
        raise ConflictError(
            f"Version {version.version} may not be rolled out: its gates did not pass",
            fix=f"see why with `ratchet show {version.run_id}`",
            code="gate_not_passed",
        )
    began = Rollout(
        rollout_id=ids.token(),
        seq=0,
        changed=tx.at,
        version=wanted.version,
        previous=traffic.champion,
        run_id=wanted.run_id,
        strategy=wanted.strategy,
        status=wanted.status,
        stage=wanted.stage,
        share=wanted.share,
        rules={**wanted.rules, "forced": wanted.forced},
        salt=ids.token(),
        record=None,
        started=tx.now,
        stage_started=tx.now,
        promoted=None,
        ended=None,
        watch="off",
        evidence={},
        by=wanted.by,
        reason=wanted.reason,
    )
    row = {name: getattr(began, name) for name in Rollout.__slots__}
    tx.connection.execute(insert(rollouts).values(project=tx.project, **row))
    record = _serve(tx, began, wanted.serves, wanted.by, wanted.reason)
    if wanted.serves is not None:
        _end_watches(tx, began, wanted.by)
    return _write(tx, began, {"record": record}, wanted.by, wanted.reason)


def move_rollout(tx: Transaction, move: Move) -> Rollout:
    """Take a rollout's next step, with what it does to what serves.

    Raises:
        UsageError: no such rollout.
        ConflictError: it moved since ``expected_seq`` was read, or what serves was changed by
            somebody else.
    """
    before = get_rollout(tx.connection, tx.project, move.rollout_id)
    if before.seq != move.expected_seq:
        raise ConflictError(
            f"The rollout of version {before.version} has moved on meanwhile",
            why=f"by {before.by}: {before.reason}",
            fix="look at `ratchet rollout show`, then try again",
            code="rollout_moved",
        )
    asked = {
        "status": move.status,
        "stage": move.stage,
        "share": move.share,
        "watch": move.watch,
        "evidence": move.evidence,
        "rules": {**before.rules, **move.rules} if move.rules else None,
    }
    values: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    after = _with(before, values)
    if (after.stage, after.share) != (before.stage, before.share):
        values["stage_started"] = tx.now
    if after.status == "promoted" and before.promoted is None:
        values["promoted"] = tx.now
    if move.anew is not None:
        values["stage_started"] = move.anew
        if before.promoted is not None:
            values["promoted"] = move.anew
    if not after.alive:
        values["ended"] = tx.at
    if move.serves is not None:
        values["record"] = _serve(tx, after, move.serves, move.by, move.reason)
        if move.serves in ("shadow", "canary", "promote"):
            _end_watches(tx, before, move.by)
    return _write(tx, before, values, move.by, move.reason)


def note_evidence(tx: Transaction, rollout_id: str, expected_seq: int, found: Any) -> None:
    """Keep what a look found; no event, as nothing was decided. A rollout that moved is left."""
    place = rollout_place(tx.project, rollout_id) & (rollouts.c.seq == expected_seq)
    tx.connection.execute(update(rollouts).where(place).values(evidence=found))


def _traffic_to_take(tx: Transaction, wanted: Begin, known: tuple[Rollout, ...]) -> Traffic:
    """What serves, when a rollout may take it over."""
    traffic = read_traffic(tx.connection, tx.project)
    if traffic is None:
        raise ConflictError(
            "Nothing serves, so there is nothing to roll out against",
            fix=f"make the version champion: ratchet promote {wanted.version}",
            code="no_champion",
        )
    if traffic.champion == wanted.version:
        raise ConflictError(
            f"Version {wanted.version} is the champion already",
            fix="see the others with `ratchet models`",
            code="already_champion",
        )
    ours = any(each.watch == "on" and each.record == traffic.seq for each in known)
    if wanted.serves is not None and not traffic.plain and not ours:
        raise ConflictError(
            f"The traffic is split: {traffic.reason}",
            why="a rollout compares with a champion that answers everything else",
            fix="end it first: ratchet rollout clear",
            code="traffic_split",
        )
    return traffic


def _serve(
    tx: Transaction, rollout: Rollout, serves: Serves | None, by: str, reason: str
) -> int | None:
    """Change what serves as the rollout says; the number of the record from then on."""
    if serves is None:
        return rollout.record
    if serves in ("promote", "back"):
        return _crown(tx, rollout, serves, by, reason)
    current = read_traffic(tx.connection, tx.project)
    if current is None or (rollout.record is not None and current.seq != rollout.record):
        # Somebody else changed it. What is not ours stays; nothing more may be built on it.
        if serves == "clear":
            _drop_alias(tx, rollout, by, reason)
            return None
        raise ConflictError(
            "What serves was changed by somebody else",
            why="nothing serves" if current is None else f"by {current.by}: {current.reason}",
            fix="look at `ratchet rollout show`",
            code="traffic_changed",
        )
    if serves == "clear":
        _drop_alias(tx, rollout, by, reason)
        if rollout.record is None:
            return None
    else:
        _point(tx, rollout.version, by, reason)
    arms, shadow, kind = _split_of(rollout, serves, current.champion)
    salt = rollout.salt if kind == "canary" else None
    forced = bool(rollout.rules.get("forced"))
    split = Split(arms, shadow, kind, by, reason, current.seq, salt, forced)
    return set_traffic(tx, split).seq


def _split_of(
    rollout: Rollout, serves: Serves, champion: int
) -> tuple[tuple[Arm, ...], tuple[int, ...], Kind]:
    if serves == "canary":
        arms = (
            Arm(CHAMPION, champion, 100.0 - rollout.share),
            Arm(CHALLENGER, rollout.version, rollout.share),
        )
        return arms, (), "canary"
    shadow = (rollout.version,) if serves == "shadow" else ()
    return (Arm(CHAMPION, champion, 100.0),), shadow, "plain"


def _crown(tx: Transaction, rollout: Rollout, serves: Serves, by: str, reason: str) -> int:
    """Promote the version, or bring back the champion before it."""
    action: Action
    if serves == "promote":
        version, before, action = rollout.version, rollout.previous, "promote"
    else:
        version, before, action = rollout.previous, rollout.version, "rollback"
    run_id = rollout.run_id if serves == "promote" else None
    forced = bool(rollout.rules.get("forced")) and serves == "promote"
    change = Change(version, "champion", before, by, reason, action, run_id, forced)
    deployed = deploy(tx, change)
    current = current_deployment(tx.connection, tx.project, "champion")
    if current is None or current.version != version:
        raise ConflictError(
            f"The run {run_id} promoted version {version} before, and something else serves now",
            why="one run promotes at most once",
            fix=f"promote it by hand: ratchet promote {version}",
            code="champion_changed",
        )
    if serves == "promote" and rollout.watch == "on":
        # The one before answers along, unseen: it stays loaded, and is what is compared with.
        arms = (Arm(CHAMPION, version, 100.0),)
        split = Split(arms, (rollout.previous,), "plain", by, "watched", deployed.seq)
        return set_traffic(tx, split).seq
    return deployed.seq


def _point(tx: Transaction, version: int | None, by: str, reason: str) -> None:
    """The alias of who is being rolled out."""
    current = current_deployment(tx.connection, tx.project, CHALLENGER)
    held = None if current is None else current.version
    if held != version:
        action: Action = "promote" if version is not None else "remove"
        deploy(tx, Change(version, CHALLENGER, held, by, reason, action))


def _end_watches(tx: Transaction, rollout: Rollout, by: str) -> None:
    """Who was watched after an earlier promotion is not any more: something else is compared."""
    for other in list_rollouts(tx.connection, tx.project):
        if other.watch == "on" and other.rollout_id != rollout.rollout_id:
            told = f"version {rollout.version} is being rolled out"
            _write(tx, other, {"watch": "ended", "ended": tx.at}, by, told)


def _drop_alias(tx: Transaction, rollout: Rollout, by: str, reason: str) -> None:
    current = current_deployment(tx.connection, tx.project, CHALLENGER)
    if current is not None and current.version == rollout.version:
        _point(tx, None, by, reason)


def _write(
    tx: Transaction, before: Rollout, values: Mapping[str, Any], by: str, reason: str
) -> Rollout:
    """Write a rollout's change and its event."""
    after = _with(before, {**values, "by": by, "reason": reason})
    facts = {name: getattr(after, name) for name in _TOLD}
    seq = tx.append(CHANGED, facts, run_id=before.run_id)
    kept = {**values, "by": by, "reason": reason, "seq": seq, "changed": tx.at}
    tx.connection.execute(
        update(rollouts).where(rollout_place(tx.project, before.rollout_id)).values(**kept)
    )
    turned_down = after.status == "rolled_back" or "rejected_by" in after.rules
    if turned_down and before.open and not after.open:
        set_status(tx, before.version, "rejected")
    return get_rollout(tx.connection, tx.project, before.rollout_id)


def _with(rollout: Rollout, values: Mapping[str, Any]) -> Rollout:
    fields = {name: getattr(rollout, name) for name in Rollout.__slots__}
    return Rollout(**{**fields, **values})
