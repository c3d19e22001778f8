"""One PostgreSQL and one Redis server for all contract tests, and ledgers on either database."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from kept_ledgers import Clock, Open, fill

from ratchet.ledger.store import Ledger, open_ledger

if TYPE_CHECKING:
    from redis_server import RedisServer

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    from postgres_server import start_postgres

    # Not among pytest's own folders: each new pytest process closes them to other accounts.
    with TemporaryDirectory(prefix="ratchet-postgres-") as folder:
        server = start_postgres(Path(folder))
        yield server.url
        server.stop()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    from redis_server import RedisServer

    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def open_it(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Open]:
    """Opens the ledger of a project of the test's own; several times, if need be."""
    url = (
        str(request.getfixturevalue("postgres_url"))
        if request.param == "postgresql"
        else f"sqlite:///{tmp_path / 'ledger.db'}"
    )
    project = f"contract-{next(_numbers)}"
    opened: list[Ledger] = []

    def opener() -> Ledger:
        opened.append(open_ledger(url, project=project, now=clock))
        return opened[-1]

    yield opener
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_it: Open) -> Ledger:
    """A ledger with three versions; see ``fill``."""
    return fill(open_it())
