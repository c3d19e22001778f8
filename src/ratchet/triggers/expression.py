"""``combine``: names of rules joined by ``and``, ``or``, ``not`` and parentheses, as in Python."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

_TOKEN = re.compile(r"\s*(?:(?P<mark>[()])|(?P<name>[A-Za-z_][A-Za-z0-9_]*))")
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class Name:
    """A rule: true when it holds."""

    name: str


@dataclass(frozen=True, slots=True)
class Not:
    """True when its part is not."""

    part: Expression


@dataclass(frozen=True, slots=True)
class Joined:
    """True when both parts are, or either."""

    word: Literal["and", "or"]
    left: Expression
    right: Expression


Expression: TypeAlias = Name | Not | Joined


def parse_expression(text: str) -> Expression:
    """The expression that ``text`` says; ``not`` binds closest, then ``and``, then ``or``.

    Raises:
        ValueError: with the place where it cannot be read.
    """
    reader = _Reader(_tokens(text), text)
    found = reader.either(0)
    if reader.next is not None:
        raise reader.refused()
    return found


def evaluate(expression: Expression, holds: Mapping[str, bool]) -> bool:
    """Whether it is true; KeyError for a name that ``holds`` does not have."""
    if isinstance(expression, Name):
        return holds[expression.name]
    if isinstance(expression, Not):
        return not evaluate(expression.part, holds)
    left = evaluate(expression.left, holds)
    if expression.word == "and":
        return left and evaluate(expression.right, holds)
    return left or evaluate(expression.right, holds)


def names_of(expression: Expression) -> tuple[str, ...]:
    """The rules it names, each once, in the order of the text."""
    if isinstance(expression, Name):
        return (expression.name,)
    if isinstance(expression, Not):
        return names_of(expression.part)
    both = (*names_of(expression.left), *names_of(expression.right))
    return tuple(dict.fromkeys(both))


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    place = 0
    end = len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(
                f"{text!r} cannot be read at {text[place:].strip()[:20]!r}: write names of rules, "
                "and, or, not and parentheses"
            )
        found.append(match["mark"] or match["name"])
        place = match.end()
    return found


class _Reader:
    """Reads tokens by recursive descent, one level of binding in each method."""

    def __init__(self, tokens: list[str], text: str) -> None:
        self._tokens = tokens
        self._text = text
        self._place = 0

    @property
    def next(self) -> str | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def take(self) -> str | None:
        word = self.next
        self._place += 1
        return word

    def either(self, depth: int) -> Expression:
        found = self.both(depth)
        while self.next == "or":
            self.take()
            found = Joined("or", found, self.both(depth))
        return found

    def both(self, depth: int) -> Expression:
        found = self.single(depth)
        while self.next == "and":
            self.take()
            found = Joined("and", found, self.single(depth))
        return found

    def single(self, depth: int) -> Expression:
        if depth > _DEEPEST:
            raise ValueError(f"{self._text[:40]!r} is nested too deeply")
        word = self.next
        if word is None or word in (")", "and", "or"):
            raise self.refused()
        self.take()
        if word == "not":
            return Not(self.single(depth + 1))
        if word != "(":
            return Name(word)
        found = self.either(depth + 1)
        if self.next != ")":
            raise self.refused()
        self.take()
        return found

    def refused(self) -> ValueError:
        before = " ".join(self._tokens[: self._place])
        place = f"after {before!r}" if before else "at its start"
        at = "it ends too early" if self.next is None else f"{self.next!r} cannot stand"
        return ValueError(f"{self._text!r} cannot be read: {at} {place}")
