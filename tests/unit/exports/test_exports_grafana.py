"""Dashboard and rules name only what is exported, and Prometheus takes them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from ratchet.exports.grafana import dashboard
from ratchet.exports.prometheus_rules import alert_rules
from ratchet.ledger.store import open_ledger
from ratchet.monitoring.telemetry import tell
from ratchet.monitoring.vitals import Signs
from ratchet.serving.board import Board
from ratchet.serving.metrics import FOLDER, Metrics

AT = datetime(2026, 1, 1, tzinfo=UTC)
_SERIES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Every series that a server tells."""
    monkeypatch.delenv(FOLDER, raising=False)
    metrics = Metrics()
    metrics.add(Board())
    text, _ = metrics.render()
    found = re.findall(r"# TYPE (\S+) (\w+)", text.decode())
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", project="churn") as ledger:
        past = ledger.history(since=AT, now=AT + timedelta(days=1))
    found += [(each.name, each.type) for each in tell("churn", past, Signs())]
    return {
        name.removesuffix("_total") + suffix for name, kind in found for suffix in _SERIES[kind]
    }


def named(text: str) -> set[str]:
    return set(re.findall(r"\bratchet_[a-z_]+", text))


def queries() -> Iterator[str]:
    for panel in json.loads(dashboard())["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(alert_rules())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_the_dashboard_names_only_what_is_exported(exported: set[str]) -> None:
    shown = named(" ".join(queries()))
    assert len(shown) > 25
    assert shown <= exported


def test_the_rules_name_only_what_is_exported(exported: set[str]) -> None:
    assert named(" ".join(rule["expr"] for rule in rules())) <= exported


def test_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    panels = json.loads(dashboard())["panels"]
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_every_rule_says_what_to_do() -> None:
    assert all(rule["annotations"]["description"].endswith(".") for rule in rules())
    assert {rule["labels"]["severity"] for rule in rules()} == {"page", "ticket"}


def promtool(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed")
    return subprocess.run(
        [found, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_prometheus_takes_the_rules(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(alert_rules(), encoding="utf-8")
    done = promtool("check", "rules", "rules.yaml", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{len(rules())} rules found" in done.stdout


def test_prometheus_takes_the_queries(tmp_path: Path) -> None:
    """Grafana fills its variables in before Prometheus sees a query."""
    filled = (expr.replace("$project", "p").replace("$instance", ".*") for expr in queries())
    group = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(filled)]
    text = yaml.safe_dump({"groups": [{"name": "panels", "rules": group}]}, width=1000)
    (tmp_path / "panels.yaml").write_text(text, encoding="utf-8")
    done = promtool("check", "rules", "--lint=none", "panels.yaml", folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_rules_fire_when_they_should(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(alert_rules(), encoding="utf-8")
    ill = {
        "series": 'ratchet_problem{project="churn", code="loop", instance="a"}',
        "values": "1x30",
    }
    well = {
        "series": 'ratchet_problem{project="churn", code="slow", instance="a"}',
        "values": "0x30",
    }
    old = {
        "series": 'ratchet_compaction_success_timestamp_seconds{instance="a"}', "values": "1x60"
    }  # fmt: skip
    never = {
        "series": 'ratchet_compaction_success_timestamp_seconds{instance="b"}', "values": "0x60"
    }  # fmt: skip
    known = {rule["alert"]: rule for rule in rules()}

    def fires(name: str, at: str, **labels: str) -> dict[str, Any]:
        annotations = {
            key: text.replace("{{ $labels.project }}", labels.get("project", ""))
            .replace("{{ $labels.code }}", labels.get("code", ""))
            .replace("{{ $labels.instance }}", labels.get("instance", ""))
            for key, text in known[name]["annotations"].items()
        }
        told = {**labels, **known[name]["labels"]}
        return {
            "eval_time": at,
            "alertname": name,
            "exp_alerts": [{"exp_labels": told, "exp_annotations": annotations}],
        }

    def ticks(project: str, values: str) -> dict[str, str]:
        name = "ratchet_loop_tick_timestamp_seconds"
        return {"series": f'{name}{{project="{project}", instance="a"}}', "values": values}

    def silent(at: str, *projects: str) -> dict[str, Any]:
        told = [fires("RatchetSilent", at, project=name)["exp_alerts"][0] for name in projects]
        return {"eval_time": at, "alertname": "RatchetSilent", "exp_alerts": told}

    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [ill, well, old, never],
                "alert_rule_test": [
                    {"eval_time": "4m", "alertname": "RatchetProblem", "exp_alerts": []},
                    fires("RatchetProblem", "10m", project="churn", code="loop"),
                    {"eval_time": "30m", "alertname": "RatchetCompactionBehind", "exp_alerts": []},
                    fires("RatchetCompactionBehind", "40m", instance="a"),
                    fires("RatchetAllSilent", "10m"),
                ],
            },
            {
                # Three projects: one whose loop is well, one whose loop hangs while a server tells
                # of it, and one of which nothing is heard any more.
                "interval": "1m",
                "input_series": [
                    ticks("well", "0+60x300"),
                    ticks("hangs", "0+60x30 1800x270"),
                    ticks("gone", "0+60x30 _x270"),
                    ticks("never", "0x300"),
                    {"series": 'ratchet_healthy{project="well"}', "values": "1x300"},
                ],
                "alert_rule_test": [
                    {"eval_time": "85m", "alertname": "RatchetSilent", "exp_alerts": []},
                    silent("100m", "gone", "hangs"),
                    {"eval_time": "100m", "alertname": "RatchetAllSilent", "exp_alerts": []},
                ],
            },
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test, width=1000), encoding="utf-8")
    done = promtool("test", "rules", "test.yaml", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
