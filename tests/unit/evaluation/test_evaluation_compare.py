"""Paired comparison: directions, verdicts, few disagreements, rows that belong together."""

import json
from math import comb, sqrt

import numpy as np
import pytest

from ratchet.data.task import Task
from ratchet.errors import DataError
from ratchet.evaluation.catalog import metric_names
from ratchet.evaluation.compare import Comparison, compare, rows_needed
from ratchet.evaluation.estimate import quantile_one_sided
from ratchet.evaluation.metrics import evaluate

BINARY = Task("binary", ("no", "yes"))


def two_models(seed=0, rows=500, *, noise=(0.2, 1.0), rate=0.3):
    """Labels, a good model's scores and a worse one's."""
    rng = np.random.default_rng(seed)
    y = (rng.random(rows) < rate).astype(np.int32)
    signal = rng.normal(size=rows) + 1.5 * y - 1.0
    scores = []
    for amount in noise:
        p = 1 / (1 + np.exp(-(signal + amount * rng.normal(size=rows))))
        scores.append(np.column_stack((1 - p, p)))
    return y, *scores


def labels_only(wins, losses, rows=200):
    """Scores of two models that disagree on ``wins`` rows in favour of the first, and back."""
    y = np.ones(rows, dtype=np.int32)
    y[: rows // 2] = 0
    right = np.column_stack((1.0 - y, y)).astype(float) * 0.8 + 0.1
    new, old = right.copy(), right.copy()
    old[:wins] = old[:wins, ::-1]
    new[wins : wins + losses] = new[wins : wins + losses, ::-1]
    return y, new, old


@pytest.mark.parametrize("metric", metric_names("binary"))
def test_the_difference_is_the_difference_of_the_metrics_and_positive_is_better(metric):
    y, good, bad = two_models()
    found = compare(y, good, bad, task=BINARY, metric=metric)
    here, there = (evaluate(y, p, task=BINARY)[metric].value for p in (good, bad))
    sign = -1 if metric in ("log_loss", "brier") else 1
    assert found.new == here
    assert found.old == there
    assert found.difference == pytest.approx(sign * (here - there))
    back = compare(y, bad, good, task=BINARY, metric=metric)
    assert back.difference == pytest.approx(-found.difference)
    assert back.se == pytest.approx(found.se)
    assert back.low == pytest.approx(-found.high)


def test_a_clearly_better_model_is_superior_and_the_other_worse():
    y, good, bad = two_models(rows=2000)
    found = compare(y, good, bad, task=BINARY, metric="roc_auc")
    assert found.verdict == "superior"
    assert found.superior
    assert compare(y, bad, good, task=BINARY, metric="roc_auc").verdict == "worse"


def test_pairing_makes_the_interval_much_narrower_than_two_single_ones():
    y, good, bad = two_models(noise=(0.2, 0.25), rows=2000)
    found = compare(y, good, bad, task=BINARY, metric="roc_auc")
    single = evaluate(y, good, task=BINARY)["roc_auc"]
    assert found.high - found.low < (single.high - single.low) / 2


def test_a_margin_turns_not_enough_evidence_into_non_inferior():
    y, good, bad = two_models(noise=(0.3, 0.31), rows=2000)
    plain = compare(y, bad, good, task=BINARY, metric="roc_auc")
    assert plain.verdict == "not_enough_evidence"
    wide = compare(y, bad, good, task=BINARY, metric="roc_auc", margin=0.03)
    assert wide.verdict == "non_inferior"
    assert wide.non_inferior
    assert not wide.superior


def test_worse_within_the_margin_is_still_called_worse():
    y, good, bad = two_models(rows=4000, noise=(0.2, 0.5))
    found = compare(y, bad, good, task=BINARY, metric="roc_auc", margin=0.2)
    assert found.verdict == "worse"
    assert found.non_inferior


@pytest.mark.parametrize("metric", metric_names("binary"))
def test_a_model_against_itself_proves_nothing(metric):
    y, good, _ = two_models()
    found = compare(y, good, good, task=BINARY, metric=metric)
    assert found.difference == 0
    assert found.verdict == "not_enough_evidence"
    assert found.rows_needed is None


def test_equal_scores_say_so():
    y, good, _ = two_models()
    found = compare(y, good, good.copy(), task=BINARY, metric="log_loss")
    assert found.reason == "both models score these rows alike"


def test_the_last_digits_of_another_runtime_are_no_improvement():
    y, good, _ = two_models()
    other = good + np.where(y == 1, -1e-9, 1e-9)[:, None] * [-1, 1]
    found = compare(y, good, other, task=BINARY, metric="log_loss")
    assert found.difference > 0
    assert found.verdict == "not_enough_evidence"
    assert "alike" in found.reason


@pytest.mark.parametrize("wins", range(12))
@pytest.mark.parametrize("losses", [0, 1, 2])
def test_few_disagreements_prove_no_more_than_the_exact_test_allows(wins, losses):
    found = compare(*labels_only(wins, losses), task=BINARY, metric="accuracy")
    total = wins + losses
    chance = [comb(total, k) / 2**total for k in range(total + 1)]
    exact, mid = sum(chance[wins:]), sum(chance[wins:]) - chance[wins] / 2
    if found.superior:
        assert mid < 0.05
        assert exact < 0.05
    if exact < 0.03:
        assert found.superior
    assert (found.wins, found.losses) == (wins, losses)
    assert found.method == "McNemar, exact"


@pytest.mark.parametrize("level", [0.05, 0.01, 0.002])
def test_the_exact_test_holds_at_every_level_that_a_gate_may_ask(level):
    """A bound made of the standard error agrees with McNemar's exact test, which never errs more
    often than its level."""
    for wins in range(4, 25):
        for losses in range(25 - wins):
            found = compare(*labels_only(wins, losses), task=BINARY, metric="accuracy")
            total = wins + losses
            exact = sum(comb(total, k) for k in range(wins, total + 1)) / 2**total
            if found.difference - quantile_one_sided(level) * found.se > 0:
                assert exact <= level, (wins, losses)


def test_many_disagreements_or_groups_are_not_judged_by_the_exact_test():
    y, new, old = labels_only(30, 10)
    found = compare(y, new, old, task=BINARY, metric="accuracy")
    assert found.method == "McNemar, Bonett and Price"
    y, new, old = labels_only(9, 2)
    grouped = compare(y, new, old, task=BINARY, metric="accuracy", groups=np.arange(len(y)) // 2)
    assert grouped.method == "McNemar, Bonett and Price"
    assert compare(y, new, old, task=BINARY, metric="brier").wins is None


@pytest.mark.parametrize(
    ("metric", "method"),
    [
        ("roc_auc", "paired DeLong"),
        ("log_loss", "paired z"),
        ("f1", "paired infinitesimal jackknife"),
    ],
)
def test_the_method_is_said(metric, method):
    y, good, bad = two_models()
    assert compare(y, good, bad, task=BINARY, metric=metric).method == method


@pytest.mark.parametrize("metric", ["pr_auc", "f1", "f1_positive"])
def test_paired_errors_are_those_of_a_paired_bootstrap(metric):
    y, good, bad = two_models(rows=1000)
    rng = np.random.default_rng(3)
    drawn = []
    for _ in range(300):
        rows = rng.integers(0, len(y), len(y))
        drawn.append(compare(y[rows], good[rows], bad[rows], task=BINARY, metric=metric).difference)
    found = compare(y, good, bad, task=BINARY, metric=metric)
    # 300 replicates know a standard error to 4 %.
    assert found.se == pytest.approx(np.std(drawn), rel=0.14)


def test_accuracy_is_the_interval_of_bonett_and_price():
    wins, losses, rows = 26, 12, 200
    found = compare(*labels_only(wins, losses, rows), task=BINARY, metric="accuracy")
    share_b, share_c = (wins + 1) / (rows + 2), (losses + 1) / (rows + 2)
    wanted = sqrt((share_b + share_c - (share_b - share_c) ** 2) / (rows + 2))
    assert found.se == pytest.approx(wanted, rel=0.015)


def test_thresholds_are_each_models_own():
    y, good, bad = two_models()
    found = compare(
        y, good, bad, task=BINARY, metric="f1_positive", threshold=0.3, old_threshold=0.7
    )
    assert found.new == evaluate(y, good, task=BINARY, threshold=0.3)["f1_positive"].value
    assert found.old == evaluate(y, bad, task=BINARY, threshold=0.7)["f1_positive"].value
    same = compare(y, good, bad, task=BINARY, metric="f1_positive", threshold=0.3)
    assert same.old == evaluate(y, bad, task=BINARY, threshold=0.3)["f1_positive"].value


def test_repeating_rows_is_no_evidence_when_they_are_known_to_belong_together():
    y, good, bad = two_models(rows=300)
    once = compare(y, good, bad, task=BINARY, metric="roc_auc")
    many = [np.repeat(part, 5, axis=0) for part in (y, good, bad)]
    fooled = compare(*many, task=BINARY, metric="roc_auc")
    assert fooled.se == pytest.approx(once.se / sqrt(5), rel=0.02)
    groups = np.repeat(np.arange(300), 5)
    honest = compare(*many, task=BINARY, metric="roc_auc", groups=groups)
    assert honest.se == pytest.approx(once.se, rel=0.02)


def test_too_few_rows_prove_nothing_and_say_how_many_are_needed():
    y, good, bad = two_models(rows=29)
    found = compare(y, good, bad, task=BINARY, metric="log_loss")
    assert found.verdict == "not_enough_evidence"
    assert found.difference is not None
    assert "29 rows are too few" in found.reason
    y, good, bad = two_models(rows=300)
    keep = np.concatenate((np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:9]))
    found = compare(y[keep], good[keep], bad[keep], task=BINARY, metric="roc_auc")
    assert "9 rows of the class 'yes' are too few" in found.reason
    groups = np.arange(300) // 20
    found = compare(y, good, bad, task=BINARY, metric="brier", groups=groups)
    assert "15 groups of rows are too few" in found.reason


def test_one_class_leaves_an_area_without_a_verdict():
    y, good, bad = two_models(rows=100)
    found = compare(np.zeros_like(y), good, bad, task=BINARY, metric="roc_auc")
    assert found.difference is None
    assert found.verdict == "not_enough_evidence"
    assert "all 100 rows are of the class 'no'" in found.reason
    json.dumps(found.to_json(), allow_nan=False)


def test_multiclass_areas_compare():
    rng = np.random.default_rng(0)
    task = Task("multiclass", ("a", "b", "c"))
    y = rng.choice(3, 900, p=[0.6, 0.3, 0.1]).astype(np.int32)
    signal = 1.5 * np.eye(3)[y] + rng.normal(size=(900, 3))
    good, bad = (np.exp(signal + s * rng.normal(size=(900, 3))) for s in (0.1, 1.5))
    good, bad = (p / p.sum(axis=1, keepdims=True) for p in (good, bad))
    for metric in metric_names("multiclass"):
        assert compare(y, good, bad, task=task, metric=metric).verdict == "superior", metric


def test_rows_needed_is_where_the_same_difference_is_proven_with_power():
    # n = n0 ((1.6449 + .8416) se / d)^2
    assert rows_needed(0.01, 0.01, 1000, 0.05) == pytest.approx(6183, abs=2)
    assert rows_needed(0.0, 0.01, 1000, 0.05) is None
    assert rows_needed(-0.1, 0.01, 1000, 0.05) is None
    assert rows_needed(1e-300, 0.01, 1000, 0.05) is None


def test_rows_needed_gives_the_promised_power():
    """At the rows it names, four of five comparisons find the difference."""
    probe = compare(*two_models(9, 100_000, noise=(0.3, 0.5)), task=BINARY, metric="log_loss")
    rows = probe.rows_needed
    assert 200 < rows < 3000
    runs = 500
    found = sum(
        compare(
            *two_models(1000 + seed, rows, noise=(0.3, 0.5)), task=BINARY, metric="log_loss"
        ).superior
        for seed in range(runs)
    )
    assert found / runs == pytest.approx(0.8, abs=0.055)


def test_json_round_trip():
    y, good, bad = two_models()
    found = compare(y, good, bad, task=BINARY, metric="roc_auc", margin=0.01)
    assert Comparison.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_scores_that_are_no_numbers_are_refused():
    y, good, bad = two_models()
    bad[0, 0] = np.nan
    with pytest.raises(DataError):
        compare(y, good, bad, task=BINARY, metric="roc_auc")
