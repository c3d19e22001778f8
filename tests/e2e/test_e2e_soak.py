"""Nothing that was answered is lost, whatever changes or dies: `benchmarks/soak.py`, short."""

from __future__ import annotations

from pathlib import Path

import pytest

from forked_ratchet import Driver
from soak import Plan, Soak


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.exhaustive)])
def test_a_server_under_load_while_everything_changes(
    driver: Driver, tmp_path: Path, workers: int
) -> None:
    plan = Plan(seconds=6, workers=workers, clients=3, pause=0.02)
    report = Soak(tmp_path, plan, driver.ratchet).run()
    asked = {key.split()[0] for key in report.statuses}
    assert asked == {"one", "several", "ids", "invocations", "csv", "tensors", "feedback"}
    assert max(size for _, size in report.memory_mb) < 150
    assert report.growth_mb < 15
