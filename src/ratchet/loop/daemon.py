"""The loop: sees which projects moved, has them looked at, and has runs made.

This process stays small: it reads no data and loads no library for it. What may take long, crash or
hang happens in others: looks in one (``looker``), each run in one of its own. It may be killed at
any time: decisions are in the ledgers, a run goes on by itself, and the next loop finds both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from ratchet import clock
from ratchet.config.loop import LoopSettings
from ratchet.loop.bell import Bell
from ratchet.loop.journal import Journal
from ratchet.loop.looking import Answered, Looking, Question
from ratchet.loop.numbers import Numbers
from ratchet.loop.projects import Opening
from ratchet.loop.roster import Roster, told_fault
from ratchet.loop.runs import Ending, Order, Runs
from ratchet.loop.wards import Ward

_REST = 0.25
_CALM = 1.0
"""Seconds between two looks at the children while runs work, and while none does."""
_JUMP = 45.0
"""Seconds by which clocks must part to count as a clock that was set, or a machine that slept."""
_LONGEST = 6 * 3600.0
"""Seconds after which a project is looked at in any case."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a loop looks after.

    Attributes:
        folder: a project, or a folder with projects.
        every: seconds from tick to tick; None: as the projects say.
        parallel: runs at once; None: as the projects say.
        memory: bytes for a run whose project does not say.
        once: one tick of everything, and then the end.
    """

    folder: Path
    opening: Opening
    memory: int
    every: float | None = None
    parallel: int | None = None
    once: bool = False


class Beside(Protocol):
    """Something that runs beside the loop, such as a server."""

    def tend(self) -> None:
        """Look after it; called between the ticks. What it raises ends the loop."""

    def begin_to_stop(self) -> None:
        """Tell it to end."""

    def stop(self, hurry: Callable[[], bool]) -> None:
        """See it end; at once, when ``hurry`` says so."""


class Daemon:
    """Runs until SIGTERM or SIGINT."""

    def __init__(
        self, plan: Plan, journal: Journal, numbers: Numbers, beside: Beside | None = None
    ) -> None:
        self.plan, self._journal, self._numbers, self._beside = plan, journal, numbers, beside
        self._roster = Roster(plan.folder, plan.opening, journal)
        self.looking = Looking()
        self.runs = Runs(plan.opening, plan.parallel or 1, plan.memory, journal)
        self._bell = Bell()
        self._every = plan.every or 30.0
        self._seen: tuple[datetime, float] | None = None
        self._ended: set[Path] = set()

    @property
    def wards(self) -> dict[Path, Ward]:
        """The projects, by their folders."""
        return self._roster.wards

    def run(self) -> None:
        """Tick until told to stop; with ``once``, until everything of one tick is done."""
        _allow_files()
        with self._bell.listening():
            try:
                self._go()
            finally:
                self._stop()

    def tick(self) -> None:
        """One tick: what moved is put before the looker; nothing is waited for."""
        began, now = clock.monotonic(), clock.now()
        self._watch_clock(now)
        for name in self._roster.search():
            with suppress(KeyError):
                self._numbers.forget(name)
        if self._roster.read_settings():
            self._go_by(self._roster.settings)
        for ward in self._roster.take(now, self._every, once=self.plan.once):
            assert ward.watched is not None
            self.runs.adopt(ward.watched)
        self._roster.see_ledgers()
        for ward in self.wards.values():
            if ward.lock is not None:
                ward.lock.tick(now)
                self._consider(ward, now)
        self._count(clock.monotonic() - began)

    # -- the course of time ----------------------------------------------------------------

    def _go(self) -> None:
        due, ticks = clock.monotonic(), 0
        while not self._bell.stops:
            if clock.monotonic() >= due and not (self.plan.once and ticks):
                self.tick()
                ticks += 1
                due = max(due + self._every, clock.monotonic())
            self._work()
            if self.plan.once and not (self.looking.open or self.runs.waiting or self.runs.working):
                return
            busy = self.runs.working or self.looking.open
            rest = _REST if busy else _CALM
            self._bell.wait(min(due - clock.monotonic(), rest), self.looking.ear)

    def _work(self) -> None:
        for answer in self.looking.tend():
            self._take_answer(answer)
        for ending in self.runs.tend():
            self._take_ending(ending)
        if self._beside is not None:
            self._beside.tend()

    def _go_by(self, settings: list[LoopSettings]) -> None:
        if self.plan.every is None and settings:
            self._every = min(one.span("every").total_seconds() for one in settings)
        if self.plan.parallel is None and settings:
            self.runs.parallel = max(one.parallel for one in settings)

    def _watch_clock(self, now: datetime) -> None:
        """Times that were waited for mean nothing after the clock was set, or the machine slept."""
        at = clock.monotonic()
        if self._seen is not None:
            passed = timedelta(seconds=(at - self._seen[1]) * clock.speed())
            apart = (now - self._seen[0] - passed).total_seconds()
            if abs(apart) > _JUMP * max(1.0, clock.speed()):
                self._journal.tell("clock_jumped", seconds=round(apart, 1))
                self._numbers.jumps.inc()
                for ward in self.wards.values():
                    ward.signs = None
        self._seen = (now, at)

    # -- looks -----------------------------------------------------------------------------

    def _consider(self, ward: Ward, now: datetime) -> None:
        watched = ward.watched
        if watched is None or not ward.claimed or ward.looking:
            return
        head = self._roster.head_of(ward)
        signs = watched.signs()
        if not (self.plan.once or ward.wants(now, head, signs)):
            return
        ward.head, ward.signs, ward.looking, ward.state = head, signs, True, "looking"
        ward.wake = None
        longest = watched.loop.span("poll").total_seconds() if watched.remote else _LONGEST
        # Spread, so that projects that were first seen together are not all due together.
        ward.look_by = clock.monotonic() + longest * (0.75 + hash(ward.root) % 256 / 1024)
        body = {
            "do": "look",
            "root": str(ward.root),
            "opening": self.plan.opening.to_json(),
            "busy": self.runs.busy(ward.root),
        }
        patience = watched.loop.span("patience").total_seconds()
        self.looking.ask(Question((ward.root, None), body, patience))

    def _take_answer(self, answer: Answered) -> None:
        root, ending = answer.question.about
        ward = self.wards.get(root)
        if ending is not None:
            self._buried(ward, ending, answer)
            return
        self._numbers.look_seconds.inc(answer.seconds)
        if ward is None:
            return
        ward.looking, ward.looked = False, clock.now()
        if not answer.body["ok"]:
            ward.fail(answer.body["error"], "fault")
            self._numbers.looks.labels("fault").inc()
            self._journal.tell("fault", ward.name, in_a_row=ward.faults, **told_fault(ward))
            return
        self._numbers.looks.labels("done").inc()
        self._take_report(ward, answer.body["data"])

    def _take_report(self, ward: Ward, report: dict[str, Any]) -> None:
        ward.report, ward.state, ward.faults, ward.rests, ward.fault = report, "idle", 0, 0.0, None
        # What came after the look began is looked at again, what it wrote itself once more.
        ward.head = report["position"]
        ward.wake = None if report["wake"] is None else datetime.fromisoformat(report["wake"])
        for part, done in report["did"].items():
            if part != "decision":
                self._journal.tell(part, ward.name, **done)
        for part, error in report["faults"].items():
            self._journal.tell("part_failed", ward.name, part=part, error=error)
        verdict = report.get("decision")
        if verdict is not None:
            self._hear(ward, verdict)

    def _hear(self, ward: Ward, verdict: dict[str, Any]) -> None:
        """Take a decision: told when it is another one, and done if it is to train."""
        told = {name: verdict.get(name) for name in ("verdict", "trigger", "key", "reason")}
        if told != ward.verdict:
            ward.verdict = told
            self._journal.tell("decided", ward.name, **verdict)
        if verdict["run"] is None or ward.watched is None:
            return
        self.runs.order(ward.watched, Order(**verdict["run"]))
        self._numbers.fired.labels(ward.name).inc()

    # -- runs ------------------------------------------------------------------------------

    def _take_ending(self, ending: Ending) -> None:
        ward = self.wards.get(ending.watched.root)
        name, order = ending.watched.name, ending.order
        self._numbers.runs.labels(name, ending.outcome).inc()
        self._numbers.run_seconds.labels(name).inc(ending.seconds)
        told = {
            "outcome": ending.outcome,
            "run_id": ending.told.get("run_id"),
            "trigger": order.trigger,
            "key": order.key,
            "reason": ending.told.get("reason") or ending.why or None,
            "error": ending.told.get("error"),
            "seconds": round(ending.seconds, 2),
        }
        self._journal.tell("run_ended", name, **told)
        if ward is not None:
            ward.run, ward.signs = told, None
        if ending.how in ("died", "not_started") and order.key:
            body = {
                "do": "bury",
                "root": str(ending.watched.root),
                "opening": self.plan.opening.to_json(),
                "run": order.resume,
                "key": order.key,
                "reason": ending.why,
                "final": ending.limited,
            }
            self.looking.ask(Question((ending.watched.root, ending), body, 120.0))

    def _buried(self, ward: Ward | None, ending: Ending, answer: Answered) -> None:
        """A run that died was ended in the ledger, or is found open by the next look."""
        name = ending.watched.name
        if answer.body["ok"]:
            self._journal.tell("run_died", name, reason=ending.why, **answer.body["data"])
        else:
            self._journal.tell("fault", name, error=answer.body["error"])
        if ward is not None:
            ward.signs = None

    # -- the end ---------------------------------------------------------------------------

    def _count(self, seconds: float) -> None:
        numbers = self._numbers
        numbers.ticks.inc()
        numbers.ticked.set(clock.now().timestamp())
        numbers.seconds.set(seconds)
        numbers.cpu.set(clock.processor())
        numbers.lookers.set(self.looking.starts)
        numbers.working.set(self.runs.working)
        numbers.waiting.set(self.runs.waiting)
        numbers.away.set(self._roster.away)
        numbers.count_states(Counter(ward.state for ward in self.wards.values()))
        for ward in self.wards.values():
            if ward.looked is not None:
                numbers.looked.labels(ward.name).set(ward.looked.timestamp())
            if ward.faults:
                numbers.faults.labels(ward.name).set(ward.faults)
        numbers.write()

    def _stop(self) -> None:
        if self._beside is not None:
            self._beside.begin_to_stop()
        self.looking.stop()
        grace = lambda watched: watched.loop.span("grace").total_seconds()  # noqa: E731
        hurry = lambda: self._bell.stops > 1  # noqa: E731
        for ending in self.runs.stop(grace, hurry):
            self._take_ending(ending)
        if self._beside is not None:
            self._beside.stop(hurry)
        self._roster.close()
        self._numbers.close()
        self._bell.close()
        self._journal.tell("stopped")


def _allow_files() -> None:
    """Each project that is looked after keeps a file open: allow as many as may be."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 1 << 16 if hard == resource.RLIM_INFINITY else min(hard, 1 << 16)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
