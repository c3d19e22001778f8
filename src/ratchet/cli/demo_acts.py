"""The demo's story, act by act. What an act is to show is said of it only if it came out so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ratchet.cli.demo_stage import Days, Stage

if TYPE_CHECKING:
    from ratchet.ledger.rollouts import Rollout
    from ratchet.loop.tick import TickReport
    from ratchet.pipeline.outcome import Run

QUIET, SLOW, CLOSE = 10, 7, 5
"""Days from look to look: in quiet times, usually, and while a version is rolled out."""
_SOON = 6
"""Days after the change at which the loop looks: a day before the first label of it."""
_MONTH, _LONG = 31, 100


@dataclass(slots=True)
class Played:
    """What came of an act.

    Attributes:
        shows: what can be seen in it.
        expected: whether it is what the act is for.
    """

    shows: str = ""
    expected: bool = True
    runs: list[Run] = field(default_factory=list)
    days: list[Days] = field(default_factory=list)
    rollout: Rollout | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        from ratchet.cli.rollouts import rollout_json

        return {
            "shows": self.shows,
            "expected": self.expected,
            "runs": [_run_json(run) for run in self.runs],
            "days": [days.to_json() for days in self.days],
            "happened": [each for days in self.days for each in days.happened],
            "rollout": None if self.rollout is None else rollout_json(self.rollout),
        }


@dataclass(frozen=True, slots=True)
class Act:
    """A part of the story."""

    key: str
    title: str
    play: Callable[[Stage], Played]


def first_model(stage: Stage) -> Played:
    """A file becomes a model that serves."""
    played = Played(runs=[stage.train()])
    if played.runs[0].outcome == "promoted":
        stage.serve()
        played.shows = "the first model is trained, gated and promoted, and answers over HTTP"
    else:
        played.shows, played.expected = "no model passed the gate, so there is no story", False
    return played


def quiet_month(stage: Stage) -> Played:
    """Nothing is new, and then nothing is different."""
    played = Played(runs=[stage.train()])
    played.days.append(stage.live(_MONTH, every=QUIET))
    skipped = played.runs[0].outcome == "skipped" and not _wanted(played.days[-1])
    played.expected = skipped
    played.shows = (
        "the same data again trains nothing, and the loop, which looks on, sees no reason to"
        if skipped
        else "the loop found a reason to train"
    )
    return played


def drift(stage: Stage) -> Played:
    """The customers become others, and the predictions show it before any label does."""
    days = stage.live(_MONTH, every=_SOON, until=_drifted)
    played = Played(days=[days], expected=days.last is not None and _drifted(days.last))
    if played.expected:
        took = (days.past - days.first).days + 1
        known = stage.world.scenario.horizon
        played.shows = (
            f"drift is seen {took} days after it began, on what was served alone: what becomes of "
            f"a customer shows after {known} days at the soonest. Moved inputs are no proof of a "
            "worse model, so people are told, and nothing is trained"
        )
    else:
        played.shows = "the drift was not seen within a month"
    return played


def labels(stage: Stage) -> Played:
    """The labels come in, and they say that the model is wrong."""
    days = stage.live(_LONG, every=QUIET)
    played = Played(days=[days])
    if not _wanted(days):
        played.shows, played.expected = "the labels gave no reason to train", False
        return played
    played.runs.append(_follow(stage, days))
    ended = played.runs[0]
    played.expected = ended.outcome == "candidate"
    told = "passes the gate and waits" if played.expected else f"is {ended.outcome}"
    played.shows = (
        f"a month's labels prove the fall, the rule `{ended.trigger}` sets off a run, and the new "
        f"model {told}"
    )
    return played


def canary(stage: Stage) -> Played:
    """The new version gets 10, 50, 100 percent, each step on evidence."""
    begun = _live(stage)
    if begun is None or not begun.open:
        return Played("there is no new version to roll out", expected=False)
    played = Played(days=[stage.live(_LONG, every=CLOSE, until=_decided(stage), batch=1)])
    found = _rollout(stage, begun)
    played.expected = found.status == "promoted"
    if played.expected and _live(stage) is not None:
        played.days.append(stage.live(_MONTH, every=SLOW, until=lambda _: _live(stage) is None))
    played.rollout = found = _rollout(stage, begun)
    steps = ", ".join(f"{share:g}" for share in found.rules["steps"])
    played.shows = (
        f"version {found.version} earns {steps} % of the customers step by step, and what it said "
        "of them is held against what became of them before everybody gets it"
        if played.expected
        else f"the loop did not promote version {found.version}: {found.reason}"
    )
    return played


def broken_export(stage: Stage) -> Played:
    """A file with swapped columns is stopped before anything is trained."""
    place = stage.root / "broken-export.csv"
    stage.world.write_broken(place)
    played = Played(days=[stage.live(SLOW, every=SLOW)])
    played.runs.append(stage.train(data=place))
    played.expected = played.runs[0].outcome == "rejected" and not played.runs[0].candidates
    played.shows = (
        "the checks stop it before anything is trained, and the proven model goes on answering"
        if played.expected
        else f"the run ended as {played.runs[0].outcome}"
    )
    return played


def old_backup(stage: Stage) -> Played:
    """A model of another time is proven on rows of that time, and the canary finds it out."""
    place = stage.root / "restored-backup.csv"
    stage.world.write_backup(place)
    played = Played(days=[stage.live(SLOW, every=SLOW)])
    played.runs.append(stage.train(data=place))
    begun = _live(stage)
    if begun is None or not begun.open:
        played.expected = False
        played.shows = f"the offline checks did not let it pass: {played.runs[0].reason}"
        return played
    # One that came through the steps is watched on, and may go back then.
    days = stage.live(_LONG, every=CLOSE, until=lambda _: _live(stage) is None, batch=1)
    played.days.append(days)
    played.rollout = found = _rollout(stage, begun)
    saw, of = days.asked[found.version], days.asked.total()
    played.expected = found.status == "rolled_back"
    played.shows = (
        f"offline it looked better, on rows of its own time. {saw:,} of {of:,} customers were "
        f"answered by version {found.version} before the loop took it back by itself; version "
        f"{found.previous} answers everybody again"
        if played.expected
        else f"the loop did not take version {found.version} back: {found.reason}"
    )
    return played


def after(stage: Stage) -> Played:
    """The champion goes on."""
    days = stage.live(2 * SLOW, every=SLOW)
    one = len(days.asked) == 1
    return Played(
        "one version answers everybody" if one else "the traffic is split", one, [], [days]
    )


ACTS = (
    Act("first", "February: a file of customers", first_model),
    Act("quiet", "March: a month like the others", quiet_month),
    Act("drift", "April: other customers, who leave for other reasons", drift),
    Act("labels", "What became of them shows", labels),
    Act("canary", "The new model has to earn its customers", canary),
    Act("broken", "A broken export", broken_export),
    Act("backup", "Somebody trains on last autumn's backup", old_backup),
    Act("after", "The days after", after),
)


def _wanted(days: Days) -> bool:
    """Whether the last look wants a training."""
    return days.last is not None and (days.last.decision or {}).get("verdict") == "fire"


def _drifted(look: TickReport) -> bool:
    decision = look.decision or {}
    names = str(decision.get("trigger") or "").split("+")
    return decision.get("verdict") == "investigate" and "drift" in names


def _follow(stage: Stage, days: Days) -> Run:
    """The run that the last look wants: as the loop's own process would begin it."""
    assert days.last is not None
    decision: Mapping[str, Any] = days.last.decision or {}
    return stage.train(
        trigger=decision["trigger"], key=decision["key"], overrides=decision["overrides"]
    )


def _live(stage: Stage) -> Rollout | None:
    with stage.project().open_ledger() as ledger:
        return ledger.live_rollout()


def _rollout(stage: Stage, begun: Rollout) -> Rollout:
    with stage.project().open_ledger() as ledger:
        return ledger.rollout(begun.rollout_id)


def _decided(stage: Stage) -> Callable[[TickReport], bool]:
    """Ends the days once a rollout is no longer open."""

    def over(look: TickReport) -> bool:
        found = _live(stage)
        return found is None or not found.open

    return over


def _run_json(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "outcome": run.outcome,
        "reason": run.reason,
        "trigger": run.trigger,
        "metrics": dict(run.metrics),
        "champion_before": run.champion["version"] if run.champion else None,
        "model": dict(run.model) if run.model else None,
        "seconds": round(run.seconds, 3),
    }


def told(acts: Sequence[tuple[Act, Played]]) -> list[dict[str, Any]]:
    """The acts as JSON values."""
    return [{"key": act.key, "title": act.title, **played.to_json()} for act, played in acts]
