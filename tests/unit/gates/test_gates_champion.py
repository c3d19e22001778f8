"""The champion gate: its rule, its words, and how often luck passes it."""

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from ratchet.data.task import Task
from ratchet.evaluation.compare import Comparison, compare
from ratchet.gates.champion import Opponent, judge_champion
from ratchet.gates.reuse import level_at_use
from ratchet.gates.settings import ChampionSettings

BINARY = Task("binary", (0, 1))
DEFAULT = ChampionSettings()
Z95 = NormalDist().inv_cdf(0.95)


def comparison(difference, se=0.01, *, margin=0.0, n=2000):
    reach = Z95 * se
    half = NormalDist().inv_cdf(0.975) * se
    return Comparison(
        metric="roc_auc",
        new=0.8 + difference,
        old=0.8,
        difference=difference,
        low=difference - half,
        high=difference + half,
        lower=difference - reach,
        upper=difference + reach,
        confidence=0.95,
        se=se,
        margin=margin,
        verdict="not_enough_evidence",
        n=n,
        rows_needed=None,
    )


def judge(difference, se=0.01, settings=DEFAULT, **more):
    return judge_champion(Opponent("3", comparison(difference, se), **more), settings)


def test_without_a_champion_the_thresholds_decide():
    result = judge_champion(Opponent(None), DEFAULT)
    assert result.passed
    assert result.reason == "no champion yet: the minimum thresholds decide"


def test_by_default_a_model_must_be_proven_better():
    assert judge(0.0165).passed
    assert not judge(0.0164).passed
    assert not judge(0.0).passed
    assert not judge(-0.02).passed
    assert "proven better" in judge(0.02).reason


def test_with_a_margin_no_worse_and_not_lower_is_enough():
    settings = ChampionSettings(margin=0.02)
    assert judge(0.0, settings=settings).passed
    assert judge(0.001, settings=settings).passed
    assert "proven not worse by 0.02 or more" in judge(0.001, settings=settings).reason
    # Within the margin, but lower: a refresh must not cost anything that is seen.
    assert not judge(-0.001, settings=settings).passed
    # Not lower, but too uncertain.
    assert not judge(0.001, se=0.02, settings=settings).passed


def test_superior_asks_for_proof_whatever_the_margin():
    settings = ChampionSettings(require="superior")
    assert judge(0.02, settings=settings).passed
    assert not judge(0.01, settings=settings).passed


def test_the_reason_says_both_values_the_interval_and_what_is_missing():
    result = judge(0.01)
    assert result.reason == (
        "ROC-AUC 0.8100 against 0.8000 of version 3 on 2,000 rows: a difference of +0.0100 "
        "(with 95% confidence at least -0.0064, at most +0.0264); "
        "not proven better: about 12,366 test rows would be needed"
    )
    assert result.value == pytest.approx(0.01 - Z95 * 0.01)
    assert result.threshold == 0
    assert "proven worse" in judge(-0.05).reason
    assert "no better than the champion" in judge(-0.001).reason


def test_the_place_is_that_of_the_setting_that_decided():
    def where(*path):
        return ".".join(path)

    opponent = Opponent("3", comparison(0.02))
    assert judge_champion(opponent, DEFAULT, where=where).where == "gates.champion.margin"
    superior = ChampionSettings(require="superior")
    assert judge_champion(opponent, superior, where=where).where == "gates.champion.require"


def test_what_cannot_be_compared_fails_with_the_reason():
    opponent = Opponent("3", None, problem="the champion knows other classes: a, b")
    result = judge_champion(opponent, DEFAULT)
    assert not result.passed
    assert result.reason == "not compared with version 3: the champion knows other classes: a, b"
    empty = replace(comparison(0.1), se=None, lower=None, reason="too few rows")
    result = judge_champion(Opponent("3", empty), DEFAULT)
    assert not result.passed
    assert "too few rows" in result.reason


def test_equal_models_do_not_replace_each_other():
    rng = np.random.default_rng(0)
    y = (rng.random(500) < 0.3).astype(np.int32)
    p = rng.random(500)
    proba = np.column_stack((1 - p, p))
    found = compare(y, proba, proba, task=BINARY, metric="log_loss")
    result = judge_champion(Opponent("3", found), DEFAULT)
    assert not result.passed
    assert "score these rows alike" in result.reason


def test_later_uses_of_the_same_rows_need_more_proof_and_end():
    assert judge(0.02, use=1).passed
    assert not judge(0.02, use=2).passed
    assert judge(0.023, use=2).passed
    assert "with 98.75% confidence" in judge(0.023, use=2).reason
    used_up = judge(0.5, use=8)
    assert not used_up.passed
    assert "have decided 7 times and are used up" in used_up.reason


def test_levels_fall_with_the_square_and_never_sum_to_more_than_promised():
    levels = [level_at_use(0.05, use) for use in range(1, 50)]
    spent = [level for level in levels if level is not None]
    assert spent[:3] == [0.05, 0.0125, pytest.approx(0.05 / 9)]
    assert len(spent) == 7
    assert sum(spent) < 0.05 * np.pi**2 / 6
    # A team that asks for much stronger proof still gets its first decision.
    assert level_at_use(0.0001, 1) == 0.0001
    with pytest.raises(ValueError, match="first"):
        level_at_use(0.05, 0)


def scores(rng, signal, noise):
    p = 1 / (1 + np.exp(-(signal + noise * rng.normal(size=len(signal)))))
    return np.column_stack((1 - p, p))


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy"])
def test_models_that_are_no_better_pass_at_most_as_often_as_promised(metric):
    rng = np.random.default_rng(31)
    runs = 1500
    passed = 0
    for _ in range(runs):
        y = (rng.random(400) < 0.3).astype(np.int32)
        signal = rng.normal(size=400) + 1.4 * y - 1
        found = compare(
            y, scores(rng, signal, 0.3), scores(rng, signal, 0.3), task=BINARY, metric=metric
        )
        passed += judge_champion(Opponent("1", found), DEFAULT).passed
    assert passed / runs <= 0.05 + 3 * 0.0056


def test_reusing_one_holdout_for_a_year_promotes_luck_seldom_and_naively_often():
    """Weekly challengers, all equal to the champion, judged on the same 400 rows."""
    rng = np.random.default_rng(32)
    guarded = naive = 0
    histories = 250
    for _ in range(histories):
        y = (rng.random(400) < 0.3).astype(np.int32)
        signal = rng.normal(size=400) + 1.4 * y - 1
        champion = scores(rng, signal, 0.3)
        found = [
            compare(y, scores(rng, signal, 0.3), champion, task=BINARY, metric="log_loss")
            for _ in range(12)
        ]
        guarded += any(
            judge_champion(Opponent("1", one, use=use), DEFAULT).passed
            for use, one in enumerate(found, 1)
        )
        naive += any(judge_champion(Opponent("1", one), DEFAULT).passed for one in found)
    assert guarded / histories <= 0.082 + 3 * 0.0175
    assert naive / histories > 0.2
