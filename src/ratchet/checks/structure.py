"""Built-in checks of the table's build: columns, rows, missing, constant and infinite values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from ratchet.checks.report import CheckResult, Severity, counted, percent
from ratchet.checks.rows import set_words
from ratchet.checks.subject import Probe, Subject, finding, severity_of
from ratchet.checks.table import named
from ratchet.data.schema import TableSchema

_NUMBERS = ("integer", "number")


def check_columns(subject: Subject, expected: TableSchema) -> Iterable[CheckResult]:
    """The columns and their kinds are those of ``expected``; a changed order is told apart.

    Columns that ``data.exclude`` names are nobody's business.
    """
    ignored = set(subject.data.exclude)
    now = {name: subject.table.kind(name) for name in subject.table.names if name not in ignored}
    then = {column.name: column.kind for column in expected.columns if column.name not in ignored}
    gone = [f"`{name}` is gone" for name in then if name not in now]
    new = [f"`{name}` is new" for name in now if name not in then]
    changed = [
        f"`{name}` was {then[name]} and is now {kind}"
        for name, kind in now.items()
        if name in then and then[name] != kind
    ]
    check, rows = subject.settings.columns, subject.rows
    wanted = f"the {counted(len(then), 'column')} of the last run"
    if check.severity != "off":
        found = [*gone, *changed, *new]
        message = "the columns and their kinds are those of the last run"
        if found:
            message = (
                f"the columns are not those of the last run: {'; '.join(found[:5])}"
                f"{f' and {len(found) - 5} more' if len(found) > 5 else ''}. Repair the source; or "
                "leave a column out with data.exclude, pin its kind in data.columns, or accept the "
                "change once with checks.columns: warn"
            )
        yield finding(
            "columns", severity_of(check), not found, message,
            rows=rows, observed=len(now), expected=wanted, failing=len(found),
        )  # fmt: skip
    if check.order != "off":
        kept = [name for name in now if name in then]
        same = kept == [name for name in then if name in now]
        severity: Severity = "error" if check.order == "error" else "warn"
        message = "the columns are in the order of the last run"
        if not same:
            message = "the columns are in another order than in the last run"
        yield finding("column_order", severity, same, message, rows=rows, expected=wanted)


def check_rows(subject: Subject) -> Iterable[CheckResult]:
    """There are enough rows to train on."""
    check, rows = subject.settings.rows, subject.rows
    if check.severity == "off":
        return
    enough = rows >= check.min
    message = f"the table has {counted(rows, 'row')}"
    if not enough:
        message += f", too few to learn from (checks.rows.min is {check.min:,}): get more data"
    yield finding(
        "rows", severity_of(check), enough, message,
        rows=rows, observed=rows, expected=f"at least {check.min:,} rows",
    )  # fmt: skip


def probe_keys(subject: Subject) -> Probe:
    """The id and time columns have a value in every row."""
    check, table = subject.settings.keys, subject.table
    keys = [n for n in (subject.data.id, subject.data.time, subject.data.group) if n is not None]
    there = [name for name in keys if name in table.types] if check.severity != "off" else []

    def judge(values: Mapping[str, Any]) -> Iterable[CheckResult]:
        for name in there:
            missing = values[name]
            message = f"`{name}` has a value in every row"
            examples: tuple[str | int, ...] = ()
            if missing:
                examples = subject.examples(table.value(name).is_null())
                message = (
                    f"the key column `{name}` is missing in {counted(missing, 'row')}; "
                    "fill it in or remove these rows"
                )
            yield finding(
                "keys", severity_of(check), not missing, message, rows=subject.rows,
                column=name, observed=missing, expected="no missing value", failing=missing,
                examples=examples,
            )  # fmt: skip

    return Probe({name: table.missing(name) for name in there}, judge)


def probe_missing(subject: Subject) -> Probe:
    """Features that are mostly missing are told one by one; a table full of them is an error."""
    check = subject.settings.missing
    features = subject.features if check.severity != "off" else ()

    def judge(values: Mapping[str, Any]) -> Iterable[CheckResult]:
        rows = subject.rows
        if not rows or not features:
            return
        sparse = [name for name in features if values[name] / rows > check.share]
        limit = f"at most {percent(check.share)} missing"
        for name in sparse:
            share = values[name] / rows
            yield finding(
                "missing", severity_of(check), False, f"`{name}` is missing in {percent(share)} "
                "of the rows; repair the source or leave it out with data.exclude",
                rows=rows, column=name, observed=share, expected=limit, failing=values[name],
            )  # fmt: skip
        if not sparse:
            message = f"no feature is missing in more than {percent(check.share)} of the rows"
            yield finding("missing", severity_of(check), True, message, rows=rows, expected=limit)
        share = len(sparse) / len(features)
        message = f"{len(sparse):,} of {counted(len(features), 'feature')} are mostly missing"
        if share > check.columns:
            message += (
                f": {set_words(sparse)}. Repair the source, leave them out with data.exclude, or "
                "raise checks.missing.columns"
            )
        yield finding(
            "missing_columns", "error", share <= check.columns, message, rows=rows, observed=share,
            expected=f"at most {percent(check.columns)} of the features mostly missing",
            failing=len(sparse),
        )  # fmt: skip

    return Probe({name: subject.table.missing(name) for name in features}, judge)


def check_usable(subject: Subject) -> Iterable[CheckResult]:
    """At least one feature has two different values; those that have not are told."""
    constant, needed = subject.settings.constant, subject.settings.features
    if not subject.rows or constant.severity == needed.severity == "off":
        return
    features = subject.features
    single = _constant_features(subject)
    if constant.severity != "off":
        for name in single:
            message = f"`{name}` has the same value in every row, or none; nothing is learned of it"
            yield finding(
                "constant", severity_of(constant), False, message,
                rows=subject.rows, column=name, observed=1, expected="two different values",
            )  # fmt: skip
        if not single:
            message = "every feature has at least two different values"
            yield finding("constant", severity_of(constant), True, message, rows=subject.rows)
    if needed.severity != "off":
        usable = len(features) - len(single)
        message = f"{usable:,} of {counted(len(features), 'feature')} can be used"
        if not usable:
            why = "there is no feature" if not features else "every feature is constant or missing"
            message = f"nothing can be learned: {why}. Look at the source and at data.exclude"
        yield finding(
            "features", severity_of(needed), usable > 0, message,
            rows=subject.rows, observed=usable, expected="at least one feature of use",
        )  # fmt: skip


def _constant_features(subject: Subject) -> list[str]:
    """Features with at most one distinct value; only those constant in the sample are counted."""
    table = subject.table
    distinct = {name: table.value(name).drop_nulls() for name in subject.features}
    if not distinct:
        return []
    first = [
        (value != value.first()).any().alias(f"c{i}") for i, value in enumerate(distinct.values())
    ]
    varied = subject.sample.lazy().select(first).collect().row(0)
    doubtful = [name for name, differs in zip(distinct, varied, strict=True) if not differs]
    if not doubtful or subject.sample.height == subject.rows:
        return doubtful
    counts = [distinct[name].n_unique().alias(f"c{i}") for i, name in enumerate(doubtful)]
    found = subject.frame.select(counts).collect(engine="streaming").row(0)
    return [name for name, count in zip(doubtful, found, strict=True) if count <= 1]


def probe_infinite(subject: Subject) -> Probe:
    """No feature and no target value is infinite."""
    check, table = subject.settings.infinite, subject.table
    names = [*subject.features, subject.data.target] if check.severity != "off" else []
    floats = [name for name in names if name in table.types and table.types[name].is_float()]

    def judge(values: Mapping[str, Any]) -> Iterable[CheckResult]:
        broken = [name for name in floats if values[name]]
        for name in broken:
            failing = values[name]
            yield finding(
                "infinite", severity_of(check), False,
                f"`{name}` is infinite in {counted(failing, 'row')}; often a division by zero in "
                "the source. Repair it there, or read it as missing",
                rows=subject.rows, column=name, observed=failing, expected="finite numbers",
                failing=failing, examples=subject.examples(named(name).is_infinite()),
            )  # fmt: skip
        if floats and not broken:
            message = "no number is infinite"
            yield finding("infinite", severity_of(check), True, message, rows=subject.rows)

    measures: dict[str, pl.Expr] = {name: named(name).is_infinite().sum() for name in floats}
    return Probe(measures, judge)


def probe_long_text(subject: Subject) -> Probe:
    """No text is so long that it must be something else: a file, or lines run together."""
    check, table = subject.settings.long_text, subject.table
    names = [n for n in table.names if n not in subject.data.exclude and table.kind(n) == "string"]
    texts = names if check.severity != "off" else []
    lengths = {name: table.value(name).str.len_bytes() for name in texts}

    def judge(values: Mapping[str, Any]) -> Iterable[CheckResult]:
        limit = f"at most {check.longest:,} bytes"
        broken = [name for name in texts if (values[name] or 0) > check.longest]
        for name in broken:
            examples = subject.examples(lengths[name] > check.longest)
            yield finding(
                "long_text",
                severity_of(check),
                False,
                f"`{name}` holds a text of {values[name]:,} bytes (row {examples[0]}), too long "
                "for a value; look for an open quote or a file in a cell, leave the column out "
                "with data.exclude, or raise checks.long_text.longest",
                rows=subject.rows,
                column=name,
                observed=values[name],
                expected=limit,
                examples=examples,
            )
        if texts and not broken:
            message = f"no text is longer than {check.longest:,} bytes"
            yield finding("long_text", severity_of(check), True, message, rows=subject.rows)

    return Probe({name: length.max() for name, length in lengths.items()}, judge)
