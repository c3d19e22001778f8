"""The reference profile: exact bins, levels, bytes, and windows that add up."""

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from ratchet.errors import DataError
from ratchet.monitoring.binning import bin_numbers
from ratchet.monitoring.cells import CellTable
from ratchet.monitoring.columns import LevelColumn, NumberColumn
from ratchet.monitoring.profile import (
    LABEL,
    SCORE,
    Profile,
    Window,
    answer_columns,
    build_profile,
)

ROWS = 20_000
RNG = np.random.default_rng(5)
SHAPES = {
    "normal": RNG.normal(size=ROWS),
    "heavy": np.exp(RNG.normal(0, 3, ROWS)),
    "cauchy": RNG.standard_cauchy(ROWS),
    "prices": np.round(RNG.gamma(2, 20, ROWS), 2),
    "mostly zero": np.where(RNG.random(ROWS) < 0.7, 0.0, RNG.normal(size=ROWS)),
    "negative zero": np.where(RNG.random(ROWS) < 0.3, -0.0, RNG.normal(size=ROWS)),
    "two far peaks": RNG.normal(size=ROWS) + 1e6 * (RNG.random(ROWS) < 0.5),
    "tiny": RNG.normal(1e-4, 1e-9, ROWS),
    "far off": 1e12 + RNG.normal(size=ROWS),
    "constant": np.full(ROWS, 7.25),
    "missing": np.where(RNG.random(ROWS) < 0.3, np.nan, RNG.normal(size=ROWS)),
    "few": np.array([1.0, 2.0, 2.0, 5.0]),
}
WHOLE = {
    "digits": RNG.integers(0, 10, ROWS),
    "counts": RNG.poisson(800, ROWS),
    "large": RNG.integers(0, 10**9, ROWS),
    "moments": 1_700_000_000_000_000 + RNG.integers(0, 10**13, ROWS),
}


def nasty(values, edges):
    """Values moved, with every edge and what lies just below it, and what is no number."""
    return np.concatenate(
        [
            values * 1.01 + 0.3,
            values,
            edges,
            np.nextafter(edges, -np.inf),
            [0.0, -0.0, 5e-324, -5e-324, 1e30, -1e30, np.inf, -np.inf, np.nan],
        ]
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_the_quick_way_to_a_bin_finds_the_same_as_a_search(shape):
    column = bin_numbers("x", "number", SHAPES[shape])
    values = nasty(SHAPES[shape], column.edges)
    counts, sums = CellTable.of(column.edges, column.centre).count(values)
    finite = values[np.isfinite(values)]
    bins = np.searchsorted(column.edges, finite, side="right")
    assert counts[:-1].tolist() == np.bincount(bins, minlength=column.bins).tolist()
    assert counts[-1] == len(values) - len(finite)
    expected = np.bincount(bins, weights=finite - column.centre, minlength=column.bins)
    np.testing.assert_allclose(sums[:-1], expected, rtol=1e-9, atol=1e-9 * abs(expected).max())


@pytest.mark.parametrize("shape", [*SHAPES, *WHOLE])
def test_no_bin_is_heavy_but_those_of_one_value(shape):
    kind = "integer" if shape in WHOLE else "number"
    values = (WHOLE | SHAPES)[shape].astype(np.float64)
    column = bin_numbers("x", kind, values)
    finite = values[np.isfinite(values)]
    assert column.counts.sum() == len(finite)
    assert column.bins <= 2_100
    shared = column.counts[~column.single]
    assert shared.max(initial=0) <= max(2 * len(finite) / 1_000, 1)
    for value in np.unique(finite)[:50]:
        inside = np.searchsorted(column.edges, value, side="right")
        if column.single[inside]:
            assert column.counts[inside] == (finite == value).sum()


def table(rows, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    age = pl.Series(rng.integers(18, 90, rows)).cast(pl.Int64)
    return pl.DataFrame(
        {
            "spend": np.exp(rng.normal(shift, 1, rows)),
            "age": age.scatter(rng.integers(0, rows, rows // 10), None),
            "plan": rng.choice(["basic", "plus", "pro"], rows),
            "active": rng.random(rows) < 0.4,
            "since": pl.Series(rng.integers(15_000, 19_000, rows)).cast(pl.Date),
            "seen": pl.Series(rng.integers(0, 10**15, rows)).cast(pl.Datetime("us")),
        }
    )


KINDS = {
    "spend": "number",
    "age": "integer",
    "plan": "string",
    "active": "boolean",
    "since": "date",
    "seen": "datetime",
}


@pytest.fixture(scope="module")
def profile():
    return build_profile(table(ROWS), KINDS)


def counts_of(window):
    return {name: tally.counts.tolist() for name, tally in window.tallies.items()}


def test_a_profile_holds_what_the_columns_held(profile):
    frame = table(ROWS)
    spend, age, plan = (profile.columns[name] for name in ("spend", "age", "plan"))
    assert isinstance(spend, NumberColumn)
    assert isinstance(plan, LevelColumn)
    assert spend.mean == pytest.approx(frame["spend"].mean())
    assert spend.std == pytest.approx(frame["spend"].std(ddof=0))
    assert (spend.low, spend.high) == (frame["spend"].min(), frame["spend"].max())
    assert age.missing == frame["age"].null_count()
    assert age.present + age.missing == ROWS
    counted = dict(frame["plan"].value_counts().iter_rows())
    assert dict(zip(plan.levels, plan.counts.tolist(), strict=False)) == counted
    assert profile.columns["active"].levels == ("false", "true")
    assert [profile.columns[name].unjudged for name in KINDS] == ["", "", "", "", "time", "time"]


def test_thirty_columns_take_less_than_a_megabyte():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {f"x{i}": rng.normal(size=5_000) for i in range(20)}
        | {f"c{i}": rng.integers(0, 4_000, 5_000).astype(str) for i in range(10)}
    )
    kinds = {name: "number" if name.startswith("x") else "string" for name in frame.columns}
    assert len(build_profile(frame, kinds).to_bytes()) < 1_000_000


def test_the_same_rows_give_the_same_bytes_and_back(profile):
    raw = profile.to_bytes()
    assert build_profile(table(ROWS), KINDS).to_bytes() == raw
    again = Profile.from_bytes(raw)
    assert again.to_bytes() == raw
    assert again.digest == profile.digest
    first, second = profile.window(), again.window()
    for window in (first, second):
        window.fold(table(300, seed=1, shift=0.5))
    assert counts_of(first) == counts_of(second)


def test_a_profile_of_columns_without_values_survives(profile):
    frame = pl.DataFrame(
        {"a": [None, None], "b": [None, "x"]}, schema={"a": pl.Float64, "b": pl.String}
    )
    made = build_profile(frame, {"a": "number", "b": "string"})
    again = Profile.from_bytes(made.to_bytes())
    window = again.window()
    window.fold(pl.DataFrame({"a": [1.0, None], "b": ["y", "x"]}))
    assert window.tallies["a"].missing == 1
    assert window.tallies["b"].counts.sum() == 2


@pytest.mark.parametrize("cut", [0, 10, 40, 3_000])
def test_something_else_is_refused(profile, cut):
    raw = profile.to_bytes()[:cut]
    with pytest.raises(DataError) as caught:
        Profile.from_bytes(raw)
    assert caught.value.name == "profile_unreadable"
    with pytest.raises(DataError):
        Window.from_bytes(raw, profile)


def test_windows_add_up_in_any_order(profile):
    parts = [table(1_000, seed=seed, shift=seed / 3) for seed in range(5)]
    whole = profile.window()
    whole.fold(pl.concat(parts))
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 3, 1]):
        total = profile.window()
        for place in order:
            part = profile.window()
            part.fold(parts[place])
            total.add(Window.from_bytes(part.to_bytes(), profile))
        assert total.rows == whole.rows == 5_000
        assert counts_of(total) == counts_of(whole)
        for name, tally in whole.tallies.items():
            assert total.tallies[name].missing == tally.missing
        sums = total.tallies["spend"].sums
        np.testing.assert_allclose(sums, whole.tallies["spend"].sums, rtol=1e-9, atol=1e-6)


def test_windows_of_another_profile_are_refused(profile):
    other = build_profile(table(ROWS, seed=9), KINDS)
    with pytest.raises(DataError) as caught:
        profile.window().add(other.window())
    assert caught.value.name == "other_profile"
    with pytest.raises(DataError):
        Window.from_bytes(other.window().to_bytes(), profile)
    # Importance is not what windows are counted by.
    profile.window().add(replace(profile, importance={"age": 1.0}).window())


def test_a_frame_without_a_column_counts_nothing_of_it(profile):
    window = profile.window()
    window.fold(table(50).drop("age"))
    assert window.rows == 50
    assert window.tallies["age"].rows == 0
    assert window.tallies["plan"].rows == 50


def test_a_window_takes_values_of_neighbouring_types(profile):
    window = profile.window()
    frame = table(100)
    window.fold(
        frame.with_columns(
            pl.col("age").cast(pl.Float64) + 0.5,
            pl.col("spend").cast(pl.String),
            pl.col("plan").cast(pl.Categorical),
            pl.col("active").cast(pl.String),
            pl.col("since").cast(pl.String),
            pl.col("seen").dt.replace_time_zone("UTC"),
        )
    )
    plain = profile.window()
    plain.fold(frame)
    assert counts_of(window) == counts_of(plain)


def test_what_is_no_number_is_missing(profile):
    window = profile.window()
    window.fold(pl.DataFrame({"spend": ["1.5", "many", None]}))
    assert window.tallies["spend"].missing == 2


def test_frequent_rare_and_new_levels_are_told_apart():
    names = ["a"] * 50 + ["b"] * 20 + ["seldom"] * 2 + [None]
    profile = build_profile(pl.DataFrame({"x": names}), {"x": "string"})
    column = profile.columns["x"]
    # Two rows are too few for a name to be kept.
    assert column.levels == ("a", "b")
    assert b"seldom" not in profile.to_bytes()
    window = profile.window()
    window.fold(pl.DataFrame({"x": ["b", "seldom", "never seen", "never seen", None]}))
    tally = window.tallies["x"]
    assert tally.counts.tolist() == [0, 1, 1, 2]
    assert tally.missing == 1
    assert tally.fresh == {"never seen": 2}


def test_with_too_many_levels_nothing_is_called_new():
    names = [f"level {i}" for i in range(6_000)]
    profile = build_profile(pl.DataFrame({"x": names * 2}), {"x": "string"})
    assert not profile.columns["x"].closed
    window = profile.window()
    window.fold(pl.DataFrame({"x": ["level 17", "something else"]}))
    assert window.tallies["x"].counts[-1] == 0


def test_some_new_levels_are_named_and_the_same_ones_in_any_order():
    profile = build_profile(pl.DataFrame({"x": ["a"] * 9}), {"x": "string"})
    parts = []
    for start in (0, 40, 80):
        window = profile.window()
        window.fold(pl.DataFrame({"x": [f"new {i}" for i in range(start, start + 60)]}))
        parts.append(window)
    forward, backward = profile.window(), profile.window()
    for window in parts:
        forward.add(window)
    for window in reversed(parts):
        backward.add(window)
    assert forward.tallies["x"].fresh == backward.tallies["x"].fresh
    assert len(forward.tallies["x"].fresh) == 20
    assert forward.tallies["x"].counts[-1] == 180


def test_dates_and_moments_are_microseconds():
    frame = pl.DataFrame(
        {"d": [date(2024, 1, 2)] * 3, "t": [datetime(2024, 1, 2, 3, tzinfo=UTC)] * 3}
    )
    profile = build_profile(frame, {"d": "date", "t": "datetime"})
    day = datetime(2024, 1, 2, tzinfo=UTC).timestamp() * 1e6
    assert profile.columns["d"].mean == day
    assert profile.columns["t"].mean == day + 3 * 3600e6


def test_answers_have_columns_by_kind_of_task():
    scores = np.array([[0.2, 0.8], [0.9, 0.1]])
    binary = answer_columns(("no", "yes"), scores, ["yes", "no"])
    assert binary[SCORE].to_list() == [0.8, 0.1]
    assert binary[LABEL].to_list() == ["yes", "no"]
    several = answer_columns((1, 2, 3), np.eye(3), [1, 2, None])
    assert list(several) == [f"{SCORE}:1", f"{SCORE}:2", f"{SCORE}:3", LABEL]
    assert several[LABEL].to_list() == ["1", "2", None]
    estimate = answer_columns((), np.array([[3.5]]), None)
    assert list(estimate) == [SCORE]
    assert answer_columns((False, True), scores, [True, False])[LABEL].to_list() == [
        "true",
        "false",
    ]
    made = build_profile(table(100), KINDS, answers=binary, importance={"age": -0.1, "plan": 2.0})
    assert list(made.columns) == [*KINDS, SCORE, LABEL]
    assert made.importance == {"age": 0.0, "plan": 2.0}
