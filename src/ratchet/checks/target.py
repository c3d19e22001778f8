"""Built-in checks of the target: there, complete, and with enough rows of each class."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from ratchet.checks.report import CheckResult, counted, percent, shorten
from ratchet.checks.subject import Subject, finding, severity_of
from ratchet.config.suggest import hint
from ratchet.data.task import Task, infer_task
from ratchet.errors import DataError

_SHOWN = 8
_LONGEST = 400


def check_target(subject: Subject) -> Iterable[CheckResult]:
    """The target column can be learned; one result per thing wrong with it."""
    check, name, rows = subject.settings.target, subject.data.target, subject.rows
    if check.severity == "off":
        return
    if name not in subject.table.types:
        message = f"there is no column `{name}` (data.target): {hint(name, subject.table.names)}"
        yield finding("target", severity_of(check), False, message, rows=rows, column=name)
        return
    if not rows:
        return
    value = subject.table.value(name)
    target = subject.frame.select(value.alias(name)).collect(engine="streaming")[name]
    missing = target.null_count()
    message = f"the target `{name}` has a value in every row"
    examples: tuple[str | int, ...] = ()
    if missing:
        examples = subject.examples(value.is_null())
        message = (
            f"the target `{name}` is missing in {missing:,} of {counted(rows, 'row')} "
            f"({percent(missing / rows)}); nothing can be learned of these rows: fill it in or "
            "remove them"
        )
    yield finding(
        "target", severity_of(check), not missing, message, rows=rows, column=name,
        observed=missing, expected="no missing value", failing=missing, examples=examples,
    )  # fmt: skip
    yield _check_classes(subject, target.drop_nulls())


def _check_classes(subject: Subject, target: pl.Series) -> CheckResult:
    check, name = subject.settings.target, subject.data.target
    severity, rows = severity_of(check), target.len()
    expected = f"two classes, each in at least {counted(check.class_rows, 'row')}"
    try:
        task = infer_task(target, subject.data)
    except DataError as error:
        said = ". ".join(part for part in (error.what, error.why, error.fix) if part)
        return finding(
            "classes",
            severity,
            False,
            shorten(said, _LONGEST),
            rows=rows,
            column=name,
            expected=expected,
        )
    if task.kind == "regression":
        distinct = target.n_unique()
        message = f"the target `{name}` holds numbers"
        if distinct == 1:
            message = f"the target `{name}` is {target[0]} in every row; nothing can be learned"
        return finding(
            "classes", severity, distinct > 1, message, rows=rows, column=name,
            observed=distinct, expected="numbers that differ",
        )  # fmt: skip
    tally = _tally(target, task)
    small = [(label, count) for label, count in tally if count < check.class_rows]
    shown = ", ".join(f"{shorten(str(label))}: {count:,}" for label, count in tally[:_SHOWN])
    message = f"the rows of each class: {shown}"
    if small:
        few = ", ".join(f"{shorten(str(label))} ({count:,})" for label, count in small[:_SHOWN])
        message = (
            f"too few rows of a class to learn and test it: {few}. Get more data, join or drop "
            f"the class, or lower checks.target.class_rows (now {check.class_rows})"
        )
    return finding(
        "classes", severity, not small, message, rows=rows, column=name,
        observed=tally[-1][1], expected=expected, failing=len(small),
    )  # fmt: skip


def _tally(target: pl.Series, task: Task) -> list[tuple[object, int]]:
    """The rows of each class, most frequent first."""
    if len(task.classes) <= _SHOWN:
        counts = [(label, int((target == label).sum())) for label in task.classes]
        return sorted(counts, key=lambda pair: -pair[1])
    return list(target.value_counts(sort=True).iter_rows())
