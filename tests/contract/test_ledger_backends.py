"""The ledger keeps the same promises on SQLite and on PostgreSQL."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ratchet.errors import ConflictError, StorageError, UnreachableError, UsageError
from ratchet.ledger.holdouts import SKETCH, HoldoutRows, HoldoutUse, Judgement
from ratchet.ledger.lease import Lease
from ratchet.ledger.migrations import newest
from ratchet.ledger.results import CandidateRecord, GateRecord, Measure
from ratchet.ledger.runs import RunInputs
from ratchet.ledger.steps import Step
from ratchet.ledger.store import Ledger, open_ledger

START = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
_numbers = itertools.count(1)

Open = Callable[..., Ledger]


@dataclass
class Clock:
    """A clock that a test moves."""

    at: datetime = START

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **by: float) -> datetime:
        self.at += timedelta(**by)
        return self.at


@dataclass(frozen=True)
class Notice:
    key: str
    channel: str = "slack"
    occasion: str = "failed"
    run_id: str | None = None
    body: dict[str, Any] = field(default_factory=dict)
    topic: str = ""
    quiet: timedelta = timedelta(0)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'state' / 'ledger.db'}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_it(url: str, clock: Clock) -> Iterator[Open]:
    """Opens ledgers on one database, by default of one project that no other test uses."""
    project = f"churn-{next(_numbers)}"
    opened: list[Ledger] = []

    def opener(name: str = project) -> Ledger:
        opened.append(open_ledger(url, project=name, now=clock))
        return opened[-1]

    yield opener
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_it: Open) -> Ledger:
    return open_it()


def add_passed(ledger: Ledger, run_id: str) -> int:
    """A version whose gates passed."""
    ledger.start_run(run_id, trigger="manual")
    ledger.record_gates(run_id, [GateRecord("minimum.roc_auc", True, 0.84, 0.75)])
    return ledger.add_version(run_id, f"digest of {run_id}", f"bundles/{run_id}").version


def run_script(script: str, url: str, project: str, **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, url, project],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


# Runs


def test_a_run_ends_once_with_its_reason(ledger: Ledger, clock: Clock) -> None:
    started = ledger.start_run("r1", trigger="manual", inputs=RunInputs(config_digest="c"))
    assert (started.status, started.outcome) == ("running", None)
    ledger.describe_run("r1", RunInputs(inputs_key="k", snapshot_version=0, snapshot_digest="d"))
    clock.forward(seconds=90)
    ended = ledger.finish_run("r1", "rejected", "worse than the champion", summary={"best": "lgb"})
    assert ended == ledger.get_run("r1")
    assert (ended.status, ended.outcome, ended.reason) == (
        "finished",
        "rejected",
        "worse than the champion",
    )
    assert (ended.seconds, ended.finished) == (90.0, clock.at)
    assert (ended.inputs_key, ended.config_digest) == ("k", "c")
    assert (ended.snapshot_version, ended.snapshot_digest) == (0, "d")
    assert ended.summary == {"best": "lgb"}
    with pytest.raises(ConflictError, match="finished: rejected"):
        ledger.finish_run("r1", "promoted", "again")
    assert ledger.get_run("r1").outcome == "rejected"
    for change in (
        lambda: ledger.resume_run("r1"),
        lambda: ledger.record_step(Step("r1", "train", "running")),
        lambda: ledger.record_gates("r1", []),
    ):
        with pytest.raises(ConflictError):
            change()


def test_a_run_is_started_once_and_continued_after_a_crash(ledger: Ledger) -> None:
    assert ledger.unfinished_run() is None
    ledger.start_run("r1", trigger="schedule", trigger_key="2026-11-21T02:00")
    with pytest.raises(ConflictError, match="started before"):
        ledger.start_run("r1", trigger="manual")
    with pytest.raises(ConflictError, match="has its run already"):
        ledger.start_run("r2", trigger="schedule", trigger_key="2026-11-21T02:00")
    waiting = ledger.unfinished_run()
    assert waiting is not None
    assert waiting.run_id == "r1"
    assert ledger.resume_run("r1").attempts == 2
    ledger.finish_run("r1", "failed", "disk full")
    assert ledger.unfinished_run() is None
    with pytest.raises(UsageError, match="no run r9"):
        ledger.resume_run("r9")


def test_last_completed_is_the_newest_decision_on_the_same_inputs(ledger: Ledger) -> None:
    for number, outcome in enumerate(["promoted", "rejected", "failed", "skipped"]):
        run_id = f"r{number}"
        ledger.start_run(run_id, trigger="manual", inputs=RunInputs(inputs_key="same"))
        ledger.finish_run(run_id, outcome, "because")  # type: ignore[arg-type]
    found = ledger.last_completed("same")
    assert found is not None
    assert found.run_id == "r1"
    assert ledger.last_completed("other") is None
    assert [run.run_id for run in ledger.runs(limit=3)] == ["r3", "r2", "r1"]


def test_a_finished_step_is_found_by_its_key(ledger: Ledger, clock: Clock) -> None:
    ledger.start_run("r1", trigger="manual")
    ledger.record_step(Step("r1", "train", "running", key="k"))
    assert ledger.find_step("k") is None
    fault = {"code": "storage", "what": "disk full"}
    ledger.record_step(Step("r1", "train", "failed", key="k", error=fault))
    assert ledger.find_step("k") is None
    assert ledger.steps("r1")[0].error == fault
    clock.forward(seconds=1)
    ledger.record_step(Step("r1", "validate", "finished", key="v"))
    done = ledger.record_step(
        Step(
            "r1",
            "train",
            "finished",
            key="k",
            output_digest="d",
            folder="runs/r1/train",
            seconds=1.5,
            attempts=2,
            started=START,
        )
    )
    assert ledger.find_step("k") == done
    assert [step.name for step in ledger.steps("r1")] == ["validate", "train"]
    ledger.start_run("r2", trigger="manual")
    ledger.record_step(Step("r2", "train", "finished", key="k", folder="runs/r2/train"))
    newest = ledger.find_step("k")
    assert newest is not None
    assert newest.folder == "runs/r2/train"


# What a run found


def test_history_is_queryable_by_sql(ledger: Ledger) -> None:
    ledger.start_run("r1", trigger="manual")
    found = (
        CandidateRecord(
            "lightgbm",
            "lightgbm",
            best=True,
            params={"num_leaves": 31},
            seconds=2.0,
            measures=(
                Measure("roc_auc", "cv", 0.845, std=0.01),
                Measure("roc_auc", "test", 0.84, low=0.81, high=0.87),
            ),
        ),
        CandidateRecord("svm", "svm", error="did not converge"),
    )
    ledger.record_candidates("r1", found)
    ledger.record_candidates("r1", found)  # a step that runs again replaces what it wrote
    assert ledger.candidates("r1") == found
    query = text(
        "select r.run_id, r.trigger, r.started, m.candidate, m.value, m.low, m.high"
        " from ratchet_runs r join ratchet_metrics m"
        " on m.project = r.project and m.run_id = r.run_id"
        " where r.project = :project and m.metric = 'roc_auc' and m.split = 'test'"
    )
    with ledger.database.read() as connection:
        rows = connection.execute(query, {"project": ledger.project}).all()
    assert [tuple(row) for row in rows] == [
        ("r1", "manual", "2026-11-21T02:00:00.000000Z", "lightgbm", 0.84, 0.81, 0.87)
    ]


def test_gates_are_kept_with_their_thresholds(ledger: Ledger) -> None:
    ledger.start_run("r1", trigger="manual")
    assert not ledger.gates_passed("r1"), "gates that never ran did not pass"
    ledger.record_gates("r1", [])
    assert not ledger.gates_passed("r1")
    good = GateRecord("minimum.f1", True, 0.6, 0.5, "above", "ratchet.yaml:9")
    bad = GateRecord("latency_p95", False, float("nan"), 5.0, "not measured")
    ledger.record_gates("r1", [good, bad])
    first, second = ledger.gates("r1")
    assert first == good
    assert second.value is None, "NaN is kept as null"
    assert not ledger.gates_passed("r1")
    ledger.record_gates("r1", [good])
    assert ledger.gates_passed("r1")


# Versions and deployments


def test_a_bundle_becomes_one_version_per_run(ledger: Ledger) -> None:
    ledger.start_run("r1", trigger="manual")
    first = ledger.add_version("r1", "d1", "bundles/1", threshold=0.4, schema_digest="s")
    assert first == ledger.add_version("r1", "d1", "bundles/1", threshold=0.4)
    assert ledger.add_version("r1", "d2", "bundles/2").version == 2
    assert [version.version for version in ledger.versions()] == [2, 1]
    assert ledger.link_version(1, "7").mlflow_version == "7"
    assert ledger.version(1).mlflow_version == "7"
    with pytest.raises(UsageError, match="no version 3"):
        ledger.version(3)


def test_the_last_deployment_is_the_champion(ledger: Ledger, clock: Clock) -> None:
    one, two = add_passed(ledger, "r1"), add_passed(ledger, "r2")
    assert ledger.champion() is None
    assert ledger.who_served(clock.at) is None
    first_at = clock.forward(hours=1)
    ledger.deploy(one, expected_previous=None, by="run", reason="first", run_id="r1")
    second_at = clock.forward(hours=1)
    ledger.deploy(two, expected_previous=one, by="run", reason="better", run_id="r2")
    champion = ledger.champion()
    assert champion is not None
    assert (champion.version, champion.status) == (two, "champion")
    assert ledger.version(one).status == "retired"
    moments = {
        first_at - timedelta(microseconds=1): None,
        first_at: one,
        second_at - timedelta(microseconds=1): one,
        second_at: two,
        second_at + timedelta(days=9): two,
    }
    for at, expected in moments.items():
        served = ledger.who_served(at)
        assert (served and served.version) == expected
    row = ledger.who_served(second_at)
    assert row is not None
    assert (row.previous_version, row.traffic, row.reason) == (one, {"2": 100.0}, "better")


def test_a_plan_made_before_a_change_is_refused(ledger: Ledger) -> None:
    one, two = add_passed(ledger, "r1"), add_passed(ledger, "r2")
    ledger.deploy(one, expected_previous=None, by="anna", reason="first")
    with pytest.raises(ConflictError, match="is version 1, not none"):
        ledger.deploy(two, expected_previous=None, by="ben", reason="mine")
    champion = ledger.champion()
    assert champion is not None
    assert champion.version == one
    assert len(ledger.deployments()) == 1


def test_a_run_promotes_at_most_once(ledger: Ledger) -> None:
    one, two = add_passed(ledger, "r1"), add_passed(ledger, "r2")
    first = ledger.deploy(one, expected_previous=None, by="run", reason="first", run_id="r1")
    ledger.deploy(two, expected_previous=one, by="run", reason="second", run_id="r2")
    # After a crash the run tries again, with what it had planned: nothing happens twice.
    again = ledger.deploy(one, expected_previous=None, by="run", reason="first", run_id="r1")
    assert again == first
    other = ledger.add_version("r1", "another bundle", "bundles/x").version
    with pytest.raises(ConflictError, match="promoted version 1 before"):
        ledger.deploy(other, expected_previous=two, by="run", reason="more", run_id="r1")
    assert [row.version for row in ledger.deployments("champion")] == [one, two]


def test_no_champion_without_a_passed_gate(ledger: Ledger) -> None:
    ledger.start_run("r1", trigger="manual")
    ledger.record_gates("r1", [GateRecord("minimum.f1", False, 0.4, 0.5)])
    number = ledger.add_version("r1", "d", "bundles/1").version
    with pytest.raises(ConflictError, match="gates did not pass"):
        ledger.deploy(number, expected_previous=None, by="anna", reason="please")
    with pytest.raises(ConflictError, match="never was champion"):
        ledger.deploy(number, expected_previous=None, by="anna", reason="please", action="rollback")
    assert ledger.champion() is None
    ledger.deploy(number, "challenger", expected_previous=None, by="run", reason="to be watched")
    forced = ledger.deploy(
        number, expected_previous=None, by="anna", reason="I am sure", forced=True
    )
    assert forced.forced
    assert ledger.events(kind="deployed")[-1].facts["forced"] is True


def test_rollback_goes_back_step_by_step(ledger: Ledger) -> None:
    previous: int | None = None
    for number in (1, 2, 3):
        version = add_passed(ledger, f"r{number}")
        ledger.deploy(version, expected_previous=previous, by="run", reason="better")
        previous = version
    for current, target in ((3, 2), (2, 1)):
        assert ledger.previous_champion() == target
        ledger.deploy(
            target, expected_previous=current, by="anna", reason="worse", action="rollback"
        )
    assert ledger.previous_champion() is None
    assert [row.version for row in ledger.deployments("champion")] == [1, 2, 3, 2, 1]


def test_an_alias_can_be_removed(ledger: Ledger) -> None:
    one = add_passed(ledger, "r1")
    with pytest.raises(UsageError, match="no staging to remove"):
        ledger.deploy(
            None, "staging", expected_previous=None, by="anna", reason="x", action="remove"
        )
    ledger.deploy(one, "staging", expected_previous=None, by="anna", reason="try")
    ledger.deploy(one, expected_previous=None, by="anna", reason="go")
    ledger.deploy(None, "staging", expected_previous=one, by="anna", reason="done", action="remove")
    assert ledger.current("staging") is None
    ledger.deploy(None, expected_previous=one, by="anna", reason="off", action="remove")
    assert ledger.champion() is None
    assert ledger.version(one).status == "retired"
    assert ledger.who_served(START + timedelta(days=1)) is None
    assert ledger.verify_chain().intact


def test_of_two_promotions_at_once_one_is_refused(open_it: Open) -> None:
    ledgers = (open_it(), open_it())
    versions = [add_passed(ledgers[0], f"r{number}") for number in (1, 2)]
    gate = threading.Barrier(2)
    results: list[str] = []

    def promote(which: int) -> None:
        gate.wait()
        try:
            ledgers[which].deploy(
                versions[which], expected_previous=None, by=f"t{which}", reason="now"
            )
            results.append("done")
        except ConflictError:
            results.append("refused")

    threads = [threading.Thread(target=promote, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["done", "refused"]
    assert len(ledgers[0].deployments("champion")) == 1


# Events


def test_the_chain_has_no_gap_and_its_times_never_go_back(ledger: Ledger, clock: Clock) -> None:
    assert ledger.verify_chain().intact
    ledger.record("trigger_skipped", {"rows": 12})
    clock.forward(hours=-3)  # another machine's clock is behind
    ledger.record("trigger_fired", {"rows": 10_012}, run_id="r1")
    first, second = ledger.events()
    assert (first.seq, second.seq) == (1, 2)
    assert second.at == first.at == START
    assert second.previous == first.hash
    assert ledger.events(run_id="r1") == (second,)
    assert ledger.events(kind="trigger_skipped") == (first,)
    assert ledger.events(after=1) == (second,)
    assert ledger.events(limit=1) == (second,)
    report = ledger.verify_chain()
    assert (report.events, report.head, report.breaks) == (2, second.hash, ())


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ("update ratchet_events set facts = '[]' where project = :p and seq = 2", 2),
        ("update ratchet_events set kind = 'other' where project = :p and seq = 2", 2),
        ("update ratchet_events set at = '2020-01-01' where project = :p and seq = 3", 3),
        ("update ratchet_events set run_id = 'r9' where project = :p and seq = 1", 1),
        ("delete from ratchet_events where project = :p and seq = 2", 3),
        ("delete from ratchet_events where project = :p and seq = 4", 4),
        ("delete from ratchet_events where project = :p and seq = 1", 2),
        ("update ratchet_events set seq = 5 where project = :p and seq = 4", 4),
        ("delete from ratchet_chains where project = :p", 4),
    ],
)
def test_tampering_is_found(ledger: Ledger, change: str, where: int) -> None:
    for number in range(4):
        ledger.record("counted", {"n": number})
    assert ledger.verify_chain().intact
    with ledger.database.write() as connection:
        changed = connection.execute(text(change), {"p": ledger.project})
        assert changed.rowcount == 1
    report = ledger.verify_chain()
    assert not report.intact
    assert report.breaks[0].seq == where


def test_a_rewritten_deployment_is_found(ledger: Ledger) -> None:
    one, two = add_passed(ledger, "r1"), add_passed(ledger, "r2")
    row = ledger.deploy(one, expected_previous=None, by="run", reason="first")
    change = text("update ratchet_deployments set version = :v where project = :p")
    with ledger.database.write() as connection:
        connection.execute(change, {"v": two, "p": ledger.project})
    breaks = ledger.verify_chain().breaks
    assert [item.seq for item in breaks] == [row.seq]
    assert "deployments" in breaks[0].why


def test_any_text_survives(ledger: Ledger) -> None:
    odd = "naïve 客户 🙂 \x00 \ud800 '); drop table ratchet_runs; --"
    ledger.start_run("r1", trigger=odd)
    ledger.record("odd", {odd: [odd, float("nan"), float("inf"), (1, 2), START, None, True]})
    ledger.finish_run("r1", "failed", odd)
    kept = odd.replace("\x00", "\ufffd").replace("\ud800", "?")
    assert ledger.get_run("r1").reason == kept
    facts = ledger.events(kind="odd")[0].facts
    assert facts == {kept: [kept, None, None, [1, 2], "2026-11-21T02:00:00.000000Z", None, True]}
    assert ledger.verify_chain().intact


def test_projects_share_a_database_and_nothing_else(open_it: Open) -> None:
    churn = open_it()
    fraud = open_it(f"{churn.project}-fraud")
    add_passed(churn, "r1")
    churn.deploy(1, expected_previous=None, by="run", reason="first", run_id="r1")
    assert (fraud.runs(), fraud.versions(), fraud.events(), fraud.champion()) == ((), (), (), None)
    assert add_passed(fraud, "r1") == 1
    with churn.lease(), fraud.lease():
        assert churn.verify_chain().intact
        assert fraud.verify_chain().intact


def test_a_write_that_fails_in_the_middle_leaves_nothing(ledger: Ledger) -> None:
    ledger.start_run("r1", trigger="manual")
    before = ledger.events()
    twice = [CandidateRecord("svm", "svm"), CandidateRecord("svm", "svm")]
    with pytest.raises(ConflictError):
        ledger.record_candidates("r1", twice)
    assert ledger.candidates("r1") == ()
    assert ledger.events() == before


APPEND = """
import sys
from ratchet.ledger.store import open_ledger
url, project = sys.argv[1:]
with open_ledger(url, project=project) as ledger:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(60):
        ledger.record("counted", {"n": number})
"""


def test_two_processes_append_to_one_chain(url: str, ledger: Ledger) -> None:
    workers = [run_script(APPEND, url, ledger.project, stdin=subprocess.PIPE) for _ in range(2)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        _, errors = worker.communicate("go\n", timeout=60)
        assert worker.returncode == 0, errors
    report = ledger.verify_chain()
    assert report.intact, report.lines()
    assert report.events == 120


OPEN = """
import sys
from ratchet.ledger.store import open_ledger
url, project = sys.argv[1:]
with open_ledger(url, project=project) as ledger:
    ledger.record("opened", {})
"""


def test_several_processes_make_a_new_ledger_at_once(url: str, tmp_path: Path) -> None:
    if url.startswith("postgresql"):
        name = f"fresh{next(_numbers)}"
        make_database(url, name)
        url = f"{url.rpartition('/')[0]}/{name}"
    workers = [run_script(OPEN, url, "new") for _ in range(3)]
    for worker in workers:
        _, errors = worker.communicate(timeout=60)
        assert worker.returncode == 0, errors
    with open_ledger(url, project="new") as ledger:
        assert ledger.verify_chain().events == 3
        with ledger.database.read() as connection:
            made = connection.execute(text("select version from ratchet_schema")).scalars().all()
    assert sorted(made) == list(range(1, newest() + 1))


def make_database(url: str, name: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create database {name}")


# The lease


def test_a_live_holder_is_named(open_it: Open) -> None:
    first, second = open_it(), open_it()
    with first.lease("ratchet run"):
        with pytest.raises(ConflictError) as caught, second.lease():
            pytest.fail("two hold one lease")
        said = str(caught.value)
        assert f"process {os.getpid()}" in said
        assert "(ratchet run)" in said
        assert f"kill {os.getpid()}" in said
        assert caught.value.name == "project_busy"
        holder = second.holder()
        assert holder is not None
        assert holder.process.pid == os.getpid()
    assert second.holder() is None
    with second.lease() as lease:
        lease.check()


def test_a_lease_is_given_back_when_the_work_fails(open_it: Open) -> None:
    ledger = open_it()
    with pytest.raises(RuntimeError, match="broken"), ledger.lease():
        raise RuntimeError("broken")
    assert ledger.holder() is None


HOLD = """
import sys
from ratchet.ledger.store import open_ledger
url, project = sys.argv[1:]
ledger = open_ledger(url, project=project)
with ledger.lease("a run that dies"):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_killed_holder_is_taken_over_at_once(url: str, ledger: Ledger) -> None:
    worker = run_script(HOLD, url, ledger.project, stdin=subprocess.PIPE)
    assert worker.stdout is not None
    assert worker.stdout.readline() == "held\n"
    with pytest.raises(ConflictError, match=f"kill {worker.pid}"), ledger.lease():
        pytest.fail("the holder lives")
    os.kill(worker.pid, signal.SIGKILL)
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)  # dead, but a zombie still
    with ledger.lease():
        taken = ledger.events(kind="lease_taken_over")
        assert taken[0].facts["because"] == "its process is gone"
        assert str(worker.pid) in taken[0].facts["from"]
    worker.communicate()


def change_lease(ledger: Ledger, **values: Any) -> None:
    sets = ", ".join(f"{name} = :{name}" for name in values)
    with ledger.database.write() as connection:
        connection.execute(
            text(f"update ratchet_leases set {sets} where project = :p"),
            {"p": ledger.project, **values},
        )


def test_a_number_used_again_by_another_process_is_no_holder(open_it: Open) -> None:
    first, second = open_it(), open_it()
    with first.lease() as lease:
        change_lease(first, process_started="1")
        with second.lease(), pytest.raises(ConflictError, match="no longer holds"):
            lease.check()


def test_a_holder_on_another_machine_has_until_its_lease_ends(open_it: Open) -> None:
    first, second = open_it(), open_it()
    with first.lease() as lease:
        change_lease(first, machine="another machine")
        with pytest.raises(ConflictError), second.lease():
            pytest.fail("it may live")
        change_lease(first, expires="2020-01-01T00:00:00.000000Z")
        with second.lease():
            taken = second.events(kind="lease_taken_over")
            assert taken[0].facts["because"] == "it was not heard of in time"
            with pytest.raises(ConflictError) as caught:
                lease.check()
            assert caught.value.name == "lease_lost"
            with pytest.raises(ConflictError, match="no longer holds"):
                first.start_run("r1", trigger="manual")
            second.start_run("r2", trigger="manual")
    assert [run.run_id for run in first.runs()] == ["r2"]


def test_the_heartbeat_renews_and_notices_a_loss(open_it: Open, clock: Clock) -> None:
    ledger = open_it()
    with ledger.lease() as lease:
        before = ledger.holder()
        clock.forward(seconds=20)
        assert lease.renew()
        after = ledger.holder()
        assert before is not None
        assert after is not None
        assert after.expires > before.expires
        assert after.since == before.since
        change_lease(ledger, token="somebody else's")
        assert not lease.renew()
        with pytest.raises(ConflictError):
            lease.check()
    assert ledger.holder() is not None, "what is somebody else's is not given back"


def test_the_heartbeat_beats_by_itself(url: str) -> None:
    pause = threading.Event()
    short = timedelta(seconds=0.4)
    with (
        open_ledger(url, project=f"beat-{next(_numbers)}") as ledger,
        ledger.lease(ttl=short) as lease,
    ):
        for _ in range(500):
            holder = ledger.holder()
            assert holder is not None
            if holder.heartbeat > lease.holder.since:
                break
            pause.wait(0.01)
        else:
            pytest.fail("no heartbeat in five seconds")
        assert holder.expires == holder.heartbeat + short
        lease.check()


def test_a_lease_that_cannot_be_renewed_is_lost(
    open_it: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_it()
    tried = threading.Event()

    def down(_: Lease) -> bool:
        tried.set()
        raise UnreachableError("the database does not answer")

    monkeypatch.setattr(Lease, "renew", down)
    with ledger.lease(ttl=timedelta(seconds=0.02)) as lease:
        assert tried.wait(5)
        lease._thread.join(5)
        with pytest.raises(ConflictError, match="no longer holds"):
            lease.check()
        with pytest.raises(ConflictError, match="no longer holds"):
            ledger.record("counted", {})


TRY = """
import sys
from ratchet.errors import ConflictError
from ratchet.ledger.store import open_ledger
url, project = sys.argv[1:]
ledger = open_ledger(url, project=project)
print("ready", flush=True)
sys.stdin.readline()
try:
    with ledger.lease():
        print("held", flush=True)
        sys.stdin.readline()
except ConflictError:
    print("refused", flush=True)
"""


def test_of_several_processes_one_gets_the_lease(url: str, ledger: Ledger) -> None:
    workers = [run_script(TRY, url, ledger.project, stdin=subprocess.PIPE) for _ in range(3)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    said = [worker.stdout.readline() for worker in workers if worker.stdout is not None]
    for worker in workers:
        worker.communicate("done\n" if worker.poll() is None else None, timeout=60)
    assert sorted(said) == ["held\n", "refused\n", "refused\n"]


# Decisions on test rows


def rows_of(*numbers: int, last: str | None = None) -> HoldoutRows:
    """Rows by number; their hashes are spread over all 64 bits, as real ones are."""
    hashes = sorted(f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}" for number in numbers)
    return HoldoutRows(len(numbers), tuple(hashes[:SKETCH]), None, last)


def note(ledger: Ledger, run_id: str, rows: HoldoutRows, **more: Any) -> HoldoutUse:
    asked = {
        "comparison": f"scores of {run_id}",
        "champion": 3,
        "metric": "roc_auc",
        "rule": "unseen",
        **more,
    }
    challenger = asked.pop("challenger", "retune")
    return ledger.note_holdout_use(run_id, challenger, rows, **asked)


JUDGED = Judgement(0.0123, 0.004, 0.05, "superior", True, 0.012, "manual")


def test_each_decision_on_the_same_rows_counts(ledger: Ledger, clock: Clock) -> None:
    same = rows_of(*range(100))
    uses = [note(ledger, f"r{number}", same, champion=number) for number in range(1, 5)]
    assert [use.use for use in uses] == [1, 2, 3, 4]
    assert len({use.holdout_id for use in uses}) == 1
    assert ledger.holdout_uses() == tuple(uses)
    assert ledger.holdout_uses(uses[0].holdout_id) == tuple(uses)
    other = note(ledger, "r9", rows_of(*range(1000, 1100), last="2026-01-31"))
    assert (other.use, other.rows.last) == (1, "2026-01-31")
    assert other.holdout_id != uses[0].holdout_id
    clock.forward(seconds=5)
    judged = ledger.judge_holdout_use("r9", "retune", JUDGED)
    assert (judged.difference, judged.se, judged.level) == (0.0123, 0.004, 0.05)
    assert (judged.verdict, judged.passed, judged.shown) == ("superior", True, 0.012)
    assert (judged.at, judged.judged) == (START, clock.at)
    assert judged.rows == rows_of(*range(1000, 1100), last="2026-01-31")
    assert ledger.verify_chain().intact


@pytest.mark.parametrize(
    ("rows", "use"),
    [
        (range(200), 3),  # the very same
        (range(20, 220), 3),  # mostly
        (range(60, 260), 3),  # 70 % in each of two: 1.4 decisions for a row
        (range(150, 350), 2),  # a quarter of them: half a decision for each of the two
        (range(180, 380), 1),  # hardly
        (range(50), 3),  # a part of them, though they are few of the old ones
        ([*range(100), *range(1000, 1100)], 3),  # put together from two old sets
        (range(5000, 5200), 1),
    ],
)
def test_rows_are_as_old_as_the_decisions_they_took_part_in(
    ledger: Ledger, rows: Any, use: int
) -> None:
    note(ledger, "r1", rows_of(*range(200)))
    note(ledger, "r2", rows_of(*range(200)))
    note(ledger, "r3", rows_of(*range(1000, 1200)))
    note(ledger, "r4", rows_of(*range(1000, 1200)))
    assert note(ledger, "r5", rows_of(*rows)).use == use


def test_a_repeated_decision_counts_once(ledger: Ledger) -> None:
    rows = rows_of(*range(100))
    ledger.start_run("r1", trigger="manual")
    first = note(ledger, "r1", rows)
    # The run died, and went on; or its model came out a little different.
    assert note(ledger, "r1", rows) == first
    assert note(ledger, "r1", rows, comparison="other scores") == first
    # Another run made the very same model again, and compared it with the same champion.
    assert note(ledger, "r2", rows, comparison="scores of r1") == first
    assert len(ledger.events(kind="holdout_noted")) == 1
    # A run that climbs to a dearer way of training decides on another model.
    assert note(ledger, "r1", rows, challenger="refit", comparison="refitted").use == 2
    ledger.judge_holdout_use("r1", "retune", JUDGED)
    before = ledger.events()
    assert ledger.judge_holdout_use("r1", "retune", JUDGED).verdict == "superior"
    assert ledger.events() == before
    with pytest.raises(UsageError, match="noted no decision"):
        ledger.judge_holdout_use("r7", "retune", JUDGED)


def test_a_changed_or_removed_decision_is_found(ledger: Ledger) -> None:
    use = note(ledger, "r1", rows_of(*range(100)))
    note(ledger, "r2", rows_of(*range(100)))
    for change in (
        "update ratchet_holdout_uses set use = 1 where project = :p and run_id = 'r2'",
        "delete from ratchet_holdout_uses where project = :p and run_id = 'r1'",
    ):
        assert ledger.verify_chain().intact or change.startswith("delete")
        with ledger.database.write() as connection:
            assert connection.execute(text(change), {"p": ledger.project}).rowcount == 1
        breaks = ledger.verify_chain().breaks
        assert "uses of test rows" in breaks[0].why
    assert use.seq in [item.seq for item in breaks]


def test_decisions_of_projects_do_not_mix(open_it: Open) -> None:
    churn = open_it()
    fraud = open_it(f"{churn.project}-fraud")
    rows = rows_of(*range(100))
    assert note(churn, "r1", rows).use == note(fraud, "r1", rows).use == 1
    assert len(churn.holdout_uses()) == 1


def test_who_lost_the_lease_notes_nothing(open_it: Open, clock: Clock) -> None:
    ledger, other = open_it(), open_it()
    with ledger.lease():
        change_lease(other, token="somebody else's")
        with pytest.raises(ConflictError, match="no longer holds"):
            note(ledger, "r1", rows_of(*range(100)))
    assert other.holdout_uses() == ()


NOTE = """
import sys
from ratchet.ledger.holdouts import HoldoutRows
from ratchet.ledger.store import open_ledger
url, project = sys.argv[1:]
ledger = open_ledger(url, project=project)
rows = HoldoutRows(4, tuple(f"{n:016x}" for n in range(1, 5)))
run = sys.stdin.readline().strip()
use = ledger.note_holdout_use(
    run, "retune", rows, comparison=run, champion=1, metric="f1", rule="unseen"
)
print(use.use, flush=True)
sys.stdin.readline()
"""


def test_a_process_that_is_killed_before_the_verdict_used_the_rows(
    url: str, ledger: Ledger
) -> None:
    worker = run_script(NOTE, url, ledger.project, stdin=subprocess.PIPE)
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write("r1\n")
    worker.stdin.flush()
    assert worker.stdout.readline() == "1\n"
    os.kill(worker.pid, signal.SIGKILL)
    worker.communicate()
    (left,) = ledger.holdout_uses()
    assert (left.run_id, left.verdict, left.judged) == ("r1", None, None)
    # The run goes on and comes to its verdict; the next run's decision is the second.
    again = note(ledger, "r1", left.rows)
    assert again.use == 1
    assert ledger.judge_holdout_use("r1", "retune", JUDGED).judged is not None
    assert note(ledger, "r2", left.rows).use == 2


def test_of_several_processes_each_decision_has_its_number(url: str, ledger: Ledger) -> None:
    workers = [run_script(NOTE, url, ledger.project, stdin=subprocess.PIPE) for _ in range(3)]
    said = [worker.communicate(f"r{number}\n", 60)[0] for number, worker in enumerate(workers)]
    assert sorted(said) == ["1\n", "2\n", "3\n"]


# Alerts that wait


def test_an_alert_is_kept_once_and_claimed_once(open_it: Open, clock: Clock) -> None:
    ledger, other = open_it(), open_it()
    assert ledger.claim_due(clock.at) == ()
    ledger.start_run("r1", trigger="manual")
    ledger.finish_run("r1", "failed", "disk full", notices=[Notice("k1", body={"text": "hi"})])
    assert ledger.enqueue([Notice("k1"), Notice("k2")]) == 1
    taken = ledger.claim_due(clock.at)
    assert [entry.key for entry in taken] == ["k1", "k2"]
    assert taken[0].body == {"text": "hi"}
    assert other.claim_due(clock.at) == (), "another process leaves them alone"
    ledger.mark_delivered("k1")
    ledger.mark_failed("k2", "no answer", due=clock.at + timedelta(minutes=1))
    assert other.claim_due(clock.at) == ()
    clock.forward(minutes=1)
    assert [entry.key for entry in other.claim_due(clock.at)] == ["k2"]
    # The process that took it died: after a while it is anybody's again.
    clock.forward(minutes=6)
    assert [entry.attempts for entry in ledger.claim_due(clock.at)] == [1]
    ledger.mark_failed("k2", "no answer", due=None)
    clock.forward(days=9)
    assert ledger.claim_due(clock.at) == ()
    assert [entry.status for entry in ledger.outbox()] == ["delivered", "dropped"]
    kinds = [event.kind for event in ledger.events() if event.kind.startswith("alert")]
    assert kinds == [
        "alert_queued",
        "alert_queued",
        "alert_delivered",
        "alert_failed",
        "alert_dropped",
    ]


def test_an_outcome_that_is_refused_tells_nobody(ledger: Ledger) -> None:
    ledger.start_run("r1", trigger="manual")
    ledger.finish_run("r1", "promoted", "better")
    with pytest.raises(ConflictError):
        ledger.finish_run("r1", "failed", "late", notices=[Notice("k1")])
    assert ledger.outbox() == ()


def test_the_same_news_is_told_once_and_then_with_a_count(ledger: Ledger, clock: Clock) -> None:
    def ill(key: str, occasion: str = "unhealthy", channel: str = "slack") -> Notice:
        body = {"text": key, "at": f"at {key}"}
        return Notice(key, channel, occasion, None, body, "lake", timedelta(hours=1))

    def due() -> list[tuple[str, str, int]]:
        taken = ledger.claim_due(clock.at)
        ledger.mark_delivered(*(entry.key for entry in taken))
        return [(e.key, e.body["text"], e.body.get("count", 1)) for e in taken]

    assert ledger.enqueue([ill("k1"), ill("k1", channel="mail")]) == 1, "one key, one message"
    assert due() == [("k1", "k1", 1)]
    clock.forward(minutes=10)
    assert ledger.enqueue([ill("k2")]) == 1
    assert ledger.enqueue([ill("k3")]) == 0
    assert ledger.enqueue([ill("k4", channel="mail")]) == 1, "another channel has its own count"
    assert due() == [("k4", "k4", 1)]
    clock.forward(minutes=49)
    assert ledger.enqueue([ill("k5")]) == 0
    assert due() == []
    clock.forward(minutes=2)
    assert due() == [("k2", "k5", 3)], "the newest text, and all that it stands for"
    delivered = ledger.events(kind="alert_delivered")[-1]
    assert delivered.facts["count"] == 3
    entry = next(each for each in ledger.outbox() if each.key == "k2")
    assert entry.body["first"] == "at k2"
    # Healthy in between: the next illness is news at once.
    assert ledger.enqueue([ill("k6", "recovered"), ill("k7")]) == 2
    assert due() == [("k6", "k6", 1), ("k7", "k7", 1)]
    clock.forward(hours=3)
    assert ledger.enqueue([ill("k8")]) == 1
    assert due() == [("k8", "k8", 1)]


def test_what_could_not_be_sent_takes_its_repetitions_along(ledger: Ledger, clock: Clock) -> None:
    first = Notice("k1", topic="lake", quiet=timedelta(hours=1))
    ledger.enqueue([first])
    (taken,) = ledger.claim_due(clock.at)
    ledger.mark_failed(taken.key, "no answer", due=clock.at + timedelta(hours=6))
    clock.forward(hours=5)
    assert ledger.enqueue([Notice("k2", topic="lake", quiet=timedelta(hours=1))]) == 0
    clock.forward(hours=1)
    (again,) = ledger.claim_due(clock.at)
    assert (again.key, again.body["count"]) == ("k1", 2)
    ledger.postpone("k1", clock.at + timedelta(minutes=5))
    assert ledger.claim_due(clock.at) == ()
    clock.forward(minutes=5)
    assert [entry.attempts for entry in ledger.claim_due(clock.at)] == [1]
    ledger.mark_delivered("k1")
    assert ledger.sent_since("slack", clock.at - timedelta(hours=1)) == (clock.at,)
    assert ledger.sent_since("mail", clock.at - timedelta(hours=1)) == ()


# Versions of the ledger itself


def test_a_newer_ledger_is_left_alone(url: str) -> None:
    if url.startswith("postgresql"):
        name = f"newer{next(_numbers)}"
        make_database(url, name)
        url = f"{url.rpartition('/')[0]}/{name}"
    with open_ledger(url, project="p") as ledger, ledger.database.write() as connection:
        connection.execute(
            text(
                "insert into ratchet_schema (version, name, applied)"
                " values (99, 'from the future', '2030-01-01T00:00:00.000000Z')"
            )
        )
    with pytest.raises(StorageError, match="newer Ratchet") as caught:
        open_ledger(url, project="p")
    assert "pip install --upgrade ratchet-ml" in str(caught.value)
