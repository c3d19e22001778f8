"""Laws of the profile: what holds for any values at all."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ratchet.errors import DataError
from ratchet.monitoring.drift import compare_frames, score_window
from ratchet.monitoring.exact import measure_exactly
from ratchet.monitoring.profile import Profile, Window, build_profile
from ratchet.monitoring.statistics import measure_numbers

# Any number that data hold, often the same ones, and now and then none.
NUMBERS = st.one_of(
    st.floats(-1e30, 1e30),
    st.floats(-3, 3),
    st.sampled_from([0.0, -0.0, 1.0, 1e-4, 1e9, -7.5]),
    st.none(),
)
COLUMNS = st.lists(NUMBERS, min_size=1, max_size=60)
WHOLE = st.lists(st.integers(-(2**62), 2**62) | st.integers(-9, 9), min_size=1, max_size=60)
LEVELS = st.lists(st.none() | st.sampled_from("abcdef") | st.text(max_size=4), min_size=1)


def series(values, dtype=pl.Float64):
    return pl.Series("x", values, dtype=dtype)


def folded(profile, *parts):
    window = profile.window()
    for part in parts:
        window.fold(part.to_frame())
    return window


@given(before=COLUMNS, after=COLUMNS)
@settings(max_examples=150, deadline=None)
def test_the_exact_distance_lies_in_the_certified_interval(before, after):
    first, second = series(before), series(after)
    profile = build_profile(first.to_frame(), {"x": "number"})
    window = folded(profile, second)
    found = measure_numbers(profile.columns["x"], window.tallies["x"])
    exact = measure_exactly(first, second, "number")
    assert (found.ks is None) == (exact.ks is None)
    assert found.missing == exact.missing
    if found.ks is not None:
        assert found.ks.low - 1e-12 <= exact.ks.value <= found.ks.high + 1e-12
        a, b = first.drop_nulls().to_numpy(), second.drop_nulls().to_numpy()
        both = np.concatenate([a, b])
        upto = [np.searchsorted(np.sort(x), both, side="right") / len(x) for x in (a, b)]
        assert abs(exact.ks.value - np.abs(upto[0] - upto[1]).max()) < 1e-12


@given(before=WHOLE, after=WHOLE)
@settings(max_examples=100, deadline=None)
def test_so_it_does_for_whole_numbers(before, after):
    first, second = series(before, pl.Int64), series(after, pl.Int64)
    profile = build_profile(first.to_frame(), {"x": "integer"})
    window = folded(profile, second)
    found = measure_numbers(profile.columns["x"], window.tallies["x"]).ks
    exact = measure_exactly(first, second, "integer").ks
    assert found.low - 1e-12 <= exact.value <= found.high + 1e-12


@given(
    before=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=60),
    after=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60),
)
@settings(max_examples=100, deadline=None)
def test_the_area_is_scipys(before, after):
    first, second = series(before), series(after)
    exact = measure_exactly(first, second, "number")
    area = stats.wasserstein_distance(before, after)
    std = np.std(before)
    if exact.wasserstein is not None and std > 1e-6:
        assert abs(exact.wasserstein * std - area) <= 1e-9 * max(area, 1.0)


@given(values=st.one_of(COLUMNS.map(series), LEVELS.map(lambda x: series(x, pl.String))))
@settings(max_examples=100, deadline=None)
def test_rows_do_not_drift_from_themselves(values):
    frame = values.to_frame()
    kind = "number" if values.dtype == pl.Float64 else "string"
    profile = build_profile(frame, {"x": kind})
    for report in (
        score_window(profile, folded(profile, values.reverse())),
        compare_frames(frame, frame.reverse()),
    ):
        assert not report.drifted
        assert report["x"].value == 0.0


@given(parts=st.lists(st.lists(NUMBERS, max_size=30), min_size=1, max_size=5), data=st.data())
@settings(max_examples=100, deadline=None)
def test_counts_do_not_depend_on_how_rows_come(parts, data):
    reference = series([value for part in parts for value in part] or [1.0])
    profile = build_profile(reference.to_frame(), {"x": "number"})
    whole = folded(profile, *(series(part) for part in parts))
    total = profile.window()
    for place in data.draw(st.permutations(range(len(parts)))):
        part = folded(profile, series(parts[place]))
        total.add(Window.from_bytes(part.to_bytes(), profile))
    assert total.tallies["x"].counts.tolist() == whole.tallies["x"].counts.tolist()
    assert total.tallies["x"].missing == whole.tallies["x"].missing


@given(values=COLUMNS, levels=LEVELS)
@settings(max_examples=100, deadline=None)
def test_a_profile_comes_back_from_its_bytes(values, levels):
    rows = max(len(values), len(levels))
    frame = pl.DataFrame(
        {
            "n": pl.Series(values + [None] * (rows - len(values)), dtype=pl.Float64),
            "s": pl.Series(levels + [None] * (rows - len(levels)), dtype=pl.String),
        }
    )
    profile = build_profile(frame, {"n": "number", "s": "string"})
    again = Profile.from_bytes(profile.to_bytes())
    assert again.to_bytes() == profile.to_bytes()
    assert again.digest == profile.digest


@given(raw=st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_refused_with_a_reason(raw):
    for start in (b"", b"ratchet-profile-1\n"):
        with pytest.raises(DataError) as caught:
            Profile.from_bytes(start + raw)
        assert caught.value.name == "profile_unreadable"
