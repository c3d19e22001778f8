"""A server is asked all the time while what lies around it goes away and comes back."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from bare_server import Served, served, wait_until
from faulted_project import Faulted, at
from forked_ratchet import Driver
from postgres_server import start_postgres
from project_state import ask, give_tracking, half_written, kept
from ratchet import clock
from ratchet.project import load_project
from ratchet_cli import Result, small_project
from redis_server import RedisServer
from rollout_world import START
from served_site import ROW
from small_disk import filled, small_disk


@pytest.fixture(autouse=True)
def _time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The world's own time in this process; the servers have the machine's."""
    monkeypatch.setenv(clock.VARIABLE, at(START))


def serve(root: Path, *words: object) -> Any:
    command = ("-m", "ratchet", "serve", "--json", "--port", 0, "--project", root, *words)
    return served(command, root.parent / "errors.txt")


class Probe:
    """Asks for predictions, one after the other; ``bad`` is what was no answer."""

    def __init__(self, url: str) -> None:
        self.url, self.good, self.bad = f"{url}/v1/predict", 0, [""] * 0
        self.version = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def _ask(self) -> None:
        with httpx.Client(timeout=20) as client:
            while not self._ending.is_set():
                answer = client.post(self.url, json={"record": ROW})
                if answer.status_code == 200:
                    self.good += 1
                    self.version = answer.json()["model_version"]
                else:
                    self.bad.append(answer.text)
                self._ending.wait(0.01)

    def goes_on(self, answers: int = 15) -> None:
        """Wait until it got so many more answers."""
        wanted = self.good + answers
        wait_until(lambda: self.good >= wanted or not self._thread.is_alive(), seconds=60)
        assert self.good >= wanted, self.bad

    @contextmanager
    def asking(self) -> Iterator[Probe]:
        self._thread.start()
        try:
            self.goes_on()
            yield self
        finally:
            self._ending.set()
            self._thread.join(30)


@contextmanager
def asked(root: Path) -> Iterator[tuple[Served, Probe]]:
    """A server that is asked until the body ends, and then ends as it should."""
    with serve(root) as running:
        with Probe(running.url).asking() as probe:
            yield running, probe
        assert running.stop() == 0


def look(driver: Driver, faulted: Faulted) -> Result:
    """``ratchet loop --once``, at the world's time."""
    moment = at(faulted.world.at)
    words = ("loop", "--once", "--json", "--project", faulted.root)
    return driver.ratchet(*words, RATCHET_CLOCK=moment)


def promotes(driver: Driver, faulted: Faulted) -> None:
    """The next look promotes version 2."""
    done = look(driver, faulted)
    assert done.code == 0, done.out
    (one,) = done.data["projects"]
    assert one["look"]["did"]["rollout"]["did"] == "promoted", one
    assert faulted.world.champion() == 2
    assert faulted.told("promoted") == 1
    assert faulted.ledger.verify_chain().intact


@contextmanager
def locked(faulted: Faulted) -> Iterator[None]:
    connection = sqlite3.connect(faulted.state / "ledger.db", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.close()


@pytest.mark.parametrize(
    # Somebody who waits for a lock waits for ten seconds, several times.
    "fault",
    ["postgresql", pytest.param("locked", marks=pytest.mark.exhaustive)],
)
def test_the_champion_serves_while_the_ledger_is_away(
    fault: str, driver: Driver, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = start_postgres(tmp_path_factory.mktemp("pg")) if fault == "postgresql" else None
    faulted = Faulted(tmp_path / "churn", ledger="sqlite" if server is None else server.url)
    try:
        faulted.world.start(steps=(10, 100))
        faulted.world.serve(40, 1200)
        with asked(faulted.root) as (_, probe):
            if server is None:
                with locked(faulted):
                    failed = look(driver, faulted)
                    probe.goes_on()
            else:
                server.halt()
                failed = look(driver, faulted)
                probe.goes_on()
                server.start()
            (one,) = failed.data["projects"]
            assert one["state"] in ("away", "fault"), failed.out
            assert one["look"] is None
            assert "s3cret" not in failed.out + failed.err
            probe.goes_on()
            promotes(driver, faulted)
            wait_until(lambda: probe.version == 2, seconds=60)
        assert probe.bad == []
    finally:
        faulted.close()
        if server is not None:
            server.stop()


def test_redis_goes_and_comes_back_under_a_server(tmp_path: Path) -> None:
    from ratchet.features.store.open_store import open_store
    from ratchet.features.store.port import Column, FeatureRow, FeatureSchema

    redis = RedisServer(tmp_path)
    faulted = Faulted(tmp_path / "churn")
    text = (faulted.root / "ratchet.yaml").read_text(encoding="utf-8")
    named = text.replace("storage: {", f'storage: {{features: "{redis.url}", ')
    (faulted.root / "ratchet.yaml").write_text(named, encoding="utf-8")
    schema = FeatureSchema.of(
        [Column("charges", "float"), Column("contract", "string"), Column("tenure", "integer")]
    )

    def push() -> None:
        store = open_store(redis.url, "churn")
        moment = int(datetime.now(UTC).timestamp() * 1e6)
        store.push([FeatureRow("C1", moment, (70.5, "month", 12))], schema)
        store.publish(schema)
        store.close()

    def by_id(running: Served) -> int:
        return httpx.post(f"{running.url}/v1/predict", json={"id": "C1"}, timeout=20).status_code

    try:
        push()
        with asked(faulted.root) as (running, probe):
            wait_until(lambda: by_id(running) == 200)
            redis.stop()
            wait_until(lambda: by_id(running) == 503)
            probe.goes_on()
            assert faulted.tick().faults == {}, "the loop has no part in it"
            redis.start()
            push()
            wait_until(lambda: by_id(running) == 200)
        assert probe.bad == [], "whole rows are answered all the while"
    finally:
        faulted.close()
        redis.stop()


# -- a full disk ---------------------------------------------------------------------------


@pytest.mark.parametrize("when_full", ["refuse", "serve"])
def test_a_server_on_a_full_disk(when_full: str, tmp_path: Path) -> None:
    """What cannot be logged is refused or, where that is wanted, answered all the same."""
    with small_disk(tmp_path / "disk", "24m") as disk:
        faulted = Faulted(disk / "churn")
        text = (faulted.root / "ratchet.yaml").read_text(encoding="utf-8")
        full = f"serving: {{poll: 50ms, log: {{when_full: {when_full}}}}}"
        named = text.replace("serving: {poll: 50ms}", full)
        (faulted.root / "ratchet.yaml").write_text(named, encoding="utf-8")
        try:
            with asked(faulted.root) as (running, probe):
                with filled(disk):
                    if when_full == "serve":
                        probe.goes_on(300)
                        assert probe.bad == []
                    else:
                        wait_until(lambda: len(probe.bad) > 5, seconds=60)
                        assert all("full" in one for one in probe.bad), probe.bad
                    assert httpx.get(f"{running.url}/healthz").status_code == 200
                refused = len(probe.bad)
                probe.goes_on()
                # One may have been asked as the room came back.
                assert len(probe.bad) <= refused + 1
        finally:
            faulted.close()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, tracking: Path) -> Path:
    """A project that has never been run."""
    folder = small_project(tmp_path_factory.mktemp("empty") / "small", rows=300)
    return give_tracking(folder, tracking)


ROOM = [
    pytest.param(left, marks=() if left in (100, 700) else pytest.mark.exhaustive, id=f"{left}K")
    for left in (0, 40, 100, 200, 400, 700, 1000, 1400, 2000, 3000)
]


@pytest.mark.parametrize("left", ROOM)
def test_a_run_that_fills_the_disk_goes_on_when_there_is_room(
    left: int, empty: Path, driver: Driver, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", "32m") as disk:
        folder = Path(shutil.copytree(empty, disk / "small"))
        with filled(disk, left * 1024):
            first = driver.ratchet("run", "--project", folder, "--json")
            error = first.json.get("error") or first.data.get("error") or {}
            assert first.code != 1, f"a bug: {first.out}"
            assert first.code or left > 1000, first.out
            assert "bug" not in str(error.get("what")), error
            assert half_written(folder) == []
            assert kept(folder).champion in (None, 1)
        again = driver.ratchet("run", "--project", folder, "--json")
        assert again.code == 0, again.out
        assert again.data["outcome"] in ("promoted", "skipped"), again.data["reason"]
        state = kept(folder)
        assert state.champion == 1
        assert [version for alias, version in state.served if alias == "champion"] == [1]
        assert [row[1:] for row in state.aliases] == [("champion", 1)]
        assert ask(folder / ".ratchet/ledger.db", "select * from ratchet_leases") == ()
        with load_project(folder, variables={}).open_ledger() as ledger:
            assert ledger.verify_chain().intact
            assert ledger.unfinished_runs() == ()


# -- MLflow as a server --------------------------------------------------------------------


class MlflowServer:
    """``mlflow server`` with a SQLite file; RATCHET_TEST_MLFLOW may name another environment's."""

    def __init__(self, folder: Path) -> None:
        named = os.environ.get("RATCHET_TEST_MLFLOW")
        if named is None:
            pytest.importorskip("flask", reason="the MLflow server is not installed")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.command = [
            *([named] if named else [sys.executable, "-m", "mlflow"]),
            *("server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{folder / 'server.db'}"),
            *("--artifacts-destination", str(folder / "artifacts")),
        ]
        self.log = folder / "mlflow.txt"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=log,
                env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
                start_new_session=True,
            )
        deadline = time.monotonic() + 120
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)
            self.process = None


@pytest.mark.exhaustive
@pytest.mark.slow
def test_an_mlflow_server_that_goes_and_comes_back(
    driver: Driver, tmp_path: Path, empty: Path
) -> None:
    server = MlflowServer(tmp_path)
    folder = Path(shutil.copytree(empty, tmp_path / "small"))
    with (folder / "ratchet.yaml").open("a", encoding="utf-8") as file:
        file.write(f"storage: {{tracking: '{server.url}'}}\n")

    def run() -> Result:
        return driver.ratchet("run", "--project", folder, "--json")

    try:
        server.stop()
        failed = run()
        assert failed.code == 6, failed.out
        assert "MLflow" in str(failed.json), failed.out
        assert kept(folder).champion is None
        server.start()
        done = run()
        assert done.data["outcome"] == "promoted", done.out
        assert load_project(folder, variables={}).open_tracking().aliases("small") == {
            "champion": "1"
        }
    finally:
        server.stop()
