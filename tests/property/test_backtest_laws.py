"""Nothing that becomes known later has a part in a replay; the oracle is the best there is."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest_world import make_frame, make_world, played, policy
from ratchet.backtest.baselines import best_schedules
from ratchet.backtest.quality import paired

TURN = np.pi / 2
EAGER = policy(
    performance={}, new_rows="25%", drift={"action": "retrain"}, cooldown="2d", margin=0.01,
    follow_up={"rows": "20%"},
)  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    delay=st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    moment=st.integers(8, 22),
)
def test_what_is_revealed_later_changes_nothing_before(seed, delay, moment) -> None:
    frame = make_frame([0.0] * 12 + [TURN] * 13, rows=120, seed=seed)
    cells = make_world(frame, delay=delay)
    stream = cells.stream
    known = stream.known(moment)
    # Labels that are not known at the end of that period are all turned over.
    turned = pl.Series("y", np.where(frame["y"] == "yes", "no", "yes"))
    late = pl.Series(np.arange(frame.height) >= known)
    other = make_world(frame.with_columns(frame["y"].zip_with(~late, turned)), delay=delay)
    first, second = played(cells, EAGER), played(other, EAGER)
    until = [[run for run in one.runs if run.period <= moment] for one in (first, second)]
    assert until[0] == until[1]
    served = moment + 1 - stream.first
    assert first.path[:served] == second.path[:served]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), delay=st.sampled_from([0.0, 0.3, 2.0]))
def test_no_model_learns_from_a_row_before_its_label_is_known(seed, delay) -> None:
    cells = make_world(make_frame([0.0] * 25, rows=60, seed=seed), delay=delay)
    stream = cells.stream
    for point, fit in cells.fits.items():
        end = np.datetime64(stream.ends[point].replace(tzinfo=None), "us").astype(np.int64)
        reveal = stream.at + int(delay * 86_400_000_000)
        assert (reveal[: fit.known] <= end).all()
        assert fit.cut < fit.tested + 1 <= fit.known
        assert (
            fit.known == len(stream.at)
            or reveal[fit.known] > end
            or (fit.known == stream.bounds[point + 1])
        )


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 7), st.integers(0, 10_000))
def test_the_oracle_is_the_best_of_all_schedules(periods, seed) -> None:
    rng = np.random.default_rng(seed)
    table = np.triu(rng.uniform(size=(periods, periods)))
    table[np.tril_indices(periods, -1)] = np.inf
    found = best_schedules(table, 3)
    for count in range(periods):
        best = min(_cost(table, starts) for starts in combinations(range(1, periods), count))
        assert np.isclose(found.losses[count], best)
        path = found.choices[count]
        assert np.isclose(sum(table[m - 3, u] for u, m in enumerate(path)), best)
        assert len(set(path)) == count + 1


def _cost(table: np.ndarray, starts: tuple[int, ...]) -> float:
    serving, total = 0, 0.0
    for period in range(len(table)):
        serving = period if period in starts else serving
        total += table[serving, period]
    return float(total)


def test_equal_policies_are_told_apart_about_as_rarely_as_promised() -> None:
    """Paired over 60 periods, alone and with neighbours alike: at most about 1 in 10 of 1,000."""
    rng = np.random.default_rng(0)
    for carried in (0.0, 0.5):
        false = 0
        for _ in range(1000):
            noise = rng.normal(size=60)
            for place in range(1, 60):
                noise[place] += carried * noise[place - 1]
            false += abs(paired(noise, np.full(60, 100.0)).z) > 1.96
        assert false / 1000 < (0.08 if carried == 0 else 0.17)
        assert false / 1000 > 0.02


def test_a_real_difference_is_seen() -> None:
    rng = np.random.default_rng(1)
    seen = [paired(rng.normal(0.5, 1, size=60), np.full(60, 100.0)).z > 1.96 for _ in range(200)]
    assert np.mean(seen) > 0.9
