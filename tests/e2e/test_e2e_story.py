"""The whole story over the real server and the real loop, with a fast clock.

The world changes, the loop sees it, trains, and rolls the new model out by canary; a poisoned
batch is stopped at the checks; a planted bad model is taken back by the canary. The test is the
world outside: it asks, says later what was true, and looks at what became of it.

An hour of the story is a second: policies are in hours, so that a slow machine, on which a training
takes days of the story, still sees everything in the same order, only with more rows.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest

from forked_ratchet import Driver
from outside_world import Drawn, Habit, Outside
from project_state import ask, give_tracking, kept
from ratchet import clock
from ratchet.ledger.events import Event
from ratchet.ledger.store import Ledger
from ratchet.project import load_project
from running_loop import Loop, looping

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
SPEED = 3600.0
PROJECT = """\
project: story
data:
  source: {{type: production, base: {{type: csv, path: data.csv}}}}
  target: churn
  positive: "yes"
  id: customer
checks:
  expectations:
    - expect_column_values_to_be_between: {{column: charges, min_value: 0, max_value: 1000}}
      severity: error
training:
  algorithms: {{logistic_regression: {{}}}}
  tuning: {{folds: 3, trials: 0}}
  threshold: {{value: 0.5}}
gates:
  minimum: {{roc_auc: 0.6}}
  budget: {{latency_p95: 500ms, size: 50MB}}
monitoring:
  every: 2h
  period: 2h
  recent: 4h
  history: 30d
  labels: {{age: 3h}}
  drift: {{window: 4h, min_rows: 30, thresholds: {{ks: 0.3}}}}
triggers:
  new_rows: null
  max_age: null
  follow_up: null
  estimated: null
  cooldown: 4h
  performance: {{statistical: false, accuracy: {{drop: 0.2}}}}
  drift: {{windows: 1, action: retrain}}
  combine: performance and drift
rollout:
  strategy: canary
  steps: [25, 50, 100]
  hold: 1h
  minimum: 50
  labels: 150
  labels_after: 3h
  alpha: 0.05
  score_shift: 1
  slower: 5
loop: {{every: 500ms, collect: 1h}}
serving: {{poll: 100ms, log: {{compact: 1s}}}}
alerts:
  - url: "{hook}"
    name: sink
    quiet: 1m
    hourly: 1000
    on: [promoted, candidate, rejected, failed, drift, performance, rolled_back]
"""


def customers(rng: np.random.Generator, count: int, start: int, *, new: bool) -> Drawn:
    """Customers of the old world, where high charges drive people away, or of the new one."""
    tenure = rng.integers(0, 72, count)
    charges = rng.uniform(60, 140, count) if new else rng.uniform(20, 100, count)
    contract = rng.choice(["month", "year"], count)
    score = 0.12 * (charges - (100 if new else 60)) - 0.04 * (tenure - 36)
    leaves = rng.uniform(size=count) < 1 / (1 + np.exp(score if new else -score))
    records = [
        {
            "customer": f"C{start + place:06d}",
            "tenure": int(tenure[place]),
            "charges": round(float(charges[place]), 2),
            "contract": str(contract[place]),
        }
        for place in range(count)
    ]
    return records, ["yes" if each else "no" for each in leaves]


def old_world(rng: np.random.Generator, count: int, start: int) -> Drawn:
    return customers(rng, count, start, new=False)


def new_world(rng: np.random.Generator, count: int, start: int) -> Drawn:
    return customers(rng, count, start, new=True)


def poisoned(rng: np.random.Generator, count: int, start: int) -> Drawn:
    """Customers of the new world, sent by a caller that writes cents."""
    records, labels = new_world(rng, count, start)
    return [{**each, "charges": 1000 * each["charges"]} for each in records], labels


def upside_down(rng: np.random.Generator, count: int, start: int) -> Drawn:
    """Customers of the new world, with the answers of others."""
    records, labels = new_world(rng, count, start)
    return records, ["no" if each == "yes" else "yes" for each in labels]


def write_csv(place: Path, drawn: Drawn) -> Path:
    records, labels = drawn
    pl.DataFrame(records).with_columns(churn=pl.Series(labels)).write_csv(place)
    return place


@contextmanager
def sink() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook's address, and what it was told."""
    heard: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            heard.append({**json.loads(body), "key": self.headers["idempotency-key"]})
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/alerts", heard
        finally:
            server.shutdown()
            thread.join()


class Story:
    """The project while the loop works on it, and everything that is looked at."""

    def __init__(
        self,
        folder: Path,
        loop: Loop,
        url: str,
        driver: Driver,
        heard: list[dict[str, Any]],
        ledger: Ledger,
    ) -> None:
        self.folder, self.loop, self.url, self.driver = folder, loop, url, driver
        self.heard, self.ledger = heard, ledger
        self.outside = Outside(
            url, Habit(old_world, 1, 5), "customer", label_after=timedelta(hours=2), pause=0.1
        )

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        return self.loop.until(lambda: self.outside.check() and holds(), what)

    def ratchet(self, *words: object) -> Any:
        return self.driver.ratchet(
            *words, "--project", self.folder, "--json", RATCHET_CLOCK=os.environ[clock.VARIABLE]
        )

    def newest(self, kind: str) -> Event | None:
        found = self.ledger.events(kind=kind, limit=1)
        return found[0] if found else None

    def runs(self) -> list[dict[str, Any]]:
        """Every run, oldest first."""
        names = ("run_id", "trigger", "trigger_key", "status", "outcome", "reason")
        rows = ask(
            self.folder / ".ratchet" / "ledger.db",
            f"select {', '.join(names)} from ratchet_runs order by seq",
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def champions(self) -> list[tuple[Any, ...]]:
        """What was champion, oldest first: the version, how it became that, and by which run."""
        query = (
            "select version, action, run_id from ratchet_deployments "
            "where alias = 'champion' order by seq"
        )
        return list(ask(self.folder / ".ratchet" / "ledger.db", query))

    def rollout(self, version: int) -> Any:
        return next((one for one in self.ledger.rollouts() if one.version == version), None)

    def champion(self) -> int | None:
        found = self.ledger.champion()
        return None if found is None else found.version

    def serving(self) -> int | None:
        """The champion by the server's own word."""
        answer = httpx.get(f"{self.url}/readyz", timeout=30)
        return answer.json()["model_version"] if answer.is_success else None

    def alias(self, name: str) -> str | None:
        """A version's number in MLflow by its alias there."""
        found = {alias: version for _, alias, version in kept(self.folder).aliases}
        return None if name not in found else str(found[name])

    def told(self, occasion: str) -> list[dict[str, Any]]:
        return [one for one in list(self.heard) if one["occasion"] == occasion]

    def wait_for_champion(self, version: int) -> None:
        """Ledger, server and MLflow agree on who is champion, and nobody is challenger."""
        self.until(lambda: self.champion() == version, f"version {version} is champion")
        self.until(lambda: self.serving() == version, f"version {version} serves")
        self.until(
            lambda: (self.alias("champion"), self.alias("challenger")) == (str(version), None),
            f"MLflow shows version {version}",
        )


def test_the_whole_story(
    tracking: Path, tmp_path: Path, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "story"
    folder.mkdir()
    write_csv(folder / "data.csv", old_world(np.random.default_rng(7), 300, 900_000))
    wrong = upside_down(np.random.default_rng(8), 400, 800_000)
    wrong_file = write_csv(folder / "wrong.csv", wrong)
    give_tracking(folder, tracking)
    time = clock.describe(BEGIN, SPEED)
    monkeypatch.setenv(clock.VARIABLE, time)
    with sink() as (hook, heard):
        (folder / "ratchet.yaml").write_text(PROJECT.format(hook=hook))
        with load_project(folder, variables={}).open_ledger() as ledger:
            with looping(folder, "up", "--json", "--port", 0, RATCHET_CLOCK=time) as loop:
                story = Story(folder, loop, loop.ready()["url"], driver, heard, ledger)
                tell(story, wrong_file)
            nothing_was_lost(story)


def tell(story: Story, wrong: Path) -> None:
    story.wait_for_champion(1)
    with story.outside:
        the_world_changes(story)
        a_poisoned_batch_is_stopped(story)
        a_bad_model_is_taken_back(story, wrong)
        story.until(
            lambda: all(run["status"] != "running" for run in story.runs()),
            "nothing is under way",
        )
    assert story.loop.end() == 0


def the_world_changes(story: Story) -> None:
    outside = story.outside
    quiet = story.until(
        lambda: (
            (seen := story.newest("monitored"))
            and (seen.facts["drift"] or {}).get("drifted") is False
            and (seen.facts["performance"] or {}).get("cohorts", {}).get("accuracy")
            and seen
        ),
        "a quiet look at the champion",
    )
    assert quiet.facts["champion"] == 1
    assert [run["trigger"] for run in story.runs()] == ["first"]
    changed = len(outside.answers)
    outside.habit = Habit(new_world, 2, 38)

    story.until(
        lambda: (seen := story.newest("monitored")) and (seen.facts["drift"] or {}).get("drifted"),
        "drift is seen",
    )
    story.until(lambda: len(story.runs()) > 1, "a trigger fires by itself")
    assert story.runs()[1]["trigger"] == "performance+drift"
    rollout = story.until(lambda: story.rollout(2), "a canary begins")
    assert (rollout.strategy, rollout.previous) == ("canary", 1)
    story.until(lambda: story.rollout(2).stage >= 1, "it widens")
    story.wait_for_champion(2)
    rollout = story.rollout(2)
    assert rollout.status == "promoted"
    assert "no test speaks against it" in rollout.reason
    asked = [each.arm for each in outside.answers[changed:] if each.version == 2]
    assert {"challenger", "champion"} >= set(asked)
    assert "challenger" in asked
    now = len(outside.answers)
    story.until(lambda: len(outside.answers) > now + 100, "answers")
    assert outside.versions_since(now + 20) == {2}
    story.until(lambda: story.told("performance"), "an alert of falling quality")
    assert "charges" in story.told("performance")[0]["reason"]
    story.until(
        lambda: any(one["facts"].get("version") == 2 for one in story.told("promoted")),
        "an alert of the promotion",
    )


def a_poisoned_batch_is_stopped(story: Story) -> None:
    before, served, runs = kept(story.folder), story.champions(), len(story.runs())
    story.outside.habit = Habit(poisoned, 2, 38)
    stopped = story.until(
        lambda: next(
            (run for run in story.runs()[runs:] if "charges" in (run["reason"] or "")), None
        ),
        "a run is stopped at the checks",
    )
    story.outside.habit = Habit(new_world, 2, 38)
    assert stopped["outcome"] == "rejected"
    after = kept(story.folder)
    assert (after.mlflow, after.ledger) == (before.mlflow, before.ledger)
    assert (after.aliases, after.bundles) == (before.aliases, before.bundles)
    assert (story.champions(), after.champion, story.serving()) == (served, 2, 2)
    story.until(
        lambda: any(stopped["run_id"] == one["run_id"] for one in story.told("rejected")),
        "an alert of it",
    )


def a_bad_model_is_taken_back(story: Story, wrong: Path) -> None:
    version = plant(story, wrong)
    # Its gates were fooled by the labels it learned from; a person gives it to the canary.
    story.until(
        lambda: story.ratchet("rollout", "start", version, "--reason", "looks great").code == 0,
        "it is rolled out",
    )
    began = len(story.outside.answers)
    story.until(lambda: story.rollout(version).status == "rolled_back", "it is taken back")
    rollout = story.rollout(version)
    assert rollout.promoted is None
    assert any(
        finding["test"].startswith("quality") and finding["against"]
        for finding in rollout.evidence["findings"]
    ), rollout.evidence
    story.wait_for_champion(2)
    assert version in story.outside.versions_since(began)
    now = len(story.outside.answers)
    story.until(lambda: len(story.outside.answers) > now + 100, "answers")
    assert story.outside.versions_since(now + 20) == {2}
    story.until(lambda: story.told("rolled_back"), "an alert of it")
    delivered = story.ratchet("delivery").data
    assert (delivered["deployments"], delivered["prevented"]) == (2, 1)
    assert delivered["change_failure"]["part"] == 0


def plant(story: Story, wrong: Path) -> int:
    """A version that learned the opposite of what is true, registered and waiting; its number."""
    off = ("gates.minimum={}", "gates.above_chance=false", "rollout.strategy=manual")
    sets = [word for each in off for word in ("--set", each)]

    def train() -> Any:
        done = story.ratchet("run", "--data", wrong, "--trigger", "planted", *sets)
        # The loop may be training just now.
        assert done.code in (0, 5), done.out
        return done if done.code == 0 else None

    done = story.until(train, "somebody trains on wrong labels").data
    assert done["outcome"] == "candidate"
    story.ratchet("rollout", "abort", "--reason", "not by hand")
    version: int = done["model"]["version"]
    return version


def nothing_was_lost(story: Story) -> None:
    outside = story.outside
    assert outside.check()
    lake = pl.read_delta(str(story.folder / ".ratchet" / "lake" / "predictions"))
    answered = lake.filter(pl.col("of").is_null())
    ids = [each.prediction for each in outside.answers]
    assert len(set(ids)) == len(ids)
    assert lake["prediction_id"].is_unique().all()
    assert sorted(answered["prediction_id"]) == sorted(ids)
    feedback = pl.read_delta(str(story.folder / ".ratchet" / "lake" / "feedback"))
    assert feedback.height == outside.labels
    ledger = story.folder / ".ratchet" / "ledger.db"
    assert ask(ledger, "select * from ratchet_leases") == ()
    assert ask(ledger, "select run_id from ratchet_runs where status = 'running'") == ()
    keys = [run["trigger_key"] for run in story.runs() if run["trigger_key"] is not None]
    assert len(set(keys)) == len(keys)
    champions = story.champions()
    assert [(version, action) for version, action, _ in champions] == [
        (1, "promote"),
        (2, "promote"),
    ]
    assert len({run for *_, run in champions}) == 2
    assert story.ratchet("audit", "verify").data["intact"]
