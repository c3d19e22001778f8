import time

import numpy as np
import pytest

from ratchet.training import greedy
from ratchet.training.ensemble import Limits, select_weights
from ratchet.training.folds import Fold, make_folds
from ratchet.training.quick_scores import score_blends
from ratchet.training.scoring import METRICS, REGRESSION_METRICS, score_all

ROWS = 1_500


def chance(odds):
    return 1 / (1 + np.exp(-odds))


def world(rows=ROWS, seed=0):
    """The true log odds of each row, its label, folds, and the generator."""
    rng = np.random.default_rng(seed)
    odds = 1.5 * rng.normal(size=rows) - 1
    y = (rng.random(rows) < chance(odds)).astype(np.int32)
    return odds, y, make_folds(y, 5, seed=seed), rng


def two(score):
    return np.column_stack([1 - score, score])


def views(odds, rng, errors):
    """Candidates that see the odds with errors of their own."""
    return [two(chance(odds + error * rng.normal(size=len(odds)))) for error in errors]


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "pr_auc", "accuracy", "f1"])
def test_different_candidates_are_better_together(metric):
    odds, y, folds, rng = world(6_000)
    oof = views(odds, rng, [0.9] * 4)
    found = select_weights(oof, y, folds, metric)
    assert found.worthwhile
    assert found.gain > 0
    assert sum(found.weights) == pytest.approx(1, abs=1e-12)
    assert np.count_nonzero(found.weights) == 4
    fresh_odds, fresh_y, _, rng = world(20_000, seed=9)
    fresh = views(fresh_odds, rng, [0.9] * 4)
    blend = sum(weight * scores for weight, scores in zip(found.weights, fresh, strict=True))
    single, blended = (score_all(fresh_y, scores)[metric] for scores in (fresh[0], blend))
    assert (blended < single) if metric == "log_loss" else (blended > single)


def test_gains_are_mostly_found_and_missing_ones_mostly_not():
    """Shares of adoption: candidates with errors of their own, one that knows all, pure noise."""
    adopted = {"gain": 0, "single": 0, "noise": 0}
    for seed in range(20):
        odds, y, folds, rng = world([500, 1_500][seed % 2], seed)
        oof = {
            "gain": views(odds, rng, [0.8] * 4),
            "single": views(odds, rng, [0.0, 0.5, 1.0, 2.0]),
            "noise": views(np.full(len(y), -1.0), rng, [0.5] * 4),
        }
        for name, scores in oof.items():
            adopted[name] += select_weights(scores, y, folds, "roc_auc").worthwhile
    assert adopted["gain"] >= 16
    assert adopted["single"] <= 2
    assert adopted["noise"] <= 3


def test_copies_of_one_candidate_are_no_ensemble():
    odds, y, folds, rng = world()
    same = chance(odds + rng.normal(size=len(y)))
    oof = [two(same), two(same * 0.9999), two(same**1.001)]
    found = select_weights(oof, y, folds, "roc_auc", single=1)
    assert not found.worthwhile
    assert found.weights == (0, 1, 0)
    assert "same scores" in found.reason


def test_the_judgement_is_made_on_rows_that_chose_nothing():
    """Many useless candidates: the best of them looks good only where it was chosen."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 400).astype(np.int32)
    folds = make_folds(y, 5, seed=0)
    oof = views(np.zeros(400), rng, [1.0] * 60)
    found = select_weights(oof, y, folds, "roc_auc")
    assert 0.42 < np.mean(found.scores) < 0.58
    assert 0.42 < np.mean(found.singles) < 0.58
    chosen = sum(weight * scores for weight, scores in zip(found.weights, oof, strict=True))
    assert score_all(y, chosen)["roc_auc"] > 0.58  # what choosing and judging on one would say


def test_limits_are_kept():
    odds, y, folds, rng = world(3_000)
    oof = views(odds, rng, [0.8] * 6)
    for most in (2, 3):
        found = select_weights(oof, y, folds, "roc_auc", limits=Limits(members=most))
        assert np.count_nonzero(found.weights) == most
    seconds = (1e-3, 1e-3, 1e-3, 5e-3, 1e-3, 1e-3)
    slow = select_weights(
        oof, y, folds, "roc_auc", limits=Limits(seconds=seconds, most_seconds=3.5e-3)
    )
    assert slow.weights[3] == 0
    assert np.count_nonzero(slow.weights) == 3
    sizes = (9, 9, 1, 1, 9, 9)
    small = select_weights(oof, y, folds, "roc_auc", limits=Limits(bytes=sizes, most_bytes=2))
    assert {place for place, weight in enumerate(small.weights) if weight} == {2, 3}
    none = select_weights(oof, y, folds, "roc_auc", limits=Limits(bytes=sizes, most_bytes=0))
    assert not none.worthwhile


def test_rows_that_no_fold_scored_are_left_out():
    odds, y, _, rng = world(4_000)
    folds = make_folds(y, 4, seed=0, time=np.arange(4_000))
    oof = views(odds, rng, [0.8] * 3)
    for scores in oof:
        scores[:800] = np.nan
    found = select_weights(oof, y, folds, "roc_auc")
    assert found.worthwhile
    assert len(found.scores) == 4
    assert np.isfinite(found.scores).all()


def test_a_single_fold_is_dealt_out():
    odds, y, _, rng = world(4_000)
    fold = Fold(np.arange(1_000), np.arange(1_000, 4_000))
    found = select_weights(views(odds, rng, [0.8] * 3), y, [fold], "roc_auc")
    assert found.worthwhile
    assert len(found.scores) == 5


def test_the_metric_itself_decides_where_probabilities_are_off():
    """The better ranking comes with scores that log loss abhors."""
    odds, y, folds, rng = world(6_000)
    sharp = [two(chance(0.3 * (odds + 0.3 * rng.normal(size=len(y))) + 2.5)) for _ in range(2)]
    dull = views(odds, rng, [2.0])
    found = select_weights([*dull, *sharp], y, folds, "roc_auc")
    assert found.weights[0] < 0.3
    assert found.worthwhile


@pytest.mark.parametrize("metric", ["log_loss", "roc_auc", "accuracy"])
def test_more_classes(metric):
    rng = np.random.default_rng(0)
    logits = 1.5 * rng.normal(size=(3_000, 4))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = (true.cumsum(axis=1) < rng.random(3_000)[:, None]).sum(axis=1).astype(np.int32)
    oof = []
    for _ in range(3):
        seen = np.exp(logits + rng.normal(size=logits.shape))
        oof.append(seen / seen.sum(axis=1, keepdims=True))
    found = select_weights(oof, y, make_folds(y, 5, seed=0), metric)
    assert found.worthwhile
    assert np.count_nonzero(found.weights) == 3


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
def test_numbers(metric):
    rng = np.random.default_rng(0)
    y = 10 * rng.normal(size=2_000)
    folds = [
        Fold(np.flatnonzero(np.arange(2_000) % 4 != f), np.arange(f, 2_000, 4)) for f in range(4)
    ]
    oof = [(y + 3 * rng.normal(size=2_000))[:, None] for _ in range(3)]
    found = select_weights(oof, y, folds, metric)
    assert found.worthwhile
    blend = sum(weight * scores for weight, scores in zip(found.weights, oof, strict=True))
    expected = [score_all(y[fold.score], blend[fold.score])[metric] for fold in folds]
    assert np.mean(found.scores) == pytest.approx(np.mean(expected), rel=0.01)
    known = oof[0]
    useless = [known, known + 5 * rng.normal(size=(2_000, 1)), 5 * rng.normal(size=(2_000, 1))]
    drawn = known[:, 0] + rng.normal(size=2_000)
    assert not select_weights(useless, drawn, folds, metric).worthwhile


def test_the_same_input_gives_the_same_weights():
    odds, y, folds, rng = world()
    oof = views(odds, rng, [0.7, 0.8, 0.9])
    assert select_weights(oof, y, folds, "roc_auc") == select_weights(oof, y, folds, "roc_auc")


def test_too_little_to_choose_from():
    odds, y, folds, rng = world(200)
    (one,) = views(odds, rng, [0.5])
    assert select_weights([one], y, folds, "roc_auc").weights == (1.0,)
    single_class = np.zeros(200, np.int32)
    nothing = select_weights([one, one[::-1]], single_class, folds, "roc_auc", single=1)
    assert nothing.weights == (0.0, 1.0)
    assert not nothing.worthwhile


def test_many_candidates_of_many_rows_take_seconds():
    odds, y, folds, rng = world(40_000)
    oof = views(odds, rng, rng.uniform(0.3, 1, 30))
    started = time.process_time()
    assert select_weights(oof, y, folds, "roc_auc").worthwhile
    assert time.process_time() - started < 15  # 2 alone; shared cores take their part


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_quick_scores_are_the_scores(ties, classes):
    rng = np.random.default_rng(7)
    blends = rng.random((4, 300, classes))
    if ties:
        blends = np.ceil(5 * blends)
    blends /= blends.sum(axis=2, keepdims=True)
    y = rng.integers(0, classes, 300).astype(np.int32)
    given = (blends[:, :, 1:] if classes == 2 else blends).astype(np.float32)
    for metric in METRICS:
        found = score_blends(metric, given, y, np.ones(300))
        expected = [score_all(y, blend)[metric] for blend in given_back(given)]
        # Ties of precision are counted half here, whole there.
        near = 0.03 if ties and metric == "pr_auc" else 2e-4
        assert found == pytest.approx(expected, abs=near), metric


def given_back(given):
    """The scores (b, n, k) as float32 holds them."""
    wide = given.astype(np.float64)
    return wide if wide.shape[2] > 1 else np.concatenate([1 - wide, wide], axis=2)


def test_quick_scores_of_numbers_are_the_scores():
    rng = np.random.default_rng(7)
    y = rng.normal(size=200)
    blends = rng.normal(size=(3, 200, 1)).astype(np.float32)
    for metric in REGRESSION_METRICS:
        found = score_blends(metric, blends, y, np.ones(200))
        expected = [score_all(y, blend.astype(np.float64))[metric] for blend in blends]
        assert found == pytest.approx(expected, rel=1e-5)


def test_thinned_rows_are_weighed_to_be_all_rows(monkeypatch):
    """Of 1:50 rows the common ones are thinned; scores stay those of all rows."""
    monkeypatch.setattr(greedy, "MOST_ROWS", 3_000)
    rng = np.random.default_rng(2)
    rows = 15_000
    y = (rng.random(rows) < 0.02).astype(np.int32)
    oof = views(2.0 * y - 3 + rng.normal(size=rows), rng, [0.8] * 3)
    folds = make_folds(y, 5, seed=0)
    for metric in ("roc_auc", "pr_auc", "log_loss"):
        found = select_weights(oof, y, folds, metric)
        blend = sum(weight * scores for weight, scores in zip(found.weights, oof, strict=True))
        expected = np.mean([score_all(y[f.score], blend[f.score])[metric] for f in folds])
        assert np.mean(found.scores) == pytest.approx(
            expected, rel=0.15 if metric == "pr_auc" else 0.05
        )
