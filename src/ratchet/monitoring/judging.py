"""From what was measured of each column to what has drifted, and what to look at first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ratchet.data.schema import Kind
from ratchet.monitoring.columns import NUMBERS, unjudged
from ratchet.monitoring.findings import ColumnDrift, DriftReport, is_answer, told
from ratchet.monitoring.rules import DriftRules, Finding, find_in, significant_columns
from ratchet.monitoring.statistics import Interval, Measured
from ratchet.monitoring.thresholds import FEWEST_ROWS

ExactKs = Callable[[str], float | None]
"""The exact KS distance of a column, or None where its rows are no longer there."""

_OF_ANOTHER_KIND = Finding("kind", 1.0, 0.0)
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
        changed: the kind that a column's values are of now, where it is another one, and the
            share of them that do not fit the reference's.
        lost: columns of the reference that the new rows no longer have: that is drift.
        added: columns that only the new rows have.
    """

    kinds: Mapping[str, Kind]
    measured: Mapping[str, Measured]
    rows: tuple[int, int]
    importance: Mapping[str, float]
    wanted: tuple[str, ...]
    changed: Mapping[str, tuple[Kind, float]] = field(default_factory=dict)
    lost: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


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
        moves, sure = bool(whys[name]), name in significant
        finding = find_in(name, found, rules, significant=sure, moves=moves)
        if exact is not None:
            found = _settled(name, found, finding, exact)
            finding = find_in(name, found, rules, significant=sure, moves=moves)
        if name in seen.changed:
            finding = _OF_ANOTHER_KIND
        share = seen.importance.get(name, 0.0) / total if total > 0 else None
        columns.append(_column(name, seen, found, finding, whys[name], share, rules))
    ranked = _ranked(columns)
    return _report(ranked, seen, rules)


def _settled(name: str, found: Measured, finding: Finding, exact: ExactKs) -> Measured:
    """With the exact KS distance, where the interval leaves open which side of the limit it is."""
    if not _is_open(found, finding):
        return found
    value = exact(name)
    return found if value is None else replace(found, ks=Interval(value, value, value))


def _is_open(found: Measured, finding: Finding) -> bool:
    """Whether the certified interval leaves open which side of its limit the distance is on."""
    return (
        finding.statistic == "ks"
        and found.ks is not None
        and found.ks.low <= finding.limit < found.ks.high
    )


def _column(
    name: str,
    seen: Seen,
    found: Measured,
    finding: Finding,
    why: str,
    share: float | None,
    rules: DriftRules,
) -> ColumnDrift:
    kind = seen.kinds[name]
    known = rules.thresholds.distances if rules.thresholds else {}
    now, unfit = seen.changed.get(name, (kind, 0.0))
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
        calibrated=name in known and ("ks" if kind in NUMBERS else "js") not in rules.fixed,
        drifted=finding.drifted,
        unjudged=why,
        importance=None if is_answer(name) else share,
        open=_is_open(found, finding),
        now=now,
        unfit=unfit,
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
        return (column.still, not column.is_answer, -strength, column.column)

    return tuple(
        replace(column, rank=place)
        for place, column in enumerate(sorted(columns, key=order), start=1)
    )


def _report(columns: tuple[ColumnDrift, ...], seen: Seen, rules: DriftRules) -> DriftReport:
    judged = [column for column in columns if not column.still]
    inputs = [column for column in judged if not column.is_answer]
    moved = [column for column in judged if column.drifted]
    lost = len(seen.lost)
    share = (sum(column.drifted for column in inputs) + lost) / max(1, len(inputs) + lost)
    known = sum(seen.importance.values()) > 0
    held = sum(column.importance or 0.0 for column in inputs if column.drifted)
    drifted = bool(moved or lost) and (rules.share is None or share >= rules.share)
    whole = [column for column in judged if not column.unjudged]
    calibrated = bool(whole) and all(column.calibrated for column in whole)
    return DriftReport(
        columns=columns,
        share=share,
        importance_share=held if known else None,
        calibrated=calibrated,
        rows=seen.rows,
        drifted=drifted,
        reason=_reason(judged, moved, share, rules, seen) + _unsettled(judged),
        absent=tuple(name for name in seen.wanted if name not in seen.measured),
        lost=seen.lost,
        added=seen.added,
    )


def _reason(
    judged: Sequence[ColumnDrift],
    moved: Sequence[ColumnDrift],
    share: float,
    rules: DriftRules,
    seen: Seen,
) -> str:
    if not judged and not seen.lost:
        return "there is no column that could drift"
    if not moved and not seen.lost:
        closest = max(judged, key=lambda column: column.strength)
        near = f"; closest: {told(closest)}" if closest.strength > 0 else ""
        return f"none of {len(judged)} columns is beyond its threshold{near}{_few(seen.rows)}"
    parts = []
    if moved:
        first = "; ".join(told(column) for column in moved[:3])
        more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
        parts.append(f"{len(moved)} of {len(judged)} columns drifted: {first}{more}")
    if seen.lost:
        names = ", ".join(seen.lost[:3])
        more = f" and {len(seen.lost) - 3} more" if len(seen.lost) > 3 else ""
        parts.append(f"{len(seen.lost)} of {len(seen.wanted)} columns gone: {names}{more}")
    text = "; ".join(parts)
    if rules.share is not None:
        side = "at least" if share >= rules.share else "less than"
        text += f"; that is {share:.0%} of the inputs, {side} {rules.share:.0%}"
    return text


def _few(rows: tuple[int, int]) -> str:
    """That so few rows can hardly show anything, where they are so few."""
    if min(rows) >= FEWEST_ROWS:
        return ""
    return f"; too few rows to tell: {rows[0]:,} against {rows[1]:,}, {FEWEST_ROWS} each are needed"


def _unsettled(judged: Sequence[ColumnDrift]) -> str:
    """The columns of which nobody can say whether they drifted, beside those that are named."""
    names = [column.column for column in judged if column.open and not column.drifted]
    return f"; not settled, as the rows are gone: {', '.join(names[:3])}" if names else ""
