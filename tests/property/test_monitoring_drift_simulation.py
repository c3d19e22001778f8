"""What the default rule promises: false alarms within the budget, and shifts that are found.

A dozen columns, ten past windows of 2,000 rows, then a quiet window and a shifted one. Rows are
independent; or come in groups of twenty that are alike; or every window is a day of its own.
"""

import numpy as np
import polars as pl
import pytest

from ratchet.monitoring.drift import DriftRules, calibrate, score_window
from ratchet.monitoring.profile import build_profile

COLUMNS, ROWS, PAST = 12, 2_000, 10
RUNS = 30
NAMES = [f"c{place}" for place in range(COLUMNS)]


def window_of_rows(rng, kind):
    if kind == "independent":
        values = rng.normal(size=(ROWS, COLUMNS))
    elif kind == "groups":
        groups = rng.normal(size=(ROWS // 20, COLUMNS)).repeat(20, axis=0)
        values = np.sqrt(0.5) * groups + np.sqrt(0.5) * rng.normal(size=(ROWS, COLUMNS))
    else:
        values = rng.normal(size=(ROWS, COLUMNS)) + rng.normal(0, 0.3, COLUMNS)
    return pl.DataFrame(values, schema=NAMES, orient="row")


def folded(profile, frame):
    window = profile.window()
    window.fold(frame)
    return window


def simulate(kind, shift):
    """Shares of runs: quiet windows with an alarm by thresholds and without; shifts found."""
    alarms = general = found = 0
    for seed in range(RUNS):
        rng = np.random.default_rng([seed, len(kind)])
        past = [window_of_rows(rng, kind) for _ in range(PAST)]
        profile = build_profile(pl.concat(past), dict.fromkeys(NAMES, "number"))
        known = calibrate([folded(profile, frame) for frame in past], profile, within=True)
        rules = DriftRules(thresholds=known)
        new = window_of_rows(rng, kind)
        quiet, moved = folded(profile, new), folded(profile, new.with_columns(pl.col("c0") + shift))
        alarms += score_window(profile, quiet, rules).drifted
        general += score_window(profile, quiet).drifted
        found += score_window(profile, moved, rules)["c0"].drifted
    return alarms / RUNS, general / RUNS, found / RUNS


@pytest.mark.parametrize(
    ("kind", "shift", "power"),
    [("independent", 0.2, 0.9), ("groups", 0.5, 0.75), ("days", 3.0, 0.75)],
)
def test_quiet_windows_stay_within_the_budget_and_shifts_are_found(kind, shift, power):
    alarms, general, found = simulate(kind, shift)
    assert alarms <= 0.05
    assert found >= power
    # Without past windows there is no telling days that differ from drift.
    assert (general > 0.9) == (kind == "days")
