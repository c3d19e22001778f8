"""A run looked at afterwards, for people: ``ratchet show RUN --post-mortem``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.text import Text

from ratchet.cli.tables import figure, plain_table

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.pipeline.post_mortem import PostMortem

_Line = Callable[..., None]
_SHOWN_SLICES = 12
_STYLES = {"better": "green", "worse": "red", "same": "dim"}


def print_post_mortem(console: Console, found: PostMortem) -> None:
    """Six short sections: why, what changed, where better or worse, cost, decision, gaps."""

    def section(title: str) -> None:
        console.print(Text(f"\n{title}", style="bold"))

    def line(text: str, style: str = "") -> None:
        console.print(Text(f"  {text}", style=style), soft_wrap=True)

    console.print(Text.assemble((found.run_id, "bold"), " looked at afterwards"))
    section("Why it began")
    trigger = found.trigger
    asked = f", by {trigger['by']}" if trigger["by"] else ""
    line(f"{trigger['name']} at {trigger['at'][:19].replace('T', ' ')} UTC{asked}")
    if trigger.get("reason"):
        line(trigger["reason"])
    for rule in trigger.get("rules", ()):
        line(f"- {rule['name']}: {rule.get('reason', '')}")
    section("What had changed")
    _print_changes(line, found)
    section("Where it got better or worse")
    _print_slices(console, line, found)
    section("What it cost")
    cost = found.cost
    line(
        f"{figure(cost['seconds'])} s, {figure(cost['cpu_seconds'])} s of processor time, "
        f"{cost['candidates']} candidates, {cost['attempts']} attempt(s)"
    )
    dearest = sorted(cost["steps"].items(), key=lambda pair: -pair[1])[:3]
    if dearest:
        line("most of it: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in dearest))
    section("What was decided")
    decision = found.decision
    line(f"{decision['outcome'] or 'open'}: {decision['reason']}")
    for reason in decision["failed_gates"]:
        line(f"- no: {reason}")
    for event in decision["afterwards"]:
        line(f"- {event['at'][:19].replace('T', ' ')} {event['what']} ({event['by']})")
    if found.gaps:
        section("What cannot be told")
        for gap in found.gaps:
            line(gap, "dim")


def _print_changes(line: _Line, found: PostMortem) -> None:
    data = found.data
    before = "" if data["rows_before"] is None else f" (before: {figure(data['rows_before'])})"
    line(f"{figure(data['rows'])} rows{before}: {data['change'] or 'not known'}")
    for check in data["failed_checks"]:
        line(f"- check failed: {check}")
    if data["drifted"] is not None:
        which = "the new rows" if data["new_rows_only"] else "all rows"
        line(f"drift of {which} against what version {found.champion} learned: {data['reason']}")
        for column in data["drifted"]:
            line(f"- {column['told']}")
    for key, item in found.settings.items():
        line(f"- setting {key}: {item['before']!r} → {item['after']!r}")


def _print_slices(console: Console, line: _Line, found: PostMortem) -> None:
    overall = found.overall
    if overall:
        line(
            f"over all: {overall['metric']} {figure(overall['old'])} → {figure(overall['new'])} "
            f"on the same {figure(overall['n'])} rows: {overall['verdict']}"
        )
    if not found.slices:
        return
    told = [each for each in found.slices if each.verdict != "same"]
    same = len(found.slices) - len(told)
    if told:
        table = plain_table("  part", "before", "now", "rows", "")
        for each in told[:_SHOWN_SLICES]:
            table.add_row(
                Text(f"  {each.column} {each.label}"),
                figure(each.before),
                figure(each.now),
                f"{each.rows[0]:,} → {each.rows[1]:,}",
                Text(each.verdict, style=_STYLES[each.verdict]),
            )
        console.print(table)
    line(f"{same} of {len(found.slices)} parts are as before, within what chance does", "dim")
    line("before and now are each of their own run's test rows", "dim")
