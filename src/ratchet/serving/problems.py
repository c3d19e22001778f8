"""What is said of bodies that cannot be read: never a value, only names and places."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from ratchet.serving.http import ProblemError

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for what is no JSON."""

_NAMED: Final = re.compile(r"(?:missing required|contains unknown) field `(.*)`")


def not_json(error: Exception, body: bytes) -> ProblemError:
    """400 for a body that cannot be read, without a word of it."""
    if not body.strip():
        return ProblemError(400, "not_json", "The body is empty", fix="send a JSON object")
    why = words_of(error) if isinstance(error, msgspec.DecodeError) else "it is not UTF-8"
    if isinstance(error, RecursionError):
        why = "it is nested too deeply"
    return ProblemError(400, "not_json", "The body is no JSON", why=why)


def too_many(rows: int, most: int) -> ProblemError:
    """413 for more rows than a request may hold."""
    return ProblemError(
        413,
        "too_many_rows",
        f"The request holds {rows} rows, and {most} are the most",
        fix="send several requests, or raise serving.max_rows",
    )


def words_of(error: Exception) -> str:
    """msgspec's own words, which hold types and places but no values."""
    return str(error).partition(" - at `")[0]


def path_of(error: Exception) -> str:
    """The place in msgspec's words, as ``records[3].tenure``."""
    told, _, place = str(error).partition(" - at `$")
    parts = [place.removesuffix("`").lstrip(".")]
    if named := _NAMED.search(told):
        parts.append(named.group(1))
    return ".".join(part for part in parts if part)[:200]
