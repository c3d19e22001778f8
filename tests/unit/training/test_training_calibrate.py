import json
import subprocess
import sys

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from ratchet.data.task import Task
from ratchet.training.calibrate import Calibration, fit_calibration
from ratchet.training.calibration_fits import fit_isotonic, pool_violators
from ratchet.training.folds import make_folds
from ratchet.training.scoring import log_loss, roc_auc

BINARY = Task("binary", ("no", "yes"))
THREE = Task("multiclass", ("a", "b", "c"))
DISTORTIONS = {
    "right": lambda odds: odds,
    "timid": lambda odds: 0.5 * odds,
    "bold": lambda odds: 2.5 * odds,
    "balanced": lambda odds: odds + 1.5,
    "bent": lambda odds: np.where(odds > -1, 2 * (odds + 1), 0.6 * (odds + 1)) - 1,
}


def sample(rows, distortion, seed):
    """Scores (n, 2) whose log odds are distorted, and labels drawn from the right ones."""
    rng = np.random.default_rng(seed)
    odds = 1.3 * rng.normal(size=rows) - 1
    y = (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int32)
    score = 1 / (1 + np.exp(-DISTORTIONS[distortion](odds)))
    return np.column_stack([1 - score, score]), y


def fit(scores, y, method="auto"):
    return fit_calibration(scores, y, make_folds(y, 5, seed=0), BINARY, method=method)


def gain(calibration, distortion):
    """By how much it lowers the log loss of 20,000 new rows."""
    scores, y = sample(20_000, distortion, seed=99)
    return log_loss(y, scores) - log_loss(y, calibration.apply(scores))


def test_right_scores_are_left_alone():
    found = [fit(*sample(1_000, "right", seed)) for seed in range(40)]
    assert sum(calibration is not None for calibration in found) <= 2


@pytest.mark.parametrize(
    ("distortion", "least"), [("timid", 0.03), ("bold", 0.12), ("balanced", 0.18), ("bent", 0.045)]
)
def test_distorted_scores_are_put_right(distortion, least):
    for seed in range(5):
        calibration = fit(*sample(1_500, distortion, seed))
        assert calibration.method == "sigmoid"
        assert gain(calibration, distortion) > least


def test_a_sigmoid_undoes_what_a_sigmoid_did():
    slope, intercept = fit(*sample(50_000, "balanced", 1)).points
    assert slope == pytest.approx(1, abs=0.05)
    assert intercept == pytest.approx(-1.5, abs=0.08)


def test_isotonic_is_chosen_where_it_is_better_and_there_are_rows_for_it():
    scores, y = sample(20_000, "bent", 3)
    calibration = fit(scores, y)
    assert calibration.method == "isotonic"
    assert gain(calibration, "bent") > gain(fit(scores, y, "sigmoid"), "bent") + 0.003
    assert fit(scores[:2_000], y[:2_000]).method == "sigmoid"


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("rows", [60, 3_000])
def test_ranking_survives(method, rows):
    scores, y = sample(rows, "bold", 5)
    calibration = fit(scores, y, method)
    fresh, labels = sample(5_000, "bold", 6)
    calibrated = calibration.apply(fresh)
    before, after = roc_auc(labels == 1, fresh[:, 1]), roc_auc(labels == 1, calibrated[:, 1])
    assert after == pytest.approx(before, abs=1e-9)
    assert np.all(np.diff(calibrated[np.argsort(fresh[:, 1]), 1]) >= 0)
    ends = calibration.apply(np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert 0 < ends[0, 1] < ends[1, 1] < 1
    assert np.array_equal(calibrated.sum(axis=1), np.ones(5_000))


def test_calibrated_scores_hold_what_they_say():
    calibration = fit(*sample(20_000, "bent", 8))
    fresh, y = sample(50_000, "bent", 9)
    score = calibration.apply(fresh)[:, 1]
    edges = np.quantile(score, np.linspace(0, 1, 11)[1:-1])
    part = np.searchsorted(edges, score)
    for number in range(10):
        inside = part == number
        error = np.sqrt(score[inside].mean() * (1 - score[inside].mean()) / inside.sum())
        assert abs(y[inside].mean() - score[inside].mean()) < 4 * error + 0.01


def test_a_wrong_order_is_not_turned_round():
    scores, y = sample(2_000, "right", 4)
    slope, _ = fit(scores, 1 - y).points
    assert slope == 0.05


def test_time_folds_are_judged_by_what_was_known_before():
    """Early scores are too bold, late ones too timid: what the past says does harm later."""
    early, y_early = sample(4_000, "bold", 1)
    late, y_late = sample(2_000, "timid", 2)
    scores, y = np.concatenate([early, late]), np.concatenate([y_early, y_late])
    in_time = make_folds(y, 2, seed=0, time=np.repeat([0, 1, 2], 2_000))
    scores[:2_000] = np.nan  # rows that no fold of a time order scores
    assert fit_calibration(scores, y, in_time, BINARY) is None
    mixed = make_folds(y, 5, seed=0)
    assert fit_calibration(scores, y, mixed, BINARY) is not None


def test_more_classes_take_a_temperature_and_offsets_where_weights_moved_them():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(6_000, 3)) + np.array([1.0, 0.0, -1.5])
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = (chance.cumsum(axis=1) < rng.random(6_000)[:, None]).sum(axis=1).astype(np.int32)
    folds = make_folds(y, 5, seed=0)
    bold = np.exp(2 * logits) / np.exp(2 * logits).sum(axis=1, keepdims=True)
    (temperature,) = fit_calibration(bold, y, folds, THREE).points
    assert temperature == pytest.approx(2, abs=0.15)
    moved = np.exp(logits - [1.0, 0.0, -1.5])
    moved /= moved.sum(axis=1, keepdims=True)
    calibration = fit_calibration(moved, y, folds, THREE)
    assert calibration.method == "temperature"
    assert len(calibration.points) == 4
    assert np.abs(calibration.apply(moved) - chance).max() < 0.1
    assert fit_calibration(chance, y, folds, THREE) is None


def test_nothing_to_calibrate():
    scores, y = sample(100, "bold", 0)
    folds = make_folds(y, 5, seed=0)
    assert fit_calibration(scores, y, folds, BINARY, method="none") is None
    assert fit_calibration(scores[:, :1], scores[:, 1], folds, Task("regression", ())) is None
    assert fit_calibration(scores, np.zeros(100, np.int32), folds, BINARY) is None
    assert fit_calibration(np.full((100, 2), np.nan), y, folds, BINARY) is None


def test_rows_without_scores_and_weights():
    scores, y = sample(3_000, "bold", 2)
    folds = make_folds(y, 5, seed=0)
    weight = np.where(np.arange(3_000) < 2_000, 1.0, 0.0)
    half = scores.copy()
    half[2_000:] = np.nan
    weighted = fit_calibration(scores, y, folds, BINARY, weight=weight, method="sigmoid")
    shorter = fit_calibration(half, y, folds, BINARY, method="sigmoid")
    assert weighted.points == pytest.approx(shorter.points, abs=0.002)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_json_keeps_every_bit(method):
    scores, y = sample(2_000, "bold", 2)
    calibration = fit(scores, y, method)
    read = Calibration.from_json(json.loads(json.dumps(calibration.to_json())))
    assert read == calibration
    assert np.array_equal(read.apply(scores), calibration.apply(scores))
    one_by_one = np.concatenate([calibration.apply(scores[row : row + 1]) for row in range(50)])
    assert np.array_equal(one_by_one, calibration.apply(scores)[:50])
    assert calibration.apply(np.empty((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("rows", [1, 2, 50, 2_000])
def test_pooling_is_isotonic_regression(rows):
    rng = np.random.default_rng(rows)
    values, weight = rng.random(rows), rng.random(rows) + 0.1
    starts, levels = pool_violators(values, weight)
    found = np.repeat(levels, np.diff(np.append(starts, rows)))
    expected = IsotonicRegression().fit(np.arange(rows), values, sample_weight=weight)
    assert np.allclose(found, expected.predict(np.arange(rows)), atol=1e-12)


def test_pooling_that_falls_again_and_again_ends():
    """Each pooled pair lies below the level before it: one pass per row, were there no end."""
    values = np.append(np.arange(1, 200_000, dtype=np.float64), -1e12)
    starts, levels = pool_violators(values, np.ones(len(values)))
    assert starts.tolist() == [0]
    assert levels[0] == pytest.approx(values.mean())


def test_isotonic_knots_rise_and_never_too_steeply():
    rng = np.random.default_rng(0)
    odds = np.concatenate([rng.normal(-1, 0.001, 5_000), rng.normal(-0.99, 0.001, 5_000)])
    points = np.array(fit_isotonic(odds, np.arange(10_000) >= 5_000, np.ones(10_000)))
    x, y = np.split(points, 2)
    assert np.all(np.diff(x) > 0)
    assert np.all(np.diff(y) > 0)
    assert np.all(np.diff(y) / np.diff(x) <= 8.0 + 1e-9)


def test_serving_needs_numpy_alone():
    code = (
        "import sys, ratchet.training.calibrate; "
        "print(sorted({'polars', 'pydantic', 'sklearn', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
