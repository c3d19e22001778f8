"""What must hold of metrics and comparisons on any rows."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from ratchet.data.task import Task
from ratchet.evaluation.catalog import metric_names
from ratchet.evaluation.compare import compare
from ratchet.evaluation.metrics import Metrics, evaluate

BINARY = Task("binary", ("no", "yes"))
# A grid of scores makes ties common.
SCORES = st.integers(0, 20).map(lambda k: k / 20)
ROWS = st.lists(st.tuples(st.integers(0, 1), SCORES, SCORES), min_size=1, max_size=60)


def arrays(rows):
    y = np.array([row[0] for row in rows], dtype=np.int32)
    new, old = (np.array([row[i] for row in rows]) for i in (1, 2))
    return y, np.column_stack((1 - new, new)), np.column_stack((1 - old, old))


@given(ROWS)
def test_every_value_lies_in_its_interval_and_json_has_no_nan(rows):
    y, proba, _ = arrays(rows)
    found = evaluate(y, proba, task=BINARY)
    for _, estimate in found.estimates:
        if estimate.value is None:
            assert estimate.note
        else:
            assert 0 <= estimate.low <= estimate.value + 1e-12
            assert estimate.value - 1e-12 <= estimate.high
    assert Metrics.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False))) == found


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rows, random):
    y, proba, _ = arrays(rows)
    order = list(range(len(rows)))
    random.shuffle(order)
    first, second = (evaluate(a, b, task=BINARY) for a, b in ((y, proba), (y[order], proba[order])))
    assert first.confusion == second.confusion
    for name in first.names:
        assert first[name].value == pytest.approx(second[name].value, abs=1e-9)
        assert first[name].low == pytest.approx(second[name].low, abs=1e-9)


@given(ROWS)
def test_areas_are_those_of_sklearn_and_do_not_see_the_scale(rows):
    y, proba, _ = arrays(rows)
    found = evaluate(y, proba, task=BINARY, names=["roc_auc", "pr_auc"])
    if len(set(y)) < 2:
        assert found["roc_auc"].value is None
        return
    assert found["roc_auc"].value == pytest.approx(roc_auc_score(y, proba[:, 1]))
    assert found["pr_auc"].value == pytest.approx(average_precision_score(y, proba[:, 1]))
    squeezed = 0.25 + proba / 2
    assert evaluate(y, squeezed, task=BINARY)["roc_auc"].value == found["roc_auc"].value


@given(ROWS, st.sampled_from(metric_names("binary")))
def test_swapping_the_models_turns_the_difference_round(rows, metric):
    y, new, old = arrays(rows)
    there, back = (
        compare(y, a, b, task=BINARY, metric=metric) for a, b in ((new, old), (old, new))
    )
    assert (there.difference is None) == (back.difference is None)
    if there.difference is not None:
        assert there.difference == pytest.approx(-back.difference, abs=1e-12)
    if there.se is not None:
        assert there.se == pytest.approx(back.se, abs=1e-12)
        assert there.lower == pytest.approx(-back.upper, abs=1e-12)
    assert not (there.superior and back.superior)
    json.dumps(there.to_json(), allow_nan=False)


@given(ROWS)
def test_a_wider_margin_never_takes_a_pass_away(rows):
    y, new, old = arrays(rows)
    passes = [
        compare(y, new, old, task=BINARY, metric="brier", margin=margin).non_inferior
        for margin in (0.0, 0.05, 0.5, 2.0)
    ]
    assert passes == sorted(passes)
