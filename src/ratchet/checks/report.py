"""What the checks found: one result per check, and the report they make together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any, Literal

Severity = Literal["error", "warn"]
Scalar = str | int | float | bool | None

EXAMPLES = 20
"""How many example rows a failed check names at most."""

_LISTED = 3
_TEXT = 60


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check's verdict.

    Attributes:
        name: the expectation's or built-in check's name.
        column: the column it is about, several joined by ``", "``, or None for the table.
        severity: whether a failure stops the run (``error``) or is only told (``warn``).
        passed: the verdict.
        observed: what was found; for a row-wise expectation the share of rows that hold.
        expected: what should have been, in words.
        failing: how many rows (or distinct values) broke it; None where that has no meaning.
        rows: how many rows were judged.
        examples: up to 20 failing rows: values of the id column, or row numbers from 1.
        message: one or two sentences for people.
    """

    name: str
    column: str | None
    severity: Severity
    passed: bool
    observed: Scalar
    expected: str
    failing: int | None
    rows: int
    examples: tuple[str | int, ...]
    message: str

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {**asdict(self), "examples": list(self.examples)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> CheckResult:
        """The result that ``to_json`` made."""
        return cls(**{**value, "examples": tuple(value["examples"])})


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All results of one validation."""

    results: tuple[CheckResult, ...]

    @property
    def passed(self) -> bool:
        """Whether training may start: no check of severity ``error`` failed."""
        return not self.errors

    @property
    def errors(self) -> tuple[CheckResult, ...]:
        """The failures that stop the run."""
        return self._failed("error")

    @property
    def warnings(self) -> tuple[CheckResult, ...]:
        """The failures that are only told."""
        return self._failed("warn")

    def _failed(self, severity: Severity) -> tuple[CheckResult, ...]:
        return tuple(r for r in self.results if not r.passed and r.severity == severity)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "passed": self.passed,
            "errors": len(self.errors),
            "warnings": len(self.warnings),
            "results": [result.to_json() for result in self.results],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> CheckReport:
        """The report that ``to_json`` made."""
        return cls(tuple(CheckResult.from_json(result) for result in value["results"]))

    def lines(self) -> tuple[str, ...]:
        """The report for people: failures first, alike ones in one line, then a count."""
        told = [*_summarised(self.errors), *_summarised(self.warnings)]
        good = sum(result.passed for result in self.results)
        count = f"{good} of {len(self.results)} checks passed"
        return (*told, count)


def _summarised(results: Iterable[CheckResult]) -> Iterable[str]:
    ordered = sorted(results, key=lambda result: result.name)
    for name, group in groupby(ordered, key=lambda result: result.name):
        alike = list(group)
        severity = alike[0].severity
        if len(alike) <= _LISTED:
            yield from (f"{severity}  {name}: {result.message}" for result in alike)
            continue
        columns = [result.column for result in alike if result.column is not None]
        named = ", ".join(f"`{shorten(column)}`" for column in columns[:_LISTED])
        more = f" and {len(columns) - _LISTED} more" if len(columns) > _LISTED else ""
        about = f"{len(alike)} failures ({named}{more})" if named else f"{len(alike)} failures"
        yield f"{severity}  {name}: {about}; the first: {alike[0].message}"


def shorten(text: str, length: int = _TEXT) -> str:
    """``text`` on one line and cut to ``length`` characters: a cell may hold megabytes."""
    line = text[: length * 2].replace("\n", " ").replace("\r", " ")
    return line if len(text) <= length else line[: length - 1] + "…"


def plain(value: object) -> Scalar:
    """A data value as JSON can hold it; infinity and NaN as text, long text cut."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return shorten(str(value))


def row_name(key: object, number: int) -> str | int:
    """How an example names a row: by its id, or by its number where it has none."""
    known = plain(key)
    if known is None:
        return number
    return known if isinstance(known, int) and not isinstance(known, bool) else str(known)


def number(value: float) -> str:
    """A number for people: thousands separated, six significant digits."""
    if isinstance(value, int):
        return f"{value:,}"
    whole = abs(value) < 1e15 and value == int(value)
    return f"{value:,.0f}" if whole else f"{value:.6g}"


def percent(share: float) -> str:
    """A share for people; never rounded to 0 % or 100 % when it is neither."""
    value = share * 100
    if 0 < value < 0.01:
        return "less than 0.01 %"
    if 99.99 < value < 100:
        return "more than 99.99 %"
    return f"{value:.2f}".rstrip("0").rstrip(".") + " %"


def counted(count: int, noun: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
