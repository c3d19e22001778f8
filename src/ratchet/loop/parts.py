"""The parts of a look, in the order in which one's result is another one's input.

Each does what is due, says what it did, or nothing when there was nothing to do. Libraries are
loaded by the part that needs them: most looks need few.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet import clock
from ratchet.config.durations import parse_duration
from ratchet.loop.look import Done, Look
from ratchet.loop.projects import mark

if TYPE_CHECKING:
    from ratchet.data.predictions.collect import Collected
    from ratchet.triggers.facts import Facts
    from ratchet.triggers.record import Recorded
    from ratchet.triggers.verdicts import Verdict

Part = Callable[[Look], Done | None]

_ALIGNED, _COLLECTED, _DECISION, _HEALTH = "aligned", "collected", "decision", "health"
_OBSERVED, _LAKE, _SETTINGS = "observed", "lake", "settings"
_SELDOM = 24
_HEALTH_EVERY = timedelta(minutes=5)
"""The least time between two health checks."""


def note_settings(look: Look) -> Done | None:
    """Keep what changed in the project file since the last look."""
    from ratchet.pipeline.settings_log import note_changed_file

    digest, changed = note_changed_file(look.project, look.ledger, look.memory.get(_SETTINGS))
    look.memory[_SETTINGS] = digest
    if not changed:
        return None
    return Done(f"settings changed: {', '.join(changed)}", {"changed": changed})


def align_aliases(look: Look) -> Done | None:
    """Have MLflow's aliases follow what serves: whoever changed it may have died before."""
    position = look.ledger.position()
    if position == look.memory.get(_ALIGNED) or look.ledger.champion() is None:
        return None
    from ratchet.registry.promotion import reconcile

    steps = reconcile(look.ledger, look.project.open_tracking())
    look.memory[_ALIGNED] = position
    if not steps:
        return None
    said = ", ".join(f"{step.alias} → {step.after or 'none'}" for step in steps)
    return Done(f"aliases: {said}", {"aliases": {step.alias: step.after for step in steps}})


def compact_log(look: Look) -> Done | None:
    """Move what a server has left behind into the lake; one that runs does so itself."""
    from ratchet.serving.moving import something_waits

    folder = look.project.site().log_folder
    if not something_waits(folder) or _server_runs(folder):
        return None
    from ratchet.data.predictions.compaction import compact

    moved = compact(folder, look.project.open_lake())
    if not moved.segments:
        return None
    facts = {"served": moved.served, "feedback": moved.feedback, "failed": moved.failed}
    return Done(f"moved {moved.served} predictions and {moved.feedback} labels", facts)


def _server_runs(folder: Path) -> bool:
    from ratchet.data.predictions.streams import held, streams

    for stream in streams(folder):
        with held(stream / "lock") as dead:
            if not dead:
                return True
    return False


def collect_rows(look: Look) -> Done | None:
    """Turn predictions whose labels came into rows to train on, where they are the source."""
    settings = look.project.settings
    every = settings.loop.span("collect")
    if settings.data.source.type != "production":
        return None
    if not look.due(_COLLECTED, every):
        look.again(_COLLECTED, every)
        return None
    from ratchet.pipeline.collecting import collect_project

    done: Collected = collect_project(look.project, as_of=look.now)
    look.done(_COLLECTED)
    look.again(_COLLECTED, every)
    if not done.added and not done.corrected:
        return None
    facts = {"added": done.added, "corrected": done.corrected}
    return Done(f"collected {done.added} labelled rows", facts)


def observe(look: Look) -> Done | None:
    """See what has drifted and how good the model is, as far as labels have come."""
    lake = look.project.lake_uri
    if look.ledger.champion() is None or not _served(lake):
        return None
    settings = look.project.settings.monitoring
    moved = _lake_marks(lake)
    every = parse_duration(settings.every)
    if moved is not None and moved == look.memory.get(_LAKE):
        # Nothing came: only time makes cohorts mature, and that need not be seen within the hour.
        every *= _SELDOM
    if not look.due(_OBSERVED, every):
        look.again(_OBSERVED, every)
        return None
    from ratchet.pipeline.watching import watch_project

    found = watch_project(look.project, look.ledger)
    look.done(_OBSERVED)
    look.again(_OBSERVED, every)
    look.memory[_LAKE] = moved
    drift = [one for one in found.drift if one.alarm]
    if not drift and not found.folded.rows:
        return None
    says = "; ".join(one.reason for one in drift) or f"{found.folded.rows} new predictions"
    return Done(says, {"rows": found.folded.rows, "drifted": [one.version for one in drift]})


def _served(lake: str) -> bool:
    return "://" in lake or Path(lake, "predictions", "_delta_log").is_dir()


def _lake_marks(lake: str) -> list[int] | None:
    """What tells whether anything was answered or labelled since; None where nobody can tell."""
    if "://" in lake:
        return None
    return [mark(f"{lake}/{table}/_delta_log")[0] for table in ("predictions", "feedback")]


def advance_rollout(look: Look) -> Done | None:
    """Widen, hold or take back what is being rolled out."""
    rollout = look.ledger.live_rollout()
    if rollout is None:
        return None
    from ratchet.pipeline.rolling import advance

    step = advance(look.project, look.ledger, look.now)
    # Evidence comes in all the time, and a bad model is to be taken back soon.
    look.wake(look.now if rollout.open else look.now + timedelta(minutes=5))
    if step is None or not step.changed:
        return None
    look.memory.pop(_ALIGNED, None)
    facts = {"did": step.did, "version": step.rollout.version, "share": step.rollout.share}
    return Done(f"version {step.rollout.version} {step.did}: {step.reason}", facts)


def advance_experiment(look: Look) -> Done | None:
    """Look at the experiment that is under way: what its matured labels say."""
    if look.ledger.live_experiment() is None:
        return None
    from ratchet.pipeline.experimenting import advance

    found = advance(look.project, look.ledger, look.now)
    look.wake(look.now + timedelta(minutes=5))
    if found is None or not found.changed:
        return None
    look.memory.pop(_ALIGNED, None)
    name = found.experiment.name
    facts = {"did": found.did, "experiment": name, "behind": found.behind}
    return Done(f"experiment {name} {found.did}: {found.reason}", facts)


def decide_next(look: Look) -> Done | None:
    """Whether to train now: what the policy says of what is known, kept before it is done."""
    from ratchet.pipeline.arrivals import look as look_at_source
    from ratchet.triggers.decide import decide
    from ratchet.triggers.gather import gather
    from ratchet.triggers.record import record_decision
    from ratchet.triggers.verdicts import Fire, Investigate

    policy = look.project.settings.triggers
    arrivals = look_at_source(look.project, look.ledger)
    facts = gather(look.ledger, policy, arrivals, None, look.now, busy=look.busy)
    decision = decide(policy, facts)
    # First the alert: who dies between the two says it again, and it is told once all the same.
    _tell_of_falling(look, facts, decision.verdict)
    recorded = record_decision(look.ledger, facts, decision, _decision_before(look))
    look.memory[_DECISION] = {**asdict(recorded), "at": recorded.at.isoformat()}
    verdict = decision.verdict
    until = None if isinstance(verdict, Fire) else verdict.until
    look.wake(until)
    look.decision = {
        "verdict": decision.word,
        "reason": verdict.reason,
        "trigger": getattr(verdict, "trigger", None),
        "key": getattr(verdict, "key", None),
        "until": until,
        "rules": {rule.name: rule.reason for rule in decision.rules if rule.holds},
    }
    if isinstance(verdict, Fire):
        look.decision |= {"overrides": dict(verdict.overrides), "resume": verdict.resume}
    # What makes the loop begin a run, be it one that only looks closer.
    look.decision["run"] = None if decision.run is None else asdict(decision.run)
    if not recorded.news or not isinstance(verdict, Fire | Investigate):
        return None
    return Done(f"{decision.word}: {verdict.reason}", {"seq": recorded.seq})


def _tell_of_falling(look: Look, facts: Facts, verdict: Verdict) -> None:
    """Tell people of drift and falling quality, when they first lead to something."""
    from ratchet.alerts.messages import compose
    from ratchet.ledger.triggers import EVALUATED
    from ratchet.triggers.cases import ask_for_labels
    from ratchet.triggers.policies import FALLING
    from ratchet.triggers.verdicts import Investigate, Skip

    alerts = look.project.settings.alerts
    if isinstance(verdict, Skip) or not alerts:
        return
    names = FALLING & set(verdict.trigger.split("+"))
    before = look.ledger.events(kind=EVALUATED, limit=1)
    if not names or (before and before[0].facts.get("key") == verdict.key):
        return
    looks, seen = isinstance(verdict, Investigate), facts.drift
    notices = compose(
        alerts,
        "drift" if names == {"drift"} else "performance",
        project=look.project.name,
        reason=verdict.reason,
        at=look.now,
        facts={} if seen is None or not looks else {"drifted": list(seen.columns)},
        topic=f"decision:{verdict.key}",
        advice=ask_for_labels(facts) if looks else "",
    )
    look.ledger.enqueue(notices)


def _decision_before(look: Look) -> Recorded | None:
    """What the last decision left, if it is the ledger's last one still."""
    from ratchet.ledger.triggers import EVALUATED
    from ratchet.triggers.record import Recorded

    kept = look.memory.get(_DECISION)
    newest = look.ledger.events(kind=EVALUATED, limit=1)
    if not isinstance(kept, dict) or not newest or kept.get("seq") != newest[0].seq:
        return None
    return Recorded(**{**kept, "at": datetime.fromisoformat(kept["at"])})


def check_health(look: Look) -> Done | None:
    """Whether the pipeline does its work; people hear when that changes."""
    if not look.due(_HEALTH, _HEALTH_EVERY):
        return None
    from ratchet.loop.beat import read_beat
    from ratchet.loop.look import FOLDER
    from ratchet.monitoring.vitals import Pulse
    from ratchet.pipeline.health import look_at_health, tell_health

    beat = read_beat(look.project.state / FOLDER)
    # Whoever asks is the loop, and it works; what was written is of its last tick, and this look
    # may have taken long by now.
    pulse = None if beat is None else Pulse(clock.now(), timedelta(seconds=beat.every), True)
    found = look_at_health(look.project, look.ledger, pulse)
    look.done(_HEALTH)
    if not tell_health(look.project, look.ledger, found):
        return None
    problems = [problem.what for problem in found.problems]
    return Done("; ".join(problems) or "healthy again", {"problems": problems})


def deliver_alerts(look: Look) -> Done | None:
    """Send the alerts that are due."""
    if not look.project.settings.alerts:
        return None
    from ratchet.pipeline.telling import tell

    sent = tell(look.project, look.ledger)
    for entry in look.ledger.outbox("waiting"):
        look.wake(entry.due)
    if sent is None or not (sent.delivered or sent.failed or sent.dropped):
        return None
    facts = {"delivered": sent.delivered, "failed": sent.failed, "problems": list(sent.problems)}
    return Done(f"{sent.delivered} alerts delivered, {sent.failed} put off", facts)
