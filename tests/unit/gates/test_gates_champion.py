"""The champion gate: its rule, its words, and how often luck passes it."""

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from ratchet.data.task import Task
from ratchet.evaluation.compare import Comparison, compare
from ratchet.gates.champion import Opponent, decide, judge_champion
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


def test_a_model_within_the_margin_is_told_why_it_stays_out():
    settings = ChampionSettings(margin=0.03)
    result = judge(-0.005, settings=settings)
    # What is held against the margin is enough by itself, so the words say what was not.
    assert result.value > result.threshold
    assert not result.passed
    assert result.reason.endswith(
        "; non-inferior: proven not worse by 0.03 or more, but about 0.0050 below the champion's "
        "value, and not proven better"
    )
    near = judge(-0.001, settings=settings)
    assert near.reason.endswith("but a little below the champion's value, and not proven better")
    wide = judge(-0.02, settings=ChampionSettings(margin=0.1))
    assert wide.reason.endswith("; worse: proven worse, though by less than 0.1")
    assert judge(-0.05, settings=settings).reason.endswith("; worse: proven worse")


def test_of_an_error_the_worse_value_is_above():
    found = replace(comparison(-0.005), metric="log_loss", new=0.405, old=0.4)
    result = judge_champion(Opponent("3", found), ChampionSettings(margin=0.03))
    assert "but about 0.0050 above the champion's value" in result.reason


def test_superior_asks_for_proof_whatever_the_margin():
    settings = ChampionSettings(require="superior")
    assert judge(0.02, settings=settings).passed
    assert not judge(0.01, settings=settings).passed


def test_the_reason_says_both_values_the_interval_and_what_is_missing():
    result = judge(0.01)
    assert result.reason == (
        "ROC-AUC 0.8100 against about 0.8000 of version 3 on 2,000 rows: a difference of about "
        "+0.0100 (with 95% confidence at least -0.0100, at most +0.0300); "
        "not enough evidence: not proven better: about 12,000 test rows would be enough"
    )
    # The bound is -0.0064; what is told is rounded down to half a standard error.
    assert result.value == pytest.approx(-0.01)
    assert result.threshold == 0
    assert (result.verdict, result.rows_needed) == ("not_enough_evidence", 12_000)
    assert "worse: proven worse" in judge(-0.05).reason
    assert "did no better than the champion" in judge(-0.001).reason


@pytest.mark.parametrize(
    ("difference", "margin", "verdict", "passed"),
    [
        (0.02, 0.0, "superior", True),
        (0.02, 0.005, "superior", True),
        (0.001, 0.02, "non_inferior", True),
        (-0.001, 0.02, "non_inferior", False),
        (-0.017, 0.02, "worse", False),
        (0.01, 0.0, "not_enough_evidence", False),
        (-0.01, 0.02, "not_enough_evidence", False),
    ],
)
def test_each_verdict_has_its_word(difference, margin, verdict, passed):
    result = judge(difference, settings=ChampionSettings(margin=margin))
    assert (result.verdict, result.passed) == (verdict, passed)
    assert f"; {verdict.replace('_', ' ').replace('non ', 'non-')}: " in result.reason


def test_what_people_read_does_not_tell_near_differences_apart():
    """Whoever changes a model a little and looks again learns nothing about these rows."""
    told = {
        replace_new(judge(difference).reason)
        for difference in np.linspace(0.0101, 0.0112, 12).tolist()
    }
    assert len(told) == 1
    # The decision itself is made with the full figures.
    made = decide(comparison(0.0112), DEFAULT)
    assert (made.difference, made.shown) == (0.0112, pytest.approx(0.01))


def replace_new(reason):
    """The reason without the new model's own value, which its metrics tell too."""
    return reason.split(" against ")[1].split(" of version ", 1)[1]


def test_the_rows_that_decided_are_named():
    opponent = Opponent("3", comparison(0.02), rows="12 more were left out: version 3 knows them")
    reason = judge_champion(opponent, DEFAULT).reason
    assert "on 2,000 rows (12 more were left out: version 3 knows them): a difference" in reason


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
    assert result.reason == (
        "not enough evidence: not compared with version 3: the champion knows other classes: a, b"
    )
    assert result.verdict == "not_enough_evidence"
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
    assert judge(0.022, use=2).passed
    assert "with 98.48% confidence" in judge(0.022, use=2).reason
    used_up = judge(0.5, use=8)
    assert not used_up.passed
    assert used_up.verdict == "not_enough_evidence"
    assert "have decided 7 times and are used up" in used_up.reason
    assert "bring new rows" in used_up.reason
    patient = ChampionSettings(alpha=0.4)
    assert judge(0.5, use=12, settings=patient).passed
    assert not judge(0.5, use=13, settings=patient).passed


@pytest.mark.parametrize("level", [0.05, 0.01, 0.2])
def test_levels_fall_with_the_square_and_never_sum_to_more_than_promised(level):
    levels = [level_at_use(level, use) for use in range(1, 50)]
    spent = [level for level in levels if level is not None]
    # Rows that never decided ask for the confidence that was set, and for no more.
    assert spent[0] == level
    for use, found in enumerate(spent[1:], 2):
        assert found == pytest.approx(min(level, 2 * level * 6 / (np.pi * use) ** 2))
        assert found >= 0.001
    assert len(spent) <= 12
    assert sum(spent) < 2 * level
    assert sum(level_at_use(level, use, 0.02) or 0.0 for use in range(1, 50)) <= 0.02


def test_a_team_that_asks_for_much_stronger_proof_still_gets_its_first_decision():
    assert level_at_use(0.0001, 1) == 0.0001
    assert level_at_use(0.0001, 2) is None
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
