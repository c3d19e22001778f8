"""The demo's stage: what the acts share, and how the days pass on it.

A day is real work: its customers are asked about over HTTP, what showed of earlier ones is told,
and every few days the loop looks. Only the calendar is the demo's own: it jumps from day to day,
for this process and the server alike, and stands still while a model is trained.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet import clock
from ratchet.cli.demo_inbox import Inbox
from ratchet.cli.demo_server import BATCH, DemoServer
from ratchet.cli.demo_settings import start_demo

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.cli.demo_world import World
    from ratchet.loop.tick import TickReport
    from ratchet.pipeline.outcome import Run
    from ratchet.pipeline.step import Reporter
    from ratchet.project import Project

OPENS, CLOSES, LOOKS = time(9), time(17), time(18)
"""When customers are asked about, when fates are told, and when the loop looks."""
_CLOCK = "demo-clock"
_TOLD = ("rollout", "decision", "health")
"""The parts of a look that the screen tells of; the others work silently."""


@dataclass(slots=True)
class Days:
    """Days that passed.

    Attributes:
        asked: customers by the version that answered.
        labels: fates that were told.
        looks: how often the loop looked.
        happened: what it did, as JSON values.
        last: the last look.
    """

    first: date
    past: date
    asked: Counter[int] = field(default_factory=Counter)
    requests: int = 0
    labels: int = 0
    looks: int = 0
    happened: list[dict[str, Any]] = field(default_factory=list)
    last: TickReport | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "from": self.first.isoformat(),
            "until": self.past.isoformat(),
            "asked": {str(version): rows for version, rows in sorted(self.asked.items())},
            "requests": self.requests,
            "labels": self.labels,
            "looks": self.looks,
        }


@dataclass(slots=True)
class Stage:
    """What the acts share.

    Attributes:
        today: the day that comes next.
        answered: how many answers the server gave.
    """

    root: Path
    world: World
    budget: str
    screen: Console
    shown: Reporter
    today: date
    answered: int = 0
    server: DemoServer | None = None
    inbox: Inbox | None = None
    _before: str | None = None
    _record: int = 0

    def open(self) -> None:
        """Write the project, and take the clock over."""
        start_demo(self.root, self.world, self.budget)
        self.project().prepare_state()
        self._before = os.environ.get(clock.VARIABLE)
        self.turn(time(8))
        os.environ[clock.VARIABLE] = f"@{self._clock}"
        self.inbox = Inbox(self.root / "alerts.jsonl")

    def close(self) -> None:
        """End what was started; the folder stays as it is, and its time is everybody's again."""
        if self.server is not None:
            self.server.stop()
        if self.inbox is not None:
            self.inbox.close()
        if self._before is not None:
            os.environ[clock.VARIABLE] = self._before
        else:
            os.environ.pop(clock.VARIABLE, None)
        self._clock.unlink(missing_ok=True)

    def turn(self, at: time) -> None:
        """Let it be a time of today; from there on time passes as ever."""
        clock.turn(self._clock, datetime.combine(self.today, at, UTC), 1)

    def project(self, **overrides: object) -> Project:
        """The project, opened anew, as the loop does it for every look."""
        import json

        from ratchet.project import load_project

        told = () if self.inbox is None else (self.inbox.setting,)
        sets = (f"{name}={json.dumps(value)}" for name, value in overrides.items())
        return load_project(self.root, assignments=(*told, *sets))

    def train(
        self,
        *,
        data: Path | None = None,
        trigger: str = "manual",
        key: str | None = None,
        overrides: Mapping[str, object] | None = None,
    ) -> Run:
        """Run the pipeline, as ``ratchet run`` does it; what it lets serve serves from then on."""
        from ratchet.pipeline.request import Request
        from ratchet.pipeline.run import run

        request = Request(data=data, trigger=trigger, trigger_key=key)
        ended = run(self.project(**(overrides or {})), request, reporter=self.shown)
        if ended.fault is not None:
            raise ended.fault
        self.say(f"{ended.outcome}: {ended.reason}")
        self._follow()
        return ended

    def say(self, words: str, style: str = "") -> None:
        """Put a line on the screen."""
        from rich.text import Text

        self.screen.print(Text(f"  {words}", style=style), soft_wrap=True)

    def serve(self) -> str:
        """Start the server; its address."""
        with Line("serve", self.shown) as line:
            self.server = DemoServer(self.root)
            line.found = f"`ratchet serve` answers at {self.server.url}/docs"
        self._follow()
        return self.server.url

    def live(
        self,
        days: int,
        *,
        every: int,
        until: Callable[[TickReport], bool] | None = None,
        batch: int = BATCH,
    ) -> Days:
        """Let days pass.

        Args:
            days: at most so many.
            every: days from look to look.
            until: ends them after the look of which it is true; they end with any look that
                wants a training, too.
            batch: customers in one request.
        """
        past = Days(self.today, self.today)
        with Line("live", self.shown) as line:
            for number in range(1, days + 1):
                self._day(past, batch)
                looks = number % every == 0 or number == days
                past.past = self.today
                if looks:
                    self._look(past)
                line.found = _told(past)
                self.shown.progress(f"{self.today.day} {self.today:%B}: {line.found}")
                self.today += timedelta(days=1)
                if looks and _over(past, until):
                    break
        return past

    def _day(self, past: Days, batch: int) -> None:
        """A day's customers and fates."""
        assert self.server is not None
        target = self.world.scenario.target
        self.turn(OPENS)
        customers, shows = self.world.customers(self.today)
        if customers.height:
            said = self.server.predict(customers.drop(target), batch=batch)
            self.world.promise(said.ids, customers[target], shows)
            past.asked.update(said.answered)
            past.requests += said.requests
            self.answered += len(said.ids)
        fates = self.world.fates(self.today)
        if fates:
            self.turn(CLOSES)
            past.labels += self.server.tell(fates)

    def _look(self, past: Days) -> None:
        """What the loop does at one time, by its own code; the server moves no log so soon."""
        from ratchet.cli.data import move_log
        from ratchet.loop.tick import tick

        self.turn(LOOKS)
        project = self.project()
        move_log(project)
        report = tick(project, clock.now())
        past.looks, past.last = past.looks + 1, report
        for part, said in self._news(report):
            past.happened.append({"at": report.at.isoformat(), "part": part, "says": said})
            self.shown.note(f"{self.today.day} {self.today:%B}: {part}: {said}")
        self._follow()

    def _news(self, report: TickReport) -> list[tuple[str, str]]:
        found = [(part, done.says) for part, done in report.did.items() if part in _TOLD]
        found += [
            (part, f"{error['what']}. {error['why']}") for part, error in report.faults.items()
        ]
        return found

    def _follow(self) -> None:
        """Wait until the server has taken up what serves now."""
        if self.server is None:
            return
        with self.project().open_ledger() as ledger:
            traffic = ledger.traffic()
        if traffic is not None and traffic.seq != self._record:
            self.server.wait_for(traffic.seq)
            self._record = traffic.seq

    @property
    def _clock(self) -> Path:
        return self.root / ".ratchet" / _CLOCK


class Line:
    """A line about something that takes time, like those of a run's steps."""

    def __init__(self, name: str, shown: Reporter) -> None:
        self._name, self._shown = name, shown
        self.found = ""

    def __enter__(self) -> Line:
        self._shown.started(self._name)
        self._began = clock.monotonic()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        status = "done" if kind is None else "failed"
        self._shown.finished(self._name, clock.monotonic() - self._began, status, self.found)


def _over(past: Days, until: Callable[[TickReport], bool] | None) -> bool:
    """Whether the last look ends the days."""
    if past.last is None:
        return False
    decision = past.last.decision or {}
    return decision.get("verdict") == "fire" or (until is not None and until(past.last))


def _told(past: Days) -> str:
    """What happened in some days, in a line."""
    by = ", ".join(f"version {version} {rows:,}" for version, rows in sorted(past.asked.items()))
    span = f"{past.first.day} {past.first:%b} to {past.past.day} {past.past:%b}"
    return (
        f"{span}: {past.asked.total():,} customers in {past.requests:,} requests ({by}); "
        f"{past.labels:,} labels; {past.looks} looks of the loop"
    )
