"""Guesses what the columns of an unknown table are for, for ``ratchet init``."""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl

from ratchet.data.roles import Roles
from ratchet.data.settings import DataSettings, SourceSettings
from ratchet.data.task import Label, Task, infer_task

_ID_WORDS = {"id", "uuid", "guid", "key", "nr", "no", "number", "code"}
_NOT_WHEN = {"birth", "birthday", "birthdate", "dob", "born", "expiry", "expires", "due", "until"}
_WHEN = ("snapshot", "timestamp", "event", "created", "observed", "contact", "date", "time", "day")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Guessed roles, each with a sentence in ``notes``; None where nothing fits."""

    id: str | None
    time: str | None
    exclude: tuple[str, ...]
    positive: Label | None
    task: Task
    notes: tuple[str, ...]


def suggest_roles(frame: pl.DataFrame, target: str) -> Suggestion:
    """Guess the id, the time, columns that are no features, and the task for ``target``.

    An id is unique, filled, a text or whole number, and named like one. A time is a filled
    date or datetime, not a birthday. Counters without an id's name are excluded.

    Raises DataError ``column_missing``, or what ``infer_task`` raises.
    """
    Roles(target).require(frame.columns)
    task = _task(frame.get_column(target), target)
    notes = [_describe_task(task, target)]
    others = [series for series in frame.get_columns() if series.name != target]
    unique = [series for series in others if _is_unique(series)]
    ids = sorted((s for s in unique if _is_named_id(s.name)), key=lambda s: s.dtype != pl.String)
    chosen = ids[0].name if ids else None
    if chosen is not None:
        notes.append(f'"{chosen}" is the id: named like one, and no value occurs twice.')
    exclude = [s.name for s in ids[1:]] + [
        s.name for s in unique if not _is_named_id(s.name) and _is_counter(s)
    ]
    notes += [f'"{name}" is no feature: it only counts or names the rows.' for name in exclude]
    time = _time(others)
    if time is not None:
        notes.append(
            f'"{time}" is the time: the newest rows test. Remove data.time for a random split.'
        )
    return Suggestion(
        id=chosen,
        time=time,
        exclude=tuple(exclude),
        positive=task.classes[1] if task.kind == "binary" else None,
        task=task,
        notes=tuple(notes),
    )


def _task(target: pl.Series, name: str) -> Task:
    settings = DataSettings(source=SourceSettings(type="csv", path="-"), target=name)
    return infer_task(target, settings)


def _describe_task(task: Task, target: str) -> str:
    if task.kind == "regression":
        return f'"{target}" holds numbers: the task is regression.'
    if task.kind == "multiclass":
        return f'"{target}" has {len(task.classes)} classes: the task is multiclass.'
    negative, positive = task.classes
    return f'"{target}" has two classes: the one to find is {positive!r}, the other {negative!r}.'


def _is_unique(series: pl.Series) -> bool:
    if series.dtype not in (pl.String, pl.Int64) or series.null_count() or series.len() < 2:
        return False
    head = series.head(1000)
    return head.n_unique() == head.len() and series.n_unique() == series.len()


def _is_named_id(name: str) -> bool:
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)
    last = words[-1].lower() if words else ""
    return last in _ID_WORDS or last.endswith(("id", "uuid"))


def _is_counter(series: pl.Series) -> bool:
    """Whether whole numbers go up by one from row to row."""
    return series.dtype == pl.Int64 and bool((series.diff().drop_nulls() == 1).all())


def _time(columns: list[pl.Series]) -> str | None:
    best: tuple[int, str] | None = None
    for series in columns:
        if not series.dtype.is_temporal() or series.null_count() or series.n_unique() < 3:
            continue
        words = set(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", series.name).lower()))
        if words & _NOT_WHEN:
            continue
        rank = next((i for i, word in enumerate(_WHEN) if word in series.name.lower()), len(_WHEN))
        if best is None or rank < best[0]:
            best = (rank, series.name)
    return best[1] if best is not None else None
