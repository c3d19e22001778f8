"""Thresholds from past windows, and the past that a profile keeps of its own rows."""

from dataclasses import replace
from math import log, sqrt

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from scipy import stats

from ratchet.monitoring.monitor import _rules
from ratchet.monitoring.past import past_distances, thresholds_at
from ratchet.monitoring.profile import Profile, build_profile
from ratchet.monitoring.settings import DriftSettings
from ratchet.monitoring.thresholds import Thresholds, calibrate, limits_of

KINDS = {"wild": "number", "calm": "number", "level": "string", "still": "number"}


def rows(n, seed):
    """A column that is somewhere else each time, one that is not, levels, and a constant."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "wild": rng.normal(rng.normal(0, 0.5), 1, n),
            "calm": rng.normal(size=n),
            "level": rng.choice(list("abc"), n),
            "still": np.ones(n),
        }
    )


def folded(profile, frame):
    window = profile.window()
    window.fold(frame)
    return window


@pytest.fixture(scope="module")
def frames():
    return [rows(1_000, seed) for seed in range(12)]


@pytest.fixture(scope="module")
def profile(frames):
    return build_profile(pl.concat(frames), KINDS)


def test_the_formula():
    rng = np.random.default_rng(0)
    found = {name: np.exp(rng.normal(-2, 0.4, 12)).tolist() for name in ("wild", "calm")}
    profile = build_profile(rows(100, 0), KINDS)
    limits = limits_of(found, profile, 0.05, {"ks": 0.05, "js": 0.05})
    roots = {name: np.power(each, 0.25) for name, each in found.items()}
    pooled = np.mean([each.var(ddof=1) / each.mean() ** 2 for each in roots.values()])
    for name, each in roots.items():
        variance = (11 * each.var(ddof=1) + 10 * pooled * each.mean() ** 2) / 21
        reach = stats.t.ppf(1 - 0.05 / 2, 21) * sqrt(variance * (1 + 1 / 12))
        assert limits[name] == pytest.approx((each.mean() + reach) ** 4)


def test_what_moves_usually_may_move_further(frames, profile):
    windows = [folded(profile, frame) for frame in frames]
    found = calibrate(windows, profile, within=True)
    assert (found.windows, found.rows, found.source) == (12, 1_000, "live")
    assert found.distances["wild"] > 2 * found.distances["calm"]
    assert found.distances["still"] == 0.05
    assert found.distances["level"] == pytest.approx(0.06, abs=0.03)
    assert found.missing == dict.fromkeys(KINDS, 0.0)
    assert Thresholds.from_json(found.to_json()) == found


def test_a_window_is_compared_with_the_other_rows(profile, frames):
    windows = [folded(profile, frame) for frame in frames]
    inside = calibrate(windows, profile, within=True)
    outside = calibrate(windows, profile)
    assert inside.distances["wild"] > outside.distances["wild"]


def test_fewer_than_ten_windows_calibrate_nothing(profile, frames):
    windows = [folded(profile, frame) for frame in frames]
    assert calibrate(windows[:9], profile) is None
    small = [folded(profile, frame.head(20)) for frame in frames]
    assert calibrate(small, profile) is None
    # A column that most windows did not have is left to the rule without thresholds.
    part = [folded(profile, frame.drop("calm")) for frame in frames[:5]]
    found = calibrate(windows[5:] + part, profile)
    assert "calm" not in found.distances
    assert "wild" in found.distances


def test_time_is_not_calibrated():
    frame = pl.DataFrame({"day": pl.Series(range(2_000)).cast(pl.Date), "x": [1.0, 2.0] * 1_000})
    profile = build_profile(frame, {"day": "date", "x": "number"})
    windows = [folded(profile, frame.slice(100 * i, 100)) for i in range(12)]
    assert list(calibrate(windows, profile).distances) == ["x"]


def test_a_profile_remembers_how_its_rows_moved():
    frame = pl.concat([rows(500, seed) for seed in range(32)])
    profile = build_profile(frame, KINDS)
    past = past_distances(profile, frame)
    kept = replace(profile, past=past)
    again = Profile.from_bytes(kept.to_bytes())
    assert again.past == past
    # 16,000 rows: 16 blocks of 1,000 and of 250; blocks of 62 say nothing.
    assert [size["rows"] for size in past["frames"][0]] == [1_000, 250]
    found = thresholds_at(again, 1_000)
    assert (found.source, found.rows) == ("training", 1_000)
    assert found.distances["wild"] > 2 * found.distances["calm"]
    assert thresholds_at(profile, 1_000) is None


def test_smaller_windows_may_lie_further_apart_by_chance():
    frame = pl.concat([rows(500, seed).with_columns(wild=pl.col("calm")) for seed in range(32)])
    profile = build_profile(frame, KINDS)
    kept = replace(profile, past=past_distances(profile, frame))
    at = {size: thresholds_at(kept, size).distances["calm"] for size in (100, 250, 1_000, 5_000)}
    assert at[100] > at[250] > at[1_000] >= at[5_000] == 0.05
    # As the distances of samples do, with the root of their rows.
    assert log(at[100] / at[250]) == pytest.approx(log(sqrt(2.5)), abs=0.1)


def test_rows_too_few_for_blocks_leave_no_past():
    frame = rows(900, 0)
    profile = build_profile(frame, KINDS)
    kept = replace(profile, past=past_distances(profile, frame))
    assert thresholds_at(kept, 1_000) is None


def test_a_limit_in_the_settings_takes_the_place_of_its_kind_alone():
    frame = pl.DataFrame({"x": np.arange(2_000.0)})
    profile = build_profile(frame, {"x": "number"})
    past = []
    for seed in range(12):
        window = profile.window()
        window.fold(frame.sample(500, seed=seed))
        past.append(window)
    usual = _rules(profile, 500, past, DriftSettings(min_rows=100))
    own = _rules(profile, 500, past, DriftSettings(min_rows=100, thresholds={"psi": 0.2}))
    assert own.fixed == {"psi": 0.2}
    assert own.thresholds is not None
    assert own.thresholds == usual.thresholds
    with pytest.raises(ValidationError, match="ks is never above 1"):
        DriftSettings(thresholds={"ks": 2})
    assert DriftSettings(thresholds={"ks": 1, "wasserstein": 2}).thresholds["ks"] == 1
