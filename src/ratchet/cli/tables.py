"""Tables and lines that several commands print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

_SHOWN = (
    *("roc_auc", "pr_auc", "accuracy", "precision", "recall", "f1", "log_loss"),
    *("rmse", "mae", "median_ae", "r2"),
)
_ERRORS = ("rmse", "mae", "r2")


def plain_table(*columns: str) -> Table:
    """A table without a frame: it survives pipes, logs and narrow terminals."""
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        # An id that is broken over two lines cannot be copied.
        table.add_column(name, overflow="fold", no_wrap=name in ("run", "version", "started (UTC)"))
    return table


def figure(value: Any) -> str:
    """A number as a person reads it."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if 0 < abs(value) < 0.001:
        return f"{value:.3g}"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.0f}"


def gate_figure(name: str, value: float | None) -> str:
    """A gate's value or threshold in the unit a person thinks in."""
    if value is None:
        return "-"
    if name == "latency_p95":
        return f"{value * 1000:.3g} ms"
    if name in ("size", "memory"):
        from ratchet.gates.budget import show_bytes

        return show_bytes(value)
    if name == "parity":
        return f"{value:.0e}"
    # A gate's reason says it with four digits too, and 0 has no sign.
    return figure(value if abs(value) >= 0.001 else round(value, 4) + 0.0)


def metrics_line(metrics: Mapping[str, Any]) -> str:
    """The headline metrics in one line."""
    return "  ".join(f"{name} {figure(metrics[name])}" for name in _SHOWN if name in metrics)


def candidates_table(
    candidates: Sequence[Mapping[str, Any]], best: str | None, metric: str = "roc_auc"
) -> Table:
    """Every candidate with its cross-validation and test metrics; the best one marked.

    Columns are the metric that chose, and one to go with it.
    """
    beside = "log_loss" if metric == "roc_auc" else "r2" if metric in _ERRORS else "roc_auc"
    shown = (metric, beside)
    table = plain_table(
        "", "candidate", *(f"cv {name}" for name in shown), f"test {metric}", "trials", "seconds"
    )
    for candidate in candidates:
        if candidate.get("status") in ("failed", "dropped"):
            failed = candidate["status"] == "failed"
            why = Text(str(candidate.get("error")), style="red" if failed else "dim")
            table.add_row("✗" if failed else "–", candidate["name"], why)
            continue
        chosen = candidate["name"] == best
        table.add_row(
            "→" if chosen else "",
            Text(candidate["name"], style="bold" if chosen else ""),
            *(_spread(candidate["cv"].get(name)) for name in shown),
            figure(candidate["test"].get(metric)),
            str(candidate.get("trials", 1)),
            f"{candidate['seconds']:.1f}",
        )
    return table


def _spread(pair: Sequence[float] | None) -> str:
    if not pair:
        return "-"
    if abs(pair[0]) >= 1000:
        return f"{pair[0]:,.0f} ± {pair[1]:,.0f}"
    return f"{figure(pair[0])} ± {figure(pair[1])}"


def gates_table(gates: Iterable[Mapping[str, Any]]) -> Table:
    """Every gate with value, threshold, verdict and where its threshold was set."""
    table = plain_table("", "gate", "value", "threshold", "set at", "reason")
    for gate in gates:
        table.add_row(
            Text("✓", style="green") if gate["passed"] else Text("✗", style="red"),
            gate["name"],
            gate_figure(gate["name"], gate["value"]),
            gate_figure(gate["name"], gate["threshold"]),
            Text(str(gate.get("where") or ""), style="dim"),
            Text(gate["reason"], style="" if not gate["passed"] else "dim"),
        )
    return table


def checks_lines(report: Mapping[str, Any]) -> tuple[str, ...]:
    """What the checks found, failures first."""
    from ratchet.checks.report import CheckReport

    return CheckReport.from_json(report).lines()
