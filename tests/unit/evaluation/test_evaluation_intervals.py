"""Intervals: the formulas against known values, the influences against slower ways to get them."""

import numpy as np
import pytest

from ratchet.data.task import Task
from ratchet.evaluation.calibration import calibration_bins, wilson_bands
from ratchet.evaluation.catalog import metric_names
from ratchet.evaluation.estimate import Estimate, logit_interval, normal_interval, wilson
from ratchet.evaluation.labels import value_and_gradient
from ratchet.evaluation.measures import measure, standard_error
from ratchet.evaluation.scored import Scored, scored_rows

BINARY = Task("binary", (0, 1))
THREE = Task("multiclass", ("a", "b", "c"))


def rows_of(task, seed=0, rows=400):
    rng = np.random.default_rng(seed)
    classes = len(task.classes)
    y = rng.choice(classes, rows, p=np.arange(classes, 0, -1) / sum(range(classes + 1)))
    raw = np.exp(rng.normal(size=(rows, classes)) + 1.2 * np.eye(classes)[y])
    # Rounding makes ties, which every ranking must count as half.
    proba = np.round(raw / raw.sum(axis=1, keepdims=True), 2)
    return scored_rows(y.astype(np.int32), proba, task=task)


def picked(scored, index):
    return Scored(scored.y[index], scored.proba[index], scored.predicted[index], scored.task)


def test_wilson_of_known_cases():
    # Brown, Cai and DasGupta 2001: 0 of 10 and 5 of 10 at 95 %.
    assert wilson(0.0, 10, 0.95) == (0.0, pytest.approx(0.277533, abs=1e-6))
    assert wilson(0.5, 10, 0.95) == (
        pytest.approx(0.236593, abs=1e-6),
        pytest.approx(0.763407, abs=1e-6),
    )
    assert wilson(1.0, 10, 0.95)[1] == 1.0
    assert wilson(0.0, 0, 0.95) == (0.0, 1.0)


def test_wilson_bands_are_wilson_for_each():
    shares, trials = np.array([0.0, 0.3, 1.0]), np.array([4.0, 50.0, 7.0])
    low, high = wilson_bands(shares, trials, 0.9)
    for index in range(3):
        wanted = wilson(shares[index], trials[index], 0.9)
        assert (low[index], high[index]) == pytest.approx(wanted)


def test_logit_interval_stays_inside_and_ends_in_wilson():
    low, high = logit_interval(0.97, 0.05, 30, 0.95)
    assert 0 < low < 0.97 < high < 1
    assert logit_interval(1.0, 0.0, 30, 0.95) == wilson(1.0, 30, 0.95)
    assert logit_interval(0.4, 0.0, 30, 0.95) == wilson(0.4, 30, 0.95)
    # Far from the ends it is the plain interval.
    assert logit_interval(0.5, 0.001, 30, 0.95) == pytest.approx(
        normal_interval(0.5, 0.001, 0.95), abs=1e-5
    )


def test_normal_interval_is_cut_at_the_range():
    assert normal_interval(0.1, 1.0, 0.95, lowest=0.0, highest=2.0) == (
        0.0,
        pytest.approx(2.0, abs=0.07),
    )


def test_estimates_read_well():
    assert Estimate(0.84123, 0.82, 0.86, "x").text() == "0.8412 (0.8200 to 0.8600)"
    assert Estimate(None, None, None, "none", "one class").text() == "undefined (one class)"


@pytest.mark.parametrize("task", [BINARY, THREE], ids=["binary", "multiclass"])
def test_each_influence_is_the_change_that_a_little_more_of_the_row_makes(task):
    """Give one row the weight of 1 + e by repeating all rows and that one once more."""
    scored = rows_of(task, rows=60)
    copies = 400
    every = np.repeat(np.arange(60), copies)
    for name in metric_names(task.kind):
        base = measure(scored, name)
        assert base.influence.mean() == pytest.approx(0, abs=1e-9), name
        for row in (0, 13, 59):
            more = measure(picked(scored, np.append(every, row)), name)
            slope = (more.value - base.value) * (60 * copies + 1)
            # With ties the areas count the added row half against itself: a term of order 1 / rows.
            assert slope == pytest.approx(base.influence[row], rel=0.02, abs=0.02), (name, row)


@pytest.mark.parametrize("task", [BINARY, THREE], ids=["binary", "multiclass"])
def test_standard_errors_are_those_of_a_bootstrap(task):
    scored = rows_of(task, rows=500)
    rng = np.random.default_rng(1)
    names = metric_names(task.kind)
    drawn = {name: [] for name in names}
    for _ in range(400):
        sample = picked(scored, rng.integers(0, 500, 500))
        for name in names:
            drawn[name].append(measure(sample, name).value)
    for name in names:
        se = standard_error(measure(scored, name).influence)
        # 400 replicates know a standard error to 3.5 %.
        assert se == pytest.approx(np.std(drawn[name]), rel=0.12), name


def test_delong_is_the_textbook_variance():
    scored = rows_of(BINARY, rows=120)
    pos = scored.proba[scored.y == 1, 1]
    neg = scored.proba[scored.y == 0, 1]
    wins = (pos[:, None] > neg[None, :]) + 0.5 * (pos[:, None] == neg[None, :])
    found = measure(scored, "roc_auc")
    assert found.value == pytest.approx(wins.mean())
    wanted = wins.mean(axis=1).var(ddof=1) / len(pos) + wins.mean(axis=0).var(ddof=1) / len(neg)
    assert standard_error(found.influence, strata=scored.y) ** 2 == pytest.approx(wanted)


def test_rows_that_belong_together_count_as_one_draw():
    rng = np.random.default_rng(4)
    influence = rng.normal(size=200)
    alone = standard_error(influence)
    assert standard_error(influence, groups=np.arange(200)) == pytest.approx(alone, rel=0.01)
    # Each row four times over is no more evidence than each row once.
    repeated = standard_error(np.repeat(influence, 4), groups=np.repeat(np.arange(200), 4))
    assert repeated == pytest.approx(alone, rel=0.01)
    assert standard_error(np.repeat(influence, 4)) == pytest.approx(alone / 2, rel=0.01)


@pytest.mark.parametrize("name", ["precision", "f1", "accuracy"])
def test_gradients_are_the_slopes_of_the_values(name):
    rng = np.random.default_rng(2)
    shares = rng.dirichlet(np.ones(9)).reshape(3, 3)
    _, gradient = value_and_gradient(name, shares)
    step = 1e-6
    for i in range(3):
        for j in range(3):
            up, down = shares.copy(), shares.copy()
            up[i, j] += step
            down[i, j] -= step
            slope = (value_and_gradient(name, up)[0] - value_and_gradient(name, down)[0]) / (
                2 * step
            )
            assert gradient[i, j] == pytest.approx(slope, abs=1e-6)


def test_calibration_bins_hold_every_row_once_and_keep_ties_together():
    scored = rows_of(BINARY, rows=500)
    bins = calibration_bins(scored, 0.95)
    assert bins.rows.sum() == 500
    assert np.all(np.diff(bins.promised) > 0)
    assert (bins.promised @ bins.rows) / 500 == pytest.approx(scored.proba[:, 1].mean())
    assert (bins.happened @ bins.rows) / 500 == pytest.approx((scored.y == 1).mean())
    assert np.all((bins.low <= bins.happened) & (bins.happened <= bins.high))
    same = scored_rows(scored.y, np.full((500, 2), 0.5), task=BINARY)
    assert calibration_bins(same, 0.95).rows.tolist() == [500]


def test_a_perfectly_calibrated_model_has_a_small_gap():
    rng = np.random.default_rng(0)
    score = rng.random(20_000)
    y = (rng.random(20_000) < score).astype(np.int32)
    good = scored_rows(y, np.column_stack((1 - score, score)), task=BINARY)
    assert calibration_bins(good, 0.95).gap < 0.015
    sharp = score**3
    bad = scored_rows(y, np.column_stack((1 - sharp, sharp)), task=BINARY)
    assert calibration_bins(bad, 0.95).gap > 0.15
