"""Killed at every transition of a rollout, and several that take the same step at once.

Whatever is left, the champion serves, the record of the traffic and the rollout's row say the
same, and the next look ends in exactly what would have come without the kill.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import rollout_lives
from forked_ratchet import Driver, Kill
from postgres_server import start_postgres
from rollout_lives import LIVES
from rollout_world import World

PRELOAD = (
    *("deltalake", "polars", "sqlalchemy.dialects.sqlite", "scipy.stats"),
    *("rollout_lives", "ratchet.rollout.evidence", "ratchet.rollout.watch"),
)
LEDGER, STEPS = "ratchet.ledger.store:Ledger", "ratchet.ledger.rollout_steps"


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    started = Driver(tmp_path_factory.mktemp("processes"), PRELOAD)
    yield started
    started.close()


class Lives:
    """Prepared lives to copy, and how each ends when nobody is killed."""

    def __init__(self, folder: Path, processes: Driver) -> None:
        self.folder, self.processes = folder, processes
        self.whole = cache(self._whole)
        self.prepared = cache(self._prepared)

    def _prepared(self, name: str) -> Path:
        place = self.folder / name
        place.mkdir()
        rollout_lives.prepare(place, name)
        return place

    def _whole(self, name: str) -> dict[str, Any]:
        place = Path(shutil.copytree(self.prepared(name), self.folder / f"{name}-whole"))
        (before,) = self.processes.call("rollout_lives:standing", place)
        self.processes.call("rollout_lives:step", place, name)
        self.processes.call("rollout_lives:settle", place, name)
        (after,) = self.processes.call("rollout_lives:standing", place)
        assert after.data["changes"] == before.data["changes"] + 1
        return {"before": before.data, "after": after.data}


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory, processes: Driver) -> Lives:
    return Lives(tmp_path_factory.mktemp("lives"), processes)


def _kills(name: str) -> list[tuple[str, Kill]]:
    write = LIVES[name].write
    return [
        ("asked", {"call": f"{LEDGER}.{write}", "when": "before", "nth": 1}),
        ("served", {"call": f"{STEPS}:_serve", "when": "after", "nth": 1}),
        ("written", {"call": f"{STEPS}:_write", "when": "after", "nth": 1}),
        ("told", {"call": "ratchet.ledger.outbox:enqueue", "when": "after", "nth": 1}),
        ("kept", {"call": f"{LEDGER}.{write}", "when": "after", "nth": 1}),
        ("shown", {"call": "rollout_lives:Shown.set_alias", "when": "after", "nth": 1}),
        ("aligned", {"call": "ratchet.registry.promotion:reconcile", "when": "after", "nth": 1}),
    ]


# Before it is kept, nothing of the step may be there.
NOT_KEPT = ("asked", "served", "written", "told")
# The alias of a version that nobody rolls out does not change.
NO_ALIAS = ("widen", "watched_clean")
ALWAYS = {
    *(("promote", where) for where, _ in _kills("promote")),
    *((name, "kept") for name in ("start", "back", "watched_back", "approve")),
    *((name, "written") for name in ("widen", "watched_back")),
}


def _cases() -> Iterator[Any]:
    for name in LIVES:
        for where, kill in _kills(name):
            if where == "shown" and name in NO_ALIAS:
                continue
            marks = () if (name, where) in ALWAYS else pytest.mark.exhaustive
            yield pytest.param(name, where, kill, id=f"{name}-{where}", marks=marks)


@pytest.mark.parametrize(("name", "where", "kill"), list(_cases()))
def test_killed_at_a_step_the_next_look_ends_as_if_nothing_had_been(
    name: str, where: str, kill: Kill, lives: Lives, processes: Driver, tmp_path: Path
) -> None:
    whole = lives.whole(name)
    place = shutil.copytree(lives.prepared(name), tmp_path / name)
    (died,) = processes.call("rollout_lives:step", place, name, kill=kill)
    assert died.code == -signal.SIGKILL, (died.code, died.err)
    left = processes.call("rollout_lives:standing", place)[0].data
    expected = whole["before"] if where in NOT_KEPT else whole["after"]
    # The aliases follow: they may be behind, and that is all that may be.
    assert left.pop("aliases")["champion"] in ("1", "2")
    assert left == {name: value for name, value in expected.items() if name != "aliases"}
    (done,) = processes.call("rollout_lives:settle", place, name)
    assert done.code == 0, done.err
    (after,) = processes.call("rollout_lives:standing", place)
    assert after.data == whole["after"]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = start_postgres(tmp_path_factory.mktemp("postgres"))
    yield server.url
    server.stop()


@pytest.mark.parametrize("name", ["start", "promote", "back"])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_of_several_processes_at_once_one_takes_the_step(
    kind: str,
    name: str,
    processes: Driver,
    tmp_path: Path,
    lives: Lives,
    request: pytest.FixtureRequest,
) -> None:
    url = ""
    if kind == "postgresql":
        url = _database(request.getfixturevalue("postgres"), name)
        world = World(tmp_path, url=url)
        LIVES[name].before(world)
        rollout_lives.align(world, tmp_path)
        world.ledger.close()
    else:
        shutil.copytree(lives.prepared(name), tmp_path, dirs_exist_ok=True)
    (before,) = processes.call("rollout_lives:standing", tmp_path, url)
    done = processes.call("rollout_lives:step", tmp_path, name, url, times=4)
    assert [one.code for one in done] == [0] * 4, [one.err for one in done]
    (after,) = processes.call("rollout_lives:standing", tmp_path, url)
    assert after.data["changes"] == before.data["changes"] + 1
    assert len(after.data["told"]) == len(before.data["told"]) + (name != "start")
    whole = lives.whole(name)["after"]
    assert after.data == whole


def _database(server: str, name: str) -> str:
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'create database "{name}"')
    return server.rpartition("/")[0] + f"/{name}"
