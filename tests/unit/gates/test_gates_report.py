"""The report, and all gates of one model together."""

import json

import numpy as np
import pytest

from ratchet.config.load import load_settings
from ratchet.data.task import Task
from ratchet.evaluation.metrics import evaluate
from ratchet.gates.budget import Cost
from ratchet.gates.champion import Opponent
from ratchet.gates.judge import judge_model
from ratchet.gates.report import GateReport, GateResult
from ratchet.gates.settings import GatesSettings

GOOD = GateResult("size", "budget", 1.0, 2.0, True, "small", "ratchet.yaml:7")
BAD = GateResult("memory", "budget", 3.0, 2.0, False, "large")


def test_a_report_passes_when_every_gate_does_and_an_empty_one_never():
    assert GateReport((GOOD,)).passed
    assert not GateReport((GOOD, BAD)).passed
    assert not GateReport(()).passed


def test_lines_and_summary_put_failures_first():
    report = GateReport((GOOD, BAD))
    assert report.lines() == (
        "FAILED  memory: large [default]",
        "passed  size: small [ratchet.yaml:7]",
    )
    assert report.summary() == "1 of 2 gates failed (memory): large"
    assert GateReport((GOOD,)).summary() == "all 1 gates passed"
    assert GateReport(()).summary() == "no gate was judged"
    assert report.failed == (BAD,)


def test_json_round_trip():
    report = GateReport((GOOD, BAD))
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert data["passed"] is False
    assert GateReport.from_json(data) == report


def metrics_of(strength):
    rng = np.random.default_rng(0)
    y = (rng.random(400) < 0.3).astype(np.int32)
    p = 1 / (1 + np.exp(-(rng.normal(size=400) + strength * y - 1)))
    return evaluate(y, np.column_stack((1 - p, p)), task=Task("binary", (0, 1)))


def test_all_gates_are_judged_whatever_the_first_ones_say():
    settings = GatesSettings(minimum={"roc_auc": 0.9, "f1": 0.1})
    report = judge_model(
        metrics_of(0.0), Opponent("1", None, problem="gone"), [BAD], Cost(size=1), settings
    )
    assert [r.name for r in report.results] == [
        "minimum.roc_auc",
        "minimum.f1",
        "above_chance",
        "champion",
        "memory",
        "latency_p95",
        "size",
        "memory",
    ]
    assert [r.passed for r in report.results] == [
        False,
        True,
        False,
        False,
        False,
        False,
        True,
        False,
    ]


def test_a_good_first_model_passes_with_the_defaults():
    cost = Cost(latency_p95=0.001, size=10_000, memory=100_000_000)
    report = judge_model(metrics_of(1.5), Opponent(None), [GOOD], cost, GatesSettings())
    assert report.passed, report.lines()


def test_chance_may_be_left_out():
    settings = GatesSettings(above_chance=False)
    report = judge_model(metrics_of(0.0), Opponent(None), [], Cost(), settings)
    assert "above_chance" not in [r.name for r in report.results]


def test_the_report_says_the_file_and_line_of_each_setting(tmp_path):
    file = tmp_path / "ratchet.yaml"
    file.write_text(
        "minimum:\n  roc_auc: 0.6\nchampion:\n  margin: 0.01\nbudget:\n  size: 1MB\n",
        encoding="utf-8",
    )
    loaded = load_settings(GatesSettings, [(file, "ratchet.yaml")], {})

    def where(section, *path):
        assert section == "gates"
        return loaded.origins.of(*path)

    report = judge_model(metrics_of(1.5), Opponent(None), [], Cost(), loaded.settings, where=where)
    places = {r.name: r.where for r in report.results}
    assert places == {
        "minimum.roc_auc": "ratchet.yaml:2",
        "above_chance": "default",
        "champion": "ratchet.yaml:4",
        "latency_p95": "default",
        "size": "ratchet.yaml:6",
        "memory": "default",
    }


def test_a_wrong_metric_is_refused_with_its_line(tmp_path):
    from ratchet.errors import ConfigError

    file = tmp_path / "ratchet.yaml"
    file.write_text("minimum:\n  accuracy: 0.6\n  roc_acu: 0.7\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_settings(GatesSettings, [(file, "ratchet.yaml")], {})
    assert caught.value.where == "ratchet.yaml:3"
    assert "did you mean `roc_auc`" in str(caught.value)
