"""What the gate promises over many decisions, by simulation with its own functions.

As in the study behind the rule: 5,000 rows, accuracy 80 %, 52 weekly challengers that decide 5 % of
the rows anew.
"""

import numpy as np
import pytest

from ratchet.data.task import Task
from ratchet.evaluation.compare import compare
from ratchet.gates.champion import Opponent, decide, judge_champion
from ratchet.gates.reuse import level_at_use
from ratchet.gates.settings import ChampionSettings

BINARY = Task("binary", (0, 1))
ROWS, WEEKS, ACCURACY, CHANGED = 5000, 52, 0.8, 0.05
DEFAULT = ChampionSettings()


def right_rows(rng, rows=ROWS):
    """Which rows a model of the usual accuracy decides rightly."""
    return rng.random(rows) < ACCURACY


def changed(rng, right, gain=0.0):
    """The same model with 5 % of the rows decided anew, ``gain`` better on rows nobody has seen."""
    anew = rng.random(len(right)) < CHANGED
    return np.where(anew, rng.random(len(right)) < ACCURACY + gain / CHANGED, right)


def scores(y, right):
    p = np.where(right, y, 1 - y).astype(np.float64)
    return np.column_stack((1 - p, p))


def contest(y, new, old, settings=DEFAULT):
    return compare(
        y, scores(y, new), scores(y, old), task=BINARY, metric="accuracy", margin=settings.margin
    )


def year(rng, *, reuse, naive):
    """A year of equal challengers: promotions, and the gain that was told in all."""
    y = rng.integers(0, 2, ROWS)
    champion = right_rows(rng)
    promoted, told = 0, 0.0
    for week in range(1, WEEKS + 1):
        if not reuse:
            y, champion = rng.integers(0, 2, ROWS), right_rows(rng)
        challenger = changed(rng, champion)
        found = contest(y, challenger, champion)
        made = decide(found, DEFAULT, week if reuse else 1)
        if found.difference > 0 if naive else made.passed:
            promoted += 1
            told += found.difference if naive else made.shown
            champion = challenger
    return promoted, told


def test_a_year_on_one_frozen_holdout_promotes_nobody_and_reports_no_gain():
    rng = np.random.default_rng(52)
    years = [year(rng, reuse=True, naive=False) for _ in range(80)]
    promoted = np.array([count for count, _ in years])
    # All decisions on the same rows together pass a model that is no better with less than:
    bound = sum(level_at_use(0.05, use) or 0.0 for use in range(1, WEEKS + 1))
    assert bound < 0.1
    assert (promoted > 0).mean() <= bound + 3 * np.sqrt(bound * (1 - bound) / len(years))
    assert promoted.mean() < 0.2
    assert np.mean([told for _, told in years]) < 0.001


def test_the_naive_rule_promotes_a_third_of_them_and_reports_what_is_not_there():
    rng = np.random.default_rng(53)
    years = [year(rng, reuse=True, naive=True) for _ in range(6)]
    assert np.mean([count for count, _ in years]) / WEEKS > 0.25
    assert np.mean([told for _, told in years]) > 0.015


def test_on_fresh_rows_each_decision_errs_as_seldom_as_promised():
    rng = np.random.default_rng(54)
    promoted = sum(year(rng, reuse=False, naive=False)[0] for _ in range(25))
    decisions = 25 * WEEKS
    assert promoted / decisions <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / decisions)
    assert promoted > 0


MARGIN = 0.002  # about one standard error
ROUTINE = ChampionSettings(margin=MARGIN)


def verdicts(rng, gain, settings=ROUTINE, runs=600, use=1):
    found = []
    for _ in range(runs):
        y, champion = rng.integers(0, 2, ROWS), right_rows(rng)
        challenger = changed(rng, champion, gain)
        opponent = Opponent("1", contest(y, challenger, champion, settings), use=use)
        found.append(judge_champion(opponent, settings))
    return found


@pytest.mark.parametrize("use", [1, 2])
def test_a_model_as_bad_as_the_margin_is_called_not_worse_as_seldom_as_promised(use):
    rng = np.random.default_rng(55 + use)
    level = level_at_use(0.05, use)
    found = verdicts(rng, -MARGIN, use=use)
    wrong = np.mean([result.verdict in ("superior", "non_inferior") for result in found])
    assert wrong <= level + 3 * np.sqrt(level * (1 - level) / len(found))
    assert not any(result.passed and result.verdict == "worse" for result in found)


def test_a_model_two_margins_better_is_promoted():
    rng = np.random.default_rng(57)
    found = verdicts(rng, 2 * MARGIN, runs=200)
    assert np.mean([result.passed for result in found]) >= 0.8
    proven = verdicts(rng, 2 * MARGIN, DEFAULT, runs=200)
    assert np.mean([result.verdict == "superior" for result in proven]) >= 0.8


def test_the_rows_that_would_be_enough_are_enough():
    """With the number of rows that is told, a gain such as the one shown is proven as promised."""
    rng = np.random.default_rng(58)
    gain = 0.003
    y, champion = rng.integers(0, 2, ROWS), right_rows(rng)
    made = decide(contest(y, changed(rng, champion, gain), champion), DEFAULT)
    for _ in range(50):
        if made.rows_needed is not None:
            break
        made = decide(contest(y, changed(rng, champion, gain), champion), DEFAULT)
    assert made.rows_needed is not None
    proven = 0
    for _ in range(200):
        rows = made.rows_needed
        labels, right = rng.integers(0, 2, rows), right_rows(rng, rows)
        proven += decide(contest(labels, changed(rng, right, made.shown), right), DEFAULT).passed
    assert 0.7 <= proven / 200 <= 0.9
