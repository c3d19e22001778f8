"""A server under load while everything around it changes, and what is left of it afterwards.

Part one: three swaps of the model, two changes of weights, a version that was altered, Redis away
and back, and a graceful end. Part two: the server is killed in the middle of the load, and started
again. After each the lake is compared with what the clients were promised.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import polars as pl

from bare_server import Served, alive, served, wait_until
from ratchet.data.lake import Lake
from ratchet.data.predictions.joined import joined
from redis_server import RedisServer
from served_site import ServedSite, score_of
from soak_load import CUSTOMERS, Load, Told

PROJECT = """\
project: churn
data:
  source: {{type: csv, path: data.csv}}
  target: Churn
  positive: "Yes"
  id: customer
storage: {{features: "{redis}"}}
serving: {{poll: 100ms, timeout: 60s, log: {{compact: {compact}}}}}
"""
BAD = 5

Command = Callable[..., Any]


@dataclass(frozen=True)
class Plan:
    """How long and how hard.

    Attributes:
        seconds: of part one; part two takes a fifth of it, and the ends come on top.
        workers: of the server.
        clients: at once, each with ``pause`` seconds between two requests.
        compact: how often the log is moved while the server runs.
    """

    seconds: float
    workers: int = 1
    clients: int = 4
    pause: float = 0.005
    compact: str = "3s"
    seed: int = 1


@dataclass
class Report:
    """What happened."""

    workers: int
    requests: int = 0
    rows: int = 0
    labels: int = 0
    refused: int = 0
    doubtful: int = 0
    in_lake: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    memory_mb: list[tuple[float, float]] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)

    @property
    def growth_mb(self) -> float:
        """How much the largest process had grown from the first third to the last one."""
        at = len(self.memory_mb) // 3
        first = max(size for _, size in self.memory_mb[:at])
        return max(size for _, size in self.memory_mb[-at:]) - first


class Soak:
    """A project that is served; ``command`` runs ``ratchet`` with its words."""

    def __init__(self, folder: Path, plan: Plan, command: Command) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.plan, self._command = plan, command
        self.redis = RedisServer(folder)
        (folder / "ratchet.yaml").write_text(
            PROJECT.format(redis=self.redis.url, compact=plan.compact)
        )
        self.site = ServedSite(folder)
        for _ in range(BAD):
            self.site.add()
        self.site.promote(1)

    def run(self) -> Report:
        """Both parts; fails where a promise was not kept."""
        report = Report(self.plan.workers)
        try:
            self._push(self.site.root / "rows.csv")
            told = self._change(report)
            kept = self._compare(told, report, exact=True)
            again = self._kill(report)
            again.scores |= told.scores
            again.labels |= told.labels
            report.in_lake = self._compare(again, report, exact=False).height
            assert report.in_lake > kept.height
        finally:
            self.redis.stop()
        return report

    # -- part one --------------------------------------------------------------------------

    def _change(self, report: Report) -> Told:
        with self._serve("one") as server:
            load = Load(server.url, self.plan.clients, self.plan.pause, self.plan.seed)
            load.start()
            with _watched(server, report):
                try:
                    self._happen(load, server)
                finally:
                    told = load.stop()
            assert server.stop(within=90) == 0
        self._note(told, report)
        assert told.wrong == [], told.wrong[:5]
        assert told.doubtful == 0
        refused = [count for (_, status), count in told.statuses.items() if status == 503]
        assert refused, "Redis was away, and nobody noticed"
        return told

    def _happen(self, load: Load, server: Served) -> None:
        """What happens, at its part of the time."""
        began = time.monotonic()
        for at, event in (
            (0.08, lambda: self._swap(server, 2)),
            (0.16, lambda: self._split("champion=80", "3=20")),
            (0.24, lambda: self._split("champion=40", "3=60")),
            (0.34, lambda: self._swap(server, 3)),
            (0.44, lambda: self._stop_redis(load)),
            (0.58, lambda: self._start_redis(load)),
            (0.68, lambda: self._alter(server)),
            (0.82, lambda: self._swap(server, 4)),
            (1.00, lambda: None),
        ):
            time.sleep(max(0.0, began + at * self.plan.seconds - time.monotonic()))
            event()

    def _swap(self, server: Served, version: int) -> None:
        self.site.promote(version)
        wait_until(lambda: _version(server) == version, 20)

    def _split(self, *arms: str) -> None:
        words = ("rollout", "split", *arms, "--reason", "soak", "--project", self.site.root)
        done = self._command(*words, "--json")
        assert done.data["applied"]

    def _stop_redis(self, load: Load) -> None:
        load.store_away.set()
        self.redis.save()
        self.redis.stop()

    def _start_redis(self, load: Load) -> None:
        self.redis.start()
        # The server looks after its pause; who asked before that is still to be answered.
        time.sleep(2.0)
        load.store_away.clear()

    def _alter(self, server: Served) -> None:
        """Promote a version whose bundle is not what was registered."""
        next(self.site.bundle(BAD).glob("*.linear.json")).write_text("{}")
        self.site.promote(BAD)
        said = self.site.root / "one.txt"
        wait_until(lambda: f"Version {BAD} does not load" in said.read_text(), 20)
        assert _version(server) == 3

    # -- part two --------------------------------------------------------------------------

    def _kill(self, report: Report) -> Told:
        seconds = max(self.plan.seconds / 10, 1.0)
        with self._serve("two") as server:
            load = Load(server.url, self.plan.clients, self.plan.pause, self.plan.seed + 1)
            load.start()
            wait_until(lambda: load.answered > 50, 30)
            time.sleep(seconds)
            load.server_away.set()
            for pid in (server.process.pid, *server.ready["workers"]):
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not any(alive(pid) for pid in server.ready["workers"]))
        try:
            with self._serve("three") as server:
                load.url = server.url
                time.sleep(0.2)
                load.server_away.clear()
                before = load.answered
                wait_until(lambda: load.answered > before + 50, 30)
                time.sleep(seconds)
                told = load.stop()
                assert server.stop(within=90) == 0
        finally:
            load.ending.set()
        self._note(told, report)
        assert told.wrong == [], told.wrong[:5]
        return told

    # -- what is left ----------------------------------------------------------------------

    def _compare(self, told: Told, report: Report, *, exact: bool) -> pl.DataFrame:
        """Hold the lake against what was promised."""
        lake = Lake(str(self.site.root / ".ratchet" / "lake"))
        rows = joined(lake).collect()
        kept = dict(zip(rows["prediction_id"], rows["scores"].list.get(1), strict=True))
        assert len(kept) == rows.height, "a prediction is there twice"
        missing = told.scores.keys() - kept.keys()
        assert not missing, f"{len(missing)} of {len(told.scores)} acknowledged ones are missing"
        extra = kept.keys() - told.scores.keys()
        assert len(extra) <= (0 if exact else told.doubtful), f"{len(extra)} were not acknowledged"
        assert all(abs(kept[own] - score) < 1e-6 for own, score in told.scores.items())
        said = dict(zip(rows["prediction_id"], rows["version"], strict=True))
        assert BAD not in said.values()
        assert all(abs(kept[own] - score_of(version)) < 1e-6 for own, version in said.items())
        outcomes = {
            own: json.loads(outcome)
            for own, outcome in zip(rows["prediction_id"], rows["outcome"], strict=True)
            if outcome is not None
        }
        lost = [own for own, label in told.labels.items() if outcomes.get(own) != label]
        assert not lost, f"{len(lost)} of {len(told.labels)} labels are missing or wrong"
        assert outcomes.keys() <= told.labels.keys() | told.doubtful_labels.keys()
        return rows

    def _note(self, told: Told, report: Report) -> None:
        report.requests += len(told.seconds)
        report.rows += len(told.scores)
        report.labels += len(told.labels)
        report.doubtful += told.doubtful
        for (what, status), count in told.statuses.items():
            key = f"{what} {status}"
            report.statuses[key] = report.statuses.get(key, 0) + count
            report.refused += count if status == 503 else 0
        times = sorted(told.seconds)
        report.p50_ms = report.p50_ms or 1000 * times[len(times) // 2]
        report.p99_ms = report.p99_ms or 1000 * times[len(times) * 99 // 100]

    # -- the project -----------------------------------------------------------------------

    @contextmanager
    def _serve(self, name: str) -> Iterator[Served]:
        command: Sequence[object] = (
            *("-m", "ratchet", "serve", "--json", "--port", 0),
            *("--workers", self.plan.workers, "--project", self.site.root),
        )
        with served(command, self.site.root / f"{name}.txt") as server:
            yield server

    def _push(self, file: Path) -> None:
        lines = [
            f"{customer},{number % 72},{20 + number / 4},{'month' if number % 3 else 'year'}"
            for number, customer in enumerate(CUSTOMERS)
        ]
        file.write_text("\n".join(["customer,tenure,charges,contract", *lines]) + "\n")
        push = ("features", "push", "--data", file, "--project", self.site.root, "--json")
        done = self._command(*push)
        assert done.data["stored"] == len(CUSTOMERS), done.data


def _version(server: Served) -> int:
    return int(httpx.get(f"{server.url}/readyz").json()["model_version"])


@contextmanager
def _watched(server: Served, report: Report) -> Iterator[None]:
    """Look at the memory and the open files of the server's processes."""
    began, ending = time.monotonic(), threading.Event()
    pids = {server.process.pid, *server.ready["workers"]}

    def look() -> None:
        while not ending.wait(0.25):
            sizes = [_resident(pid) for pid in pids]
            report.memory_mb.append((time.monotonic() - began, max(sizes)))
            report.files.append(max(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def _resident(pid: int) -> float:
    """The resident memory of a process, MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
