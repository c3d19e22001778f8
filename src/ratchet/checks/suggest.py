"""A starting suite from a table's profile: loose enough that a normal next month passes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ratchet.checks.profile import TOP, ColumnProfile, Profile
from ratchet.data.roles import Roles

_MOSTLY = 0.99
_ROWS_PER_CATEGORY = 20
_DIGITS = 3
_LONGEST = 59

Suggestion = dict[str, Any]


def suggest_suite(profile: Profile, roles: Roles) -> list[Suggestion]:
    """Expectations in the form of ``checks.expectations``.

    Errors are only what training cannot do without: the columns, complete keys and target,
    known classes of a two-class target. All about single features only warns, and leaves room:
    one value in a hundred may break it, and ranges are three times as wide as the data.
    """
    there = {column.name: column for column in profile.columns}
    used = [name for name in there if name not in roles.exclude]
    suite = [_of("expect_table_columns_to_match_set", column_set=used, exact_match=False)]
    suite.extend(
        _of("expect_column_values_to_not_be_null", column=name)
        for name in (roles.id, roles.time, roles.target)
        if name is not None and name in there and not there[name].missing
    )
    suite.extend(_about_keys(profile, roles, there))
    for name in used:
        if name not in (roles.id, roles.time, roles.target, roles.group):
            suite.extend(_about_feature(profile.rows, there[name]))
    return suite


def _of(name: str, *, warn: bool = False, **arguments: Any) -> Suggestion:
    return {name: arguments, **({"severity": "warn"} if warn else {})}


def _about_keys(
    profile: Profile, roles: Roles, there: dict[str, ColumnProfile]
) -> Iterable[Suggestion]:
    """Unique ids where they are unique now, and the classes of a two-class target."""
    key = there.get(roles.id) if roles.id is not None else None
    if key is not None and key.exact and profile.rows > 1 and key.distinct == profile.rows:
        yield _of("expect_column_values_to_be_unique", column=key.name)
    target = there.get(roles.target)
    if target is not None and target.distinct == 2 and _listable(target):
        values = _values(target)
        yield _of("expect_column_values_to_be_in_set", column=target.name, value_set=values)


def _about_feature(rows: int, column: ColumnProfile) -> Iterable[Suggestion]:
    if not column.missing and rows:
        yield _of(
            "expect_column_values_to_not_be_null", warn=True, column=column.name, mostly=_MOSTLY
        )
    if column.constant:
        return
    if column.kind == "string" and _listable(column) and _repeats(rows, column):
        yield _of(
            "expect_column_values_to_be_in_set",
            warn=True,
            column=column.name,
            value_set=_values(column),
            mostly=_MOSTLY,
        )
    elif column.kind in ("integer", "number"):
        limits = _wide(column)
        if limits is not None:
            yield _of(
                "expect_column_values_to_be_between",
                warn=True,
                column=column.name,
                min_value=limits[0],
                max_value=limits[1],
                mostly=_MOSTLY,
            )


def _listable(column: ColumnProfile) -> bool:
    """Whether the profile knows every value, and each is short enough to be whole."""
    known = len(column.top) == column.distinct <= TOP
    return known and all(len(str(value)) <= _LONGEST for value, _ in column.top)


def _repeats(rows: int, column: ColumnProfile) -> bool:
    return (rows - column.missing) >= _ROWS_PER_CATEGORY * column.distinct


def _values(column: ColumnProfile) -> list[Any]:
    return sorted((value for value, _ in column.top), key=str)


def _wide(column: ColumnProfile) -> tuple[float, float] | None:
    """Limits a whole width beyond the extremes; what was never negative stays so."""
    low, high = column.minimum, column.maximum
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return None  # infinite, or no value at all
    width = high - low
    below = 0.0 if low >= 0 else _outward(low - width, down=True)
    above = 0.0 if high <= 0 else _outward(high + width, down=False)
    if not math.isfinite(below) or not math.isfinite(above):
        return None
    if column.kind == "integer":
        return math.floor(below), math.ceil(above)
    return below, above


def _outward(value: float, *, down: bool) -> float:
    """``value`` with three digits, rounded away from the data."""
    if value == 0 or not math.isfinite(value):
        return float(value)
    step = 10.0 ** (math.floor(math.log10(abs(value))) - _DIGITS + 1)
    units = math.floor(value / step) if down else math.ceil(value / step)
    return float(f"{units * step:.12g}")
