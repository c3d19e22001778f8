from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from urllib.request import Request, urlopen

import polars as pl
import pytest

from ratchet.cli.demo_inbox import Inbox
from ratchet.cli.demo_world import World, make_scenario
from ratchet.config.yaml import read_yaml
from ratchet.data.scenarios import ID, TIME


@pytest.fixture
def world() -> World:
    return World(make_scenario(3, 500, "churned"))


def test_every_customer_comes_once_and_on_his_day(world: World) -> None:
    days = [date(2025, 4, 1) + timedelta(days=n) for n in range(30)]
    seen = [world.customers(day)[0] for day in days]
    assert all((frame[TIME] == day).all() for day, frame in zip(days, seen, strict=True))
    together = pl.concat(seen)
    assert together.height == together[ID].n_unique() == 500


def test_a_fate_shows_a_week_later_at_the_soonest_and_is_told_once(world: World) -> None:
    day = date(2025, 3, 10)
    customers, shows = world.customers(day)
    ids = [f"p{n}" for n in range(customers.height)]
    world.promise(ids, customers["churned"], shows)
    assert world.fates(day + timedelta(days=6)) == []
    told = [each for n in range(7, 13) for each in world.fates(day + timedelta(days=n))]
    assert sorted(told) == sorted(zip(ids, customers["churned"], strict=True))
    assert world.fates(day + timedelta(days=400)) == []


def test_the_world_changes_in_april_and_the_backup_knows_nothing_of_it(
    world: World, tmp_path: Path
) -> None:
    def new(frame: pl.DataFrame) -> float:
        return float((frame["contract"] == "Two year").mean() or 0.0)

    def month(number: int) -> pl.DataFrame:
        days = [date(2025, number, day) for day in range(1, 29)]
        return pl.concat([world.customers(day)[0] for day in days])

    march, april, july = new(month(3)), new(month(4)), new(month(7))
    assert march < 0.3 < 0.4 < april
    assert april == pytest.approx(july, abs=0.1)
    world.write_backup(tmp_path / "backup.csv")
    assert new(pl.read_csv(tmp_path / "backup.csv", infer_schema=False)) < 0.3
    world.write_broken(tmp_path / "broken.csv")
    broken = pl.read_csv(tmp_path / "broken.csv", infer_schema=False)
    assert (broken["tenure"].cast(pl.Int64) < 0).mean() > 0.5  # type: ignore[operator]


def test_the_inbox_keeps_what_comes(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "alerts.jsonl")
    try:
        (tmp_path / "s.yaml").write_text(inbox.setting.replace("=", ": ", 1))
        values, _ = read_yaml(tmp_path / "s.yaml", "s.yaml")
        url = values["alerts"][0]["url"]
        body = json.dumps({"title": "Überraschung"}).encode()
        with urlopen(Request(url, data=body, method="POST"), timeout=10) as answer:
            assert answer.status == 204
    finally:
        inbox.close()
    assert inbox.received == [{"title": "Überraschung"}]
    kept = (tmp_path / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in kept] == inbox.received
