"""Alert rules for Prometheus, for when nothing of Ratchet is left to send an alert itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import yaml


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert rule.

    Attributes:
        expr: fires where it gives anything.
        after: how long it must hold, as Prometheus writes durations.
        summary: what is wrong, and for which project or server.
        action: what to do.
    """

    name: str
    expr: str
    after: str
    severity: Literal["page", "ticket"]
    summary: str
    action: str

    def to_rule(self) -> dict[str, Any]:
        """As in a rule file."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.after,
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "description": self.action},
        }


_PROJECT = "{{ $labels.project }}"
_SERVER = "{{ $labels.instance }}"


def _silent(hours: int) -> str:
    """Whose loop is older: also where nothing tells so any more, among others that tell theirs."""
    ticked = "last_over_time(ratchet_loop_tick_timestamp_seconds[1w])"
    return f"time() - (max by (project) ({ticked}) > 0) > {hours * 3600}"


PIPELINE: tuple[Rule, ...] = (
    Rule(
        "RatchetProblem",
        "max by (project, code) (ratchet_problem) == 1",
        "5m",
        "ticket",
        f"{_PROJECT}: something is wrong with the pipeline ({{{{ $labels.code }}}})",
        "Run `ratchet health`: it says what is wrong, since when, and what to do.",
    ),
    Rule(
        "RatchetSilent",
        _silent(hours=1),
        "5m",
        "page",
        f"{_PROJECT}: its loop was not heard of for an hour",
        "Look whether `ratchet loop` runs, and whether Prometheus reaches it or `ratchet serve`. "
        "A project that was taken out of service is forgotten after a week.",
    ),
    Rule(
        "RatchetAllSilent",
        "absent(ratchet_healthy)",
        "5m",
        "page",
        "No Ratchet server or loop tells its numbers",
        "Look whether `ratchet serve` and `ratchet loop` run, and whether Prometheus reaches them.",
    ),
    Rule(
        "RatchetLedgerUnreadable",
        "min by (project) (ratchet_ledger_read) == 0",
        "5m",
        "page",
        f"{_PROJECT}: the ledger cannot be read",
        "What serves goes on; nothing new is promoted. Look at the ledger's disk or database.",
    ),
    Rule(
        "RatchetDrift",
        "max by (project) (ratchet_drifted) == 1",
        "15m",
        "ticket",
        f"{_PROJECT}: the data has drifted from what the model learned",
        "Run `ratchet monitor` to see which columns; hand in labels to learn whether it hurts.",
    ),
    Rule(
        "RatchetAlertsUndelivered",
        'max by (project) (ratchet_alerts{status="waiting"}) > 20',
        "30m",
        "ticket",
        f"{_PROJECT}: alerts wait and do not arrive",
        "Try each channel with `ratchet alerts test`.",
    ),
)

SERVING: tuple[Rule, ...] = (
    Rule(
        "RatchetServingErrors",
        'sum by (instance) (rate(ratchet_requests_total{status=~"5.."}[5m]))'
        " / sum by (instance) (rate(ratchet_requests_total[5m])) > 0.01",
        "5m",
        "page",
        f"{_SERVER}: more than 1 % of the requests end in a server error",
        "Look at the server's output; go back with `ratchet rollback` if a version is new.",
    ),
    Rule(
        "RatchetServingSlow",
        "histogram_quantile(0.95, sum by (instance, le) "
        "(rate(ratchet_request_seconds_bucket[5m]))) > 0.25",
        "10m",
        "ticket",
        f"{_SERVER}: one request in twenty takes more than 250 ms",
        "Add workers (serving.workers), or look which version is slow.",
    ),
    Rule(
        "RatchetVersionDoesNotLoad",
        "max by (instance) (ratchet_troubles) > 0",
        "2m",
        "page",
        f"{_SERVER}: what serves is not what the ledger says",
        "Run `ratchet rollout` to see which version does not load, and why.",
    ),
    Rule(
        "RatchetPredictionsNotLogged",
        "increase(ratchet_unlogged_total[5m]) > 0 or increase(ratchet_log_refused_total[5m]) > 0 "
        "or ratchet_log_healthy == 0",
        "1m",
        "page",
        f"{_SERVER}: predictions cannot be logged",
        "Make room on the disk, or run `ratchet data compact`.",
    ),
    Rule(
        "RatchetCompactionBehind",
        "time() - (ratchet_compaction_success_timestamp_seconds > 0) > 1800",
        "5m",
        "ticket",
        f"{_SERVER}: predictions have not been moved into the lake for half an hour",
        "Run `ratchet data compact` and read what it says.",
    ),
)


def alert_rules() -> str:
    """The rules as a file for ``rule_files:`` of Prometheus."""
    groups = [
        {"name": "ratchet-pipeline", "rules": [rule.to_rule() for rule in PIPELINE]},
        {"name": "ratchet-serving", "rules": [rule.to_rule() for rule in SERVING]},
    ]
    text: str = yaml.safe_dump({"groups": groups}, sort_keys=False, width=1000)
    return "# Made by `ratchet export grafana`.\n" + text
