"""Whether the ledger's past was changed: the chain of hashes, and the rows that it tells of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Table, Text, select, type_coerce

from ratchet.ids import canonical_json
from ratchet.ledger.events import START, event_hash, stored_events
from ratchet.ledger.experiments import CHANGED as TURNED
from ratchet.ledger.holdouts import NOTED
from ratchet.ledger.keys import CREATED, REVOKED
from ratchet.ledger.rollouts import CHANGED
from ratchet.ledger.runs import gates_digest
from ratchet.ledger.tables import (
    Json,
    chains,
    deployments,
    experiments,
    holdout_uses,
    keys,
    rollouts,
    runs,
)

_OF_DEPLOYMENT = ("alias", "version", "traffic")
_OF_USE = ("challenger", "holdout_id", "use", "comparison", "rows")
_OF_KEY = ("key_id", "name", "scopes", "digest", "by")
_OF_REVOCATION = ("key_id", "revoked_by")
_OF_ROLLOUT = ("rollout_id", "version", "status", "stage", "share", "watch", "rules", "by")
_OF_EXPERIMENT = ("experiment_id", "name", "status", "metric", "verdict", "rules", "by", "reason")
_WORDS = {
    deployments.name: "deployments",
    experiments.name: "experiments",
    holdout_uses.name: "uses of test rows",
    keys.name: "API keys",
    rollouts.name: "rollouts",
}


@dataclass(frozen=True, slots=True)
class Break:
    """A place where the ledger contradicts itself.

    Attributes:
        seq: the event's number.
        why: what does not fit, as a sentence.
    """

    seq: int
    why: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    """The result of an audit.

    Attributes:
        events: how many were read.
        head: the last event's hash. Whoever keeps a copy of it elsewhere can also tell when
            the whole chain was written anew.
        breaks: every contradiction.
    """

    events: int
    head: str
    breaks: tuple[Break, ...]

    @property
    def intact(self) -> bool:
        """Whether nothing was changed."""
        return not self.breaks

    def lines(self) -> tuple[str, ...]:
        """The report for people."""
        if self.intact:
            return (f"{self.events} events, every hash fits.",)
        return tuple(f"event {item.seq}: {item.why}" for item in self.breaks)


def verify_chain(connection: Connection, project: str) -> ChainReport:
    """Read the whole chain again and compare it with its hashes and with the deployments.

    Found are: an event that was edited, removed (in the middle or at the end), inserted or
    renumbered, and a deployment or a use of test rows that its event does not confirm.
    """
    breaks: list[Break] = []
    deployed: dict[int, tuple[Any, ...]] = {}
    noted: dict[int, tuple[Any, ...]] = {}
    made: dict[int, tuple[Any, ...]] = {}
    revoked: dict[int, tuple[Any, ...]] = {}
    rolled: dict[Any, tuple[int, tuple[Any, ...]]] = {}
    tried: dict[Any, tuple[int, tuple[Any, ...]]] = {}
    ended: dict[Any, tuple[int, str]] = {}
    expected, previous, count = 1, START, 0
    for seq, at, kind, run_id, facts, before, digest in stored_events(connection, project):
        count += 1
        if kind == "deployed":
            deployed[seq] = (at, *_said(facts, *_OF_DEPLOYMENT))
        elif kind == NOTED:
            noted[seq] = (at, *_said(facts, *_OF_USE))
        elif kind == CREATED:
            made[seq] = (at, *_said(facts, *_OF_KEY))
        elif kind == REVOKED:
            revoked[seq] = (at, *_said(facts, *_OF_REVOCATION))
        elif kind == "run_finished":
            ended[run_id] = (seq, facts)
        elif kind == CHANGED:
            told = _said(facts, *_OF_ROLLOUT)
            # A rollout's row is as its last change left it.
            rolled[told[0] if told else seq] = (seq, (at, *told))
        elif kind == TURNED:
            told = _said(facts, *_OF_EXPERIMENT)
            tried[told[0] if told else seq] = (seq, (at, *told))
        if seq != expected:
            breaks.append(Break(seq, f"the events {expected} to {seq - 1} are missing"))
        elif before != previous:
            breaks.append(Break(seq, "it does not follow the event before it"))
        if event_hash(project, seq, at, kind, run_id, facts, before) != digest:
            breaks.append(Break(seq, "its content was changed after it was written"))
        expected, previous = seq + 1, digest
    breaks += _check_end(connection, project, expected - 1, previous)
    breaks += _check_runs(connection, project, ended)
    breaks += _check_rows(connection, project, deployments, _OF_DEPLOYMENT, deployed)
    breaks += _check_rows(connection, project, holdout_uses, _OF_USE, noted)
    breaks += _check_rows(connection, project, keys, _OF_KEY, made)
    breaks += _check_rows(
        connection, project, keys, _OF_REVOCATION, revoked, ("revoked_seq", "revoked")
    )
    breaks += _check_rows(
        connection, project, rollouts, _OF_ROLLOUT, dict(rolled.values()), ("seq", "changed")
    )
    breaks += _check_rows(
        connection, project, experiments, _OF_EXPERIMENT, dict(tried.values()), ("seq", "changed")
    )
    return ChainReport(count, previous, tuple(sorted(breaks, key=lambda item: item.seq)))


def _check_end(connection: Connection, project: str, last: int, digest: str) -> list[Break]:
    end = connection.execute(
        select(chains.c.seq, chains.c.hash).where(chains.c.project == project)
    ).one_or_none()
    if end is None:
        return [Break(last, "the record of the chain's end is gone")] if last else []
    if (end.seq, end.hash) != (last, digest):
        return [Break(int(end.seq), f"the chain ended with event {end.seq}, and now with {last}")]
    return []


def _check_runs(
    connection: Connection, project: str, ended: Mapping[Any, tuple[int, str]]
) -> list[Break]:
    """Whether the runs ended as their events say, on the evidence of which these hold digests."""
    query = select(
        runs.c.run_id, runs.c.outcome, runs.c.reason, type_coerce(runs.c.summary, Text)
    ).where(runs.c.project == project, runs.c.outcome.is_not(None))
    kept = {row[0]: tuple(row[1:]) for row in connection.execute(query)}
    breaks: list[Break] = []
    for run_id, (seq, facts) in ended.items():
        told = _said(facts, "outcome", "reason")
        row = kept.pop(run_id, None)
        if row is None or not told or tuple(row[:2]) != told:
            breaks.append(Break(seq, f"the run {run_id} did not end as this event says"))
            continue
        evidence = json.loads(facts).get("evidence")
        if evidence is None:
            continue  # written by an older Ratchet
        if sha256(row[2].encode()).hexdigest() != evidence["summary"]:
            breaks.append(Break(seq, f"what is kept of the run {run_id} was changed afterwards"))
        if gates_digest(connection, project, run_id) != evidence["gates"]:
            breaks.append(Break(seq, f"the gates of the run {run_id} were changed afterwards"))
    breaks += [Break(0, f"no event says that the run {run_id} ended") for run_id in kept]
    return breaks


def _said(facts: str, *names: str) -> tuple[Any, ...]:
    try:
        told = json.loads(facts)
        return tuple(_comparable(told[name]) for name in names)
    except (ValueError, TypeError, KeyError):
        return ()  # changed by hand: its hash tells of that too


def _comparable(value: Any) -> Any:
    return canonical_json(value) if isinstance(value, dict | list) else value


def _check_rows(
    connection: Connection,
    project: str,
    table: Table,
    names: Sequence[str],
    said: Mapping[int, tuple[Any, ...]],
    place: tuple[str, str] = ("seq", "at"),
) -> list[Break]:
    """Whether the rows of ``table`` are those that their events tell of.

    Args:
        place: the columns that hold the event's number and its time.
    """
    number, at = (table.c[name] for name in place)
    rows = connection.execute(
        select(
            number,
            type_coerce(at, Text),
            # The text that is stored: what somebody wrote there may be no JSON.
            *(
                type_coerce(column, Text) if isinstance(column.type, Json) else column
                for column in (table.c[name] for name in names)
            ),
        ).where(table.c.project == project, number.is_not(None))
    )
    kept = {row[0]: tuple(row[1:]) for row in rows}
    return [
        Break(seq, f"the {_WORDS[table.name]} do not say what this event says")
        for seq in sorted(said.keys() | kept.keys())
        if said.get(seq) != kept.get(seq)
    ]
