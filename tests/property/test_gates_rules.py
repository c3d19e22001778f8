"""What must hold of the gates on any input."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.evaluation.catalog import METRICS, find_metric
from ratchet.evaluation.compare import Comparison
from ratchet.gates.artifacts import judge_predictions
from ratchet.gates.champion import Opponent, judge_champion
from ratchet.gates.ladder import shown
from ratchet.gates.report import GateReport
from ratchet.gates.settings import ChampionSettings
from ratchet.gates.thresholds import validate_metrics

NAMES = st.sampled_from([metric.name for metric in METRICS])
VALUES = st.one_of(st.none(), st.floats())
LIMITS = st.floats(0, 1)


@settings(deadline=None)
@given(st.dictionaries(NAMES, VALUES), st.dictionaries(NAMES, LIMITS, min_size=1))
def test_validation_passes_exactly_when_every_limit_holds(metrics, limits):
    report = validate_metrics(metrics, limits)

    def holds(name, limit):
        value = metrics.get(name)
        if value is None or not np.isfinite(value):
            return False
        return value >= limit if find_metric(name).better == "higher" else value <= limit

    assert report.passed == all(holds(name, limit) for name, limit in limits.items())
    assert len(report.results) == len(limits)
    assert GateReport.from_json(json.loads(json.dumps(report.to_json(), allow_nan=False))) == report


DIFFERENCES = st.floats(-0.5, 0.5)
ERRORS = st.floats(0, 0.3)


def compared(difference, se):
    return Comparison(
        "roc_auc",
        0.5 + difference,
        0.5,
        difference,
        difference - 2 * se,
        difference + 2 * se,
        difference - 1.645 * se,
        difference + 1.645 * se,
        0.95,
        se,
        0.0,
        "not_enough_evidence",
        1000,
        None,
    )


@settings(deadline=None)
@given(DIFFERENCES, ERRORS, st.floats(0, 0.2), st.integers(1, 12))
def test_no_model_passes_that_scored_lower_and_less_proof_never_helps(difference, se, margin, use):
    wanted = ChampionSettings(margin=margin)
    found = compared(difference, se)
    result = judge_champion(Opponent("1", found, use=use), wanted)
    if result.passed:
        assert difference >= 0
        assert result.value >= result.threshold
        assert result.verdict in ("superior", "non_inferior")
        # What passes with less evidence or more uses passes with more evidence and fewer.
        assert judge_champion(Opponent("1", compared(difference, se / 2)), wanted).passed
        assert judge_champion(Opponent("1", found), wanted).passed
    strict = judge_champion(Opponent("1", found, use=use), ChampionSettings(require="superior"))
    assert not (strict.passed and not result.passed)
    assert result.reason
    if result.value is not None and not result.passed and difference >= 0:
        assert result.value <= result.threshold
    if strict.passed:
        assert strict.verdict == result.verdict == "superior"


@settings(deadline=None)
@given(DIFFERENCES, ERRORS.filter(lambda se: se > 1e-6))
def test_what_is_told_is_near_the_truth_and_never_more_than_is_proven(difference, se):
    found = compared(difference, se)
    told = shown(found)
    assert abs(told.difference - difference) <= se / 4 * (1 + 1e-9)
    for name in ("low", "lower"):
        assert getattr(told, name) <= getattr(found, name) + 1e-9
        assert getattr(told, name) > getattr(found, name) - se / 2 - 1e-9
    for name in ("high", "upper"):
        assert getattr(told, name) >= getattr(found, name) - 1e-9
        assert getattr(told, name) < getattr(found, name) + se / 2 + 1e-9
    assert told.new - told.old == pytest.approx(told.difference)


@settings(deadline=None)
@given(
    st.integers(1, 12).flatmap(
        lambda rows: st.lists(
            st.lists(st.floats(width=32), min_size=3, max_size=3), min_size=rows, max_size=rows
        )
    )
)
def test_predictions_pass_exactly_when_they_are_probabilities(rows):
    scores = np.array(rows, dtype=np.float64)
    labels = ["a"] * len(rows)
    result = judge_predictions(scores, labels, rows=len(rows), classes=("a", "b", "c"))
    with np.errstate(invalid="ignore", over="ignore"):
        fine = bool(
            np.isfinite(scores).all()
            and (scores >= 0).all()
            and (scores <= 1).all()
            and (np.abs(scores.sum(axis=1) - 1) <= 1e-5).all()
        )
    assert result.passed == fine
