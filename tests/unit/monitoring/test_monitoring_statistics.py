"""Distances: equal to SciPy's from all values, right from counts, known values."""

from math import log, sqrt

import numpy as np
import polars as pl
import pytest
from scipy import special, stats

from ratchet.monitoring.columns import cumulative
from ratchet.monitoring.distributions import (
    chi_square_tail,
    kolmogorov_tail,
    student_quantile,
)
from ratchet.monitoring.exact import (
    ks_distance,
    measure_exactly,
    moments,
    wasserstein_distance,
)
from ratchet.monitoring.profile import build_profile
from ratchet.monitoring.statistics import (
    cramers_v,
    js_by_chance,
    js_distance,
    ks_interval,
    levels_p_value,
    measure_levels,
    measure_numbers,
    psi,
)

SHAPES = {
    "normal": lambda rng, n: rng.normal(size=n),
    "heavy": lambda rng, n: np.exp(rng.normal(0, 3, n)),
    "discrete": lambda rng, n: rng.integers(0, 12, n).astype(float),
    "mostly zero": lambda rng, n: np.where(rng.random(n) < 0.8, 0.0, rng.gamma(2, 2, n)),
    "prices": lambda rng, n: np.round(rng.gamma(2, 20, n), 2),
    "constant": lambda rng, n: np.ones(n),
}
SIZES = [(2, 3), (1, 7), (10, 7), (2_000, 2_000), (30_000, 20_001), (25_000, 25_000)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sizes", SIZES)
def test_all_values_give_what_scipy_gives(shape, sizes):
    rng = np.random.default_rng(sizes)
    for move in (0.0, 0.3):
        a = np.sort(SHAPES[shape](rng, sizes[0]))
        b = np.sort(SHAPES[shape](rng, sizes[1]) + move)
        expected = stats.ks_2samp(a, b, method="asymp").statistic
        assert abs(ks_distance(a, b) - expected) < 1e-12
        area = stats.wasserstein_distance(a, b)
        assert abs(wasserstein_distance(a, b) - area) <= 1e-9 * max(area, 1.0)
        assert wasserstein_distance(b, a) == pytest.approx(area, rel=1e-9)
        mean, std = moments(a)
        assert mean == pytest.approx(a.mean(), rel=1e-12)
        assert std == pytest.approx(a.std(), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("move", [0.0, 0.1, 2.0])
def test_the_profile_is_within_a_hundredth_of_all_values(shape, move):
    rng = np.random.default_rng(1)
    before = pl.Series("x", SHAPES[shape](rng, 30_000))
    after = pl.Series("x", SHAPES[shape](rng, 9_000) * (1 + move))
    profile = build_profile(before.to_frame(), {"x": "number"})
    window = profile.window()
    window.fold(after.to_frame())
    found = measure_numbers(profile.columns["x"], window.tallies["x"])
    exact = measure_exactly(before, after, "number")
    assert found.ks.low - 1e-12 <= exact.ks.value <= found.ks.high + 1e-12
    assert found.ks.high - found.ks.low <= 0.0025
    assert abs(found.ks.value - exact.ks.value) < 0.01
    assert found.wasserstein is None or found.wasserstein == pytest.approx(
        exact.wasserstein, abs=0.01
    )
    assert found.psi == pytest.approx(exact.psi, abs=0.02)
    assert found.js == pytest.approx(exact.js, abs=0.02)
    assert found.means == pytest.approx(exact.means)
    assert found.missing == exact.missing


def test_discrete_columns_are_exact_from_the_profile():
    rng = np.random.default_rng(0)
    before = pl.Series("x", rng.integers(0, 40, 20_000))
    after = pl.Series("x", rng.integers(0, 44, 5_000))
    for kind in ("integer", "number"):
        profile = build_profile(before.to_frame(), {"x": kind})
        window = profile.window()
        window.fold(after.to_frame())
        found = measure_numbers(profile.columns["x"], window.tallies["x"]).ks
        exact = measure_exactly(before, after, kind).ks.value
        assert found.value == pytest.approx(exact, abs=1e-12)
        assert found.low == found.high


def test_a_half_of_one_value_does_not_hide_from_psi():
    before = pl.Series("x", [-1.0] * 900 + list(range(100)))
    after = pl.Series("x", [-1.0] * 400 + list(range(100)) * 6)
    profile = build_profile(before.to_frame(), {"x": "number"})
    window = profile.window()
    window.fold(after.to_frame())
    assert measure_exactly(before, after, "number").psi > 1.0
    assert measure_numbers(profile.columns["x"], window.tallies["x"]).psi > 1.0


def test_levels_are_the_same_from_profile_and_from_all_values():
    rng = np.random.default_rng(0)
    before = pl.Series("x", rng.choice(list("abcde"), 10_000, p=[0.4, 0.3, 0.2, 0.05, 0.05]))
    after = pl.Series("x", rng.choice(list("abcdeZ"), 3_000))
    profile = build_profile(before.to_frame(), {"x": "string"})
    window = profile.window()
    window.fold(after.to_frame())
    found = measure_levels(profile.columns["x"], window.tallies["x"])
    exact = measure_exactly(before, after, "string")
    for name in ("psi", "js", "cramers_v", "new_share", "p_value", "rows", "fresh"):
        assert getattr(found, name) == getattr(exact, name)
    assert found.new_share == (after == "Z").mean()
    assert found.fresh == ("Z",)
    # The effect does not depend on how many rows there are, as the textbook's V of 2 x k does.
    counts = [[(side == level).sum() for level in "abcdeZ"] for side in (before, after)]
    shares = np.array(counts) / np.array([[10_000], [3_000]])
    chi = stats.chi2_contingency(shares * 1_000).statistic
    assert found.cramers_v == pytest.approx(sqrt(chi / 2_000))


def test_known_values():
    p, q = np.array([0.5, 0.5]), np.array([0.6, 0.4])
    assert psi(p, q) == pytest.approx(0.1 * log(1.2) - 0.1 * log(0.8))
    assert psi(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(
        2 * (1 - 1e-4) * log(1e4)
    )
    assert js_distance(p, p) == 0.0
    assert js_distance(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1.0
    from scipy.spatial.distance import jensenshannon

    assert js_distance(p, q) == pytest.approx(jensenshannon(p, q, base=2))
    assert cramers_v(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1.0


def test_a_bin_of_one_value_leaves_nothing_open():
    before, after = np.array([5, 5]), np.array([2, 8])
    open_ = ks_interval(cumulative(before), cumulative(after), np.array([False, False]))
    closed = ks_interval(cumulative(before), cumulative(after), np.array([True, True]))
    assert (open_.low, open_.high) == (pytest.approx(0.3), pytest.approx(0.8))
    assert (closed.low, closed.high) == (pytest.approx(0.3), pytest.approx(0.3))


def test_the_distance_by_chance_is_what_samples_show():
    rng = np.random.default_rng(0)
    shares = np.full(20, 1 / 20)
    found = [
        js_distance(rng.multinomial(2_000, shares) / 2_000, rng.multinomial(500, shares) / 500)
        for _ in range(300)
    ]
    assert sqrt(np.mean(np.square(found))) == pytest.approx(js_by_chance(20, (2_000, 500)), rel=0.1)


def test_the_test_of_levels_puts_small_groups_together():
    before, after = np.array([500, 480, 3, 0]), np.array([260, 240, 0, 2])
    merged = np.array([[500, 480, 3], [260, 240, 2]])
    expected = stats.chi2_contingency(merged, correction=False).pvalue
    assert levels_p_value(before, after) == pytest.approx(expected)
    assert levels_p_value(np.array([5]), np.array([7])) == 1.0


@pytest.mark.parametrize("x", [-1.0, 0.0, 0.01, 0.3, 0.9, 1.0, 1.4, 2.0, 5.0])
def test_kolmogorov_is_scipys(x):
    assert kolmogorov_tail(x) == pytest.approx(special.kolmogorov(max(x, 0.0)), abs=1e-14)


@pytest.mark.parametrize("freedom", [1, 2, 9, 64, 300])
def test_chi_square_and_student_are_scipys(freedom):
    for x in (-1.0, 0.1, 1, freedom, 2 * freedom, 5 * freedom):
        expected = stats.chi2.sf(x, freedom)
        assert chi_square_tail(x, freedom) == pytest.approx(expected, rel=1e-9, abs=1e-14)
    for share in (0.5, 0.95, 0.99, 1 - 0.05 / 30, 1 - 0.05 / 1_000):
        expected = stats.t.ppf(share, freedom)
        assert student_quantile(share, freedom) == pytest.approx(expected, rel=1e-9, abs=1e-12)
