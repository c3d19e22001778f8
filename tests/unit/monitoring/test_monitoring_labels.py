"""Delays of labels: the curve, the weights, the trend, and what does not bias a metric."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ratchet.data.task import Task
from ratchet.monitoring.labelled import Answers, Log, Watched, micros
from ratchet.monitoring.lag import arrival_weights, lag_curve
from ratchet.monitoring.maturity import Maturity
from ratchet.monitoring.performance import Question, judge_log
from ratchet.monitoring.standing import Performance
from ratchet.monitoring.trends import label_trend

DAY = 86_400.0
NOW = datetime(2026, 11, 21, tzinfo=UTC)
TASK = Task("binary", ("no", "yes"))


def log_of(at: np.ndarray, y: np.ndarray, score: np.ndarray, lag: np.ndarray) -> Log:
    """A log of one arm: days before now, outcomes, scores, and days that labels take."""
    order = np.argsort(-at)
    at, y, score, lag = at[order], y[order], score[order], lag[order]
    has = lag <= at
    answers = Answers(
        version=1,
        arm="champion",
        task=TASK,
        ids=np.array([f"p{n}" for n in range(len(at))]),
        at=micros(NOW) - (at * DAY * 1e6).astype(np.int64),
        proba=np.column_stack([1 - score, score]),
        predicted=(score >= 0.5).astype(np.int64),
        y=np.where(has, y, 0).astype(np.int64),
        has=has,
        lag=np.where(has, lag * DAY, np.nan),
        of=np.full(len(at), ""),
    )
    return Log(NOW, (answers,))


def world(seed: int, rows: int = 12_000, days: float = 60.0) -> tuple[np.ndarray, ...]:
    """Ages, outcomes and honest scores; positives are known after 2 days, negatives after 8."""
    rng = np.random.default_rng(seed)
    at = rng.uniform(0, days, rows)
    score = rng.beta(1.2, 1.8, rows)
    y = (rng.random(rows) < score).astype(int)
    lag = np.where(y == 1, rng.exponential(2.0, rows), rng.exponential(8.0, rows))
    lag[rng.random(rows) < 0.05] = np.inf
    return at, y, score, lag


def question(**more: object) -> Question:
    return Question(**{"as_of": NOW, "metric": "accuracy", **more})  # type: ignore[arg-type]


def judged(log: Log, **more: object) -> Performance:
    return judge_log(log, {1: Watched(1, TASK, 0.5)}, question(**more))


def test_the_curve_is_that_of_the_delays_however_young_the_predictions_are() -> None:
    rng = np.random.default_rng(0)
    ages = rng.uniform(0, 50, 20_000) * DAY
    lags = rng.exponential(5.0, 20_000) * DAY
    lags[rng.random(20_000) < 0.2] = np.inf
    curve = lag_curve(ages, np.where(lags <= ages, lags, np.nan))
    for days in (1.0, 5.0, 15.0, 40.0):
        expected = 0.8 * (1 - np.exp(-days / 5.0))
        assert curve.at(np.array([days * DAY]))[0] == pytest.approx(expected, abs=0.015)
    assert curve.settled
    assert curve.eventual == pytest.approx(0.8, abs=0.015)
    nine = curve.age_of(0.9)
    assert nine is not None
    assert nine / DAY == pytest.approx(-5 * np.log(0.1), rel=0.07)


def test_a_curve_that_still_rises_is_not_settled() -> None:
    rng = np.random.default_rng(1)
    ages = rng.uniform(0, 10, 5_000) * DAY
    lags = rng.exponential(20.0, 5_000) * DAY
    curve = lag_curve(ages, np.where(lags <= ages, lags, np.nan))
    assert not curve.settled
    assert curve.age_of(0.9) is None


def test_without_labels_nothing_is_known_of_their_delays() -> None:
    curve = lag_curve(np.linspace(0, 10, 100) * DAY, np.full(100, np.nan))
    assert (curve.ages, curve.eventual, curve.settled) == ((), 0.0, False)
    assert curve.at(np.array([DAY]))[0] == 0.0


def test_early_labels_stand_for_the_slow_ones_of_their_kind() -> None:
    """Of the rows of 2 to 4 days many more positives have a label: weighting undoes that."""
    plain, weighted = [], []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        ages = rng.uniform(0, 60, 6_000)
        y = rng.random(6_000) < 0.3
        lags = np.where(y, rng.exponential(2.0, 6_000), rng.exponential(10.0, 6_000))
        seen = lags <= ages
        weight = arrival_weights(ages[seen] * DAY, lags[seen] * DAY, y[seen].astype(np.int64))
        young = (ages[seen] > 2) & (ages[seen] < 4)
        plain.append(y[seen][young].mean())
        weighted.append(np.average(y[seen][young], weights=weight[young]))
    assert np.mean(plain) > 0.5
    assert np.mean(weighted) == pytest.approx(0.3, abs=0.02)


def test_outcomes_that_delay_their_labels_do_not_bias_a_mature_metric() -> None:
    """Over 40 worlds the mature cohorts' accuracy is centred on the truth, early or late."""
    off, naive, inside = [], [], []
    for seed in range(40):
        at, y, score, lag = world(seed, rows=8_000)
        score = score * 0.6  # it says "no" to nearly all: early labels, mostly "yes", look bad
        found = judged(log_of(at, y, score, lag), recent=timedelta(days=3))
        arm = found.arms[0]
        assert arm.recent is not None
        assert arm.since is not None
        assert arm.until is not None
        start, end = ((NOW - each).total_seconds() / DAY for each in (arm.since, arm.until))
        mine = (at <= start) & (at > end)
        # The truth is of all the rows, labels that are still to come and never come included.
        truth = float(((score >= 0.5) == y)[mine].mean())
        known = mine & (lag <= at)
        off.append(arm.recent.value - truth)
        naive.append(float(((score >= 0.5) == y)[known].mean()) - truth)
        inside.append(arm.recent.low <= truth <= arm.recent.high)
    assert np.mean(naive) < -0.006
    assert abs(np.mean(off)) < 2.5 * np.std(off) / np.sqrt(len(off)) + 0.001
    assert np.mean(inside) >= 0.9


def slow_positives(
    seed: int, rows: int, share: float, first: float, days: float = 90.0
) -> tuple[np.ndarray, ...]:
    """Few positives, each known after ``first`` days or more; negatives on the first day."""
    rng = np.random.default_rng([seed, rows])
    at = rng.uniform(0, days, rows)
    score = np.clip(rng.beta(1.0, 1 / share - 1, rows), 1e-4, 1 - 1e-4)
    y = (rng.random(rows) < score).astype(int)
    late = first + rng.exponential(first / 4, rows)
    return at, y, score, np.where(y == 1, late, rng.exponential(0.2, rows))


@pytest.mark.parametrize(
    ("rows", "share", "first", "worlds"),
    [(18_000, 0.02, 20.0, 15), (1_800, 0.1, 7.0, 40), (450, 0.1, 7.0, 60)],
    ids=["2 % after 20 days", "20 a day", "5 a day"],
)
def test_positives_that_are_known_late_are_waited_for(
    rows: int, share: float, first: float, worlds: int
) -> None:
    """Nearly all labels are there on the first day, and all of them are negative."""
    off, inside, positives = [], [], []
    for seed in range(worlds):
        at, y, score, lag = slow_positives(seed, rows, share, first)
        log = log_of(at, y, score, lag)
        found = judged(log, metric="log_loss")
        arm = found.arms[0]
        early = [one for one in found.cohorts if one.end > NOW - timedelta(days=first)]
        assert len(early) > first - 2
        assert not any(one.mature for one in early), "whatever labels a small one has"
        if arm.recent is None or arm.since is None or arm.until is None:
            continue
        start, end = ((NOW - each).total_seconds() / DAY for each in (arm.since, arm.until))
        mine = (at <= start) & (at > end)
        truth = float(-np.log(np.where(y == 1, score, 1 - score))[mine].mean())
        off.append(arm.recent.value - truth)
        inside.append(arm.recent.low <= truth <= arm.recent.high)
        positives.append(y[mine & (lag <= at)].mean())
    assert len(off) >= worlds / 2
    assert np.mean(inside) >= 0.9
    assert abs(np.mean(off)) < 3 * np.std(off) / np.sqrt(len(off)) + 0.002
    assert np.mean(positives) > 0.85 * share


def test_before_the_slow_outcome_is_known_nothing_is_mature_and_why_is_said() -> None:
    def why(rows: int, days: float, **more: object) -> str:
        found = judged(log_of(*slow_positives(1, rows, 0.02, 20.0, days)), **more)
        assert not any(one.mature for one in found.cohorts)
        assert found.arms[0].recent is None
        assert found.label_age.after is None
        return found.label_age.why

    assert why(6_000, 15) == 'no label of class "yes" has come yet'
    assert why(6_000, 22) == (
        'only 1 label of class "yes" has come, and 20 are needed to tell how long they take'
    )
    assert why(12_000, 35) == 'labels of class "yes" still come to the oldest predictions'
    late = log_of(*slow_positives(1, 6_000, 0.02, 20.0, 15))
    fixed = judged(late, maturity=Maturity(age=timedelta(days=10)))
    assert any(one.mature for one in fixed.cohorts)
    none = judged(log_of(*(np.full(50, value) for value in (5.0, 1, 0.5, np.inf))))
    assert none.label_age.why == "no label has come yet"


def test_where_every_prediction_has_its_label_no_outcome_is_waited_for() -> None:
    """What was never seen cannot be among labels that are missing, if none is."""
    rng = np.random.default_rng(0)
    at, score = rng.uniform(0, 60, 6_000), rng.uniform(0.01, 0.2, 6_000)
    lag = rng.uniform(0, 2, 6_000)
    found = judged(log_of(at, np.zeros(6_000), score, lag))
    assert found.label_age.after is not None
    assert found.label_age.after / DAY == pytest.approx(2, abs=0.05)
    assert sum(one.mature for one in found.cohorts) >= 57
    lag[np.flatnonzero(at > 30)[:5]] = np.inf
    assert judged(log_of(at, np.zeros(6_000), score, lag)).label_age.after is None


def test_a_rare_class_of_many_is_not_waited_for_and_a_frequent_one_is() -> None:
    rng = np.random.default_rng(2)
    at = rng.uniform(0, 60, 5_000)
    for chance, known in ((0.001, True), (0.05, False)):
        proba = np.tile([0.6 - chance, 0.4, chance], (5_000, 1))
        answers = Answers(
            1,
            "champion",
            Task("multiclass", ("a", "b", "c")),
            np.arange(5_000).astype(str),
            micros(NOW) - (at * DAY * 1e6).astype(np.int64),
            proba,
            np.zeros(5_000, dtype=np.int64),
            rng.integers(0, 2, 5_000),
            np.arange(5_000) % 50 > 0,
            np.where(np.arange(5_000) % 50 > 0, at * DAY / 10, np.nan),
            np.full(5_000, ""),
        )
        task = Task("multiclass", ("a", "b", "c"))
        found = judge_log(Log(NOW, (answers,)), {1: Watched(1, task)}, question())
        assert (found.label_age.after is not None) == known
        assert known or found.label_age.why == 'no label of class "c" has come yet'


def test_numbers_whose_highest_are_known_last_are_waited_for() -> None:
    rng = np.random.default_rng(5)
    rows, task = 8_000, Task("regression", ())
    at, y = rng.uniform(0, 60, rows), rng.normal(50, 10, rows)
    lag = np.where(y > 55, rng.uniform(10, 12, rows), rng.uniform(0, 1, rows))
    has = lag <= at
    answers = Answers(
        1,
        "champion",
        task,
        np.arange(rows).astype(str),
        micros(NOW) - (at * DAY * 1e6).astype(np.int64),
        np.full((rows, 1), 50.0),
        np.empty(0, dtype=np.int64),
        np.where(has, y, 0.0),
        has,
        np.where(has, lag * DAY, np.nan),
        np.full(rows, ""),
    )
    found = judge_log(Log(NOW, (answers,)), {1: Watched(1, task)}, question())
    assert found.label_age.after is not None
    assert 11 <= found.label_age.after / DAY <= 12


def test_a_young_cohort_is_weighted_bounded_and_decides_nothing() -> None:
    gaps, naive = [], []
    for seed in range(12):
        at, y, score, lag = world(100 + seed, rows=30_000)
        # A model that says "no" to nearly all looks bad on early labels, which are positive.
        found = judged(log_of(at, y, score * 0.6, lag))
        young = [one for one in found.cohorts if 3 <= (NOW - one.end).total_seconds() / DAY < 5]
        assert young
        for one in young:
            assert not one.mature
            age = (NOW - one.end).total_seconds() / DAY
            mine = (at > age) & (at <= age + 1)
            right = (score * 0.6 >= 0.5) == y
            truth = right[mine].mean()
            gaps.append(one.metrics["accuracy"].value - truth)
            naive.append(right[mine & (lag <= at)].mean() - truth)
            low, high = one.bounds["accuracy"]
            assert low <= truth <= high
    assert np.mean(naive) < -0.04
    assert abs(np.mean(gaps)) < 0.015


def test_maturity_goes_by_the_share_or_by_the_age() -> None:
    at, y, score, lag = world(3)
    log = log_of(at, y, score, lag)
    aged = judged(log, maturity=Maturity(age=timedelta(days=30))).cohorts
    assert {one.mature for one in aged} == {True, False}
    for one in aged:
        assert one.mature == (one.end <= NOW - timedelta(days=30))
    shared = judged(log)
    assert {one.mature for one in shared.cohorts} == {True, False}
    for one in shared.cohorts:
        assert not one.mature or one.coverage >= 0.85 * shared.lag.eventual
        assert bool(one.bounds) != one.mature
    newest = max(one.end for one in shared.cohorts if one.mature)
    # Negatives are the slow ones: nine in ten of them take 18.4 days, of all labels 14.
    slowest = shared.label_age.after
    assert slowest is not None
    assert slowest / DAY == pytest.approx(-8 * np.log(0.1), rel=0.1)
    gap = NOW - newest - timedelta(seconds=slowest)
    assert timedelta(0) <= gap <= timedelta(days=1)
    assert (aged_by := judged(log, maturity=Maturity(age=timedelta(days=30))).label_age).fixed
    assert aged_by.after == 30 * DAY


def test_a_period_that_is_not_over_is_never_mature() -> None:
    rng = np.random.default_rng(4)
    at = rng.uniform(0, 3, 3_000)
    score = rng.random(3_000)
    log = log_of(at, rng.random(3_000) < score, score, np.zeros(3_000))
    half_day = judge_log(
        Log(NOW - timedelta(hours=12), log.answers), {1: Watched(1, TASK)}, question()
    )
    newest = [one for one in half_day.cohorts if one.end > half_day.as_of]
    assert newest
    assert all(not one.mature and one.coverage == 1.0 for one in newest)


def test_a_feed_that_stalls_makes_nothing_mature() -> None:
    at, y, score, lag = world(30)
    before = judged(log_of(at, y, score, np.where(at - lag < 20, np.inf, lag)))
    aged = [one for one in before.cohorts if (NOW - one.end).days >= 16]
    assert len(aged) > 20
    stalled = [one for one in aged if (NOW - one.end).days < 24]
    assert not any(one.mature for one in stalled)
    assert all(one.mature for one in aged if (NOW - one.end).days > 45)


def test_a_stalled_feed_and_slower_labels_are_told_and_steady_ones_are_not() -> None:
    alarms = 0
    for seed in range(40):
        at, y, score, lag = world(200 + seed, rows=5_000)
        steady = label_trend(log_of(at, y, score, lag), timedelta(days=7))
        alarms += steady.falling or steady.growing
        assert steady.expected is not None
    assert alarms <= 1
    at, y, score, lag = world(7)
    stalled = np.where(at - lag < 6, np.inf, lag)  # nothing for six days
    trend = label_trend(log_of(at, y, score, stalled), timedelta(days=7))
    assert trend.falling
    assert trend.last_label is not None
    assert NOW - trend.last_label >= timedelta(days=5.9)
    slower = np.where(at < 14, lag * 2.5, lag)
    trend = label_trend(log_of(at, y, score, slower), timedelta(days=14))
    assert trend.falling
    assert trend.growing
    assert trend.delay is not None
    assert trend.usual_delay is not None
    assert trend.delay > 1.8 * trend.usual_delay


def test_estimates_of_numbers_are_realised_only() -> None:
    rng = np.random.default_rng(12)
    rows = 6_000
    at = np.sort(rng.uniform(0, 60, rows))[::-1]
    guess, task = rng.normal(50, 10, rows), Task("regression", ())
    worse = np.where(at < 30, 3.0, 1.0)
    y = guess + rng.normal(0, 1, rows) * worse
    has = rng.exponential(3.0, rows) <= at
    lag = np.minimum(rng.exponential(3.0, rows), at) * DAY
    answers = Answers(
        1,
        "champion",
        task,
        np.array([f"p{n}" for n in range(rows)]),
        micros(NOW) - (at * DAY * 1e6).astype(np.int64),
        guess.reshape(-1, 1),
        np.empty(0, dtype=np.int64),
        np.where(has, y, 0.0),
        has,
        np.where(has, lag, np.nan),
        np.full(rows, ""),
    )
    found = judge_log(
        Log(NOW, (answers,)), {1: Watched(1, task, reference={"rmse": (1.0, 0.02)})}, question()
    )
    arm = found.arms[0]
    assert arm.metric == "rmse"
    assert arm.recent is not None
    assert arm.recent.value == pytest.approx(3.0, rel=0.1)
    assert arm.drop is not None
    assert arm.drop == pytest.approx(2.0, rel=0.2)
    assert arm.z is not None
    assert arm.z > 10
    assert arm.regret > 2_000
    assert arm.estimated.reading is None
    assert "the same for every row" in arm.estimated.reason
    assert all(one.bounds == {} and one.estimated == {} for one in found.cohorts)


def test_a_version_is_held_against_the_best_of_the_last_three() -> None:
    at, y, score, lag = world(20)
    log = log_of(at, y, score, lag)
    watched = {
        number: Watched(number, TASK, 0.5, {"accuracy": (value, 0.01)})
        for number, value in ((1, 0.70), (2, 0.90), (3, 0.95), (4, 0.80))
    }
    answers = log.answers[0]
    mine = Log(NOW, (dataclasses.replace(answers, version=4),))
    asked = question(lineage=(1, 2, 3, 4), recent=timedelta(days=60))
    arm = judge_log(mine, watched, asked).arms[0]
    assert arm.baseline is not None
    assert (arm.baseline.version, arm.baseline.source) == (3, "test")
    # What it did when it was new takes the place of its test rows once newer cohorts matured.
    late = judge_log(mine, {4: watched[4]}, question(lineage=(4,))).arms[0]
    assert late.baseline is not None
    assert late.baseline.source == "live"
    assert late.drop == pytest.approx(0.0, abs=0.05)


def test_a_shadow_is_paired_with_the_answers_it_shadows() -> None:
    at, y, score, lag = world(21)
    answers = log_of(at, y, score, lag).answers[0]
    rng = np.random.default_rng(0)
    blurred = np.clip(answers.proba[:, 1] + rng.normal(0, 0.25, len(answers)), 0.001, 0.999)
    shadow = dataclasses.replace(
        answers,
        version=2,
        arm="shadow",
        ids=np.array([f"s{n}" for n in range(len(answers))]),
        of=answers.ids,
        proba=np.column_stack([1 - blurred, blurred]),
        predicted=(blurred >= 0.5).astype(np.int64),
    )
    watched = {1: Watched(1, TASK, 0.5), 2: Watched(2, TASK, 0.5)}
    found = judge_log(Log(NOW, (answers, shadow)), watched, question())
    (pair,) = found.pairs
    assert (pair.version, pair.against) == (2, 1)
    assert pair.comparison.verdict == "worse"
    mature = sum(one.labelled for one in found.cohorts if one.mature and one.version == 1)
    assert pair.comparison.n == mature
    assert found.lag.rows == len(answers)  # a shadow's labels are those of what it shadows
