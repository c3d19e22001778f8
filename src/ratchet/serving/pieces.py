"""Large bodies, read piece by piece, so that other requests get their turn in between.

What msgspec does in one call, no thread can interrupt: a body of 10,000 rows would hold the event
loop for some ten milliseconds, in a thread as well.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from ratchet.serving.asked import Question
from ratchet.serving.parts import MOST

if TYPE_CHECKING:
    from ratchet.serving.asked import Asked
    from ratchet.serving.codec import Codec

PIECE: Final = 200_000
"""Bytes of a piece: about half a millisecond of work. A body that is no larger is read at once."""

_HEAD: Final = re.compile(rb'[ \t\n\r]*\{[ \t\n\r]*"records"[ \t\n\r]*:[ \t\n\r]*\[')
_TAIL: Final = re.compile(rb"\][ \t\n\r]*\}[ \t\n\r]*\Z")
_CUT: Final = re.compile(rb"\}[ \t\n\r]*(,)[ \t\n\r]*\{")
_LONGEST_TAIL: Final = 100


async def read_by_pieces(
    codec: Codec, body: bytes, most: int | None = None, *, size: int = PIECE
) -> Question:
    """As ``Codec.decode``, of a large body, with a turn for others after every piece.

    What cannot be read by pieces, or not at all, is read at once in a thread.

    Raises:
        ProblemError: see ``Codec.decode``.
    """
    asked: list[Asked] = []
    for piece in divide_records(body, size):
        rows = codec.decode_rows(piece)
        if rows is None or (most is not None and len(asked) + len(rows) > most):
            break
        asked += rows
        await asyncio.sleep(0)
    else:
        if asked:
            return Question(asked, single=False)
    return await asyncio.to_thread(codec.decode, body, most)


async def let_go(rows: list[Any]) -> None:
    """Free many rows a few at a time: all at once takes nearly as long as reading them.

    No more than a part has are left alone: a part, and a shadow that scores it later, may hold
    that very list.
    """
    while len(rows) > MOST:
        del rows[-MOST:]
        await asyncio.sleep(0)


def divide_records(body: bytes, size: int) -> Iterator[bytes]:
    """``{"records": [...]}`` as JSON lists of about ``size`` bytes: together they hold its items.

    It is cut where one object seems to end and the next to begin. Where that was in the middle
    of a text, what is before the cut is no JSON; so if all pieces can be read, all cuts were right.
    Nothing is given of a body in another form.
    """
    head, tail = _HEAD.match(body), _TAIL.search(body, max(0, len(body) - _LONGEST_TAIL))
    if head is None or tail is None:
        return
    start, end = head.end(), tail.start()
    while start < end:
        cut = _CUT.search(body, start + size, end)
        stop = end if cut is None else cut.start(1)
        yield b"[%b]" % body[start:stop]
        start = stop + 1
