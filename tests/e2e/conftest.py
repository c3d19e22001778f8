"""What the tests of the whole share: quick ``ratchet`` processes, and an MLflow store to copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forked_ratchet import Driver
from project_state import make_tracking


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    started = Driver(tmp_path_factory.mktemp("driver"))
    yield started
    started.close()


@pytest.fixture(scope="session")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow store, for ``give_tracking``."""
    return make_tracking(tmp_path_factory.mktemp("tracking") / "state")
