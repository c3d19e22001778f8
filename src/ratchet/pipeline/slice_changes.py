"""Where a model got better or worse by slice, from what two runs kept of their own test rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot, isfinite
from pathlib import Path
from typing import Any

Json = Mapping[str, Any]
SLICES = "evaluate/slices.json"
_NOTEWORTHY = 1.96
"""Standard errors; one in twenty slices that did not change is beyond that."""


@dataclass(frozen=True, slots=True)
class SliceChange:
    """A part of the rows, before and now, each on its own run's test rows.

    Attributes:
        before, now: of the metric that chose; None where a part has too few rows.
        rows: test rows of the part, before and now.
        change: now minus before, in the direction in which more is better.
        verdict: ``better``, ``worse``, or ``same``: within what chance does.
    """

    column: str
    label: str
    before: float | None
    now: float | None
    rows: tuple[int, int]
    change: float | None
    verdict: str


def compare_slices(
    now: Sequence[Json], then: Sequence[Json], metric: str
) -> tuple[SliceChange, ...]:
    """The parts that both have, the largest changes first.

    Args:
        now, then: what ``read_slices`` gave of the later and of the earlier run.
        metric: the one to compare.
    """
    pairs = ((item, _match(item, now, then)) for item in now)
    found = [_compare(item, other, metric) for item, other in pairs if other is not None]
    return tuple(sorted(found, key=lambda each: -abs(each.change or 0.0)))


def read_slices(run_folder: Path) -> list[dict[str, Any]]:
    """What a run kept; nothing where it kept none."""
    try:
        found: list[dict[str, Any]] = json.loads((run_folder / SLICES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return found


def _match(item: Json, now: Sequence[Json], then: Sequence[Json]) -> Json | None:
    """The same part before: of the same label, or the same quarter of a number's range."""
    others = [other for other in then if other["column"] == item["column"]]
    for other in others:
        if other["label"] == item["label"]:
            return other
    mine = [each for each in now if each["column"] == item["column"]]
    if all(_is_range(each) for each in (*mine, *others)) and len(mine) == len(others):
        return sorted(others, key=_start)[sorted(mine, key=_start).index(item)]
    return None


def _is_range(item: Json) -> bool:
    return str(item["label"]).startswith(("from ", "above "))


def _start(item: Json) -> float:
    try:
        return float(item["label"].split()[1].replace(",", ""))
    except ValueError:
        return 0.0


def _compare(item: Json, other: Json, metric: str) -> SliceChange:
    from ratchet.evaluation.catalog import find_metric

    now, then = (each["estimates"].get(metric) or {} for each in (item, other))
    values = (then.get("value"), now.get("value"))
    label = item["label"] if item["label"] == other["label"] else (
        f"{item['label']} (before: {other['label']})"
    )  # fmt: skip
    rows = (other["rows"], item["rows"])
    if values[0] is None or values[1] is None:
        return SliceChange(item["column"], label, *values, rows, None, "same")
    sign = 1.0 if find_metric(metric).better == "higher" else -1.0
    change = sign * (values[1] - values[0])
    error = hypot(_half_width(then), _half_width(now)) / 1.96
    certain = isfinite(error) and abs(change) > _NOTEWORTHY * error
    verdict = "same" if not certain else "better" if change > 0 else "worse"
    return SliceChange(item["column"], label, *values, rows, change, verdict)


def _half_width(estimate: Json) -> float:
    low, high = estimate.get("low"), estimate.get("high")
    return float("inf") if low is None or high is None else (high - low) / 2.0
