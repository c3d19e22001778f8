"""Reads row-wise SQL expressions: learned aggregates, and one defined answer for each row.

Polars parses and runs the SQL; this module decides what may be written and
rewrites the places where SQL or Polars leaves a trap:

- ``+ - *`` and ``/`` are computed in float64: nothing wraps around, true counts
  as 1. (In Polars, ``month(d) * 50`` is 88 and ``length(c) - 10`` is 4294967286.)
  Dates keep their own arithmetic; a difference of dates is a number of days;
- ``a / b``, ``a % b`` and ``a // b`` are null where ``b`` is zero;
- ``sqrt`` and the logarithms are null outside their domain;
- ``CAST`` is null where the value does not convert; INT means 64 bits;
- ``0.5`` is a float, not a decimal;
- ``median(x)`` and the other aggregates are constants: :func:`read_expression`
  lists them, and :meth:`Expression.sql` takes them as numbers.

It works on tokens, never on raw text: a string literal may well contain
``median(``. Nothing here imports Polars.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ratchet.features.sql_reader import Aggregate, SqlReader


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression: its text, and the constants that training must learn.

    ``temporal`` are the names of date and datetime columns.
    """

    text: str
    aggregates: tuple[Aggregate, ...]
    temporal: frozenset[str]

    def sql(self, constants: Mapping[str, float | None]) -> str:
        """The SQL that Polars runs, with the learned ``constants`` written in."""
        return SqlReader(self.text, self.temporal, constants).read()


def read_expression(text: str, temporal: Collection[str] = ()) -> Expression:
    """Checks ``text`` and lists its aggregates.

    Args:
        text: the expression.
        temporal: the names of date and datetime columns.

    Raises:
        SqlTextError: it is not a row-wise expression.
    """
    dates = frozenset(temporal)
    reader = SqlReader(text, dates, None)
    reader.read()
    return Expression(text, tuple(reader.aggregates.values()), dates)
