"""The comparison with the champion: what is kept in full, and what is told."""

import json

import numpy as np
import polars as pl
import pytest

from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.evaluation.compare import compare
from ratchet.pipeline.steps.holdout import Holdout
from ratchet.pipeline.steps.opponent import Contest, _clusters, _digest, _too_few
from ratchet.pipeline.steps.rows import Rows

TASK = Task("binary", ("no", "yes"))


def found():
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, 500).astype(np.int32)
    new, old = (np.clip(0.3 + 0.4 * y + 0.2 * rng.normal(size=500), 0.01, 0.99) for _ in range(2))
    new, old = (np.column_stack((1 - p, p)) for p in (new, old))
    return compare(y, new, old, task=TASK, metric="log_loss")


def test_the_decision_is_kept_in_full_and_read_back():
    contest = Contest(found(), "", 2, "12 more were left out", ("r1", "retune"))
    assert Contest.from_json(json.loads(json.dumps(contest.to_json()))) == contest
    nothing = Contest(None, "no champion yet")
    assert Contest.from_json(json.loads(json.dumps(nothing.to_json()))) == nothing


def test_what_is_told_holds_no_figure_in_full():
    full = found()
    told = Contest(full, "", 2, "some rows").told()
    assert (told["use"], told["rows"], told["problem"]) == (2, "some rows", "")
    kept = told["comparison"]
    for name in ("old", "difference", "low", "high", "lower", "upper"):
        assert kept[name] != getattr(full, name)
        assert kept[name] == pytest.approx(getattr(full, name), abs=full.se / 2)
    assert kept["new"] == full.new
    assert (kept["rows_needed"], kept["wins"], kept["losses"]) == (None, None, None)
    assert Contest(None, "why not").told()["comparison"] is None


@pytest.mark.parametrize(("count", "enough"), [(29, False), (30, True), (0, False)])
def test_too_few_rows_are_not_compared_at_all(count, enough):
    holdout = Holdout("unseen", np.arange(400) < count, "400 less some were left out")
    problem = _too_few(holdout)
    assert (problem == "") is enough
    if not enough:
        assert problem == (
            f"{count} of 400 test rows may decide, at least 30 are needed (400 less some were left "
            "out)"
        )


def rows_of(table, **roles):
    given = Roles("y", **roles)
    return Rows(None, TableSchema.from_polars(table.schema), given, TASK, np.zeros(0), None)


def test_rows_of_one_entity_count_as_one():
    table = pl.DataFrame({"id": ["a", "b", "a", "c"], "shop": [1, 1, 2, 2], "y": ["no"] * 4})
    codes = _clusters(rows_of(table, id="id"), table)
    assert codes[0] == codes[2]
    assert len(set(codes.tolist())) == 3
    assert len(set(_clusters(rows_of(table, id="id", group="shop"), table).tolist())) == 2
    assert _clusters(rows_of(table.head(2), id="id"), table.head(2)) is None
    assert _clusters(rows_of(table), table) is None


def test_one_comparison_is_told_from_another():
    y, scores = np.array([0, 1, 1]), np.array([[0.2, 0.8]] * 3)
    one = _digest((y, scores, scores), ("roc_auc", 0.5, None))
    assert one == _digest((y.copy(), scores.copy(), scores), ("roc_auc", 0.5, None))
    assert one != _digest((y, scores, scores + 1e-12), ("roc_auc", 0.5, None))
    assert one != _digest((y, scores, scores), ("f1", 0.5, None))
