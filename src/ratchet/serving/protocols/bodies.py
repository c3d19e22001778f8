"""Bodies as Python's clients write them: ``NaN`` is no JSON, and they send it all the same.

``json.dumps`` and RapidJSON write a missing number of NumPy or pandas as ``NaN``. It is read as
null, which means missing everywhere. ``Infinity`` becomes a text, which no column of numbers
takes: so it is refused by whoever knows the field's name.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from ratchet.serving.http import ProblemError
from ratchet.serving.problems import UNREADABLE

T = TypeVar("T")

# A string is taken whole, to the end when it never closes, so that a body is gone through once.
_WORD = re.compile(rb'"(?:[^"\\]+|\\.)*+(?:"|\Z)|NaN|-?Infinity', re.DOTALL)


LARGE = 100_000
"""Bytes from which a body is read beside the event loop: some 10 ms of work."""


async def aside(work: Callable[[], T], size: int) -> T:
    """What ``work`` gives; of a large body in a thread, so that others are answered meanwhile."""
    return work() if size < LARGE else await asyncio.to_thread(work)


def read_json(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """What a body holds.

    Raises:
        ProblemError: 400: it is no JSON, or not in the decoder's form.
    """
    try:
        return decoder.decode(body)
    except UNREADABLE as error:
        plain = without_words(body)
        if plain is body:
            raise _unread(error) from error
    try:
        return decoder.decode(plain)
    except UNREADABLE as error:
        raise _unread(error) from error


def without_words(body: bytes) -> bytes:
    """A body whose words that are no JSON are read; the body itself where there is none."""
    if b"NaN" not in body and b"Infinity" not in body:
        return body
    return _WORD.sub(_plain, body)


def _unread(error: Exception) -> ProblemError:
    if isinstance(error, msgspec.ValidationError):
        return _misshapen(error)
    if isinstance(error, RecursionError):
        return ProblemError(400, "bad_json", "The body is nested too deeply")
    # Of bytes that are no text the place is told, not the bytes.
    why = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
    return ProblemError(400, "bad_json", "The body is not valid JSON", why=why)


def _misshapen(error: msgspec.ValidationError) -> ProblemError:
    """msgspec's sentence, ``Expected `array`, got `object` - at `$.inputs[0].data```, in parts."""
    why, _, place = str(error).partition(" - at ")
    field = place.strip("`").removeprefix("$").removeprefix(".")
    return ProblemError(400, "bad_body", "The body is not in this form", why=why, field=field)


def _plain(match: re.Match[bytes]) -> bytes:
    word = match[0]
    if word.startswith(b'"'):
        return word
    return b"null" if word == b"NaN" else b'"%b"' % word
