"""Which rows train, which validate and which test.

Five methods, all a function of the rows' values and the seed, never of their order:

- hash: by the hash of the id. Added rows never move a row.
- group: by the hash of the group. Rows of a group stay together.
- stratified: each class, or each tenth of a target of numbers, is divided by the rank of its
  rows' content hashes, so shares are exact; rows with equal features stay together.
- time: the newest rows test, those before validate. Rows of one moment stay together.
- column: as a column says.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl

from ratchet.data.hashing import row_hash, stable_hash, to_unit
from ratchet.data.kept import KeptRows
from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.settings import SplitSettings
from ratchet.data.task import Task
from ratchet.errors import DataError

Method = Literal["time", "stratified", "hash", "group", "column"]
PART = "__part"
TRAIN, VALIDATION, TEST = 0, 1, 2
PARTS = ("train", "validation", "test")

_TENTHS = 10
_ROWS_PER_STRATUM = 20


def choose_method(settings: SplitSettings, roles: Roles) -> Method:
    """The method that ``split.by`` means for these roles."""
    if settings.by != "auto":
        return settings.by
    if settings.column is not None:
        return "column"
    if roles.time is not None:
        return "time"
    if roles.group is not None:
        return "group"
    return "hash" if roles.id is not None else "stratified"


def assign(frame: pl.DataFrame, roles: Roles, settings: SplitSettings, task: Task) -> pl.Series:
    """The part of every row: ``__part``, UInt8, 0 = train, 1 = validation, 2 = test.

    Raises DataError ``time_missing``, ``time_kind``, ``group_missing``, ``column_missing``,
    ``split_unknown`` (a value that names no part) or ``split_impossible`` (nothing left to train
    or to test on).
    """
    if not frame.height:
        raise ValueError("there are no rows to split")
    keys = split_keys(frame, choose_method(settings, roles), roles, settings)
    return assign_keys(keys, frame.get_column(roles.target), roles, settings, task)


def assign_rows(
    kept: KeptRows, target: pl.Series, roles: Roles, settings: SplitSettings, task: Task
) -> pl.Series:
    """As :func:`assign`, of rows that need not lie in memory; ``target`` (n_rows,) is their own.

    Raises as :func:`assign` does.
    """
    if not kept.rows:
        raise ValueError("there are no rows to split")
    method = choose_method(settings, roles)
    whole = {"time": roles.time, "group": roles.group, "column": settings.column}.get(method)
    # One column of all rows, so that what is wrong with it is counted in all rows.
    chunks = [kept.select([whole])] if whole in kept.columns else kept.chunks()
    keys = np.concatenate([split_keys(chunk, method, roles, settings) for chunk in chunks])
    return assign_keys(keys, target, roles, settings, task)


def split_keys(
    frame: pl.DataFrame, method: Method, roles: Roles, settings: SplitSettings
) -> np.ndarray:
    """The one number of each row (n_rows,) that decides where it goes.

    A hash of its id, group or features (uint64), its moment, or the part that a column names.

    Raises DataError as :func:`assign` does.
    """
    if method == "stratified":
        return _content(frame, roles, settings.seed)
    if method == "hash":
        return _id_hashes(frame, roles, settings.seed)
    if method == "group":
        groups = frame.get_column(_named(roles.group, method))
        _require_filled(groups, "group")
        return stable_hash(groups, settings.seed)
    if method == "time":
        return _moments(frame, _named(roles.time, method))
    return _said_parts(frame, _named(settings.column, method))


def assign_keys(
    keys: np.ndarray, target: pl.Series, roles: Roles, settings: SplitSettings, task: Task
) -> pl.Series:
    """The part of every row, from what :func:`split_keys` and the target say of all rows.

    Raises DataError ``split_impossible``.
    """
    method = choose_method(settings, roles)
    if method == "stratified":
        parts = _stratified(keys, task.encode(target), settings, task)
    elif method == "time":
        parts = _by_time(keys, settings)
    else:
        parts = keys if method == "column" else _cut(keys, settings)
    _require_both_ends(parts, method, settings)
    return pl.Series(PART, parts, dtype=pl.UInt8)


def _named(column: str | None, method: Method) -> str:
    if column is None:
        raise ValueError(f"a split by {method} needs a column")
    return column


def _id_hashes(frame: pl.DataFrame, roles: Roles, seed: int) -> np.ndarray:
    ids = frame.get_column(_named(roles.id, "hash"))
    hashes = stable_hash(ids, seed)
    if ids.null_count():
        nulls = ids.is_null().to_numpy()
        hashes[nulls] = _content(frame, roles, seed)[nulls]
    return hashes


def _cut(hashes: np.ndarray, settings: SplitSettings) -> np.ndarray:
    place = to_unit(hashes)
    parts = np.full(len(place), TRAIN, dtype=np.uint8)
    parts[place < settings.test + settings.validation] = VALIDATION
    parts[place < settings.test] = TEST
    return parts


def _stratified(
    content: np.ndarray, strata: np.ndarray, settings: SplitSettings, task: Task
) -> np.ndarray:
    parts = np.full(len(content), TRAIN, dtype=np.uint8)
    if task.kind == "regression":
        strata = _tenths(strata)
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        rows = rows[np.argsort(content[rows], kind="stable")]
        test = _edge(content[rows], round(settings.test * len(rows)))
        both = _edge(content[rows], round((settings.test + settings.validation) * len(rows)))
        parts[rows[:both]] = VALIDATION
        parts[rows[:test]] = TEST
        if both == len(rows):  # a class must be seen in training
            parts[rows[_start_of_last(content[rows]) :]] = TRAIN
    return _join_equal(parts, content)


def _tenths(values: np.ndarray) -> np.ndarray:
    """Which tenth each number (n,) lies in, or a larger share where the rows are few.

    Equal numbers lie in the same one.
    """
    count = min(_TENTHS, max(len(values) // _ROWS_PER_STRATUM, 1))
    edges = np.quantile(values, np.arange(1, count) / count)
    found: np.ndarray = np.searchsorted(np.unique(edges), values, side="right")
    return found


def _said_parts(frame: pl.DataFrame, name: str) -> np.ndarray:
    where = "data.split.column"
    if name not in frame.columns:
        raise DataError(
            f'The data has no column "{name}", which data.split.column names',
            fix="Name a column that says train, validation or test",
            where=where,
            code="column_missing",
        )
    said = frame.get_column(name).cast(pl.String).str.strip_chars().str.to_lowercase()
    numbers = pl.Series(range(len(PARTS)), dtype=pl.UInt8)
    parts = said.replace_strict(pl.Series(PARTS), numbers, default=None, return_dtype=pl.UInt8)
    if parts.null_count():
        strange = frame.get_column(name).filter(parts.is_null()).unique().sort().head(5).to_list()
        shown = ", ".join("nothing" if value is None else f'"{value}"' for value in strange)
        raise DataError(
            f'The column "{name}" names no part of the split in {parts.null_count()} rows: {shown}',
            why="Each row is for train, validation or test",
            fix="Correct these values, or leave data.split.column out",
            where=where,
            code="split_unknown",
        )
    return parts.to_numpy()


def _edge(ordered: np.ndarray, wanted: int) -> int:
    """The cut nearest to ``wanted`` that does not fall between equal hashes."""
    if not 0 < wanted < len(ordered):
        return min(max(wanted, 0), len(ordered))
    low = int(np.searchsorted(ordered, ordered[wanted], side="left"))
    high = int(np.searchsorted(ordered, ordered[wanted], side="right"))
    return low if wanted - low <= high - wanted else high


def _start_of_last(ordered: np.ndarray) -> int:
    return int(np.searchsorted(ordered, ordered[-1], side="left"))


def _join_equal(parts: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Rows with equal features but different labels into the part nearest to training."""
    order = np.argsort(content, kind="stable")
    starts = np.flatnonzero(np.diff(content[order], prepend=content[order[:1]] - np.uint64(1)) != 0)
    least = np.minimum.reduceat(parts[order], starts)
    joined = np.empty_like(parts)
    joined[order] = np.repeat(least, np.diff(starts, append=len(order)))
    return joined


def _moments(frame: pl.DataFrame, name: str) -> np.ndarray:
    times = frame.get_column(name)
    _require_filled(times, "time")
    if not (times.dtype.is_temporal() or times.dtype.is_numeric()):
        raise DataError(
            f'The time column "{name}" is {times.dtype}, not a date or a number',
            why="Texts have no order in time",
            fix=f"Set data.columns.{name} to date or datetime (and data.source.formats "
            "when it is not ISO 8601)",
            where="data.time",
            code="time_kind",
        )
    moments: np.ndarray = times.to_physical().to_numpy()
    return moments


def _by_time(moments: np.ndarray, settings: SplitSettings) -> np.ndarray:
    ordered = np.sort(moments)
    count = len(ordered)
    parts = np.full(count, TRAIN, dtype=np.uint8)
    test = _edge(ordered, count - round(settings.test * count))
    test = min(test, _start_of_last(ordered))
    if settings.validation:
        wanted = count - round((settings.test + settings.validation) * count)
        edge = min(_edge(ordered, wanted), _start_of_last(ordered[: max(test, 1)]))
        parts[moments >= ordered[edge]] = VALIDATION
    parts[moments >= ordered[test]] = TEST
    return parts


def _content(frame: pl.DataFrame, roles: Roles, seed: int) -> np.ndarray:
    """The hash of each row's features: what a model could recognise a row by."""
    features = roles.features(TableSchema.from_polars(frame.schema))
    return row_hash(frame.select(features), seed)


def _require_filled(series: pl.Series, role: str) -> None:
    nulls = series.null_count()
    if nulls:
        raise DataError(
            f'The {role} column "{series.name}" is missing in {nulls} of {series.len()} rows',
            why=f"Without it nobody can say where a row belongs in a split by {role}",
            fix="Fill it in, remove these rows, or set data.split.by to another method",
            where=f"data.{role}",
            code=f"{role}_missing",
        )


def _require_both_ends(parts: np.ndarray, method: Method, settings: SplitSettings) -> None:
    counts = np.bincount(parts, minlength=3)
    empty = [PARTS[part] for part in (TRAIN, TEST) if not counts[part]]
    if settings.validation and method != "column" and not counts[VALIDATION]:
        empty.append("validation")
    if not empty:
        return
    reasons = {
        "hash": "There are too few different ids",
        "group": "There are too few groups",
        "stratified": "There are too few rows, or too many have equal features",
        "time": "There are too few different moments",
        "column": f'The column "{settings.column}" names none',
    }
    raise DataError(
        f"The split by {method} of {len(parts)} rows leaves no row for {' and '.join(empty)}",
        why=reasons[method],
        fix="Bring more data, or change data.split (by, test, validation, seed)",
        where="data.split",
        code="split_impossible",
    )
