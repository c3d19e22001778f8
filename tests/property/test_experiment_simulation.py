"""What an experiment promises, by simulation: error rates over all looks, coverage, power."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ratchet.ledger.experiments import Experiment
from ratchet.rollout.always_valid import needed, radius, visible
from ratchet.rollout.comparison import compare, estimate, path
from ratchet.rollout.experiment_rows import Rows, Seen
from ratchet.rollout.experiment_verdict import judge
from ratchet.rollout.ratio import LEVEL, check_ratio, ratio_path
from ratchet.serving.router import part_of

RUNS = 2000
START = datetime(2026, 11, 2, tzinfo=UTC)
DAY = int(8.64e10)


def at_most(alpha: float, runs: int) -> float:
    """The share of runs that a test of this level exceeds three standard errors at most."""
    return alpha + 3 * math.sqrt(alpha * (1 - alpha) / runs)


def radii(n: np.ndarray, spread: np.ndarray, alpha: float, tightest: float) -> np.ndarray:
    return np.array([radius(k, s, alpha, tightest) for k, s in zip(n, spread, strict=True)])


@pytest.mark.parametrize(("rate", "share"), [(0.5, 0.5), (0.1, 0.5), (0.05, 0.2)])
def test_equal_versions_looked_at_after_each_entity_hardly_ever_differ(
    rate: float, share: float
) -> None:
    """The interval never leaves 0 in more than alpha of the runs: no look is one too many."""
    rng, n, alpha = np.random.default_rng(5), 3000, 0.05
    k = np.arange(1, n + 1)
    unit = np.array([radius(x, 1.0, alpha, n / 2) for x in k])
    wrong = 0
    for _ in range(RUNS):
        b, y = rng.random(n) < share, rng.random(n) < rate
        count, ours = np.cumsum(b), np.cumsum(y & b)
        others, theirs = k - count, np.cumsum(y & ~b)
        rarer = np.minimum.reduce([ours, theirs, count - ours, others - theirs])
        read = (k >= 200) & (np.minimum(count, others) >= 50) & (rarer >= 10)
        p, q = ours[read] / count[read], theirs[read] / others[read]
        error = p * (1 - p) / count[read] + q * (1 - q) / others[read]
        wrong += bool((np.abs(p - q) > unit[read] * np.sqrt(k[read] * error)).any())
    assert wrong / RUNS <= at_most(alpha, RUNS)
    assert wrong > 0, "a test that never errs is no test of this level"


def experiment(metric: str, alpha: float, days: float = 14) -> Experiment:
    rules = {
        "alpha": alpha,
        "tightest": 1400.0,
        "least_days": min(7, days),
        "margin": 0.01,
        "days": days,
        "window": 0.0,
        "labels_after": 0.0,
    }
    return Experiment(
        "x", 1, START, "x", "running", 1, 2, 50.0, metric, rules, "s", 1, START,
        START + timedelta(days=days), None, None, None, {}, "me", "why",
    )  # fmt: skip


def traffic(rng: np.random.Generator, metric: str, gap: float, people: int = 1600) -> Seen:
    """14 days of people who come back, each with a habit of their own: rows are not independent."""
    first = np.sort(rng.integers(0, 14 * DAY, people))
    rows = rng.poisson(1.5, people) + 1
    entity = np.repeat(np.arange(people), rows)
    of_b = rng.random(people) < 0.5
    habit = rng.normal(0, 1.0, people)[entity] + rng.normal(0, 0.5, len(entity))
    better = np.where(of_b[entity], gap, 0.0)
    if metric == "auc":
        truth = rng.random(len(entity)) < 1 / (1 + np.exp(-habit))
        noise = rng.normal(0, 1.5, len(entity)) * np.where(of_b[entity], 1.0 - gap, 1.0)
        values = habit + noise
    else:
        truth = np.zeros(len(entity), bool)
        right = rng.random(len(entity)) < 1 / (1 + np.exp(-habit - 0.5)) + better
        values = right.astype(float)
    base = int(START.timestamp() * 1e6)
    made = Rows(values, truth, entity, base + first[entity])
    old = (int((~of_b).sum()), int(of_b.sum()))
    return Seen(base + first, of_b, 0, made, 0.0, old, old)


def verdict_of(found: Experiment, seen: Seen) -> str | None:
    """Looked at each day, as the loop does, until there is a verdict."""
    for day in range(1, 15):
        now = START + timedelta(days=day)
        micros = int(now.timestamp() * 1e6)
        here = Seen(
            seen.first[seen.first <= micros], seen.of_b[seen.first <= micros], 0,
            Rows.none(), 0.0, seen.old, seen.labelled,
        )  # fmt: skip
        looked = compare(here, found.metric, found.rules, 0.5, micros, last=False)
        if not looked.blocked:
            result = estimate(seen.rows, seen.of_b, found.metric, found.rules, micros)
            looked = type(looked)(looked.ratio, "", result, 0.0, seen.old, seen.labelled, 0)
        verdict, _ = judge(found, looked, "", now)
        if verdict is not None:
            return verdict
    return None


@pytest.mark.parametrize("metric", ["accuracy", "auc"])
def test_an_a_a_experiment_looked_at_daily_ends_wrongly_in_at_most_alpha(metric: str) -> None:
    rng, runs, alpha = np.random.default_rng(11), 120 if metric == "auc" else 300, 0.1
    found = experiment(metric, alpha)
    told = [verdict_of(found, traffic(rng, metric, 0.0)) for _ in range(runs)]
    assert sum(each is not None for each in told) / runs <= at_most(alpha, runs)


def test_what_is_worse_is_stopped_early_and_what_is_better_after_a_week() -> None:
    rng = np.random.default_rng(12)
    found = experiment("accuracy", 0.05)
    worse = [verdict_of(found, traffic(rng, "accuracy", -0.15)) for _ in range(40)]
    better = [verdict_of(found, traffic(rng, "accuracy", 0.15)) for _ in range(40)]
    assert worse.count("worse") >= 36
    assert "better" not in worse
    assert better.count("better") >= 36
    assert "worse" not in better


@pytest.mark.parametrize(("metric", "gap"), [("accuracy", 0.06), ("auc", 0.4)])
def test_the_interval_covers_the_true_difference_at_all_looks(metric: str, gap: float) -> None:
    rng, runs, alpha = np.random.default_rng(13), 80, 0.1
    found = experiment(metric, alpha)
    # What the difference is: of a population as large as can be.
    everybody = [traffic(rng, metric, gap, people=60_000) for _ in range(3)]
    far = int((START + timedelta(days=20)).timestamp() * 1e6)
    true = float(
        np.mean(
            [
                made.better
                for seen in everybody
                if (made := estimate(seen.rows, seen.of_b, metric, found.rules, far))
            ]
        )
    )
    missed = 0
    for _ in range(runs):
        looks = path(traffic(rng, metric, gap), metric, found.rules, points=15)
        missed += any(
            each.low is not None and each.high is not None and not each.low < true < each.high
            for each in looks
        )
    assert missed / runs <= at_most(alpha, runs)


def test_rows_of_one_entity_taken_for_independent_would_err_too_often() -> None:
    """Why entities are the unit: the same traffic by rows is far more certain than it may be."""
    rng, entity_errors, row_errors = np.random.default_rng(14), [], []
    differences = []
    for _ in range(200):
        people = 400
        of_b = rng.random(people) < 0.5
        entity = np.repeat(np.arange(people), 20)
        right = (rng.random(people * 20) < rng.beta(1, 1, people)[entity]).astype(float)
        base = np.zeros(len(entity), np.int64)
        rows = Rows(right, np.zeros(len(entity), bool), entity, base)
        rules = {"alpha": 0.05, "tightest": 400.0}
        made = estimate(rows, of_b, "accuracy", rules, 1)
        alone = Rows(right, rows.positive, np.arange(len(entity)), base)
        by_row = estimate(alone, of_b[entity], "accuracy", rules, 1)
        assert made is not None
        assert by_row is not None
        differences.append(made.better)
        entity_errors.append(math.hypot(made.a.error, made.b.error))
        row_errors.append(math.hypot(by_row.a.error, by_row.b.error))
    assert np.mean(entity_errors) == pytest.approx(np.std(differences), rel=0.15)
    assert np.mean(row_errors) < 0.5 * np.std(differences)


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_a_sound_split_is_hardly_ever_blocked(share: float) -> None:
    """Entities routed as the server routes them, looked at after each of them."""
    blocked, runs, n = 0, 1500, 3000
    rng = np.random.default_rng(15)
    for run in range(runs):
        if run < 50:
            parts = np.array([part_of(f"salt-{run}", f"e{who}") for who in range(n)])
            of_b = parts < share * 1_000_000
        else:
            of_b = rng.random(n) < share
        blocked += check_ratio(of_b, share, last=True).mismatch
    assert blocked / runs <= at_most(2 * LEVEL, runs)


def test_the_e_value_is_below_its_limit_over_all_looks() -> None:
    """At a level that can be counted: ever over 20 in at most 5 % of the runs."""
    rng, runs, n = np.random.default_rng(16), 2000, 2000
    b = np.cumsum(rng.random((runs, n)) < 0.3, axis=1)
    crossed = (ratio_path(b, np.arange(1, n + 1), 0.3) > math.log(20)).any(axis=1).mean()
    assert 0 < crossed <= at_most(0.05, runs)


def test_lost_entities_are_noticed() -> None:
    """5 % of b's entities never reach the log: noticed within 60,000, 20 % within 4,000."""
    rng = np.random.default_rng(17)
    for lost, n in ((0.05, 60_000), (0.2, 4_000)):
        of_b = rng.random((60, n)) < (1 - lost) / (2 - lost)
        noticed = [check_ratio(run, 0.5, last=False).mismatch for run in of_b]
        assert np.mean(noticed) >= 0.9


@pytest.mark.parametrize(("rate", "margin"), [(0.5, 0.05), (0.2, 0.03)])
def test_as_many_entities_as_were_told_show_the_margin_four_times_of_five(
    rate: float, margin: float
) -> None:
    rng, alpha = np.random.default_rng(18), 0.05
    spread = math.sqrt(4 * rate * (1 - rate))
    n = needed(margin, spread, alpha)
    assert visible(n, spread, alpha, n / 2) == pytest.approx(margin, rel=0.01)
    half = n // 2
    p = rng.binomial(half, rate + margin / 2, 1000) / half
    q = rng.binomial(half, rate - margin / 2, 1000) / half
    error = np.sqrt((p * (1 - p) + q * (1 - q)) / half * n)
    shown = p - q > radii(np.full(1000, n), error, alpha, n / 2)
    assert 0.75 <= shown.mean() <= 0.87
