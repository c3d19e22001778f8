"""A model that tries to tell new rows from old ones."""

import numpy as np
import polars as pl

from ratchet.monitoring.multivariate import tell_apart


def pairs(correlation, rows=4_000, seed=0):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, rows))
    y = correlation * x + np.sqrt(1 - correlation**2) * z
    level = np.where(rng.random(rows) < 0.5, "a", "b")
    return pl.DataFrame({"x": x, "y": y, "level": level})


def test_what_no_column_shows_alone_is_found():
    found = tell_apart(pairs(0.0), pairs(0.7, seed=1))
    assert found.drifted
    assert found.low > 0.6
    assert {name for name, _ in found.columns[:2]} == {"x", "y"}
    assert found == tell_apart(pairs(0.0), pairs(0.7, seed=1))


def test_equal_rows_cannot_be_told_apart():
    for seed in range(3):
        found = tell_apart(pairs(0.5, seed=2 * seed), pairs(0.5, seed=2 * seed + 1))
        assert not found.drifted
        assert 0.45 < found.auc < 0.55


def test_the_numbers_of_rows_are_no_difference():
    found = tell_apart(pairs(0.5, rows=6_000), pairs(0.5, rows=600, seed=1))
    assert not found.drifted
    assert found.rows == (6_000, 600)


def test_levels_and_missing_values_are_seen():
    before, after = pairs(0.0), pairs(0.0, seed=1)
    levels = after.with_columns(level=pl.lit("c"))
    assert tell_apart(before, levels).columns[0][0] == "level"
    gone = after.with_columns(x=pl.when(pl.col("y") > 0).then("x"))
    assert tell_apart(before, gone).drifted


def test_time_and_identifiers_are_left_out():
    before, after = (
        pairs(0.0, rows=500, seed=seed).with_columns(
            id=pl.Series([f"{seed}-{i}" for i in range(500)]),
            day=pl.Series(range(500 * seed, 500 * seed + 500)).cast(pl.Date),
        )
        for seed in (0, 1)
    )
    assert not tell_apart(before, after).drifted
    assert tell_apart(before, after, columns=["id", "day"]) is None


def test_too_few_rows_say_nothing():
    assert tell_apart(pairs(0.0, rows=99), pairs(0.0)) is None
