"""What all tests share: quick ``ratchet`` processes, and an MLflow store to copy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from forked_ratchet import Driver

# Before a library is loaded that would let its idle threads spin: the tests of several processes
# share the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
LONGEST_FIRST = ("e2e", "integration", "property")


def pytest_configure(config: pytest.Config) -> None:
    # By itself xdist hands out the files with the most tests first. Those with the longest tests
    # have few, and one processor would wait at the end for the other.
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        kind = item.path.relative_to(Path(__file__).parent).parts[0]
        return LONGEST_FIRST.index(kind) if kind in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=place)


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    from forked_ratchet import Driver

    started = Driver(tmp_path_factory.mktemp("driver"))
    yield started
    started.close()


@pytest.fixture(scope="session")
def tracking(driver: Driver, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow store, for ``give_tracking``."""
    state = tmp_path_factory.mktemp("tracking") / "state"
    (made,) = driver.call("project_state:make_tracking", state)
    return Path(made.data)
