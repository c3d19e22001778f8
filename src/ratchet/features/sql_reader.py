"""Walks the tokens of an expression once and writes the SQL that Polars runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ratchet.features.sql_words import (
    AGGREGATES,
    CHOOSING,
    CONNECTIVES,
    DATES,
    DOMAINS,
    FUNCTIONS,
    INTEGERS,
    NARROW,
    REFUSED,
    TYPES,
    unknown_function,
)
from ratchet.features.tokens import SqlTextError, Token, number_literal, tokens_of

_DEEPEST = 40


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One learned constant: ``key`` names it, ``sql`` is what it summarises.

    ``level`` is the share of a quantile, otherwise None.
    """

    key: str
    function: str
    sql: str
    level: float | None = None


class Piece(NamedTuple):
    """Written SQL and what is known of its type.

    ``float`` is float64 for certain, ``whole`` an integer literal, ``temporal``
    a date, a time or a duration.
    """

    sql: str
    shape: Literal["float", "whole", "temporal", "other"] = "other"


class SqlReader:
    """Reads one expression; see ``sql.py`` for what is rewritten.

    Args:
        text: the expression.
        temporal: the names of date and datetime columns.
        constants: the learned constants; None while they are not known.
    """

    def __init__(
        self, text: str, temporal: frozenset[str], constants: Mapping[str, float | None] | None
    ) -> None:
        self.source = text
        self.tokens = tokens_of(text)
        self.temporal = temporal
        self.constants = constants
        self.aggregates: dict[str, Aggregate] = {}
        self._at = 0
        self._depth = 0
        self._inside = ""

    def read(self) -> str:
        """The SQL to run; :attr:`aggregates` is filled on the way.

        Raises:
            SqlTextError: it is not a row-wise expression.
        """
        if not self.tokens:
            raise SqlTextError("the expression is empty")
        written = self._sequence(())
        if self._at < len(self.tokens):
            raise SqlTextError(f"{self._peek().text!r} closes nothing")
        return written.sql

    def _peek(self) -> Token:
        if self._at >= len(self.tokens):
            raise SqlTextError("it ends too early", "complete it")
        return self.tokens[self._at]

    def _next(self) -> Token:
        token = self._peek()
        self._at += 1
        return token

    def _sees(self, *texts: str) -> bool:
        return self._at < len(self.tokens) and self.tokens[self._at].lower in texts

    def _sequence(self, stops: tuple[str, ...]) -> Piece:
        """Everything up to one of ``stops`` (not read), a closing bracket or the end."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise SqlTextError("it is nested too deeply", "split it into several features")
        pieces: list[Piece] = []
        while self._at < len(self.tokens) and not self._sees(*stops, ")"):
            token = self._peek()
            if token.text in {"*", "/", "//", "%"}:
                raise SqlTextError(f"nothing stands before {token.text}")
            if token.text == "<=>":
                raise SqlTextError("the operator <=> is not supported", "use IS NOT DISTINCT FROM")
            symbol = token.kind == "symbol" and token.text not in {"(", "+", "-"}
            connective = token.lower in CONNECTIVES and token.lower != "case"
            pieces.append(Piece(self._next().text) if symbol or connective else self._sum())
        self._depth -= 1
        if len(pieces) == 1:
            return pieces[0]
        return Piece(" ".join(piece.sql for piece in pieces))

    def _sum(self) -> Piece:
        left = self._product()
        while self._sees("+", "-"):
            operator = self._next().text
            left = _combine(left, operator, self._product())
        return left

    def _product(self) -> Piece:
        left = self._signed()
        while self._sees("*", "/", "%", "//"):
            operator = self._next().text
            right = self._signed()
            if operator == "*":
                left = _combine(left, operator, right)
            else:
                shape = left.shape if left.shape == "temporal" else "float"
                written = f"{left.sql} {operator} NULLIF({right.sql}, 0)"
                left = Piece(written, shape if operator == "/" else "other")
        return left

    def _signed(self) -> Piece:
        negative = False
        while self._sees("-", "+"):
            negative ^= self._next().text == "-"
        operand = self._operand()
        if not negative:
            return operand
        if operand.shape == "whole":
            return Piece(f"-{operand.sql}", "whole")
        if operand.shape == "temporal":
            return Piece(f"- {operand.sql}", "temporal")
        return Piece(f"{operand.sql} * -1e0", "float")

    def _operand(self) -> Piece:
        token = self._next()
        if token.text == "(":
            inner = self._until(")")
            return Piece(f"({inner.sql})", "other" if inner.shape == "whole" else inner.shape)
        if token.lower == "case":
            return self._case()
        if token.kind == "number":
            if token.text.isdigit():
                return Piece(token.text, "whole")
            return Piece(number_literal(float(token.text)), "float")
        if token.kind == "text":
            return Piece(token.text)
        if token.kind == "quoted":
            return self._quoted(token)
        if token.kind == "symbol" or token.lower in CONNECTIVES:
            raise SqlTextError(f"a value is missing before {token.text}", "complete it")
        return self._word(token)

    def _quoted(self, token: Token) -> Piece:
        if self._sees("("):
            raise SqlTextError(f"{token.text} is called like a function", "write it without quotes")
        quote = token.text[0]
        name = token.text[1:-1].replace(quote * 2, quote)
        return Piece(token.text, "temporal" if name in self.temporal else "other")

    def _word(self, token: Token) -> Piece:
        if token.lower in REFUSED:
            raise SqlTextError(
                f"{token.text.upper()} is not allowed: {REFUSED[token.lower]}",
                f'if a column has this name, write "{token.text}"',
            )
        if self._sees("("):
            return self._call(token)
        if token.lower in DATES and self._at < len(self.tokens) and self._peek().kind == "text":
            return Piece(f"{token.text} {self._next().text}", "temporal")
        return Piece(token.text, "temporal" if token.text in self.temporal else "other")

    def _until(self, stop: str) -> Piece:
        inner = self._sequence((stop,))
        if not self._sees(stop):
            opened = "CASE" if stop == "end" else "bracket"
            raise SqlTextError(f"a {opened} is never closed", f"add {stop.upper()}")
        self._at += 1
        return inner

    def _case(self) -> Piece:
        written, shape = ["CASE"], Piece("").shape
        while True:
            part = self._sequence(("when", "then", "else", "end"))
            written.append(part.sql)
            if written[-2] in {"THEN", "ELSE"} and part.shape == "temporal":
                shape = part.shape
            if not self._sees("when", "then", "else", "end"):
                raise SqlTextError("a CASE is never closed", "add END")
            written.append(self._next().text.upper())
            if written[-1] == "END":
                return Piece(" ".join(filter(None, written)), shape)

    def _call(self, name: Token) -> Piece:
        lower = name.lower
        self._at += 1
        if lower in AGGREGATES:
            return self._aggregate(name)
        if lower in TYPES:
            return Piece(f"{name.text}({self._until(')').sql})")
        if lower not in FUNCTIONS:
            raise SqlTextError(*unknown_function(lower))
        if lower in {"cast", "try_cast"}:
            return self._cast()
        arguments = self._arguments()
        first = arguments[0].sql if arguments else ""
        if lower in DOMAINS:
            return Piece(f"{lower}(CASE WHEN ({first}) {DOMAINS[lower]} THEN ({first}) END)")
        if lower in {"div", "mod"}:
            if len(arguments) != 2:
                raise SqlTextError(f"{lower} takes two arguments", f"write {lower}(a, b)")
            return Piece(f"{lower}({first}, NULLIF({arguments[1].sql}, 0))")
        if lower in {"pow", "power"} and arguments and arguments[0].shape != "float":
            arguments[0] = Piece(f"{first} * 1e0")
        written = f"{lower}({', '.join(argument.sql for argument in arguments)})"
        if lower in NARROW:
            return Piece(f"CAST({written} AS BIGINT)")
        if lower in {"date_part", "extract"}:
            return Piece(f"CAST({written} AS DOUBLE)", "float")
        temporal = lower in CHOOSING and any(item.shape == "temporal" for item in arguments)
        return Piece(written, "temporal" if temporal else "other")

    def _arguments(self) -> list[Piece]:
        """The arguments of a call, with the closing bracket."""
        if self._sees(")"):
            self._at += 1
            return []
        found = [self._sequence((",",))]
        while self._sees(","):
            self._at += 1
            found.append(self._sequence((",",)))
        if not self._sees(")"):
            raise SqlTextError("a bracket is never closed", "add )")
        self._at += 1
        return found

    def _cast(self) -> Piece:
        value = self._sequence(("as",))
        if self._next().lower != "as":
            raise SqlTextError("CAST needs a type", "write CAST(x AS type)")
        lower = self._peek().lower
        kind = self._until(")").sql
        kind = "BIGINT" if lower in INTEGERS else kind
        return Piece(f"TRY_CAST({value.sql} AS {kind})", "temporal" if lower in DATES else "other")

    def _aggregate(self, name: Token) -> Piece:
        if self._inside:
            raise SqlTextError(
                f"{name.text} stands inside {self._inside}", "make the inner one its own feature"
            )
        self._inside = name.text
        if self._sees("*", "distinct", "all"):
            raise SqlTextError(
                f"{name.text}({self._peek().text}) is not supported", f"write {name.text}(column)"
            )
        arguments = self._arguments()
        self._inside = ""
        level = _level(arguments) if name.lower == "quantile" else None
        if len(arguments) != 1 + (level is not None) or not arguments[0].sql:
            raise SqlTextError(
                f"{name.text} takes one argument",
                "for the larger or smaller of several columns use GREATEST or LEAST",
            )
        key = self.source[name.start : self.tokens[self._at - 1].end]
        self.aggregates[key] = Aggregate(key, name.lower, arguments[0].sql, level)
        value = 1.0 if self.constants is None else self.constants[key]
        return Piece(number_literal(value), "float")


def _combine(left: Piece, operator: str, right: Piece) -> Piece:
    """``left operator right`` for ``+ - *``; in float64 unless there are dates."""
    if "temporal" in (left.shape, right.shape):
        return Piece(f"{left.sql} {operator} {right.sql}", "temporal")
    if left.shape == "other" and right.shape == "other":
        return Piece(f"{left.sql} * 1e0 {operator} {right.sql}", "float")
    sides = (f"{side.sql}e0" if side.shape == "whole" else side.sql for side in (left, right))
    return Piece(f" {operator} ".join(sides), "float")


def _level(arguments: list[Piece]) -> float:
    """The share that a quantile's second argument names."""
    try:
        level = float(arguments[1].sql)
    except (IndexError, ValueError):
        level = -1.0
    if not 0.0 <= level <= 1.0:
        raise SqlTextError("quantile needs a share between 0 and 1", "write quantile(column, 0.9)")
    return level
