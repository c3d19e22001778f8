"""Regular expressions with Python's meaning, run by Polars where its engine means the same.

Great Expectations searches with Python's ``re``. Polars' engine is many times faster but knows
no look-around and no back-references, and reads a few signs differently. A pattern it reads in
the same way (after ``$`` and ``\\Z`` are rewritten) runs there; any other is searched by Python,
once per distinct value.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable

import polars as pl

# What Polars' engine reads as operations on character sets, and Python as the signs themselves.
_SET_OPERATIONS = ("&&", "--", "~~")
# Written the same in both and meant differently: inline m and x, possessive quantifiers, \< \>.
_OTHER_MEANING = re.compile(r"\(\?[a-zA-Z-]*[mxaL]|[+*?}]\+|\\[<>]")


def compile_regex(pattern: str) -> re.Pattern[str]:
    """The pattern in Python's engine.

    Raises:
        re.error: it is no regular expression.
    """
    with warnings.catch_warnings():
        # Python warns of sets that a later version may read otherwise, and only the first time.
        warnings.simplefilter("ignore", FutureWarning)
        return re.compile(pattern)


def matches(text: pl.Expr, pattern: str) -> pl.Expr:
    """Whether ``pattern`` is found in each value of ``text``; null where the value is null."""
    rust = translated(pattern)
    if rust is not None:
        return text.str.contains(rust)
    compiled = compile_regex(pattern)
    return per_distinct(text, lambda value: compiled.search(value) is not None)


def translated(pattern: str) -> str | None:
    """The pattern as Polars' engine must be given it; None when that engine cannot mean it."""
    rust = None if _OTHER_MEANING.search(pattern) else _rewrite_ends(pattern)
    if rust is not None:
        try:
            pl.select(pl.lit("").str.contains(rust))
        except pl.exceptions.ComputeError:
            return None
    return rust


def _rewrite_ends(pattern: str) -> str | None:
    parts: list[str] = []
    start: int | None = None  # where the character set that is open began
    signs = iter(range(len(pattern)))
    for index in signs:
        sign = pattern[index]
        if sign == "\\":
            pair = pattern[index : index + 2]
            parts.append(r"\z" if pair == r"\Z" and start is None else pair)
            next(signs, None)
            continue
        if sign == "[" and start is None:
            start = index
        elif start is not None and (sign == "[" or pattern[index : index + 2] in _SET_OPERATIONS):
            return None
        elif sign == "]" and start is not None and pattern[start + 1 : index] not in ("", "^"):
            start = None
        # Python's $ also matches before a line break at the very end.
        parts.append(r"(?:\n?\z)" if sign == "$" and start is None else sign)
    return "".join(parts)


def per_distinct(text: pl.Expr, test: Callable[[str], bool]) -> pl.Expr:
    """A Python test of each value, run once per distinct value; null where the value is null."""

    def judge(values: pl.Series) -> pl.Series:
        distinct = values.drop_nulls().unique()
        good = distinct.filter(pl.Series([test(value) for value in distinct], dtype=pl.Boolean))
        return values.is_in(good.implode())

    return text.map_batches(judge, return_dtype=pl.Boolean, is_elementwise=True)
