"""Whether a project's pipeline does its work: what is wrong, since when, and what to do.

Health is about the machinery: runs, data arriving, the loop, the server, alerts. Whether the model
is still good is ``performance.py``'s question; only its answer is looked at here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from ratchet.ledger.history import History, RunLine
from ratchet.monitoring.vitals import Code, Health, Problem, Signs, show_span

_ENOUGH_RUNS, _ENOUGH_ARRIVALS = 5, 4
_TIMES_SLOWER, _TIMES_LATER = 2.0, 3.0
_LEAST_SLOWER = timedelta(minutes=1)
_GRACE = timedelta(minutes=1)
_ALERT_GRACE = timedelta(minutes=30)
_TRAINED = ("promoted", "candidate", "rejected")


_Found = Problem | str | None
"""A problem; why it cannot be judged; or None: all is well."""


def assess(past: History, signs: Signs) -> Health:
    """Judge a project's health. Pure: the same past and signs give the same answer."""
    checks: Mapping[Code, Callable[[History, Signs], _Found]] = {
        "failed": _failed,
        "slow": _slow,
        "stuck": _stuck,
        "below_minimum": _below_minimum,
        "no_data": _no_data,
        "loop": _loop,
        "compaction": _compaction,
        "server": _server,
        "alerts": _alerts,
    }
    found = {code: check(past, signs) for code, check in checks.items()}
    return Health(
        past.at,
        tuple(each for each in found.values() if isinstance(each, Problem)),
        tuple(code for code, each in found.items() if not isinstance(each, str)),
        {code: each for code, each in found.items() if isinstance(each, str)},
    )


def slow_limit(past: History) -> timedelta | None:
    """How long a run may take: twice the 90th percentile of the last 20 that trained.

    At least a minute more than that percentile, as small runs vary by more than their own length.
    None with fewer than 5 of them.
    """
    took = sorted(_trained_seconds(past.runs)[-20:])
    if len(took) < _ENOUGH_RUNS:
        return None
    high = timedelta(seconds=took[min(len(took) - 1, int(0.9 * len(took)))])
    return max(high * _TIMES_SLOWER, high + _LEAST_SLOWER)


def arrival_limit(arrivals: tuple[datetime, ...]) -> timedelta | None:
    """How long data may stay away: three times the usual gap, and longer than any so far."""
    gaps = [later - sooner for sooner, later in pairwise(arrivals)]
    if len(gaps) < _ENOUGH_ARRIVALS - 1:
        return None
    recent = sorted(gaps[-20:])
    return max(recent[len(recent) // 2] * _TIMES_LATER, recent[-1] + _GRACE)


def arrivals_of(past: History) -> tuple[datetime, ...]:
    """When the table had new rows, as far as the runs saw it: later than it really was."""
    seen: dict[int, datetime] = {}
    for run in past.runs:
        if run.snapshot_version is not None:
            seen.setdefault(run.snapshot_version, run.started)
    return tuple(sorted(seen.values()))


def _failed(past: History, signs: Signs) -> _Found:
    ended = [run for run in past.runs if run.outcome is not None]
    if not ended:
        return "no run has ended"
    row: list[RunLine] = []
    for run in reversed(ended):
        if run.outcome != "failed":
            break
        row.insert(0, run)
    if not row:
        return None
    times = "The last run failed" if len(row) == 1 else f"The last {len(row)} runs failed"
    return Problem(
        "failed",
        f"{times}: {row[-1].reason}",
        f"see it with `ratchet show {row[-1].run_id}`, then `ratchet run`",
        row[0].finished,
        {"run_id": row[-1].run_id, "in_a_row": len(row)},
    )


def _slow(past: History, signs: Signs) -> _Found:
    running = past.runs[-1] if past.runs and past.runs[-1].outcome is None else None
    trained = [run for run in past.runs if run.outcome in _TRAINED and run.seconds is not None]
    judged = running or (trained[-1] if trained else None)
    if judged is None:
        return "no run has trained"
    # The run that is judged does not set its own limit.
    limit = slow_limit(_without(past, judged))
    if limit is None:
        return f"fewer than {_ENOUGH_RUNS} runs to compare with"
    took = past.at - judged.started if running else timedelta(seconds=judged.seconds or 0.0)
    if took <= limit:
        return None
    verb = "has been running for" if running else "took"
    return Problem(
        "slow",
        f"The run {judged.run_id} {verb} {show_span(took)}; "
        f"{show_span(limit)} is what runs like it suggest at most",
        f"see which step with `ratchet show {judged.run_id}`; bound it with training.tuning.time",
        judged.started,
        {"run_id": judged.run_id, "seconds": took.total_seconds(), "limit": limit.total_seconds()},
    )


def _stuck(past: History, signs: Signs) -> _Found:
    open_runs = [run for run in past.runs if run.outcome is None]
    holder = past.holder
    if not open_runs or (holder is not None and holder.expires > past.at):
        return None
    left = open_runs[-1]
    if past.at - left.started < _GRACE:
        return None
    return Problem(
        "stuck",
        f"The run {left.run_id} was left in the middle: no process works on it",
        f"go on with it: ratchet run --resume {left.run_id}",
        left.started,
        {"run_id": left.run_id, "attempts": left.attempts},
    )


def _below_minimum(past: History, signs: Signs) -> _Found:
    measured = _newest_values(past)
    for metric, (least, greater_is_better) in signs.minimum.items():
        value, until = measured.get(metric, (None, None))
        if value is not None and (value < least if greater_is_better else value > least):
            return Problem(
                "below_minimum",
                f"The champion's {metric} is {value:.4g} on the newest labelled predictions; "
                f"gates.minimum asks for {least:g}",
                "train again with `ratchet run`, or go back with `ratchet rollback`",
                until,
                {"metric": metric, "value": value, "minimum": least},
            )
    failed = [gate for gate in past.gates if gate.name.startswith("minimum") and not gate.passed]
    if failed:
        newest = next(run for run in reversed(past.runs) if run.outcome not in (None, "skipped"))
        return Problem(
            "below_minimum",
            f"The newest model is below what gates.minimum asks for: {failed[0].reason}",
            f"see it with `ratchet show {newest.run_id}`",
            newest.finished,
            {"run_id": newest.run_id, "gates": [gate.name for gate in failed]},
        )
    return None if measured or past.gates else "no model was measured yet"


def _no_data(past: History, signs: Signs) -> _Found:
    arrivals = signs.arrivals or arrivals_of(past)
    if not arrivals:
        return "no data has arrived yet"
    last = arrivals[-1]
    limit = signs.max_age or arrival_limit(arrivals)
    if limit is None:
        return f"data arrived fewer than {_ENOUGH_ARRIVALS} times, and checks.max_age is not set"
    late = past.at - last
    if late <= limit:
        return None
    why = "checks.max_age" if signs.max_age is not None else "what is usual here"
    return Problem(
        "no_data",
        f"No new data for {show_span(late)}; {show_span(limit)} is the most by {why}",
        "look at what fills the source; nothing can be learned from data that does not arrive",
        last + limit,
        {"last": last.isoformat(), "limit": limit.total_seconds()},
    )


def _loop(past: History, signs: Signs) -> _Found:
    pulse = signs.loop
    if pulse is None:
        return "no loop has looked after this project"
    silent = past.at - pulse.ticked
    if pulse.alive and silent <= 3 * pulse.every + _GRACE:
        return None
    what = "is hanging: its last tick" if pulse.alive else "is not running: its last tick"
    return Problem(
        "loop",
        f"The loop {what} was {show_span(silent)} ago",
        "start it: ratchet loop" if not pulse.alive else "look at its log, and start it again",
        pulse.ticked,
        {"ticked": pulse.ticked.isoformat(), "alive": pulse.alive},
    )


def _compaction(past: History, signs: Signs) -> _Found:
    log = signs.log
    if log is None:
        return "nothing was served here"
    if log.bytes > 0.8 * log.room:
        what = f"The prediction log is {log.bytes / log.room:.0%} full"
    elif log.oldest is not None and past.at - log.oldest > 5 * log.every + 10 * _GRACE:
        what = f"Predictions have been waiting for the lake for {show_span(past.at - log.oldest)}"
    else:
        return None
    return Problem(
        "compaction",
        what,
        "move them now, and see why they are not: ratchet data compact",
        log.oldest,
        {"bytes": log.bytes, "room": log.room},
    )


def _server(past: History, signs: Signs) -> _Found:
    for version, why in past.ill.items():
        return Problem(
            "server",
            f"Version {version} does not load where it is to serve: {why}",
            "restore its bundle, or go back with `ratchet rollback`",
            evidence={"version": version},
        )
    if signs.server is None:
        return "no server was asked (--server URL)"
    if not signs.server:
        return None
    return Problem("server", f"The server is not ready: {signs.server}", "look at its output")


def _alerts(past: History, signs: Signs) -> _Found:
    post = past.post
    dropped = post.by_status.get("dropped", 0)
    late = post.waiting_since is not None and past.at - post.waiting_since > _ALERT_GRACE
    if not late:
        return None if post.by_status else "no alert was sent yet"
    waiting = post.by_status.get("waiting", 0)
    return Problem(
        "alerts",
        f"Alerts do not arrive ({waiting} waiting, {dropped} given up): {post.last_error}",
        "try each channel with `ratchet alerts test`",
        post.waiting_since,
        {"waiting": waiting, "dropped": dropped},
    )


def _newest_values(past: History) -> dict[str, tuple[float, datetime | None]]:
    """The champion's newest mature cohort by metric, as monitoring last told it."""
    body = {} if past.monitored is None else past.monitored.facts.get("performance") or {}
    newest = {name: found[-1] for name, found in body.get("cohorts", {}).items() if found}
    return {
        name: (each["value"], None if not each["until"] else datetime.fromisoformat(each["until"]))
        for name, each in newest.items()
        if each.get("value") is not None
    }


def _trained_seconds(runs: tuple[RunLine, ...]) -> list[float]:
    return [run.seconds for run in runs if run.outcome in _TRAINED and run.seconds is not None]


def _without(past: History, run: RunLine) -> History:
    return replace(past, runs=tuple(each for each in past.runs if each is not run))
