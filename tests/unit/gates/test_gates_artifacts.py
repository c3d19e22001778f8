"""Artifacts: files, loading, predictions and parity."""

import numpy as np
import polars as pl
import pytest

from ratchet.errors import DataError
from ratchet.gates.artifacts import judge_files, judge_load, judge_predictions
from ratchet.gates.parity import judge_parity
from ratchet.ids import digest_of_file


@pytest.fixture
def bundle(tmp_path):
    for name in ("model.onnx", "recipe.json"):
        (tmp_path / name).write_text(name)
    manifest = {name: digest_of_file(tmp_path / name) for name in ("model.onnx", "recipe.json")}
    return tmp_path, manifest


def test_a_whole_bundle_passes(bundle):
    result = judge_files(*bundle)
    assert result.passed
    assert result.value == 2


def test_missing_and_changed_files_are_named(bundle):
    folder, manifest = bundle
    (folder / "recipe.json").write_text("other")
    result = judge_files(folder, {**manifest, "card.md": "0" * 64})
    assert not result.passed
    assert result.reason == "missing or unreadable: card.md; changed: recipe.json"
    assert result.value == 1


def test_an_empty_manifest_proves_nothing(tmp_path):
    assert not judge_files(tmp_path, {}).passed


def test_loading_gives_the_model_or_the_reason():
    result, model = judge_load(lambda: "model")
    assert result.passed
    assert model == "model"

    def broken():
        raise DataError("The bundle has no recipe")

    def worse():
        raise RuntimeError("protobuf parsing failed")

    result, model = judge_load(broken)
    assert (result.passed, model) == (False, None)
    assert "The bundle has no recipe" in result.reason
    result, model = judge_load(worse)
    assert (result.passed, model) == (False, None)
    assert "protobuf parsing failed" in result.reason


def test_a_bug_in_loading_is_not_swallowed():
    def bug():
        raise AssertionError("bug")

    with pytest.raises(AssertionError):
        judge_load(bug)


GOOD = np.array([[0.2, 0.8], [1.0, 0.0], [0.5, 0.5]])
LABELS = ["yes", "no", "yes"]
CLASSES = ("no", "yes")


def predictions(scores=GOOD, labels=LABELS, rows=3, classes=CLASSES):
    return judge_predictions(scores, labels, rows=rows, classes=classes)


def test_good_predictions_pass_as_lists_and_arrays():
    assert predictions().passed
    assert predictions(labels=np.array(LABELS)).passed
    assert predictions(labels=pl.Series(LABELS).to_list()).passed
    assert predictions(scores=GOOD.astype(np.float32)).passed
    assert predictions(labels=np.array([1, 0, 1]), classes=(0, 1)).passed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scores": GOOD[:2]}, "of shape (2, 2) instead of"),
        ({"scores": GOOD[:, :1]}, "of shape (3, 1)"),
        ({"scores": np.ones((3, 2), dtype=int)}, "scores are int64"),
        ({"scores": GOOD * 2}, "outside 0 to 1"),
        ({"scores": GOOD * 0.9}, "the scores of 3 rows do not sum to 1"),
        ({"scores": np.where(GOOD == 1, np.nan, GOOD)}, "1 rows have a score that is no number"),
        ({"labels": ["yes", "no"]}, "2 labels for 3 rows"),
        ({"labels": ["yes", "no", "maybe"]}, "labels that are no class: maybe"),
        ({"labels": [True, False, True], "classes": (0, 1)}, "labels that are no class"),
        ({"scores": None}, "the bundle gave none"),
        ({"scores": GOOD[:0], "labels": [], "rows": 0}, "no rows were scored"),
    ],
)
def test_wrong_predictions_fail_and_say_what_is_wrong(change, said):
    result = predictions(**change)
    assert not result.passed
    assert said in result.reason


def test_all_faults_are_told_at_once():
    result = predictions(scores=GOOD * 2, labels=["a", "b"])
    assert result.reason.count(";") == 3


def test_equal_scores_have_parity():
    result = judge_parity(GOOD, GOOD + 1e-8, 1e-6)
    assert result.passed
    assert result.value == pytest.approx(1e-8, rel=1e-3)
    assert result.threshold == 1e-6


def test_differing_rows_are_counted_and_the_worst_is_named():
    other = GOOD.copy()
    other[1] += 3e-6
    other[2] += 2e-3
    result = judge_parity(GOOD, other, 1e-6)
    assert not result.passed
    assert result.reason.startswith(
        "2 of 3 rows differ by more than 1e-06, most in row 2: 2.00e-03"
    )
    assert judge_parity(GOOD, other, 0.01).passed


@pytest.mark.parametrize(
    ("actual", "said"),
    [
        (None, "not compared: the bundle gave no scores"),
        (GOOD[:2], "shape (2, 2) instead of (3, 2)"),
        (np.where(GOOD == 1, np.nan, GOOD), "1 of 3 rows have a score that is no number"),
    ],
)
def test_parity_that_cannot_be_shown_fails(actual, said):
    result = judge_parity(GOOD, actual, 1e-6)
    assert not result.passed
    assert said in result.reason


def test_no_rows_have_no_parity():
    assert not judge_parity(GOOD[:0], GOOD[:0], 1e-6).passed
