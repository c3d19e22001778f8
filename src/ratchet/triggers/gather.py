"""Gathers the facts from the ledger, once a tick and without reading a row of data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ratchet.ledger.deployments import current_deployment
from ratchet.ledger.events import Event
from ratchet.ledger.experiments import live_experiment
from ratchet.ledger.lease import read_holder
from ratchet.ledger.process import liveness
from ratchet.ledger.rollouts import live_rollout
from ratchet.ledger.runs import get_run
from ratchet.ledger.tables import moment
from ratchet.ledger.triggers import (
    EVALUATED,
    MONITORED,
    REQUESTED,
    RunHead,
    last_event,
    list_heads,
    newest_training,
)
from ratchet.triggers.facts import (
    Arrivals,
    Champion,
    Facts,
    Granted,
    Manual,
    Observed,
    OpenRun,
    PastRun,
    Spent,
)
from ratchet.triggers.pauses import cooldown_until, in_a_row, looked_until
from ratchet.triggers.settings import PERIODS, TriggersSettings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ratchet.ledger.reader import LedgerReader


def gather(
    ledger: LedgerReader,
    policy: TriggersSettings,
    arrivals: Arrivals,
    observed: Observed | None,
    now: datetime,
    *,
    busy: str = "",
) -> Facts:
    """Everything the policy needs to know at ``now``.

    Args:
        arrivals: what the source and the lake say.
        observed: what monitoring found; None: what it last left in the ledger.
        busy: what the caller itself is running for this project.

    Raises:
        StorageError, UnreachableError: the ledger fails.
    """
    with ledger.database.read() as connection:
        project = ledger.project
        heads = list_heads(connection, project)
        ended = [head for head in heads if head.outcome is not None]
        champion = _champion(connection, project)
        trained = newest_training(connection, project, ended)
        evaluated = last_event(connection, project, EVALUATED)
        if observed is None:
            observed = _observed(last_event(connection, project, MONITORED))
        observed = observed.about(None if champion is None else champion.version)
        running = busy or _running(connection, project)
        past = None if trained is None else _past(trained, _rows(connection, project, trained))
        state: Mapping[str, Any] = {} if evaluated is None else evaluated.facts
        granted = _granted(state.get("granted"), heads)
        return Facts(
            at=now,
            champion=champion,
            trained=past,
            last_run=_past(ended[0]) if ended else None,
            failures=in_a_row(ended, "failed"),
            rejections=in_a_row(
                [head for head in ended if head.trained and not head.only_looks], "rejected"
            ),
            open_run=None if running else _open(heads, granted),
            arrivals=arrivals,
            drift=observed.drift,
            performance=observed.performance,
            schedules=_moments(state.get("schedules")),
            holding=_moments(state.get("holding")),
            spent=_spent(connection, project, policy, heads, now),
            run_in_progress=running,
            rollout_in_progress=_rollout(connection, project),
            manual=_manual(last_event(connection, project, REQUESTED)),
            granted=granted,
            answered=_answered(heads),
            cooldown_until=cooldown_until(policy, ended, trained, observed, now),
            shadow_taken=_shadow(connection, project),
            looked_until=looked_until(policy, ended, observed, now),
        )


def _champion(connection: Connection, project: str) -> Champion | None:
    found = current_deployment(connection, project, "champion")
    if found is None or found.version is None:
        return None
    return Champion(found.version, found.at, found.run_id)


def _past(head: RunHead, rows: int | None = None) -> PastRun:
    assert head.finished is not None
    assert head.outcome is not None
    return PastRun(
        head.run_id,
        head.trigger,
        head.trigger_key,
        head.outcome,
        head.started,
        head.finished,
        head.seconds or 0.0,
        rows,
    )


def _rows(connection: Connection, project: str, head: RunHead) -> int | None:
    snapshot = get_run(connection, project, head.run_id).summary.get("snapshot") or {}
    rows: int | None = snapshot.get("rows")
    return rows


def _open(heads: Sequence[RunHead], granted: Granted | None) -> OpenRun | None:
    head = next((head for head in heads if head.status == "running"), None)
    if head is None:
        return None
    same = granted is not None and granted.key == head.trigger_key
    overrides = granted.overrides if granted is not None and same else {}
    return OpenRun(head.run_id, head.trigger, head.trigger_key, head.attempts, overrides)


def _running(connection: Connection, project: str) -> str:
    holder = read_holder(connection, project)
    if holder is None or liveness(holder.process) == "gone":
        return ""
    return holder.describe()


def _rollout(connection: Connection, project: str) -> str:
    found = live_rollout(connection, project)
    if found is not None and found.open and not found.only_looks:
        return f"version {found.version}, {found.status}"
    trial = live_experiment(connection, project)
    return f"the experiment {trial.name}" if trial is not None and trial.open else ""


def _shadow(connection: Connection, project: str) -> str:
    found = live_rollout(connection, project)
    if found is None:
        return ""
    if not found.open:
        return f"version {found.version} is watched after its promotion"
    if found.status == "awaiting_approval":
        return f"version {found.version} waits for `ratchet approve {found.version}`"
    return f"version {found.version} is looked at already"


def _manual(event: Event | None) -> Manual | None:
    if event is None:
        return None
    return Manual(event.seq, event.facts.get("by", ""), event.facts.get("reason", ""))


def _granted(kept: Mapping[str, Any] | None, heads: Sequence[RunHead]) -> Granted | None:
    if kept is None:
        return None
    at = moment(kept["at"])
    answered = kept["key"] in _answered(heads)
    # Runs are in order; the newest one tells whether anything ran since, whatever the clock.
    newest = heads[0].run_id if heads else None
    waiting = not answered and newest == kept["after"]
    return Granted(
        kept["key"], kept["trigger"], kept["reason"], at, kept["attempts"], waiting,
        kept["overrides"], kept["resume"],
    )  # fmt: skip


def _answered(heads: Sequence[RunHead]) -> dict[str, str]:
    """Trigger keys and the parts of joint ones, with the run of each."""
    found: dict[str, str] = {}
    for head in heads:
        if head.trigger_key is not None:
            for key in (head.trigger_key, *head.trigger_key.split("&")):
                found.setdefault(key, head.run_id)
    return found


def _moments(kept: Mapping[str, str] | None) -> dict[str, datetime]:
    return {name: moment(text) for name, text in (kept or {}).items()}


def _observed(event: Event | None) -> Observed:
    if event is None:
        return Observed()
    return Observed.from_json(event.facts.get("facts", event.facts))


def _spent(
    connection: Connection,
    project: str,
    policy: TriggersSettings,
    heads: Sequence[RunHead],
    now: datetime,
) -> Spent:
    budget = policy.budget
    if budget is None:
        return Spent()
    since = now - PERIODS[budget.per]
    within = [head for head in heads if head.started > since and head.outcome != "skipped"]
    if budget.cpu is None:
        return Spent(len(within))
    minutes = [_cpu_minutes(connection, project, head) for head in within if head.outcome]
    last = next((head for head in heads if head.trained), None)
    expected = 0.0 if last is None else _cpu_minutes(connection, project, last)
    return Spent(len(within), sum(minutes), expected)


def _cpu_minutes(connection: Connection, project: str, head: RunHead) -> float:
    summary = get_run(connection, project, head.run_id).summary
    return float(summary.get("cpu_seconds") or head.seconds or 0.0) / 60
