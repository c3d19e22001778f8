"""What is told of drift: one value for each column, and one for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from ratchet.data.schema import Kind
from ratchet.monitoring.profile import LABEL, SCORE
from ratchet.monitoring.rules import Finding, Statistic
from ratchet.monitoring.statistics import Interval

NAMES: Mapping[Statistic, str] = {
    "ks": "KS",
    "psi": "PSI",
    "wasserstein": "Wasserstein/std",
    "js": "Jensen-Shannon",
    "cramers_v": "Cramer's V",
    "missing": "missing",
    "new": "new levels",
    "combined": "combined",
    "kind": "kind",
}
"""The statistics' names for people."""


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """One column against its reference.

    Attributes:
        column: its name; ``__score`` and ``__label`` are the model's answers.
        kind: its kind.
        rows: with a value, before and after.
        ks: of numbers, with the interval that holds the exact value for certain.
        psi: population stability index over ten groups.
        wasserstein: of numbers, over the reference's standard deviation.
        js: Jensen-Shannon distance, 0 to 1.
        cramers_v: of levels, 0 to 1: the effect of the chi-squared test.
        missing: shares of rows without a value, before and after.
        new_share: of levels: rows with a level that the reference never had.
        new_levels: some of those.
        combined: of numbers: 0.7 KS + 0.3 min(Wasserstein / std, 1).
        p_value: of KS or of chi-squared; rows in groups make it far too small.
        means: of numbers, before and after.
        statistic: what decided.
        value: its value; of ``missing`` the change of the share.
        threshold: its limit.
        calibrated: the limit is from past windows.
        drifted: the value is beyond the limit, and not by chance.
        unjudged: why its values are not judged, only whether they are there and of its kind: it
            is a ``time``, or an ``identifier``.
        importance: the column's share of all importance to the model; None where not known.
        rank: 1 is what to look at first.
        open: the limit lies inside the interval of KS, and the rows that would settle it are gone.
        now: the kind of the new values; where it is another one, that is what decided.
        unfit: the share of them that do not fit ``kind``, where it is another one.
    """

    column: str
    kind: Kind
    rows: tuple[int, int]
    ks: Interval | None
    psi: float | None
    wasserstein: float | None
    js: float | None
    cramers_v: float | None
    missing: tuple[float, float]
    new_share: float | None
    new_levels: tuple[str, ...]
    combined: float | None
    p_value: float
    means: tuple[float, float] | None
    statistic: Statistic
    value: float
    threshold: float
    calibrated: bool
    drifted: bool
    unjudged: str
    importance: float | None
    rank: int = 0
    open: bool = False
    now: Kind | None = None
    unfit: float = 0.0

    @property
    def strength(self) -> float:
        """How many times the threshold: above 1 is drift, from 2 on an alarm at once."""
        return Finding(self.statistic, self.value, self.threshold).strength

    @property
    def still(self) -> bool:
        """Nothing can be said of it: its values are not judged, and there is nothing else."""
        return bool(self.unjudged) and not self.drifted

    @property
    def is_answer(self) -> bool:
        """Whether it is what the model answers, not what it reads."""
        return is_answer(self.column)


@dataclass(frozen=True, slots=True)
class DriftReport:
    """New rows against a reference.

    Attributes:
        columns: by rank: the model's answers first, then by drift times importance.
        share: of the judged input columns, those that drifted.
        importance_share: the importance they hold, of all; None where not known.
        calibrated: every judged column has a threshold from past windows.
        rows: of the reference, and of the window.
        drifted: enough columns did: any, or the share that was asked for.
        reason: why or why not, in a sentence.
        absent: columns of the reference that the new rows do not have.
        lost: those of them that count as drift; a log may not keep all columns.
        added: columns that only the new rows have.
    """

    columns: tuple[ColumnDrift, ...]
    share: float
    importance_share: float | None
    calibrated: bool
    rows: tuple[int, int]
    drifted: bool
    reason: str
    absent: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> ColumnDrift:
        """The column of that name; KeyError when there is none."""
        for column in self.columns:
            if column.column == name:
                return column
        raise KeyError(name)

    @property
    def alarming(self) -> bool:
        """A column is at twice its threshold: no second window needs to be waited for."""
        return any(column.drifted and column.strength >= 2 for column in self.columns)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; a threshold that nothing reaches is null."""
        columns = [
            asdict(column) | {"threshold": column.threshold if isfinite(column.threshold) else None}
            for column in self.columns
        ]
        return asdict(self) | {"columns": columns, "alarming": self.alarming}


def told(column: ColumnDrift) -> str:
    """What decided on a column, in a few words."""
    value, limit = f"{column.value:.3g}", f"{column.threshold:.3g}"
    if column.statistic == "missing":
        before, after = (f"{share:.1%}" for share in column.missing)
        return f"{column.column} (missing {before} to {after})"
    if column.statistic == "kind":
        unfit = f"; {column.unfit:.1%} of the values do not fit" if column.unfit else ""
        return f"{column.column} (was {column.kind}, is {column.now}{unfit})"
    known = ", not settled" if column.open else ""
    if not column.drifted and column.value > column.threshold:
        known = ", no more than chance gives"
    return f"{column.column} ({NAMES[column.statistic]} {value}, limit {limit}{known})"


def is_answer(name: str) -> bool:
    """Whether a column is what the model answers, not what it reads."""
    return name in (LABEL, SCORE) or name.startswith(f"{SCORE}:")
