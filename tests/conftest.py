"""What all tests share: quick ``ratchet`` processes, and an MLflow store to copy."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from forked_ratchet import Driver

# Before a library is loaded that would let its idle threads spin: the tests of several processes
# share the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
LONGEST_FIRST = ("e2e", "integration", "property")


WRITES_NO_BYTECODE = sys.dont_write_bytecode


def pytest_configure(config: pytest.Config) -> None:
    # By itself xdist hands out the files with the most tests first. Those with the longest tests
    # have few, and one processor would wait at the end for the other.
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection() -> None:
    # The rewritten assertions of all files are kept, also where bytecode is not written.
    sys.dont_write_bytecode = False


def pytest_collection_finish() -> None:
    sys.dont_write_bytecode = WRITES_NO_BYTECODE
    # Thousands of tests and their libraries stay to the end: nobody looks through them for garbage.
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    # To rewrite assertions takes a while. The second processor begins at the other end: each makes
    # half, and finds the other half made. That all agree on an order is pytest-randomly's doing,
    # which shuffles by the tests' names.
    report = yield
    second = os.environ.get("PYTEST_XDIST_WORKER") == "gw1"
    shuffled = collector.config.pluginmanager.hasplugin("randomly")
    if second and shuffled and isinstance(collector, pytest.Directory):
        report.result.reverse()
    return report


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
