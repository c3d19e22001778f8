"""One PostgreSQL and one Redis server for all contract tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from redis_server import RedisServer


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
