"""Built-in checks of single features: leaks, names of rows, and numbers among text.

They look at a sample of the rows; a doubtful column is then counted in full where that matters.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl

from ratchet.checks.report import CheckResult, percent, shorten
from ratchet.checks.separation import (
    Codes,
    Floats,
    bins_of,
    concordance,
    separation_by_category,
    separation_by_rank,
)
from ratchet.checks.subject import Subject, finding, severity_of
from ratchet.checks.table import named
from ratchet.data.task import infer_task
from ratchet.errors import DataError

_FIRST_LOOK = 5_000
_PROMISING = 0.9
_FEW_VALUES = 50
_FEW_ROWS = 50


def check_leakage(subject: Subject) -> Iterable[CheckResult]:
    """No feature alone predicts the target almost perfectly."""
    check, name = subject.settings.leakage, subject.data.target
    if check.severity == "off" or name not in subject.table.types:
        return
    sample = subject.sample.filter(subject.table.value(name).is_not_null())
    try:
        task = infer_task(sample[name], subject.data)
    except DataError:
        return  # what is wrong with the target is told by its own checks
    if task.kind == "regression":
        target = sample.select(named(name).cast(pl.Float64)).to_series().to_numpy()
        scores = _numeric_scores(subject, sample, target)
    else:
        scores = _class_scores(subject, sample, task.encode(sample[name]), len(task.classes))
    told = False
    for feature, score in scores.items():
        if score < check.warn:
            continue
        told = True
        leak = score >= check.error
        yield finding(
            "leakage", severity_of(check) if leak else "warn", False,
            f"`{feature}` alone predicts `{name}` {'almost perfectly' if leak else 'very well'} "
            f"(ROC-AUC {score:.4f}); probably it is known only after the outcome. Leave it out "
            "with data.exclude, or set checks.leakage to warn if it is known in time",
            rows=sample.height, column=feature, observed=score,
            expected=f"a ROC-AUC below {check.error if leak else check.warn}",
        )  # fmt: skip
    if not told:
        best = max(scores.values(), default=0.5)
        message = f"no feature alone predicts `{name}` too well (best ROC-AUC {best:.3f})"
        yield finding(
            "leakage", severity_of(check), True, message, rows=sample.height, observed=best
        )


def _numeric_scores(subject: Subject, sample: pl.DataFrame, target: Floats) -> dict[str, float]:
    """Each number's score against a target of numbers."""
    numbers = [name for name in subject.features if subject.table.kind(name) != "string"]
    return {name: concordance(_numbers(sample, name), target) for name in numbers}


def _class_scores(
    subject: Subject, sample: pl.DataFrame, labels: Codes, classes: int
) -> dict[str, float]:
    """Each feature's score against classes."""
    scores = {}
    for name in subject.features:
        if subject.table.kind(name) == "string":
            scores[name] = separation_by_category(_categories(sample, name), labels, classes)
            continue
        values = _numbers(sample, name)
        # Most features are far from a leak, which few rows show as well as many.
        score = _number_score(values[:_FIRST_LOOK], labels[:_FIRST_LOOK], classes)
        if score >= _PROMISING and values.size > _FIRST_LOOK:
            score = _number_score(values, labels, classes)
        scores[name] = score
    return scores


def _number_score(values: Floats, labels: Codes, classes: int) -> float:
    if classes > 2:
        return separation_by_category(bins_of(values), labels, classes)
    score = separation_by_rank(values, labels == 1)
    distinct = np.unique(values[~np.isnan(values)])
    if distinct.size > _FEW_VALUES:
        return score
    # A handful of numbers may be codes, whose order says nothing.
    return max(score, separation_by_category(bins_of(values), labels, classes))


def _numbers(sample: pl.DataFrame, name: str) -> Floats:
    """A column as float (n_rows,), NaN where missing; infinite values count as missing."""
    column = sample.select(named(name).to_physical().cast(pl.Float64)).to_series()
    values = column.fill_null(float("nan")).to_numpy().copy()
    values[np.isinf(values)] = np.nan
    return values


def _categories(sample: pl.DataFrame, name: str) -> Codes:
    """A text column as codes from 0, missing being a category of its own: int32 (n_rows,)."""
    # Hashes take the texts' place: to sort texts costs ten times as much.
    hashes = sample.select(named(name).hash()).to_series().to_numpy()
    return np.unique(hashes, return_inverse=True)[1].astype(np.int32)


def check_id_like(subject: Subject) -> Iterable[CheckResult]:
    """No text feature is different in (nearly) every row, and no integer counts the rows."""
    check, sample = subject.settings.id_like, subject.sample
    if check.severity == "off" or subject.rows < _FEW_ROWS:
        return
    names = [name for name in subject.features if subject.table.kind(name) in ("string", "integer")]
    doubtful = [name for name in names if _names_rows(subject, sample.lazy(), name, check.share)]
    if sample.height < subject.rows:
        doubtful = [n for n in doubtful if _names_rows(subject, subject.frame, n, check.share)]
    for name in doubtful:
        yield finding(
            "id_like", severity_of(check), False,
            f"`{name}` is different in nearly every row, like a name or a number of the row; "
            "leave it out with data.exclude, or make it the id with data.id",
            rows=subject.rows, column=name, expected="values that repeat",
        )  # fmt: skip
    if not doubtful:
        message = "no feature looks like the name of a row"
        yield finding("id_like", severity_of(check), True, message, rows=subject.rows)


def _names_rows(subject: Subject, frame: pl.LazyFrame, name: str, share: float) -> bool:
    """Whether the values of a column are (nearly) all different; integers also without gaps."""
    value = subject.table.value(name)
    present = pl.len() - value.null_count()
    if subject.table.kind(name) == "string":
        distinct = subject.table.key((name,)).n_unique()
        limit = share * present
        found = frame.select(distinct=distinct, limit=limit, present=present)
        row = found.collect(engine="streaming").row(0, named=True)
        return bool(row["present"] > 1 and row["distinct"] >= row["limit"])
    found = frame.select(distinct=value.n_unique(), rows=pl.len(), width=value.max() - value.min())
    row = found.collect(engine="streaming").row(0, named=True)
    # A measured integer may be unique by chance; a running number is unique and has no gaps.
    dense = row["width"] is not None and row["width"] < 2 * subject.rows
    return bool(dense and row["distinct"] == row["rows"])


def check_mixed(subject: Subject) -> Iterable[CheckResult]:
    """No text feature is a column of numbers with some words in it."""
    check = subject.settings.mixed
    if check.severity == "off":
        return
    texts = [name for name in subject.features if subject.table.kind(name) == "string"]
    found = False
    for name in texts:
        # All numbers may be meant as text (postcodes); the words may be rare, so all rows count.
        if _number_share(subject, subject.sample.lazy(), name)[0] <= check.share:
            continue
        share, strange = _number_share(subject, subject.frame, name)
        if not check.share < share < 1:
            continue
        found = True
        yield finding(
            "mixed", severity_of(check), False,
            f"`{name}` is text, but {percent(share)} of its values are numbers; the others are "
            f"like {strange!r}. Name them in data.source.missing, or pin the kind in data.columns",
            rows=subject.rows, column=name, observed=share, expected="text or numbers",
        )  # fmt: skip
    if texts and not found:
        message = "no text column is a column of numbers with words in it"
        yield finding("mixed", severity_of(check), True, message, rows=subject.rows)


def _number_share(subject: Subject, frame: pl.LazyFrame, name: str) -> tuple[float, str]:
    """The share of a text column's values that are numbers, and one that is none."""
    value = subject.table.value(name).str.strip_chars()
    number = value.cast(pl.Float64, strict=False).is_not_null()
    found = frame.select(
        numbers=number.sum(),
        present=value.count(),
        strange=value.filter(~number).drop_nulls().first(),
    )
    row = found.collect(engine="streaming").row(0, named=True)
    share = row["numbers"] / row["present"] if row["present"] else 0.0
    return share, shorten(str(row["strange"]))
