"""An experiment (A/B) over the real server and the real loop, with a fast clock."""

from __future__ import annotations

import os
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest

from forked_ratchet import Driver
from outside_world import Drawn, Habit, Outside
from project_state import ask, give_tracking
from ratchet import clock
from ratchet_cli import Result
from running_loop import looping
from served_site import ROW, ServedSite, score_of

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
SPEED = 86_400.0
"""A day of the experiment is a second; it may last a year, as nobody knows how slow a machine is.

Nothing good is concluded before seven days have passed, so it takes seven seconds at least.
"""
PEOPLE = 1500

PROJECT = """\
project: churn
data:
  source: {type: csv, path: data.csv}
  target: Churn
  positive: "Yes"
  id: customer
triggers: {first: false, new_rows: null, max_age: null, performance: null, estimated: null}
monitoring: {every: 12h}
loop: {every: 200ms}
serving: {poll: 50ms, log: {compact: 1s}}
"""


def people(rng: np.random.Generator, count: int, start: int) -> Drawn:
    """People who come again and again; seven in ten leave, whatever is known of them."""
    who = rng.integers(0, PEOPLE, count)
    leaves = rng.uniform(size=count) < 0.7
    records = [{**ROW, "customer": f"P{number:04d}"} for number in who]
    return records, ["Yes" if each else "No" for each in leaves]


@pytest.fixture
def site(tracking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServedSite:
    """Version 1 serves and says that nobody leaves; version 2 does too, 3 and 4 say all do."""
    monkeypatch.setenv(clock.VARIABLE, clock.describe(BEGIN, SPEED))
    folder = give_tracking(tmp_path / "churn", tracking)
    (folder / "ratchet.yaml").write_text(PROJECT)
    (folder / "data.csv").write_text("customer,tenure,charges,contract,Churn\nP1,1,2,month,No\n")
    made = ServedSite(folder)
    for _ in range(4):
        number = made.add()
        made.ledger.finish_run(f"r{number}", "candidate", "made for the test")
    made.promote(1)
    return made


def test_from_its_plan_to_its_winner(site: ServedSite, driver: Driver) -> None:
    folder, time = site.root, os.environ[clock.VARIABLE]

    def ratchet(*words: object) -> Result:
        words = ("experiment", *words, "--project", folder, "--json")
        return driver.ratchet(*words, RATCHET_CLOCK=time)

    with looping(folder, "up", "--json", "--port", 0, RATCHET_CLOCK=time) as loop:
        url = loop.ready()["url"]
        outside = Outside(url, Habit(people, 0, 20), "customer", timedelta(hours=6), pause=0.03)
        unknown = ratchet("create", "calls", "--b", 4, "--dry-run").data
        assert (unknown["started"], unknown["power"]["value"]) == (False, None)
        begun = ratchet(
            *("create", "calls", "--b", "churn:4", "--metric", "accuracy", "--days", 365),
            *("--window", "6h", "--labels-after", "12h", "--reason", "it looks better"),
        ).data
        assert (begun["experiment"]["a"], begun["experiment"]["b"]) == (1, 4)
        again = ratchet("create", "more", "--b", 3)
        assert (again.code, again.error["code"]) == (5, "experiment_in_progress")
        waiting = probe(loop.until, url)
        early = ratchet("apply", "calls")
        assert (early.code, early.error["code"]) == (5, "not_proven")
        with outside:
            loop.until(lambda: outside.check() and loop.events("experiment"), "it has its verdict")
        assert loop.events("experiment")[0]["did"] == "decided"
        report = folder / "report.html"
        found = ratchet("show", "calls", "--out", report).data
        check_result(found, report)
        assert "calls" in (folder / ".ratchet" / "experiments" / "calls.html").read_text()
        assert ratchet("apply", "calls", "--dry-run").data["applied"] is False
        assert ratchet("apply", "calls", "--reason", "proven").data["applied"] is True
        loop.until(lambda: version_of(url, "P0001") == 4, "the winner serves")
        assert ratchet("list").data["experiments"][0]["status"] == "applied"
        assert loop.end() == 0
    stayed_where_they_were(outside, waiting, folder)
    promoted = ask(
        folder / ".ratchet" / "ledger.db",
        "select version from ratchet_deployments where alias = 'champion' order by seq",
    )
    assert promoted == ((1,), (4,))


def version_of(url: str, person: str) -> int:
    answer = httpx.post(
        f"{url}/v1/predict", json={"record": {**ROW, "customer": person}}, timeout=60
    )
    version: int = answer.json()["model_version"]
    return version


def probe(until: Any, url: str) -> dict[str, int]:
    """Ask for some people until the server has the split; who was asked, and who answered then."""
    others = [f"X{number}" for number in range(12)]

    def split() -> dict[str, int] | None:
        found = {person: version_of(url, person) for person in others}
        return found if 4 in found.values() else None

    found: dict[str, int] = until(split, "version 4 answers some")
    return found


def check_result(found: dict[str, Any], report: Path) -> None:
    experiment, now = found["experiment"], found["now"]
    assert (experiment["status"], experiment["verdict"]) == ("decided", "better")
    estimate = now["estimate"]
    # Versions that say the same of everybody are right as often as that is true.
    assert score_of(1) < 0.5 < score_of(4)
    assert estimate["a"]["value"] == pytest.approx(0.3, abs=0.08)
    assert estimate["b"]["value"] == pytest.approx(0.7, abs=0.08)
    assert 0 < estimate["low"] <= estimate["better"] <= estimate["high"]
    assert now["blocked"] is None
    assert now["ratio"]["a"] == pytest.approx(now["ratio"]["b"], rel=0.25)
    assert len(found["path"]) > 5
    page = report.read_text()
    assert "<svg" in page
    assert "calls" in page


def stayed_where_they_were(outside: Outside, probed: dict[str, int], folder: Path) -> None:
    """Everybody was answered by one version while it ran, and about half by each."""
    ended = max(each.at for each in outside.answers if each.arm != "champion")
    versions = defaultdict(set)
    for each in outside.answers:
        if each.at <= ended:
            versions[each.entity].add(each.version)
    moved = [person for person, seen in versions.items() if len(seen) > 1]
    assert moved == []
    shares = [next(iter(seen)) for seen in versions.values()]
    assert set(shares) == {1, 4}
    assert shares.count(4) / len(shares) == pytest.approx(0.5, abs=0.06)
    assert set(probed.values()) <= {1, 4}
    lake = pl.read_delta(str(folder / ".ratchet" / "lake" / "predictions"))
    assert lake["prediction_id"].is_unique().all()
    assert {each.prediction for each in outside.answers} <= set(lake["prediction_id"])
