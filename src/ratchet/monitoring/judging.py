"""From what was measured of each column to what has drifted, and what to look at first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ratchet.data.schema import Kind
from ratchet.monitoring.columns import unjudged
from ratchet.monitoring.findings import ColumnDrift, DriftReport, is_answer, told
from ratchet.monitoring.rules import DriftRules, Finding, find_in, significant_columns
from ratchet.monitoring.statistics import Interval, Measured

ExactKs = Callable[[str], float | None]
"""The exact KS distance of a column, or None where its rows are no longer there."""

_UNIMPORTANT = 0.01
_FAR = 1e6


@dataclass(frozen=True, slots=True)
class Seen:
    """What was measured, before it is judged.

    Attributes:
        kinds: of the columns that the new rows have.
        measured: of the same columns.
        rows: of the reference and of the new rows.
        importance: of columns to the model; empty when not known.
        wanted: all columns of the reference.
    """

    kinds: Mapping[str, Kind]
    measured: Mapping[str, Measured]
    rows: tuple[int, int]
    importance: Mapping[str, float]
    wanted: tuple[str, ...]


def judge(seen: Seen, rules: DriftRules, *, exact: ExactKs | None = None) -> DriftReport:
    """The report of what was measured."""
    whys = {
        name: unjudged(seen.kinds[name], found.distinct, found.rows[0])
        for name, found in seen.measured.items()
    }
    p_values = {name: found.p_value for name, found in seen.measured.items() if not whys[name]}
    significant = significant_columns(p_values, rules.alpha)
    total = sum(seen.importance.values())
    columns = []
    for name, found in seen.measured.items():
        finding = find_in(name, found, rules, significant=name in significant)
        if exact is not None and finding.statistic == "ks" and found.ks is not None:
            found = _settled(name, found, finding, exact)
            finding = find_in(name, found, rules, significant=name in significant)
        share = seen.importance.get(name, 0.0) / total if total > 0 else None
        columns.append(_column(name, seen.kinds[name], found, finding, whys[name], share, rules))
    ranked = _ranked(columns)
    return _report(ranked, seen, rules)


def _settled(name: str, found: Measured, finding: Finding, exact: ExactKs) -> Measured:
    """With the exact KS distance, where the interval leaves open which side of the limit it is."""
    assert found.ks is not None
    if not found.ks.low <= finding.limit < found.ks.high:
        return found
    value = exact(name)
    return found if value is None else replace(found, ks=Interval(value, value, value))


def _column(
    name: str,
    kind: Kind,
    found: Measured,
    finding: Finding,
    why: str,
    share: float | None,
    rules: DriftRules,
) -> ColumnDrift:
    known = rules.thresholds.distances if rules.thresholds and not rules.fixed else {}
    return ColumnDrift(
        column=name,
        kind=kind,
        rows=found.rows,
        ks=found.ks,
        psi=found.psi,
        wasserstein=found.wasserstein,
        js=found.js,
        cramers_v=found.cramers_v,
        missing=found.missing,
        new_share=found.new_share,
        new_levels=found.fresh,
        combined=found.combined,
        p_value=found.p_value,
        means=found.means,
        statistic=finding.statistic,
        value=finding.value,
        threshold=finding.limit,
        calibrated=name in known,
        drifted=finding.drifted and not why,
        unjudged=why,
        importance=None if is_answer(name) else share,
    )


def _ranked(columns: Sequence[ColumnDrift]) -> tuple[ColumnDrift, ...]:
    """Answers first, then by drift times importance, what is not judged last."""
    most = max((column.importance or 0.0 for column in columns), default=0.0)

    def order(column: ColumnDrift) -> tuple[bool, bool, float, str]:
        weight = 1.0
        if most > 0 and not column.is_answer:
            weight = max((column.importance or 0.0) / most, _UNIMPORTANT)
        # What drifts infinitely far is ordered by its importance, too.
        strength = min(column.strength, _FAR) * weight
        return (bool(column.unjudged), not column.is_answer, -strength, column.column)

    return tuple(
        replace(column, rank=place)
        for place, column in enumerate(sorted(columns, key=order), start=1)
    )


def _report(columns: tuple[ColumnDrift, ...], seen: Seen, rules: DriftRules) -> DriftReport:
    judged = [column for column in columns if not column.unjudged]
    inputs = [column for column in judged if not column.is_answer]
    moved = [column for column in judged if column.drifted]
    share = sum(column.drifted for column in inputs) / max(1, len(inputs))
    known = sum(seen.importance.values()) > 0
    held = sum(column.importance or 0.0 for column in inputs if column.drifted)
    drifted = bool(moved) if rules.share is None else share >= rules.share and bool(moved)
    calibrated = bool(judged) and all(column.calibrated for column in judged)
    return DriftReport(
        columns=columns,
        share=share,
        importance_share=held if known else None,
        calibrated=calibrated,
        rows=seen.rows,
        drifted=drifted,
        reason=_reason(judged, moved, share, rules),
        absent=tuple(name for name in seen.wanted if name not in seen.measured),
    )


def _reason(
    judged: Sequence[ColumnDrift], moved: Sequence[ColumnDrift], share: float, rules: DriftRules
) -> str:
    if not judged:
        return "there is no column that could drift"
    if not moved:
        closest = max(judged, key=lambda column: column.strength)
        near = f"; closest: {told(closest)}" if closest.strength > 0 else ""
        return f"none of {len(judged)} columns is beyond its threshold{near}"
    first = "; ".join(told(column) for column in moved[:3])
    more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
    text = f"{len(moved)} of {len(judged)} columns drifted: {first}{more}"
    if rules.share is not None:
        side = "at least" if share >= rules.share else "less than"
        text += f"; that is {share:.0%} of the inputs, {side} {rules.share:.0%}"
    return text
