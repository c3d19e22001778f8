"""Built-in checks of repetition: whole rows, ids, and rows on both sides of the split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ratchet.checks.report import CheckResult, counted, percent
from ratchet.checks.settings import ChecksSettings
from ratchet.checks.subject import Probe, Subject, feature_names, finding, severity_of
from ratchet.checks.table import Table, is_repeated
from ratchet.data.roles import Roles

_TRAIN, _TEST = 0, 2


@dataclass(frozen=True, slots=True)
class IdCounts:
    """How many rows there are, how many miss their id, and how many different ids there are."""

    rows: int
    missing: int
    distinct: int

    @property
    def unique(self) -> bool:
        """Whether every row has an id of its own. Equal hashes only make it cautious."""
        return not self.missing and self.distinct == self.rows

    @classmethod
    def of(cls, frame: pl.LazyFrame, table: Table, id_column: str | None) -> IdCounts:
        """The counts of ``frame``; without an id column every row misses it."""
        if id_column is None or id_column not in table.types:
            rows = frame.select(pl.len()).collect(engine="streaming").item()
            return cls(rows, rows, 0)
        found = frame.select(
            pl.len().alias("rows"),
            table.missing(id_column).alias("missing"),
            table.key((id_column,)).n_unique().alias("distinct"),
        )
        return cls(*found.collect(engine="streaming").row(0))


def probe_duplicates(subject: Subject, ids: IdCounts) -> Probe:
    """Few rows repeat an earlier row in every column. Where ids are unique, none can."""
    check, table = subject.settings.duplicates, subject.table
    if check.severity == "off" or not table.names:
        return Probe({}, lambda _: ())
    key = table.key(table.names)

    def judge(values: Mapping[str, Any]) -> Iterable[CheckResult]:
        rows = subject.rows
        repeated = rows - values["distinct"] if values else 0
        share = repeated / rows if rows else 0.0
        message = f"{counted(repeated, 'row')} repeat an earlier one ({percent(share)})"
        examples: tuple[str | int, ...] = ()
        if share > check.share:
            examples = subject.examples(is_repeated(key))
            message += "; look whether the source was loaded twice"
        yield finding(
            "duplicates",
            severity_of(check),
            share <= check.share,
            message,
            rows=rows,
            observed=share,
            expected=f"at most {percent(check.share)} repeated rows",
            failing=repeated,
            examples=examples,
        )

    return Probe({} if ids.unique else {"distinct": key.n_unique()}, judge)


def check_ids(subject: Subject, ids: IdCounts) -> Iterable[CheckResult]:
    """No id stands in two rows; all rows of a repeated id count."""
    check, table, name = subject.settings.ids, subject.table, subject.data.id
    if check.severity == "off" or name is None or name not in table.types:
        return
    failing = 0
    examples: tuple[str | int, ...] = ()
    # The hashes only prove that there is no repetition; repeated values are counted exactly.
    if ids.distinct < ids.rows - ids.missing + min(ids.missing, 1):
        value = table.value(name)
        suspects = value.is_not_null() & is_repeated(table.key((name,)))
        exactly = value.filter(suspects).is_duplicated().sum()
        failing = subject.frame.select(exactly).collect(engine="streaming").item()
        if failing:
            found = subject.examples(suspects, value.is_duplicated())
            examples = tuple(dict.fromkeys(found))
    message = f"every id in `{name}` is there once"
    if failing:
        message = (
            f"{counted(failing, 'row')} share their id in `{name}` with another row; if rows "
            "are events of an entity, keep its rows together with data.group"
        )
    yield finding(
        "ids",
        severity_of(check),
        not failing,
        message,
        rows=ids.rows - ids.missing,
        column=name,
        observed=failing,
        expected="unique ids",
        failing=failing,
        examples=examples,
    )


def check_overlap(
    frame: pl.LazyFrame, parts: pl.Series, *, roles: Roles, settings: ChecksSettings
) -> CheckResult | None:
    """Few test rows have the same features as a training row.

    Args:
        frame: the rows.
        parts: 0 train, 1 validation, 2 test: UInt8 (n_rows,), in the order of the rows.
        roles: what each column is for.
        settings: the ``checks`` section.

    Returns:
        The result; None when the check is off or there is nothing to compare.
    """
    check = settings.overlap
    table = Table.of(frame)
    features = feature_names(table, roles)
    if check.severity == "off" or not features:
        return None
    keys = frame.select(key=table.key(features)).collect(engine="streaming")["key"].to_numpy()
    part = parts.to_numpy()
    test = keys[part == _TEST]
    if not test.size:
        return None
    seen = np.isin(test, keys[part == _TRAIN])
    failing = int(seen.sum())
    share = failing / test.size
    message = (
        f"{failing:,} of {counted(test.size, 'test row')} ({percent(share)}) have exactly the "
        "features of a training row"
    )
    if share > check.share:
        message += (
            "; the test then measures memory. Drop repeated rows (data.duplicates: drop) or keep "
            "rows of one entity together with data.group"
        )
    return finding(
        "overlap", severity_of(check), share <= check.share, message, rows=int(test.size),
        observed=share, expected=f"at most {percent(check.share)} of the test rows",
        failing=failing,
    )  # fmt: skip
