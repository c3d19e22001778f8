"""The steps of an experiment: its row and what serves change in one transaction."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, update

from ratchet import ids
from ratchet.errors import ConflictError, UsageError
from ratchet.ledger.events import Transaction
from ratchet.ledger.experiments import (
    CHALLENGER,
    CHANGED,
    Experiment,
    Trial,
    Turn,
    experiment_place,
    get_experiment,
    list_experiments,
    live_experiment,
    row_of,
)
from ratchet.ledger.rollouts import list_rollouts
from ratchet.ledger.splitting import Split, set_traffic
from ratchet.ledger.tables import experiments
from ratchet.ledger.traffic import CHAMPION, Arm, Traffic, read_traffic
from ratchet.ledger.versions import get_version

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z")
_TOLD = (
    "experiment_id",
    "name",
    "status",
    "a",
    "b",
    "share",
    "metric",
    "verdict",
    "rules",
    "evidence",
    "by",
    "reason",
)


def begin_experiment(tx: Transaction, wanted: Trial) -> Experiment:
    """Split the traffic for an experiment.

    Raises:
        UsageError: a name that is taken or none, no such version, or a share that is no split.
        ConflictError: another experiment or a rollout is open, ``a`` does not serve, the traffic
            is split, or the gates of ``b`` did not pass.
    """
    _check_name(tx, wanted.name)
    get_version(tx.connection, tx.project, wanted.b)
    refuse_second(tx)
    traffic = _traffic_to_split(tx, wanted)
    made = Experiment(
        experiment_id=ids.token(),
        seq=0,
        changed=tx.at,
        name=wanted.name,
        status="running",
        a=wanted.a,
        b=wanted.b,
        share=wanted.share,
        metric=wanted.metric,
        rules={**wanted.rules, "forced": wanted.forced},
        salt=ids.token(),
        record=None,
        started=tx.at,
        ends=wanted.ends,
        stopped=None,
        decided=None,
        verdict=None,
        evidence={},
        by=wanted.by,
        reason=wanted.reason,
    )
    tx.connection.execute(insert(experiments).values(project=tx.project, **row_of(made)))
    arms = (
        Arm(CHAMPION, wanted.a, 100.0 - wanted.share),
        Arm(CHALLENGER, wanted.b, wanted.share),
    )
    why = f"experiment {wanted.name}"
    split = Split(arms, (), "experiment", wanted.by, why, traffic.seq, made.salt, wanted.forced)
    return _write(tx, made, {"record": set_traffic(tx, split).seq}, wanted.by, wanted.reason)


def turn_experiment(tx: Transaction, turn: Turn) -> Experiment:
    """Change an experiment, and with it what serves.

    Raises:
        UsageError: no such experiment.
        ConflictError: it changed since ``expected_seq`` was read.
    """
    before = get_experiment(tx.connection, tx.project, turn.experiment_id)
    if before.seq != turn.expected_seq:
        raise ConflictError(
            f"The experiment {before.name} has changed meanwhile",
            why=f"by {before.by}: {before.reason}",
            fix=f"look at `ratchet experiment show {before.name}`, then try again",
            code="experiment_moved",
        )
    asked = {
        "status": turn.status,
        "verdict": turn.verdict,
        "evidence": turn.evidence,
        "rules": {**before.rules, **turn.rules} if turn.rules else None,
    }
    values: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if before.status == "running" and values.get("status", "running") != "running":
        values["stopped"] = tx.at
    if turn.verdict is not None and before.verdict is None:
        values["decided"] = tx.at
    if turn.clear:
        _clear(tx, before, turn)
        values["record"] = None
    return _write(tx, before, values, turn.by, turn.reason)


def note_findings(
    tx: Transaction, experiment_id: str, expected_seq: int, found: Mapping[str, Any]
) -> None:
    """Keep what a look found; no event, as nothing was decided. One that moved is left."""
    place = experiment_place(tx.project, experiment_id) & (experiments.c.seq == expected_seq)
    tx.connection.execute(update(experiments).where(place).values(evidence=found))


def refuse_second(tx: Transaction) -> None:
    """At most one experiment or rollout at a time.

    Raises:
        ConflictError: one is open, and is named.
    """
    for rollout in list_rollouts(tx.connection, tx.project):
        if rollout.open:
            raise ConflictError(
                f"Version {rollout.version} is being rolled out",
                why=f"since {rollout.started:%Y-%m-%d %H:%M} UTC; one rollout or experiment at a "
                "time",
                fix="wait for its end (ratchet rollout show), or: ratchet rollout abort",
                code="rollout_in_progress",
            )
    refuse_beside_experiment(tx)


def refuse_beside_experiment(tx: Transaction) -> None:
    """Raises ConflictError (``experiment_in_progress``) while an experiment is open."""
    found = live_experiment(tx.connection, tx.project)
    if found is not None and found.open:
        raise ConflictError(
            f"The experiment {found.name} is {found.status}, with versions {found.a} and {found.b}",
            why=f"since {found.started:%Y-%m-%d %H:%M} UTC; one rollout or experiment at a time",
            fix=f"wait for its end, {found.ends:%Y-%m-%d %H:%M} UTC and labels, or: "
            f"ratchet experiment stop {found.name}",
            code="experiment_in_progress",
        )


def _check_name(tx: Transaction, name: str) -> None:
    if not _NAME.match(name):
        raise UsageError(
            f"{name!r} is no name for an experiment",
            fix="use letters, digits, '-', '_' and '.', at most 63",
            code="bad_name",
        )
    if any(name in (each.name, each.experiment_id) for each in _all(tx)):
        raise UsageError(
            f"There was an experiment {name} before",
            fix="give this one a name of its own",
            code="name_taken",
        )


def _all(tx: Transaction) -> tuple[Experiment, ...]:
    return list_experiments(tx.connection, tx.project)


def _traffic_to_split(tx: Transaction, wanted: Trial) -> Traffic:
    traffic = read_traffic(tx.connection, tx.project)
    if traffic is None:
        raise ConflictError(
            "Nothing serves, so there is nothing to compare with",
            fix="train a model with `ratchet run`, or promote one: ratchet promote VERSION",
            code="no_champion",
        )
    if traffic.champion != wanted.a:
        raise ConflictError(
            f"Version {wanted.a} is not champion, version {traffic.champion} is",
            why="an experiment compares a version with the one that serves",
            fix="use: --a champion",
            code="champion_changed",
        )
    if wanted.a == wanted.b:
        raise UsageError(
            f"Version {wanted.b} is the champion already",
            fix="name another one with --b; see them with `ratchet models`",
            code="already_champion",
        )
    if not 0 < wanted.share < 100:
        raise UsageError(
            f"A share of {wanted.share:g} % is no split",
            fix="use a --split between 0 and 1, for example 0.5",
            code="bad_split",
        )
    if not traffic.plain:
        raise ConflictError(
            f"The traffic is not the champion's alone: {traffic.reason}",
            why="an experiment splits it between two versions and nobody else; a version that is "
            "watched after its promotion has a shadow",
            fix="wait (ratchet rollout show), or end it: ratchet rollout clear",
            code="traffic_split",
        )
    return traffic


def _clear(tx: Transaction, before: Experiment, turn: Turn) -> None:
    """The champion answers everything; what somebody else put in force meanwhile stays."""
    current = read_traffic(tx.connection, tx.project)
    if current is None or before.record is None or current.seq != before.record:
        return
    why = f"experiment {before.name} ended: {turn.reason}"
    arms = (Arm(CHAMPION, current.champion, 100.0),)
    set_traffic(tx, Split(arms, (), "plain", turn.by, why, current.seq))


def _write(
    tx: Transaction, before: Experiment, values: Mapping[str, Any], by: str, reason: str
) -> Experiment:
    """Write an experiment's change and its event."""
    fields = {name: getattr(before, name) for name in Experiment.__slots__}
    after = Experiment(**{**fields, **values, "by": by, "reason": reason})
    seq = tx.append(CHANGED, {name: getattr(after, name) for name in _TOLD})
    kept = {**values, "by": by, "reason": reason, "seq": seq, "changed": tx.at}
    tx.connection.execute(
        update(experiments).where(experiment_place(tx.project, before.experiment_id)).values(**kept)
    )
    return get_experiment(tx.connection, tx.project, before.experiment_id)
