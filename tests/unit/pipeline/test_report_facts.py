"""The facts of a report from what the steps left: whole runs, and runs that ended early."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from html_reader import Page
from ratchet.data.task import Task
from ratchet.evaluation.explanation import Explanation
from ratchet.evaluation.metrics import evaluate
from ratchet.evaluation.plots import plot_points
from ratchet.pipeline.report.facts import ReportFacts
from ratchet.pipeline.report.page import render_report
from ratchet.pipeline.report.points import read_curves, read_explanation
from ratchet.pipeline.report.reading import label_text, read_comparison, read_data, read_search
from ratchet.pipeline.step import StepOutput
from ratchet.pipeline.steps.report import report_facts, run_facts, write_report
from ratchet.project import Project, load_project

INGEST = {
    "table": "data",
    "version": 2,
    "rows": 1200,
    "digest": "ab" * 32,
    "change": "appended",
    "reason": "200 rows were added at the end",
    "columns": [["tenure", "integer"], ["churned", "string"]],
    "newest": "2025-06-30",
}
CHECK = {
    "name": "missing",
    "column": "tenure",
    "severity": "error",
    "passed": False,
    "message": "`tenure` is missing in 3 rows",
    "expected": "no missing value",
    "observed": 0.99,
    "failing": 3,
    "rows": 1200,
    "examples": ["C-1", 7],
}
SPLIT = {
    "task": {"kind": "binary", "classes": ["No", "Yes"]},
    "overlap": {**CHECK, "name": "overlap", "passed": True, "column": None, "examples": []},
    "method": "time",
    "seed": 42,
    "rows": {"test": 300, "train": 900, "validation": 0},
    "classes": {"test": {"No": 0.7, "Yes": 0.3}, "train": {"No": 0.75, "Yes": 0.25}},
    "boundaries": {"test": "2025-05-26"},
    "target": {},
    "trained_until": "2025-05-25",
    "duplicates": 3,
    "left_out": 0,
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "ratchet.yaml").write_text(
        "project: churn\ndescription: Who leaves.\n"
        "data: {source: {type: csv, path: a.csv}, target: churned}\n"
    )
    return load_project(tmp_path)


def step(root: Path, name: str, facts: dict[str, Any], **files: Any) -> StepOutput:
    """What a step left; a file's name has ``__`` for ``/``, and every one is JSON."""
    folder = root / name
    folder.mkdir()
    for file, value in files.items():
        path = folder / f"{file.replace('__', '/')}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(value))
    return StepOutput(name, folder, facts, "digest")


def ending(outcome: str, **more: Any) -> dict[str, Any]:
    """``Run.to_json`` of a run."""
    body = {
        "run_id": "r1",
        "outcome": outcome,
        "reason": "so it is",
        "trigger": "manual",
        "seconds": 3.2,
        "steps": [{"name": "ingest", "status": "done", "seconds": 0.1, "detail": "1,200 rows"}],
        "model": None,
        "champion": None,
        "error": None,
    }
    return {**body, **more}


def test_a_run_that_failed_at_once_has_only_its_end(project: Project) -> None:
    error = {"code": "E", "what": "No file", "why": "", "fix": "write it", "where": "a.csv"}
    facts = report_facts(project, {}, run_facts(ending("failed", error=error), project))
    assert facts == ReportFacts(facts.run)
    text = Page(render_report(facts)).text
    assert "No file." in text
    assert "To fix it: write it" in text


def test_a_run_that_checks_ended_tells_of_data_and_checks(project: Project, tmp_path: Path) -> None:
    outputs = {
        "ingest": step(tmp_path, "ingest", INGEST),
        "validate": step(tmp_path, "validate", {}, checks={"results": [CHECK]}),
    }
    facts = report_facts(project, outputs, run_facts(ending("rejected"), project, "2025-07-01"))
    assert facts.data is not None
    assert (facts.data.rows, facts.data.columns, facts.data.parts) == (1200, 2, ())
    assert facts.checks[0].examples == ("C-1", "7")
    assert facts.model is None
    assert "The data failed its checks: nothing was trained" in Page(render_report(facts)).text


def test_a_model_that_could_not_be_updated_is_no_model(project: Project, tmp_path: Path) -> None:
    verdict = {"passed": False, "reason": "there are no new rows"}
    outputs = {
        "ingest": step(tmp_path, "ingest", INGEST),
        "split": step(tmp_path, "split", SPLIT),
        "train": step(tmp_path, "train", {"verdict": verdict}),
    }
    facts = report_facts(project, outputs, run_facts(ending("rejected"), project))
    assert facts.model is None
    assert facts.candidates == ()
    assert facts.checks == ()
    Page(render_report(facts))


def trained(root: Path) -> StepOutput:
    """A train step that made an ensemble of two."""
    candidate = {
        "algorithm": "lightgbm",
        "params": {"learning_rate": 0.0312349, "num_leaves": 31},
        "status": "ok",
        "error": None,
        "cv": {"roc_auc": [0.8, 0.01]},
        "notes": [],
    }
    trial = {
        "number": 1,
        "candidate": "lightgbm",
        "algorithm": "lightgbm",
        "origin": "defaults",
        "params": {"num_leaves": 31},
        "status": "finished",
        "metric": "roc_auc",
        "mean": 0.8,
        "folds": [{"roc_auc": 0.79, "log_loss": 0.4}, {"roc_auc": 0.81, "log_loss": 0.4}],
        "seconds": 1.5,
        "started": 0.2,
        "rows": 900,
        "error": "",
    }
    facts = {
        "best": "ensemble",
        "algorithm": "ensemble",
        "metric": "roc_auc",
        "reason": "best of all",
        "members": [
            {"name": "lightgbm", "algorithm": "lightgbm", "weight": 0.4},
            {"name": "lightgbm#2", "algorithm": "lightgbm", "weight": 0.6},
        ],
        "calibration": {"method": "sigmoid", "points": [1, 0]},
        "threshold": {"value": 0.3, "objective": "most f1", "expected": {"f1": 0.6}, "note": ""},
        "interval": None,
        "passed_over": ["svm: too slow"],
        "notes": ["a note"],
    }
    previous = [
        {"name": "lightgbm", "params": {"num_leaves": 31}},
        {"name": "lightgbm#2", "params": {"num_leaves": 63}},
    ]
    return step(
        root,
        "train",
        facts,
        candidates=[
            {"name": "lightgbm", **candidate},
            {"name": "ensemble", **candidate, "algorithm": "ensemble", "params": {}},
        ],
        _trials=[trial],
        _timing={"lightgbm": 1.5, "ensemble": 0.1},
        _previous={"members": previous},
    )


def evaluated(root: Path) -> StepOutput:
    """An evaluate step on noise, with points and SHAP values as the real code makes them."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300).astype(np.int32)
    score = rng.random(300)
    proba = np.column_stack((1 - score, score))
    task = Task("binary", ("No", "Yes"))
    metrics = evaluate(y, proba, task=task, threshold=0.3)
    explained = explanation()
    estimate = {"value": 0.5, "low": 0.4, "high": 0.6, "method": "DeLong", "note": ""}
    part = {
        "column": "tenure",
        "label": 3.0,
        "rows": 80,
        "share": 0.27,
        "estimates": {"roc_auc": estimate},
        "difference": -0.1,
        "worse": True,
    }
    compared = {
        "metric": "roc_auc",
        "new": 0.5,
        "old": 0.45,
        "difference": 0.05,
        "low": -0.01,
        "high": 0.11,
        "lower": 0.0,
        "upper": 0.1,
        "confidence": 0.95,
        "margin": 0.0,
        "verdict": "superior",
        "n": 300,
        "rows_needed": None,
        "reason": "",
    }
    told = {"comparison": compared, "problem": "", "rows": "newer than both", "use": 2}
    return step(
        root,
        "evaluate",
        {},
        metrics=metrics.to_json(),
        candidates={"lightgbm": {"test": {"roc_auc": 0.51}}},
        slices=[part],
        comparison=told,
        importance=[{"name": "tenure", "value": 0.1, "se": 0.01}],
        explanation={"explanation": explained.to_json(), "problem": ""},
        points=plot_points(y, proba, task=task, metrics=metrics, explanation=explained),
    )


def explanation(outputs: int = 1) -> Explanation:
    """SHAP values of 6 rows and 2 features."""
    rng = np.random.default_rng(1)
    return Explanation(
        features=("tenure", "contract"),
        outputs=("Yes",) if outputs == 1 else tuple("abc"[:outputs]),
        values=rng.normal(size=(6, 2, outputs)),
        base=np.zeros(outputs),
        data=tuple((float(row), "Two year" if row % 2 else None) for row in range(6)),
        scale="log odds",
        method="tree",
        why="exact",
        cost=0,
    )


def test_a_whole_run_is_read_from_its_steps(project: Project, tmp_path: Path) -> None:
    judged = {
        "name": "champion",
        "group": "champion",
        "passed": False,
        "reason": "not proven",
        "value": -0.01,
        "threshold": 0.0,
        "where": "ratchet.yaml:9",
        "verdict": "not_enough_evidence",
        "rows_needed": 5000,
    }
    plan = {"features": [{"name": "tenure", "kind": "number", "sources": ["tenure"]}]}
    outputs = {
        "ingest": step(tmp_path, "ingest", INGEST),
        "validate": step(tmp_path, "validate", {}, checks={"results": [CHECK]}),
        "split": step(tmp_path, "split", SPLIT),
        "features": step(tmp_path, "features", {}, features=plan),
        "train": trained(tmp_path),
        "evaluate": evaluated(tmp_path),
        "gate": step(tmp_path, "gate", {}, gates={"results": [judged]}),
    }
    body = ending("rejected", champion={"version": 1}, update="refit", climbed=[])
    facts = report_facts(project, outputs, run_facts(body, project, "2025-07-01T10:00:00+00:00"))

    assert facts.task is not None
    assert facts.task.classes == ("No", "Yes")
    assert len(facts.checks) == 2, "with the overlap, which only the split can tell"
    assert facts.model is not None
    assert [(m.name, m.params) for m in facts.model.members] == [
        ("lightgbm#2", (("num_leaves", "63"),)),
        ("lightgbm", (("num_leaves", "31"),)),
    ]
    assert facts.model.threshold is not None
    assert facts.model.threshold.objective == "most f1"
    assert facts.model.calibration == "sigmoid"
    assert facts.candidates[0].params == (("learning_rate", "0.031235"), ("num_leaves", "31"))
    assert facts.candidates[1].chosen
    assert facts.search is not None
    assert facts.search.budget == 60.0
    assert facts.search.trials[0].scores == (0.79, 0.81)
    assert facts.comparison is not None
    assert facts.comparison.verdict == "not_enough_evidence", "as the gate says"
    assert facts.comparison.rows_needed == 5000
    assert facts.slices[0].label == "3"
    assert facts.curves is not None
    assert facts.explanation is not None

    text = Page(render_report(facts)).text
    assert "Not proven better than version 1, which keeps serving" in text
    assert "Newer than both. It is decision 2 on these rows" in text
    assert "proven with about 5,000 rows" in text
    folder = tmp_path / "report"
    folder.mkdir()
    size = write_report(folder, facts)
    assert (folder / "report.html").stat().st_size == size
    assert ReportFacts.from_json(json.loads((folder / "report.json").read_text())) == facts


def test_a_time_split_knows_where_its_parts_begin_and_end() -> None:
    train, test = read_data(INGEST, SPLIT).parts
    assert (train.name, train.first, train.last) == ("train", "", "2025-05-25")
    assert (test.first, test.last) == ("2025-05-26", "2025-06-30")
    assert read_data(INGEST, None).parts == ()


def test_the_curves_of_every_task_are_read_as_evaluation_makes_them() -> None:
    rng = np.random.default_rng(2)
    y = rng.integers(0, 3, 200).astype(np.int32)
    proba = rng.dirichlet((1, 1, 1), 200)
    task = Task("multiclass", ("a", "b", "c"))
    found = read_curves(plot_points(y, proba, task=task, metrics=evaluate(y, proba, task=task)))
    assert found is not None
    assert [line.label for line in found.roc] == ["a", "b", "c"]
    assert found.threshold == ()
    assert found.scores is not None
    assert sum(sum(counts) for _, counts in found.scores.counts) == 200

    values, guesses = rng.normal(size=200), rng.normal(size=(200, 1))
    task = Task("regression", ())
    metrics = evaluate(values, guesses, task=task)
    found = read_curves(plot_points(values, guesses, task=task, metrics=metrics), "price")
    assert found is not None
    assert len(found.scatter) == 200
    assert len(found.scatter_bins) == len(found.residual_bins) == 10
    assert found.errors is not None
    assert found.errors.counts[0][0] == "price"
    assert found.roc == ()
    assert read_curves({}) is None


def test_the_explanation_is_that_of_the_class_most_rows_score_highest() -> None:
    one = read_explanation(explanation().to_json())
    assert one is not None
    assert (one.label, one.unit, one.rows) == ("Yes", "log odds", 6)
    assert one.features[0].importance >= one.features[1].importance
    raw = explanation(3).to_json()
    raw["base"] = [0.0, 50.0, 0.0]
    several = read_explanation(raw)
    assert several is not None
    assert several.label == "b"
    assert read_explanation(None) is None


def test_many_explained_rows_are_thinned_and_all_are_counted() -> None:
    raw = explanation().to_json()
    raw["values"], raw["data"] = raw["values"] * 200, raw["data"] * 200
    found = read_explanation(raw)
    assert found is not None
    assert found.rows == 1200
    assert {len(feature.effects) for feature in found.features} == {400}


def test_why_nothing_was_compared_is_read() -> None:
    found = read_comparison({"comparison": None, "problem": "other classes"}, "1", {})
    assert found.problem == "other classes"
    assert found.difference is None


def test_an_empty_search_is_no_search() -> None:
    assert read_search([], "roc_auc", 60.0) is None


def test_labels_are_told_as_people_write_them() -> None:
    assert [label_text(label) for label in ("a", 1, 1.0, 2.5, True)] == [
        "a",
        "1",
        "1",
        "2.5",
        "true",
    ]
