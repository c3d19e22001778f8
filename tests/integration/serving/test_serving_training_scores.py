"""What is served is what training saw and ``ratchet predict`` writes: `benchmarks/parity_served.py`
for all rows, here for some of each data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from forked_ratchet import Driver
from ratchet_cli import SHARED_DATA
from served_parity import SETS, DataSet, apart

ROWS, TRAINED_ON = 900, 600


@pytest.mark.parametrize("item", SETS, ids=lambda item: item.name)
def test_scores_are_those_of_training(item: DataSet, tmp_path: Path, driver: Driver) -> None:
    if not (SHARED_DATA / item.name).exists():
        pytest.skip("the shared data sets are not here")
    table = item.read(SHARED_DATA).sample(ROWS, seed=1)
    found = apart(item, table, TRAINED_ON, tmp_path, driver.ratchet)
    assert len(found) == 4
    assert max(found.values()) <= 1e-6, found
