"""A run looked at afterwards: why it began, what had changed, what came of it and what it cost.

Where the model got better or worse by slice is told from what both runs kept, each of its own test
rows. Scoring the old model by slice on the new test rows would tell more, and would spend those
rows: they are to decide once (see ``gates.reuse``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.errors import DataError, RatchetError
from ratchet.ledger.settings_log import CHANGED as SETTINGS_CHANGED
from ratchet.ledger.triggers import EVALUATED, REQUESTED
from ratchet.pipeline.slice_changes import SliceChange, compare_slices, read_slices

if TYPE_CHECKING:
    from ratchet.ledger.events import Event
    from ratchet.ledger.runs import Run
    from ratchet.ledger.store import Ledger
    from ratchet.project import Project

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PostMortem:
    """What is to be said of a run.

    Attributes:
        trigger: what set it off: name, key, who, why, and the rules that held.
        settings: what changed in the settings since the champion's run: key, before and after.
        data: rows before and now, how the table changed, and the columns that drifted.
        slices: where it got better or worse, the largest changes first.
        overall: the comparison with the champion, as the gate told it.
        cost: seconds, processor seconds, seconds by step.
        decision: outcome, reason, the gates that said no, and what became of the version.
        gaps: what could not be told, and why.
    """

    run_id: str
    champion: int | None
    trigger: Json
    settings: Json
    data: Json
    slices: tuple[SliceChange, ...]
    overall: Json | None
    cost: Json
    decision: Json
    gaps: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """As in ``ratchet show --post-mortem --json``."""
        return asdict(self)


def post_mortem(project: Project, ledger: Ledger, run: Run) -> PostMortem:
    """Look at a run that ended, or that goes on.

    Raises:
        StorageError, UnreachableError: the ledger cannot be read.
    """
    gaps: list[str] = []
    summary = run.summary
    champion = summary.get("champion") or {}
    before = _run_of(ledger, champion.get("run_id"), gaps)
    return PostMortem(
        run_id=run.run_id,
        champion=champion.get("version"),
        trigger=_trigger(ledger, run),
        settings=_settings(ledger, run, before),
        data=_data(project, ledger, run, before, gaps),
        slices=_slices(project, run, before, gaps),
        overall=summary.get("comparison"),
        cost=_cost(run),
        decision=_decision(ledger, run),
        gaps=tuple(gaps),
    )


def _run_of(ledger: Ledger, run_id: str | None, gaps: list[str]) -> Run | None:
    if run_id is None:
        gaps.append("there was no champion to compare with")
        return None
    return ledger.get_run(run_id)


def _trigger(ledger: Ledger, run: Run) -> dict[str, Any]:
    began = next(iter(ledger.events(kind="run_started", run_id=run.run_id)), None)
    found: dict[str, Any] = {
        "name": run.trigger,
        "key": run.trigger_key,
        "by": "" if began is None else began.facts.get("by", ""),
        "at": run.started.isoformat(),
    }
    decided = None if run.trigger_key is None or began is None else _decided(ledger, run, began)
    if decided is not None:
        rules = [rule for rule in decided.facts.get("rules", ()) if rule.get("fired")]
        found |= {
            "reason": decided.facts.get("reason", ""),
            "decided": decided.at.isoformat(),
            "rules": [dict(rule) for rule in rules],
        }
        return found
    asked = [
        event
        for event in ledger.events(kind=REQUESTED)
        if run.trigger_key is not None and str(event.seq) in run.trigger_key
    ]
    if asked:
        found |= {"by": asked[-1].facts["by"], "reason": asked[-1].facts["reason"]}
    return found


def _decided(ledger: Ledger, run: Run, began: Event) -> Event | None:
    """The decision that set a run off: it was kept before the run began."""
    for event in reversed(ledger.events(kind=EVALUATED)):
        granted = event.facts.get("granted") or {}
        fired = event.facts.get("verdict") == "fire"
        if event.seq < began.seq and fired and granted.get("key") == run.trigger_key:
            return event
    return None


def _settings(ledger: Ledger, run: Run, before: Run | None) -> dict[str, Any]:
    if before is None:
        return {}
    changed: dict[str, Any] = {}
    for event in ledger.events(kind=SETTINGS_CHANGED):
        if before.started < event.at <= (run.finished or event.at):
            for key, item in event.facts["changed"].items():
                first = changed.get(key, item)["before"]
                changed[key] = {"before": first, "after": item["after"]}
    return {key: item for key, item in changed.items() if item["before"] != item["after"]}


def _data(
    project: Project, ledger: Ledger, run: Run, before: Run | None, gaps: list[str]
) -> dict[str, Any]:
    now, then = (dict((each and each.summary.get("snapshot")) or {}) for each in (run, before))
    checks = run.summary.get("checks") or {}
    found: dict[str, Any] = {
        "rows": now.get("rows"),
        "rows_before": then.get("rows"),
        "change": now.get("reason"),
        "failed_checks": [
            check["message"] for check in checks.get("results", ()) if not check["passed"]
        ],
        "drifted": None,
    }
    if not now or not then:
        return found
    try:
        version = ledger.version(run.summary["champion"]["version"])
        found |= _drift(project, now, then, project.state / version.bundle_path)
    except (RatchetError, OSError) as error:
        gaps.append(f"the drift of the data: {error}")
    return found


def _drift(project: Project, now: Json, then: Json, bundle: Path) -> dict[str, Any]:
    """The rows that are new since the champion's run, against what it learned from."""
    from ratchet.monitoring.drift import score_window
    from ratchet.monitoring.findings import told
    from ratchet.monitoring.profile import Profile
    from ratchet.packaging.model import Model

    raw = Model.load(bundle).profile()
    if raw is None:
        raise DataError("the champion's bundle is an older one and holds no profile")
    profile = Profile.from_bytes(raw)
    lake = project.open_lake()
    snapshot = lake.snapshot(now["table"], now["version"])
    frame = lake.scan(snapshot, [c for c in snapshot.schema.names if c in profile.columns])
    grown = now["version"] > then["version"] and all(
        each.change in ("appended", "unchanged")
        for each in lake.history(now["table"])[then["version"] + 1 : now["version"] + 1]
    )
    looked_at = frame.slice(then["rows"]) if grown and now["rows"] > then["rows"] else frame
    window = profile.window()
    window.fold(looked_at.collect())
    report = score_window(profile, window)
    columns = [column for column in report.columns if column.drifted]
    return {
        "looked_at": window.rows,
        "new_rows_only": looked_at is not frame,
        "reason": report.reason,
        "drifted": [
            {"column": column.column, "told": told(column), "importance": column.importance}
            for column in columns
        ],
    }


def _slices(
    project: Project, run: Run, before: Run | None, gaps: list[str]
) -> tuple[SliceChange, ...]:
    if before is None:
        return ()
    now, then = (read_slices(project.runs / each.run_id) for each in (run, before))
    metric = run.summary.get("metric") or ""
    if not now or not then:
        gaps.append("slices: one of the two runs kept none")
        return ()
    if metric != (before.summary.get("metric") or metric):
        gaps.append("slices: the two runs were chosen by different metrics")
        return ()
    return compare_slices(now, then, metric)


def _cost(run: Run) -> dict[str, Any]:
    summary = run.summary
    return {
        "seconds": run.seconds,
        "cpu_seconds": summary.get("cpu_seconds"),
        "attempts": run.attempts,
        "steps": {step["name"]: step["seconds"] for step in summary.get("steps", ())},
        "candidates": len(summary.get("candidates", ())),
    }


def _decision(ledger: Ledger, run: Run) -> dict[str, Any]:
    summary = run.summary
    version = (summary.get("model") or {}).get("version")
    return {
        "outcome": run.outcome,
        "reason": run.reason,
        "failed_gates": [gate["reason"] for gate in summary.get("gates", ()) if not gate["passed"]],
        "version": version,
        "afterwards": [] if version is None else list(_afterwards(ledger, int(version))),
    }


def _afterwards(ledger: Ledger, version: int) -> Iterator[dict[str, Any]]:
    """What became of a version: its rollouts, its promotions, and what took its place."""
    found: list[tuple[int, dict[str, Any]]] = [
        (each.seq, {"at": each.changed.isoformat(), "by": each.by,
                    "what": f"rollout {each.status}: {each.reason}"})
        for each in ledger.rollouts()
        if each.version == version
    ]  # fmt: skip
    for each in ledger.deployments("champion"):
        if version in (each.version, each.previous_version):
            what = f"{each.action} to version {each.version}: {each.reason}"
            found.append((each.seq, {"at": each.at.isoformat(), "by": each.by, "what": what}))
    yield from (told for _, told in sorted(found, key=lambda pair: pair[0]))
