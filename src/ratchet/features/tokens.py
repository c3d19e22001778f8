"""The tokens of an SQL expression: names, texts, numbers and symbols."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_TOKEN = re.compile(
    r"""(?P<blank>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<word>[^\W\d]\w*)
    |(?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`)
    |(?P<text>'(?:[^']|'')*')
    |(?P<open>/\*)
    |(?P<symbol><=>|<>|<=|>=|!=|==|\|\||//|!~\*?|~\*?|[-+*/%=<>(),&|])""",
    re.VERBOSE | re.DOTALL,
)
_LONGEST = 10_000


class SqlTextError(ValueError):
    """An expression that may not be used; the message says why, ``fix`` what to do."""

    def __init__(self, why: str, fix: str = "") -> None:
        super().__init__(why[:1].upper() + why[1:])
        self.fix = fix[:1].upper() + fix[1:]


@dataclass(frozen=True, slots=True)
class Token:
    """One word, quoted name, text, number or symbol of an expression."""

    kind: Literal["number", "word", "quoted", "text", "symbol"]
    text: str
    start: int

    @property
    def end(self) -> int:
        """Where the token ends in the text."""
        return self.start + len(self.text)

    @property
    def lower(self) -> str:
        """The text in lower case where case does not matter, else as it is."""
        return self.text.lower() if self.kind == "word" else self.text


def tokens_of(text: str) -> tuple[Token, ...]:
    """The tokens of ``text`` without blanks and comments.

    Raises:
        SqlTextError: a character no expression needs, or an open quote.
    """
    if len(text) > _LONGEST:
        raise SqlTextError(f"it is longer than {_LONGEST:,} characters")
    found: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup == "open":
            raise SqlTextError(*_unreadable(text, position))
        kind = match.lastgroup
        if kind == "text" and found and found[-1].kind == "word" and found[-1].end == position:
            raise SqlTextError(
                f"a text cannot start with {found[-1].text}'", "put a blank before the quote"
            )
        if kind != "blank":
            found.append(Token(kind, match.group(), position))  # type: ignore[arg-type]
        position = match.end()
    return tuple(found)


def number_literal(value: float | None) -> str:
    """``value`` as SQL that reads back to exactly the same float; null for None."""
    if value is None:
        return "CAST(NULL AS DOUBLE)"
    text = repr(float(value))
    text = text if "e" in text else f"{text}e0"
    return f"({text})" if value < 0 else text


def _unreadable(text: str, position: int) -> tuple[str, str]:
    character = text[position]
    if character in "'\"`":
        return f"the quote {character} at position {position + 1} is never closed", "close it"
    if character == "/":
        return f"the comment at position {position + 1} is never closed", "close it with */"
    if character == ":":
        return "the operator : is not supported", "write CAST(x AS type)"
    if character == ".":
        return "a name with a dot is not supported", 'quote a column name that has one: "a.b"'
    return (
        f"the character {character!r} at position {position + 1} has no meaning here",
        'put a column name that holds it in double quotes: "a b"',
    )
