"""What the world does to a look at a project: locks, outages, a full disk, a clock that is set.

After each of them there is one champion and it answers, nothing that was decided, answered or to
be told is lost, and the next look goes on.
"""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from faulted_project import Faulted, at
from forked_ratchet import Driver
from postgres_server import PostgresServer, start_postgres
from ratchet import clock
from ratchet.data.predictions.log import LogPolicy, PredictionLog
from ratchet.data.predictions.records import Served, encode
from ratchet.errors import RatchetError, StorageError, UnreachableError
from ratchet.ledger import store
from ratchet.ledger.rollouts import CHANGED
from ratchet.rollout import evidence
from rollout_world import START, Behaviour
from small_disk import filled, small_disk


@pytest.fixture(autouse=True)
def _time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The world's own time, for everything; put away after the test."""
    monkeypatch.setenv(clock.VARIABLE, at(START))


@pytest.fixture
def faulted(tmp_path: Path) -> Iterator[Faulted]:
    made = Faulted(tmp_path / "churn")
    yield made
    made.close()


def ripe(faulted: Faulted, **rules: Any) -> Faulted:
    """A canary whose next look promotes it; looked at before, and the aliases are in line."""
    faulted.world.start(**{"steps": (10, 100), **rules})
    assert faulted.tick().faults == {}
    faulted.world.serve(40, 1200)
    return faulted


def bad(faulted: Faulted, **rules: Any) -> Faulted:
    """A canary whose next look takes it back."""
    faulted.world.behaviours[2] = Behaviour(errors=0.5)
    return ripe(faulted, **rules)


def promoted_once(faulted: Faulted) -> None:
    """Version 2 serves, was promoted once, and nobody is at work on it any more but the watch."""
    assert faulted.answering() == {2}
    rows = faulted.ledger.deployments("champion")
    assert [(row.version, row.action) for row in rows] == [(1, "promote"), (2, "promote")]
    assert faulted.ledger.current("challenger") is None
    assert faulted.mlflow.shown == {"champion": "2"}
    assert faulted.told("promoted") == 1
    assert faulted.ledger.verify_chain().intact


def untouched(faulted: Faulted, changes: int = 1) -> None:
    """The canary answers its part, as before."""
    assert faulted.answering() == {1, 2}
    assert len(faulted.ledger.events(kind=CHANGED)) == changes


# -- the ledger ----------------------------------------------------------------------------


@pytest.mark.parametrize("whom", ["writers", "everybody"])
def test_a_locked_ledger_is_a_fault_and_the_next_look_does_the_work(
    whom: str, faulted: Faulted, monkeypatch: pytest.MonkeyPatch
) -> None:
    ripe(faulted)
    monkeypatch.setitem(store.open_ledger.__kwdefaults__, "busy_seconds", 0.05)
    faulted.ledger.close()
    locked = sqlite3.connect(faulted.state / "ledger.db", isolation_level=None)
    if whom == "everybody":
        locked.execute("PRAGMA locking_mode = EXCLUSIVE")
    locked.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match="keeps it locked") as caught:
        faulted.tick()
    assert "stop it" in caught.value.fix
    if whom == "writers":
        untouched(faulted)
    locked.execute("ROLLBACK")
    locked.close()
    untouched(faulted)
    assert faulted.tick().did["rollout"].facts["did"] == "promoted"
    promoted_once(faulted)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    started = start_postgres(tmp_path_factory.mktemp("postgres"))
    yield started
    started.stop()


@pytest.mark.parametrize("when", ["between", "within"])
def test_a_database_server_that_is_restarted(
    when: str, postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f'create database "{when}"')
    faulted = Faulted(tmp_path / "churn", ledger=f"{postgres.base}/{when}")
    try:
        ripe(faulted)
        gather = evidence.gather

        def halt(*given: Any, **named: Any) -> Any:
            found = gather(*given, **named)
            postgres.halt()
            return found

        if when == "within":
            monkeypatch.setattr(evidence, "gather", halt)
        else:
            postgres.halt()
        with pytest.raises(UnreachableError, match="does not answer") as caught:
            faulted.tick()
        assert "s3cret" not in str(caught.value.to_json())
        monkeypatch.setattr(evidence, "gather", gather)
        postgres.start()
        untouched(faulted)
        assert faulted.tick().did["rollout"].facts["did"] == "promoted"
        promoted_once(faulted)
    finally:
        with suppress(RuntimeError):
            postgres.start()
        faulted.close()


# -- MLflow --------------------------------------------------------------------------------


def test_with_mlflow_away_what_serves_is_decided_and_the_aliases_follow(faulted: Faulted) -> None:
    ripe(faulted)
    assert faulted.mlflow.shown == {"champion": "1", "challenger": "2"}
    faulted.mlflow.go()
    report = faulted.tick()
    assert report.did["rollout"].facts["did"] == "promoted"
    assert faulted.answering() == {2}
    assert faulted.mlflow.shown == {"champion": "1", "challenger": "2"}, "they are behind"
    for minutes in (1, 2, 3):
        faulted.world.at += timedelta(minutes=minutes)
        report = faulted.tick()
        assert report.faults["aliases"]["code"] == "unreachable"
        assert set(report.faults) == {"aliases"}, "nothing else waits for it"
    assert faulted.told("unhealthy") == 1
    faulted.mlflow.come()
    faulted.world.at += timedelta(minutes=5)
    assert faulted.tick().faults == {}
    faulted.world.at += timedelta(hours=2)
    faulted.tick()
    promoted_once(faulted)
    assert faulted.told("recovered") == 1


# -- whoever is told -----------------------------------------------------------------------


def test_an_alert_waits_until_somebody_takes_it(faulted: Faulted) -> None:
    bad(faulted)
    faulted.hook.go()
    assert faulted.tick().did["rollout"].facts["did"] == "rolled_back"
    tried = []
    for _ in range(8):
        faulted.world.at += timedelta(seconds=20)
        faulted.tick()
        waiting = faulted.ledger.outbox("waiting")
        tried += [one.attempts for one in waiting if one.occasion == "rolled_back"]
    assert tried == [1, 2, 2, 2, 2, 2, 2, 3], "ever more seldom"
    faulted.hook.come()
    faulted.world.at += timedelta(minutes=9)
    assert faulted.tick().did["alerts"].facts["delivered"] == 1
    faulted.world.at += timedelta(hours=9)
    faulted.tick()
    assert faulted.told("rolled_back") == 1
    assert faulted.answering() == {1}


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    preload = ("polars", "deltalake", "mlflow.tracking", "faulted_project", "ratchet.loop.parts")
    started = Driver(tmp_path_factory.mktemp("processes"), preload)
    yield started
    started.close()


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_around_the_note_that_an_alert_was_sent(
    when: str, faulted: Faulted, processes: Driver
) -> None:
    """It may come twice, under the same key; it does not come never."""
    bad(faulted)
    kill = {"call": "ratchet.ledger.store:Ledger.mark_delivered", "when": when, "nth": 1}
    (died,) = processes.call(
        "faulted_project:look_alone", faulted.root, kill=kill, RATCHET_CLOCK=at(faulted.world.at)
    )
    assert died.code == -signal.SIGKILL, died.err
    assert faulted.told("rolled_back") == 1
    for seconds in (30, 40, 3600):
        faulted.world.at += timedelta(seconds=seconds)
        faulted.tick()
    keys = {key for key, body in faulted.hook.got if body["occasion"] == "rolled_back"}
    assert len(keys) == 1
    assert faulted.told("rolled_back") == (2 if when == "before" else 1)
    assert faulted.ledger.outbox("waiting") == ()
    assert faulted.answering() == {1}


# -- a full disk ---------------------------------------------------------------------------


def log_some(faulted: Faulted, number: int) -> None:
    """Predictions of before the rollout, that a server left behind in its log."""
    moment = int((faulted.world.at - timedelta(days=2)).timestamp() * 1e6)
    with PredictionLog.open(faulted.project.site().log_folder, LogPolicy()) as log:
        for row in range(number):
            features = {"tenure": row, "charges": 1.5, "contract": "month"}
            log.append(
                encode(Served(f"s{row:05d}", moment, 1, "champion", features, [0.3, 0.7], "Yes"))
            )


def in_lake(faulted: Faulted) -> list[str]:
    import polars as pl

    kept = pl.read_delta(str(faulted.state / "lake" / "predictions"))["prediction_id"].to_list()
    return sorted(one for one in kept if one.startswith("s"))


def unfinished(faulted: Faulted) -> list[str]:
    """Files that were begun and are not whole."""
    return [
        str(path.relative_to(faulted.state))
        for path in faulted.state.rglob(".*")
        if path.is_file() and path.name != ".gitignore"
    ]


@pytest.mark.parametrize(
    "left",
    [
        pytest.param(left, marks=() if left in (0, 80_000) else pytest.mark.exhaustive)
        for left in (0, 12_000, 24_000, 50_000, 80_000, 250_000)
    ],
)
def test_a_full_disk_loses_nothing_and_stops_nobody_for_good(left: int, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "24m") as disk:
        faulted = Faulted(disk / "churn")
        try:
            ripe(faulted)
            log_some(faulted, 3000)
            with filled(disk, left):
                for _ in range(2):
                    faulted.world.at += timedelta(minutes=1)
                    try:
                        faults = faulted.tick().faults
                    except RatchetError as error:
                        faults = {"tick": error.to_json()}
                    assert all(one["code"] != "bug" for one in faults.values()), faults
                    assert all("This is a bug" not in one["what"] for one in faults.values())
                    assert faults or left
                    assert faulted.answering() <= {1, 2}
            for _ in range(3):
                faulted.world.at += timedelta(hours=1)
                assert faulted.tick().faults == {}
            promoted_once(faulted)
            assert in_lake(faulted) == [f"s{row:05d}" for row in range(3000)]
            assert unfinished(faulted) == []
        finally:
            faulted.close()


# -- the clock -----------------------------------------------------------------------------


@pytest.mark.parametrize("back", [timedelta(hours=3), timedelta(days=4), timedelta(days=4000)])
def test_a_bad_canary_goes_back_although_the_clock_was_put_back(
    back: timedelta, faulted: Faulted
) -> None:
    faulted.world.behaviours[2] = Behaviour(errors=0.5)
    faulted.world.start(steps=(10, 100))
    faulted.tick()
    faulted.world.at -= back
    assert faulted.tick().did["rollout"].facts["did"] == "began_anew"
    faulted.world.serve(20, 600)
    report = faulted.tick()
    assert report.did["rollout"].facts["did"] == "rolled_back"
    assert report.did["alerts"].facts["delivered"] == 1, "people hear of it at once"
    assert faulted.answering() == {1}
    assert faulted.ledger.verify_chain().intact


def test_a_good_canary_is_promoted_once_whatever_the_clock_does(faulted: Faulted) -> None:
    faulted.world.start(steps=(10, 100))
    did = []
    for move in (0.0, -3.0, 0.0, 5.0, -9.0, 0.0, 0.0, 30.0, 0.0):
        faulted.world.at += timedelta(days=move)
        report = faulted.tick()
        assert report.faults == {}
        step = report.did.get("rollout")
        did.append(None if step is None else step.facts["did"])
        faulted.world.serve(31, 600)
    assert did[1] == "began_anew"
    assert did.count("promoted") == 1
    assert faulted.told("promoted") == 1
    promotions = [row.version for row in faulted.ledger.deployments("champion")]
    assert promotions == [1, 2]
    rollout = faulted.ledger.rollouts()[0]
    assert not rollout.alive
    assert rollout.promoted is not None
    assert rollout.promoted >= rollout.stage_started
    assert faulted.ledger.traffic().plain  # type: ignore[union-attr]
    assert faulted.ledger.verify_chain().intact


def test_the_watch_of_a_promoted_version_ends_although_the_clock_was_put_back(
    faulted: Faulted,
) -> None:
    ripe(faulted, watch_for="2d")
    assert faulted.tick().did["rollout"].facts["did"] == "promoted"
    faulted.world.at -= timedelta(days=400)
    assert faulted.tick().did["rollout"].facts["did"] == "began_anew"
    faulted.world.serve(49 * 60, 50)
    assert faulted.tick().did["rollout"].facts["did"] == "clean"
    promoted_once(faulted)


SCHEDULE = "triggers: {first: false, new_rows: null, max_age: null, schedule: '@daily'}"


def fires(faulted: Faulted) -> str | None:
    """The key of the run that is wanted now; it is made at once, and comes to nothing new."""
    faulted.mlflow.shown["champion"] = "1"
    decision = faulted.tick().decision
    assert decision is not None
    if decision["verdict"] != "fire":
        return None
    key: str = decision["key"]
    run_id = f"run-{len(faulted.ledger.runs())}"
    faulted.ledger.start_run(run_id, trigger="schedule", trigger_key=key)
    faulted.ledger.finish_run(run_id, "skipped", "nothing changed")
    return key


def test_schedules_that_were_slept_over_make_one_run_and_a_clock_put_back_none(
    tmp_path: Path,
) -> None:
    faulted = Faulted(tmp_path / "churn", triggers=SCHEDULE)
    try:
        assert fires(faulted) is None
        faulted.world.at += timedelta(days=10)
        keys = [fires(faulted) for _ in range(3)]
        assert keys[0] is not None
        assert keys[1:] == [None, None], "one run, and not one for each day"
        faulted.world.at -= timedelta(days=5)
        assert [fires(faulted) for _ in range(3)] == [None] * 3, "it was done before"
        later = []
        for _ in range(3):
            faulted.world.at += timedelta(days=1)
            later.append(fires(faulted))
        assert None not in later[-2:], "nobody waits for the clock to catch up"
        assert len({*keys, *later} - {None}) == len([one for one in keys + later if one])
    finally:
        faulted.close()


def run_once(work: Callable[[], object]) -> str:
    """What a call says of itself: nothing, or its fault."""
    try:
        work()
    except RatchetError as error:
        return error.name
    return ""


def test_a_lease_of_a_dead_process_is_taken_over_whatever_the_clock_says(
    faulted: Faulted, processes: Driver
) -> None:
    world = faulted.world
    world.at += timedelta(days=30)
    (died,) = processes.call("faulted_project:hold_lease", faulted.root, RATCHET_CLOCK=at(world.at))
    assert died.code == -signal.SIGKILL, died.err
    world.at -= timedelta(days=30)

    def take() -> None:
        with world.ledger.lease("the next one"):
            pass

    assert run_once(take) == ""
    assert world.ledger.verify_chain().intact
