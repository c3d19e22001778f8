"""The arguments an expectation takes, and how each is read from the project file.

A reader gets the raw YAML value and returns the checked one, or raises ``ValueError`` with
half a sentence ("must be a number") that the caller completes with the argument's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from ratchet.checks.regex import compile_regex

Reader = Callable[[Any], Any]
Arguments = Mapping[str, Any]

REQUIRED: Final = object()
"""The default of an argument that must be given."""

NUMERIC = ("integer", "number", "boolean")
COUNTABLE = ("integer", "number")
PLAIN = ("integer", "number", "string", "boolean", "date", "datetime")
ANY: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an expectation.

    Attributes:
        name: Great Expectations' own name for it.
        read: checks and converts the raw value.
        default: the value when it is left out, or ``REQUIRED``.
        kinds: for arguments that name columns, the column kinds that fit; empty for all.
        is_column: whether the value names one column or several.
    """

    name: str
    read: Reader
    default: Any = None
    kinds: tuple[str, ...] = ANY
    is_column: bool = False


def column(name: str = "column", kinds: tuple[str, ...] = PLAIN) -> Argument:
    """An argument that names one column."""
    return Argument(name, read_text, REQUIRED, kinds, is_column=True)


def columns(name: str = "column_list", kinds: tuple[str, ...] = PLAIN) -> Argument:
    """An argument that names two columns or more."""
    return Argument(name, read_columns, REQUIRED, kinds, is_column=True)


def choice(name: str, *words: str) -> Argument:
    """An argument that takes one of ``words``; the first is the default."""

    def read(value: Any) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return str(value)

    return Argument(name, read, words[0])


def read_text(value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text that is not empty")
    return value


def read_names(value: Any) -> tuple[str, ...]:
    """A list of names, at least one."""
    if not isinstance(value, list | tuple | set | frozenset) or not value:
        raise ValueError("must be a list of names")
    names = sorted(value) if isinstance(value, set | frozenset) else list(value)
    if not all(isinstance(name, str) and name for name in names):
        raise ValueError("must hold names only")
    return tuple(names)


def read_columns(value: Any) -> tuple[str, ...]:
    """A list of at least two different column names."""
    names = read_names(value)
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError("must name at least two columns, each once")
    return names


def read_flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def read_number(value: Any) -> int | float:
    """A number; not NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise ValueError("must be a number")
    return value


def read_count(value: Any) -> int:
    """A whole number, zero or more."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("must be a whole number, 0 or more")
    return value


def read_share(value: Any) -> float:
    """A number between 0 and 1."""
    if not 0 <= read_number(value) <= 1:
        raise ValueError("must be between 0 and 1 (0.95 means 95 %)")
    return float(value)


def read_limit(value: Any) -> int | float | str | date:
    """A number, a date or a text to compare with."""
    if isinstance(value, date):
        return value
    if isinstance(value, str):
        return read_text(value)
    if isinstance(value, bool):
        raise ValueError("must be a number, a date or a text")
    return read_number(value)


def read_values(value: Any) -> tuple[Any, ...]:
    """A list of plain values, at least one."""
    if not isinstance(value, list | tuple | set | frozenset) or not value:
        raise ValueError("must be a list with at least one value")
    for item in value:
        if item is not None and not isinstance(item, str | int | float | bool | date):
            raise ValueError("must hold plain values only (texts, numbers, true, false, dates)")
    return tuple(value)


def read_pairs(value: Any) -> tuple[tuple[Any, Any], ...]:
    """A list of pairs of plain values."""
    if not isinstance(value, list | tuple | set | frozenset) or not value:
        raise ValueError("must be a list of pairs, like [[yes, 1], [no, 0]]")
    pairs = []
    for pair in value:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise ValueError("must be a list of pairs, like [[yes, 1], [no, 0]]")
        first, second = read_values(list(pair))
        pairs.append((first, second))
    return tuple(pairs)


def read_regex(value: Any) -> str:
    """A pattern in Python's regular expression syntax."""
    text = read_text(value)
    try:
        compile_regex(text)
    except re.error as error:
        raise ValueError(f"must be a regular expression: {error}") from None
    return text


def read_strftime(value: Any) -> str:
    """A date format that can read what it writes."""
    text = read_text(value)
    sample = datetime(2001, 2, 3, 4, 5, 6)  # noqa: DTZ001 - a sample to format, not a time
    try:
        datetime.strptime(sample.strftime(text), text)  # noqa: DTZ007 - the same sample
    except ValueError as error:
        raise ValueError(f"must be a date format like %Y-%m-%d: {error}") from None
    return text


MOSTLY = Argument("mostly", read_share, 1.0)
MIN = Argument("min_value", read_limit)
MAX = Argument("max_value", read_limit)
STRICT_MIN = Argument("strict_min", read_flag, False)
STRICT_MAX = Argument("strict_max", read_flag, False)
LIMITS = (MIN, MAX, STRICT_MIN, STRICT_MAX)
NUMBER_LIMITS = (
    Argument("min_value", read_number),
    Argument("max_value", read_number),
    STRICT_MIN,
    STRICT_MAX,
)
VALUE_SET = Argument("value_set", read_values, REQUIRED)


def refuse_limits(arguments: Arguments) -> None:
    """Refuse limits that are missing, of two types, or crossed.

    Raises:
        ValueError: with the whole sentence.
    """
    low, high = arguments.get("min_value"), arguments.get("max_value")
    if low is None and high is None:
        raise ValueError("give min_value, max_value or both")
    if low is None or high is None:
        return
    if isinstance(low, int | float) != isinstance(high, int | float):
        raise ValueError("min_value and max_value must be of one type")
    if type(low) is type(high) or isinstance(low, int | float):
        crossed = low > high
        if crossed:
            raise ValueError(f"min_value {low} is above max_value {high}")
