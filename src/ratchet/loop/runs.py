"""The runs that the loop sets off: in processes of their own, a few at a time, within limits."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ratchet import clock
from ratchet.loop.children import Child, named
from ratchet.loop.confined import Limits
from ratchet.loop.journal import Journal
from ratchet.loop.projects import Opening, Watched

NOTE, _OUT, _ERR = "run.json", "run.out", "run.err"
_WEIGH = 1.0
_LOOK = 0.05
How = Literal["ended", "died", "stopped", "not_started"]


@dataclass(frozen=True, slots=True)
class Order:
    """A run to be made.

    Attributes:
        key: the trigger's: one key makes at most one run, however often it is ordered.
        overrides: settings of this run alone.
        resume: the unfinished run to go on with.
    """

    key: str
    trigger: str
    reason: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    resume: str | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run's process ended.

    Attributes:
        how: ``ended``: it told its outcome itself; ``died``: it did not; ``stopped``: as the loop
            ends; ``not_started``: the system did not let it.
        told: the ``data`` or ``error`` of its ``--json``.
        why: in words, when it did not end by itself.
        limited: it was a limit that ended it.
    """

    watched: Watched
    order: Order
    how: How
    seconds: float
    told: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""
    limited: bool = False

    @property
    def outcome(self) -> str:
        """``promoted`` and so on; ``failed`` with a fault; how it ended when nobody knows."""
        if self.how != "ended":
            return self.how
        return str(self.told.get("outcome", "failed"))


@dataclass(slots=True)
class _Job:
    watched: Watched
    order: Order
    child: Child | None = None
    cut: str = ""
    weighed: float = 0.0
    peak: int = 0


class Runs:
    """The row of runs to be made, and those at work.

    Args:
        opening: how the projects are opened.
        parallel: how many work at once.
        memory: bytes that a run may take whose project does not say.
    """

    def __init__(self, opening: Opening, parallel: int, memory: int, journal: Journal) -> None:
        self._opening, self.parallel, self._memory = opening, parallel, memory
        self._journal = journal
        self._jobs: dict[Path, _Job] = {}

    @property
    def waiting(self) -> int:
        """Runs that were ordered and not begun."""
        return sum(job.child is None for job in self._jobs.values())

    @property
    def working(self) -> int:
        """Runs at work."""
        return sum(job.child is not None for job in self._jobs.values())

    def busy(self, root: Path) -> str:
        """What is done for a project, or will be; empty when nothing is."""
        job = self._jobs.get(root)
        if job is None:
            return ""
        if job.child is None:
            return f"{job.order.trigger}, waiting for its turn"
        return f"{job.order.trigger}, process {job.child.pid}"

    def order(self, watched: Watched, order: Order) -> None:
        """Put a run in the row; a project has one at a time."""
        if watched.root not in self._jobs:
            self._jobs[watched.root] = _Job(watched, order)

    def adopt(self, watched: Watched) -> bool:
        """Go on with the run that a loop before this one began, if it still works."""
        note = watched.state / NOTE
        try:
            found = named(**json.loads(note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return False
        if found is None:
            note.unlink(missing_ok=True)
            return False
        job = _Job(watched, Order("", "left by another loop", ""), Child(found))
        self._jobs[watched.root] = job
        self._journal.tell("run_adopted", watched.name, pid=found.pid)
        return True

    def tend(self) -> list[Ending]:
        """Begin what has room, end what takes too much, and tell of what ended; never waits."""
        endings = []
        for root, job in list(self._jobs.items()):
            if job.child is None:
                continue
            if job.child.ended():
                del self._jobs[root]
                endings.append(self._end(job, job.child))
            else:
                self._limit(job, job.child)
        for root, job in list(self._jobs.items()):
            if job.child is None and self.working < self.parallel:
                failed = self._begin(job)
                if failed is not None:
                    del self._jobs[root]
                    endings.append(failed)
        return endings

    def stop(self, grace: Callable[[Watched], float], hurry: Callable[[], bool]) -> list[Ending]:
        """End all runs; the next loop goes on with them from the last step that was finished."""
        jobs = [job for job in self._jobs.values() if job.child is not None]
        for job in jobs:
            assert job.child is not None
            job.cut = "stopped"
            job.child.send(signal.SIGTERM)
        longest = max((grace(job.watched) for job in jobs), default=0.0)
        until = clock.monotonic() + longest
        while any(job.child and not job.child.ended() for job in jobs):
            if clock.monotonic() > until or hurry():
                for job in jobs:
                    assert job.child is not None
                    job.child.send(signal.SIGKILL)
                until = clock.monotonic() + longest
            time.sleep(_LOOK)
        self._jobs.clear()
        return [self._end(job, job.child) for job in jobs if job.child is not None]

    def _begin(self, job: _Job) -> Ending | None:
        watched, order = job.watched, job.order
        settings = watched.loop
        limits = Limits(
            settings.memory_bytes or self._memory,
            settings.span("time").total_seconds(),
            settings.nice,
            str(watched.state / NOTE),
        )
        words = ["run", "--json", *self._opening.words(watched.root), "--trigger", order.trigger]
        words += ["--trigger-key", order.key]
        if order.resume is not None:
            words += ["--resume", order.resume]
        for name, value in order.overrides.items():
            words += ["--set", f"{name}={json.dumps(value)}"]
        command = [sys.executable, "-m", "ratchet.loop.confined", limits.word(), *words]
        try:
            job.child = Child.start(command, watched.state / _OUT, watched.state / _ERR)
        except OSError as error:
            why = error.strerror or str(error)
            return Ending(watched, order, "not_started", 0.0, why=f"it could not be started: {why}")
        self._journal.tell(
            "run_started", watched.name, trigger=order.trigger, key=order.key, pid=job.child.pid
        )
        return None

    def _limit(self, job: _Job, child: Child) -> None:
        if job.cut:
            return
        settings = job.watched.loop
        now = clock.monotonic()
        longest = settings.span("time").total_seconds()
        if child.seconds > longest:
            job.cut = f"it took longer than {settings.time} (loop.time) and was ended"
        elif now - job.weighed >= _WEIGH:
            job.weighed = now
            most = settings.memory_bytes or self._memory
            took = child.memory()
            job.peak = max(job.peak, took)
            if took > most:
                job.cut = (
                    f"it took {took / 1e9:.2f} GB of memory, more than the {most / 1e9:.2f} GB of "
                    "loop.memory, and was ended"
                )
        if job.cut:
            child.send(signal.SIGKILL)

    def _end(self, job: _Job, child: Child) -> Ending:
        watched = job.watched
        # Whatever it started ends with it: nobody would look after them.
        child.send(signal.SIGKILL)
        (watched.state / NOTE).unlink(missing_ok=True)
        told = _told(watched.state / _OUT)
        if job.cut == "stopped" and told is None:
            return Ending(watched, job.order, "stopped", child.seconds)
        if told is None:
            limited = bool(job.cut) or child.code == -signal.SIGALRM
            why = job.cut or _how(child, watched.state / _ERR)
            return Ending(watched, job.order, "died", child.seconds, why=why, limited=limited)
        return Ending(watched, job.order, "ended", child.seconds, told)


def _told(out: Path) -> Mapping[str, Any] | None:
    """What the command answered; None when it did not come to that."""
    with suppress(OSError, ValueError, KeyError, TypeError, IndexError):
        body = json.loads(out.read_text(encoding="utf-8").splitlines()[-1])
        if body["ok"]:
            return dict(body["data"])
        return {"error": body["error"], "run_id": body["error"].get("run_id")}
    return None


def _how(child: Child, err: Path) -> str:
    code = child.code
    if code is None:
        return "its process is gone, and nobody saw how it ended"
    if code == -signal.SIGALRM:
        return "it took longer than loop.time and was ended"
    if code < 0:
        hint = " (is there enough memory?)" if code == -signal.SIGKILL else ""
        return f"its process was ended by {signal.Signals(-code).name}{hint}"
    said = ""
    with suppress(OSError):
        lines = err.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        said = f": {lines[-1][:300]}" if lines else ""
    return f"its process ended with exit code {code} and told nothing{said}"
