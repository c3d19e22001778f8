"""The loop over many projects: what moved is looked at, and no project harms another."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from loop_project import Driven, make_project
from postgres_server import PostgresServer, start_postgres
from ratchet import clock
from ratchet.ledger.claims import Claims
from ratchet.ledger.database import open_database
from ratchet.loop.heads import Server
from ratchet.loop.looking import Looking, Question
from ratchet.project import load_project

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture
def driven(tmp_path: Path) -> Iterator[Driven]:
    made = Driven(tmp_path / "all")
    yield made
    made.close()


def event(root: Path, kind: str) -> None:
    """Something happens in a project's ledger."""
    with load_project(root, variables={}).open_ledger() as ledger:
        ledger.record(kind, {})


def test_only_what_moved_is_looked_at(driven: Driven, tmp_path: Path) -> None:
    roots = [make_project(tmp_path / "all" / name) for name in "abc"]
    for _ in range(3):  # a first look writes, and what it wrote is looked at once more
        driven.tick()
    assert {one for _, one, _ in driven.events if one} == set("abc")
    looks = {name: driven.ward(name).looked for name in "abc"}
    starts = driven.daemon.looking.starts
    driven.daemon.tick()
    assert driven.daemon.looking.open == 0
    event(roots[1], "something")
    driven.tick()
    assert [name for name in "abc" if driven.ward(name).looked != looks[name]] == ["b"]
    assert driven.daemon.looking.starts == starts == 1


def test_poison_projects_cannot_stop_the_others(driven: Driven, tmp_path: Path) -> None:
    folder = tmp_path / "all"
    make_project(folder / "broken")
    (folder / "broken" / "ratchet.yaml").write_text("project: [\n")
    make_project(folder / "damaged")
    (folder / "damaged" / ".ratchet").mkdir()
    (folder / "damaged" / ".ratchet" / "ledger.db").write_bytes(b"no database " * 1000)
    make_project(folder / "empty")
    (folder / "empty" / "data.csv").unlink()
    make_project(folder / "occupied")
    (folder / "occupied" / ".ratchet").write_text("a file where a folder must be")
    make_project(folder / "zz-good")
    driven.tick()
    states = {ward.name: ward.state for ward in driven.daemon.wards.values()}
    assert states == {
        "broken": "unreadable",
        "damaged": "fault",
        "empty": "idle",
        "occupied": "fault",
        "zz-good": "idle",
    }
    assert driven.ward("zz-good").report["faults"] == {}
    assert driven.ward("empty").report["faults"]["decision"]["code"]
    told = driven.heard("fault", "damaged")
    assert told
    assert "ledger" in told[0]["says"]
    driven.tick()
    assert driven.heard("fault", "damaged") == told, "it rests"
    make_project(folder / "broken", "broken")
    driven.tick()
    assert driven.ward("broken").state == "idle"


def test_a_folder_that_goes_away_is_let_go(driven: Driven, tmp_path: Path) -> None:
    root = make_project(tmp_path / "all" / "a")
    driven.tick()
    (root / "ratchet.yaml").unlink()
    driven.tick()
    assert driven.ward("a").state == "unreadable"
    driven.daemon._roster._searched = -1e9
    driven.tick()
    assert driven.daemon.wards == {}
    assert driven.heard("project_gone", "a")


def test_a_second_loop_waits_and_says_who_has_the_project(driven: Driven, tmp_path: Path) -> None:
    make_project(tmp_path / "all" / "a")
    driven.tick()
    second = Driven(tmp_path / "all")
    try:
        second.tick()
        second.tick()
        assert second.ward("a").state == "held"
        said = second.heard("held", "a")
        assert len(said) == 1
        assert f"process {os.getpid()}" in said[0]["says"]
        driven.ward("a").leave()
        second.tick()
        assert second.ward("a").state == "idle"
        assert second.ward("a").report is not None
    finally:
        second.close()


def test_a_locked_ledger_is_waited_for(driven: Driven, tmp_path: Path) -> None:
    root = make_project(tmp_path / "all" / "a")
    driven.tick()
    ledger = sqlite3.connect(root / ".ratchet" / "ledger.db", isolation_level=None)
    ledger.execute("BEGIN EXCLUSIVE")
    try:
        (root / "data.csv").write_text("x,y\n1,0\n2,1\n3,1\n")
        driven.daemon.tick()
        driven.daemon._work()
        assert driven.ward("a").looking
    finally:
        ledger.execute("ROLLBACK")
        ledger.close()
    driven.until(lambda: not driven.ward("a").looking)
    assert driven.ward("a").state == "idle"
    assert driven.ward("a").report["faults"] == {}


def test_a_clock_that_is_set_makes_everything_due(
    driven: Driven, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(tmp_path / "all" / "a")
    for _ in range(3):
        driven.tick()
    real = clock.now
    for hours in (-30, 400, 0):
        looked = driven.ward("a").looked
        monkeypatch.setattr(clock, "now", lambda hours=hours: real() + timedelta(hours=hours))
        driven.tick()
        assert driven.ward("a").looked != looked
        assert driven.ward("a").report["faults"] == {}
    jumps = [round(one["seconds"] / 3600) for one in driven.heard("clock_jumped")]
    assert jumps == [-30, 430, -400]
    looked = driven.ward("a").looked
    for _ in range(3):
        driven.tick()
    assert driven.ward("a").report["faults"] == {}


def test_a_look_that_kills_its_process_costs_one_project_a_pause(
    driven: Driven, tmp_path: Path
) -> None:
    make_project(tmp_path / "all" / "a")
    make_project(tmp_path / "all" / "b")
    driven.daemon.tick()
    driven.daemon._work()
    pid = driven.daemon.looking.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    driven.until(lambda: not driven.daemon.looking.open)
    states = {name: driven.ward(name).state for name in "ab"}
    assert states == {"a": "fault", "b": "idle"}
    assert "SIGKILL" in driven.ward("a").fault["why"]
    driven.ward("a").rests = 0.0
    driven.tick()
    assert driven.ward("a").state == "idle"


def test_a_look_that_hangs_is_ended_in_its_time(tmp_path: Path) -> None:
    looking = Looking()
    opening = {"environment": None, "assignments": []}
    for name, patience in (("a", 0.5), ("b", 60.0)):
        root = str(make_project(tmp_path / name))
        body = {"do": "look", "root": root, "opening": opening, "busy": ""}
        looking.ask(Question(name, body, patience))
    answers = looking.tend()
    assert looking.pid is not None
    os.kill(looking.pid, signal.SIGSTOP)
    try:
        while len(answers) < 2:
            answers += looking.tend()
            time.sleep(0.005)
    finally:
        looking.stop()
    assert [one.question.about for one in answers] == ["a", "b"]
    assert "longer than 0.5 s" in answers[0].body["error"]["why"]
    assert answers[1].body["ok"], answers[1].body


# -- ledgers on a database server ----------------------------------------------------------


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    started = start_postgres(tmp_path_factory.mktemp("postgres"))
    yield started
    started.stop()


class Wire:
    """A port that leads to the database server, until it is cut."""

    def __init__(self, server: PostgresServer) -> None:
        place = server.url.rpartition("@")[2].partition("/")[0]
        host, _, port = place.partition(":")
        self._target = (host, int(port))
        self._open: list[socket.socket] = []
        self._door = self._listen(0)
        self.port = self._door.getsockname()[1]
        self.url = server.url.replace(place, f"127.0.0.1:{self.port}")

    def _listen(self, port: int) -> socket.socket:
        door = socket.socket()
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(("127.0.0.1", port))
        door.listen()
        threading.Thread(target=self._serve, args=(door,), daemon=True).start()
        return door

    def _serve(self, door: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = door.accept()
                far = socket.create_connection(self._target)
                self._open += [near, far]
                for a, b in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    def _pump(self, a: socket.socket, b: socket.socket) -> None:
        with suppress(OSError):
            while piece := a.recv(1 << 16):
                b.sendall(piece)
        for end in (a, b):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def mend(self) -> None:
        self._door = self._listen(self.port)


def test_a_database_server_that_goes_and_comes_back(
    driven: Driven, tmp_path: Path, postgres: PostgresServer
) -> None:
    wire = Wire(postgres)
    kept = f'storage: {{ledger: "{wire.url}"}}\n'
    make_project(tmp_path / "all" / "shared", "wired", kept)
    make_project(tmp_path / "all" / "own")
    try:
        driven.tick()
        driven.tick()
        assert driven.ward("wired").state == "idle"
        assert driven.ward("wired").report["faults"] == {}
        wire.cut()
        driven.tick()
        driven.tick()
        assert driven.ward("wired").state == "away"
        assert driven.ward("own").state == "idle"
        assert len(driven.heard("ledger_away")) == 1
        assert "secret" not in str(driven.heard("ledger_away"))
        wire.mend()
        driven.daemon._roster._servers[wire.url].again = 0.0
        looked = driven.ward("wired").looked
        driven.tick()
        assert driven.ward("wired").state == "idle"
        assert driven.ward("wired").looked != looked
        assert driven.heard("ledger_back")
    finally:
        wire.cut()


def test_loops_on_one_database_server_share_its_projects(postgres: PostgresServer) -> None:
    first, second = Server(postgres.url), Server(postgres.url)
    try:
        assert first.refresh(["one", "two"]) == {}
        held = second.refresh(["two", "three"])
        assert held is not None
        assert list(held) == ["two"]
        assert f"process {os.getpid()}" in held["two"]
        first.close()
        assert second.refresh(["two", "three"]) == {}
    finally:
        second.close()


def test_a_claim_of_another_machine_ends_when_it_is_not_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_project(make_project(tmp_path / "p"), variables={}).open_ledger().close()
    database = open_database(f"sqlite:///{tmp_path / 'p' / '.ratchet' / 'ledger.db'}")
    other, mine = Claims(database), Claims(database)
    assert other.take(["p"]) == {}
    with database.write() as connection:
        connection.exec_driver_sql("update ratchet_leases set machine = 'elsewhere'")
    assert list(mine.take(["p"])) == ["p"]
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + timedelta(minutes=2))
    assert mine.take(["p"]) == {}
    assert other.renew() == frozenset()
    assert mine.renew() == {"p"}
    mine.release(["p"])
    assert other.take(["p"]) == {}
    database.close()
