"""Limits that a value or a measure must keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from ratchet.checks.arguments import Arguments
from ratchet.checks.report import number
from ratchet.checks.table import comparable
from ratchet.checks.vocabulary import Unfit


@dataclass(frozen=True, slots=True)
class Limits:
    """A lower and an upper limit, either of which may be missing or strict."""

    low: Any
    high: Any
    strict_low: bool
    strict_high: bool

    def outside(self, value: pl.Expr) -> pl.Expr:
        """True where ``value`` breaks a limit, null where it is missing."""
        parts = []
        if self.low is not None:
            low = pl.lit(self.low)
            parts.append(value <= low if self.strict_low else value < low)
        if self.high is not None:
            high = pl.lit(self.high)
            parts.append(value >= high if self.strict_high else value > high)
        return parts[0] | parts[1] if len(parts) == 2 else parts[0]

    def hold(self, value: Any) -> bool:
        """Whether a measured value keeps the limits."""
        above = self.low is None or (value > self.low if self.strict_low else value >= self.low)
        below = self.high is None or (value < self.high if self.strict_high else value <= self.high)
        return bool(above and below)

    def words(self) -> str:
        """The limits for people."""
        if self.high is None:
            return f"{'above' if self.strict_low else 'at least'} {_shown(self.low)}"
        if self.low is None:
            return f"{'below' if self.strict_high else 'at most'} {_shown(self.high)}"
        if not self.strict_low and not self.strict_high:
            return f"between {_shown(self.low)} and {_shown(self.high)}"
        low = f"{'above' if self.strict_low else 'at least'} {_shown(self.low)}"
        return f"{low} and {'below' if self.strict_high else 'at most'} {_shown(self.high)}"


def limits_of(kind: str, arguments: Arguments) -> Limits | Unfit:
    """The limits in ``arguments``, as they compare with values of ``kind``."""
    found = []
    for name in ("min_value", "max_value"):
        raw = arguments.get(name)
        limit = None if raw is None else comparable(kind, raw)
        if raw is not None and limit is None:
            return Unfit(f"{name} {raw!r} does not compare with a column of kind {kind}")
        found.append(limit)
    return Limits(
        found[0], found[1], arguments.get("strict_min", False), arguments.get("strict_max", False)
    )


def _shown(limit: Any) -> str:
    return number(limit) if isinstance(limit, int | float) else str(limit)
