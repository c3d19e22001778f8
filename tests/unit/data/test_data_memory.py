"""How much memory rows take and how much there is."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from ratchet.data import memory
from ratchet.data.memory import machine_memory, row_bytes
from ratchet.data.sampling import thin, thin_groups


def test_a_row_takes_what_its_values_take():
    frame = pl.DataFrame(
        {
            "number": [1.0, 2.0],
            "count": [1, None],
            "flag": [True, False],
            "day": [dt.date(2026, 1, 1)] * 2,
            "moment": [dt.datetime(2026, 1, 1)] * 2,
            "short": ["ab", None],
            "long": ["x" * 100, "y" * 200],
        }
    )
    assert row_bytes(frame.lazy()) == pytest.approx(8 + 8 + 1 / 8 + 4 + 8 + 16 + 16 + 150)
    assert row_bytes(frame.head(0).lazy()) == 0


def test_a_container_may_have_less_than_the_machine(tmp_path, monkeypatch):
    files = [tmp_path / "first", tmp_path / "second"]
    monkeypatch.setattr(memory, "_CONTAINER", [str(file) for file in files])
    whole = machine_memory()
    assert whole > 1 << 28
    files[0].write_text("max\n")
    assert machine_memory() == whole
    files[1].write_text("123456789\n")
    assert machine_memory() == 123456789


def test_a_thinner_part_keeps_order_and_shares():
    rng = np.random.default_rng(0)
    places = np.sort(rng.choice(50_000, 20_000, replace=False))
    values = pl.Series(rng.choice(["a", "b", "c"], 20_000, p=[0.9, 0.0995, 0.0005]))
    found = thin(places, 2_000, values, 42)
    assert (np.diff(found) > 0).all()
    chosen = values.to_numpy()[np.isin(places, found)]
    for value in ("a", "b", "c"):
        assert (chosen == value).sum() == -(-(values == value).sum() * 2_000 // 20_000)
    assert np.array_equal(found, thin(places, 2_000, values, 42))
    assert not np.array_equal(found, thin(places, 2_000, values, 1))
    assert thin(places, 20_000, values, 42) is places
    # No stretch of the rows is preferred.
    assert abs(found.mean() / 50_000 - 0.5) < 0.02


def test_numbers_are_thinned_evenly():
    places = np.arange(5_000)
    found = thin(places, 500, pl.Series(np.random.default_rng(0).normal(size=5_000)), 42)
    assert len(found) == 500
    assert (np.diff(found) > 0).all()


def test_groups_go_together():
    rng = np.random.default_rng(0)
    groups = pl.Series(rng.choice([f"g{i}" for i in range(400)], 20_000))
    found = thin_groups(np.arange(20_000), 5_000, groups, 42)
    assert 4_000 < len(found) < 6_000
    inside = set(groups.gather(found))
    assert not inside & set(groups.gather(np.setdiff1d(np.arange(20_000), found)))
    assert len(thin_groups(np.arange(20_000), 30_000, groups, 42)) == 20_000
