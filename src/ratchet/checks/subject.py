"""What the built-in checks look at, and the form in which they ask for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from ratchet.checks.report import CheckResult, Scalar, Severity, row_name
from ratchet.checks.run import failing_rows
from ratchet.checks.settings import CheckSettings, ChecksSettings
from ratchet.checks.table import Table, free_name
from ratchet.data.roles import Roles
from ratchet.data.settings import DataSettings

_SEED = 7919


@dataclass(frozen=True, slots=True)
class Subject:
    """The data under test.

    Attributes:
        frame: the rows.
        table: its columns.
        data: the ``data`` section: roles, task, positive class.
        settings: the ``checks`` section.
        rows: how many rows there are.
        sample: some of the rows, drawn without regard to their order; all of them when few.
    """

    frame: pl.LazyFrame
    table: Table
    data: DataSettings
    settings: ChecksSettings
    rows: int
    sample: pl.DataFrame = field(repr=False)

    @property
    def roles(self) -> Roles:
        """What each column is for."""
        return Roles.of(self.data)

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that are there and have no role."""
        return feature_names(self.table, self.roles)

    def examples(self, *steps: pl.Expr) -> tuple[str | int, ...]:
        """Up to 20 rows that pass all filters: their ids, or their numbers from 1."""
        known = self.data.id if self.data.id in self.table.types else None
        found = failing_rows(self.frame, steps, (), known).collect(engine="streaming")
        return tuple(row_name(key, number) for key, number in found.iter_rows())


@dataclass(frozen=True, slots=True)
class Probe:
    """A built-in check: what it needs measured, and how it judges the values.

    Attributes:
        measures: aggregates by name; those of all checks are taken in one query.
        judge: the results, from the measured values.
    """

    measures: Mapping[str, pl.Expr]
    judge: Callable[[Mapping[str, Any]], Iterable[CheckResult]]


def feature_names(table: Table, roles: Roles) -> tuple[str, ...]:
    """The columns of ``table`` that have no role, in order."""
    taken = {roles.target, roles.id, roles.time, roles.group, *roles.exclude}
    return tuple(name for name in table.names if name not in taken)


def draw_sample(frame: pl.LazyFrame, rows: int, wanted: int) -> pl.DataFrame:
    """About ``wanted`` of the ``rows`` rows of ``frame``, in their order; all when they are few.

    Rows are drawn by a hash of their number, so that no pattern in their order is hit.
    """
    if rows <= wanted:
        return frame.collect(engine="streaming")
    bound = int(wanted / rows * 2**32)
    number = free_name(frame)
    drawn = pl.col(number).hash(_SEED) % 2**32 < bound
    return frame.with_row_index(number).filter(drawn).drop(number).collect(engine="streaming")


def severity_of(check: CheckSettings) -> Severity:
    """The severity of a check that is not off."""
    return "warn" if check.severity == "warn" else "error"


def finding(
    name: str,
    severity: Severity,
    passed: bool,
    message: str,
    *,
    rows: int,
    column: str | None = None,
    observed: Scalar = None,
    expected: str = "",
    failing: int | None = None,
    examples: tuple[str | int, ...] = (),
) -> CheckResult:
    """A built-in check's result."""
    return CheckResult(
        name, column, severity, passed, observed, expected, failing, rows, examples, message
    )
