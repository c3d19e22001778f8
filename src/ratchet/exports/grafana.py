"""A Grafana dashboard of what Ratchet exports, from the pipeline's health to delivery."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal["short", "s", "percentunit", "percent", "reqps", "bytes", "dateTimeFromNow", "bool"]

_SOURCE = {"type": "prometheus", "uid": "${source}"}
_OF_PROJECT = '{project="$project"}'
_OF_SERVER = '{instance=~"$instance"}'
_WIDTH, _STAT_HEIGHT, _GRAPH_HEIGHT = 24, 4, 8


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        queries: expressions and how their series are named.
        low, high: from ``low`` on it is shown yellow, from ``high`` on red; None: never.
        falling: small values are the bad ones.
    """

    title: str
    queries: tuple[tuple[str, str], ...]
    told: str
    unit: Unit = "short"
    kind: Literal["stat", "timeseries"] = "timeseries"
    width: int = 8
    low: float | None = None
    high: float | None = None
    falling: bool = False


def _of_project(name: str, labels: str = "") -> str:
    """A number of the project: every server and loop tells the same, so any will do."""
    by = f"project{', ' + labels if labels else ''}"
    return f"max by ({by}) (ratchet_{name}{_OF_PROJECT})"


def _latency(quantile: float) -> str:
    buckets = f"rate(ratchet_request_seconds_bucket{_OF_SERVER}[5m])"
    return f"histogram_quantile({quantile}, sum by (le) ({buckets}))"


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Health",
        (
            Panel("Healthy", ((_of_project("healthy"), ""),), "1 when nothing is wrong.",
                  "bool", "stat", 3, high=0.5, falling=True),
            Panel("What is wrong", ((_of_project("problem", "code") + " > 0", "{{code}}"),),
                  "Kinds of problems; `ratchet health` has the details.", kind="stat", width=6,
                  high=1),
            Panel("Last good run",
                  ((_of_project("last_good_run_timestamp_seconds") + " * 1000", ""),),
                  "When a run last ended otherwise than failed.", "dateTimeFromNow", "stat", 4),
            Panel("Last run took", ((_of_project("last_run_seconds"), ""),),
                  "Seconds of the last run.", "s", "stat", 3),
            Panel("Loop was last heard of",
                  ((_of_project("loop_tick_timestamp_seconds") + " * 1000", ""),),
                  "The last tick of `ratchet loop`.", "dateTimeFromNow", "stat", 4),
            Panel("Runs by outcome, a day",
                  (("max by (outcome) (increase(ratchet_runs_total" + _OF_PROJECT + "[1d]))",
                    "{{outcome}}"),),
                  "Runs that ended in the last 24 hours.", kind="stat", width=4),
        ),
    ),
    (
        "Serving",
        (
            Panel("Requests",
                  (("sum by (status) (rate(ratchet_requests_total" + _OF_SERVER + "[5m]))",
                    "{{status}}"),),
                  "Requests a second by status.", "reqps"),
            Panel("Latency",
                  ((_latency(0.5), "median"), (_latency(0.95), "p95"), (_latency(0.99), "p99")),
                  "Seconds from a request's head to the end of its answer.", "s"),
            Panel("Predictions by version",
                  (("sum by (version, arm) (rate(ratchet_predictions_total" + _OF_SERVER
                    + "[5m]))", "version {{version}} ({{arm}})"),),
                  "Rows answered a second.", "reqps"),
            Panel("Labels that come in",
                  (("sum(rate(ratchet_feedback_total" + _OF_SERVER + "[1h])) * 3600", "labels"),),
                  "Feedback accepted an hour."),
            Panel("Log that waits for the lake",
                  (("max(ratchet_log_waiting_bytes" + _OF_SERVER + ")", "waiting"),),
                  "Bytes of the prediction log that are not in the lake.", "bytes"),
            Panel("Trouble",
                  (("sum(ratchet_troubles" + _OF_SERVER + ")", "versions not loaded"),
                   ("sum(rate(ratchet_failed_requests_total" + _OF_SERVER + "[5m]))",
                    "failed requests"),
                   ("sum(rate(ratchet_unlogged_total" + _OF_SERVER + "[5m]))", "rows not logged")),
                  "All of these are zero on a good day."),
        ),
    ),
    (
        "Data and model",
        (
            Panel("Champion", ((_of_project("champion_version"), ""),), "The version that serves.",
                  kind="stat", width=3),
            Panel("Since",
                  ((_of_project("champion_since_timestamp_seconds") + " * 1000", ""),),
                  "Since when it serves.", "dateTimeFromNow", "stat", 5),
            Panel("Being rolled out", ((_of_project("rollout_share_percent"), ""),),
                  "Traffic of the version that is being rolled out.", "percent", "stat", 4),
            Panel("Drifted columns", ((_of_project("drift_share"), "share"),
                                      (_of_project("drifted"), "drifted")),
                  "Share of the columns that drifted in the newest window.", "percentunit",
                  width=6),
            Panel("Performance with labels",
                  ((_of_project("performance", "metric"), "{{metric}}"),),
                  "The champion's metrics on the newest predictions whose labels are in.",
                  width=6),
        ),
    ),
    (
        "Delivery, 90 days",
        (
            Panel("Deployments a week", ((_of_project("deployments_per_week"), ""),),
                  "Versions that became champion.", kind="stat", width=4),
            Panel("Lead time",
                  ((_of_project("lead_time_seconds", "percentile"), "percentile {{percentile}}"),),
                  "From the decision to train to serving everything.", "s", "stat", 6),
            Panel("Where the lead time goes",
                  ((_of_project("lead_time_part_seconds", "part"), "{{part}}"),),
                  "Medians of its parts.", "s", "stat", 6),
            Panel("Change failure rate", ((_of_project("change_failure_ratio"), ""),),
                  "Deployments that were taken back or found worse within 30 days.",
                  "percentunit", "stat", 4, low=0.15, high=0.3),
            Panel("Recovery time",
                  ((_of_project("recovery_seconds", "percentile"), "percentile {{percentile}}"),),
                  "From a failing deployment to another version answering.", "s", "stat", 4),
            Panel("Rework", ((_of_project("rework_ratio"), ""),),
                  "Deployments that answer an incident.", "percentunit", "stat", 4),
            Panel("Data age",
                  ((_of_project("data_age_seconds", "percentile"), "percentile {{percentile}}"),),
                  "Age of the newest rows a version learned from, when it began to serve.", "s",
                  "stat", 4),
            Panel("Stopped before it did harm",
                  ((_of_project("rejected_models"), "by checks and gates"),
                   (_of_project("prevented_failures"), "by a canary")),
                  "Models that never answered everything.", kind="stat", width=8),
            Panel("Alerts", ((_of_project("alerts", "status"), "{{status}}"),),
                  "Alerts by how their delivery stands.", kind="stat", width=8),
        ),
    ),
)  # fmt: skip


def dashboard() -> str:
    """The dashboard as JSON, to be imported or provisioned."""
    body = {
        "title": "Ratchet",
        "uid": "ratchet",
        "tags": ["ratchet"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {"list": list(_variables())},
        "panels": list(_panels()),
    }
    return json.dumps(body, indent=2) + "\n"


def _variables() -> Iterator[dict[str, Any]]:
    yield {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    for name, query, many in (
        ("project", "label_values(ratchet_healthy, project)", False),
        ("instance", f"label_values(ratchet_healthy{_OF_PROJECT}, instance)", True),
    ):
        yield {
            "name": name,
            "type": "query",
            "datasource": _SOURCE,
            "query": query,
            "refresh": 2,
            "includeAll": many,
            "multi": many,
        }


def _panels() -> Iterator[dict[str, Any]]:
    number, x, y = 0, 0, 0
    for title, panels in ROWS:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": y, "w": _WIDTH, "h": 1},
            "panels": [],
        }
        x, y, height = 0, y + 1, 0
        for panel in panels:
            tall = _STAT_HEIGHT if panel.kind == "stat" else _GRAPH_HEIGHT
            if x + panel.width > _WIDTH:
                x, y, height = 0, y + height, 0
            number += 1
            yield _panel(panel, number, {"x": x, "y": y, "w": panel.width, "h": tall})
            x, height = x + panel.width, max(height, tall)
        y += height


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + index), "expr": expr, "legendFormat": name, "datasource": _SOURCE}
        for index, (expr, name) in enumerate(panel.queries)
    ]
    defaults: dict[str, Any] = {"unit": panel.unit, "thresholds": _thresholds(panel)}
    if panel.unit == "bool":
        defaults["mappings"] = [
            {"type": "value", "options": {"0": {"text": "no"}, "1": {"text": "yes"}}}
        ]
    body: dict[str, Any] = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.told,
        "datasource": _SOURCE,
        "gridPos": place,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": []},
    }
    if panel.kind == "stat":
        body["options"] = {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "auto"}
    return body


def _thresholds(panel: Panel) -> dict[str, Any]:
    if panel.falling:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": panel.high}]
    else:
        steps = [{"color": "green", "value": None}]
        for color, value in (("yellow", panel.low), ("red", panel.high)):
            steps += [{"color": color, "value": value}] if value is not None else []
    return {"mode": "absolute", "steps": steps}
