"""Shadows: versions that answer what others answered, later and unseen."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratchet import clock
from ratchet.data.predictions.records import Failed
from ratchet.serving.http import ProblemError
from ratchet.serving.lane import Lane, UnansweredError
from ratchet.serving.parts import Part, entity_of

if TYPE_CHECKING:
    from ratchet.serving.asked import Asked
    from ratchet.serving.ids import PredictionIds
    from ratchet.serving.metrics import Metrics
    from ratchet.serving.recording import Recorder

SHADOW = "shadow"
_MOST_WAITING = 20_000
_AT_ONCE = 128
_GATHERING = 0.02


@dataclass(frozen=True, slots=True)
class _Shadowed:
    """Rows that were answered, with their prediction ids."""

    lanes: tuple[Lane, ...]
    asked: Sequence[Asked]
    ids: Sequence[str]
    request: str | None


class Shadowing:
    """Scores for shadows in the background; rows beyond what may wait are counted and let go.

    Args:
        recorder: where the scores are logged, as rows of the arm ``shadow``.
        ids: makes the rows' own ids.
    """

    def __init__(self, recorder: Recorder, metrics: Metrics, ids: PredictionIds) -> None:
        self._recorder, self._metrics, self._ids = recorder, metrics, ids
        # A thread of its own: a request's many rows never wait for a shadow's.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="shadow")
        self._waiting: deque[_Shadowed] = deque()
        self._rows = 0
        self._wake = asyncio.Event()
        self._ending = False

    def offer(
        self,
        lanes: tuple[Lane, ...],
        asked: Sequence[Asked],
        ids: Sequence[str],
        request: str | None,
    ) -> None:
        """Have ``lanes`` answer rows too, some time later."""
        if self._rows + len(asked) > _MOST_WAITING:
            self._metrics.shadow_dropped(len(asked) * len(lanes))
            return
        self._rows += len(asked)
        self._waiting.append(_Shadowed(lanes, asked, ids, request))
        self._wake.set()

    async def run(self) -> None:
        """Work until ``end``; what waits then is still done."""
        while not (self._ending and not self._waiting):
            await self._wake.wait()
            self._wake.clear()
            if not self._ending:
                await asyncio.sleep(_GATHERING)  # rows scored together cost a fraction
            while self._waiting:
                await self._score_some()
        self._pool.shutdown()

    def end(self) -> None:
        """Let ``run`` return when nothing waits any more."""
        self._ending = True
        self._wake.set()

    async def _score_some(self) -> None:
        """Score what waits in front, as long as it is for the same versions."""
        taken = [self._waiting.popleft()]
        rows = len(taken[0].asked)
        while self._waiting and rows < _AT_ONCE and self._waiting[0].lanes is taken[0].lanes:
            taken.append(self._waiting.popleft())
            rows += len(taken[-1].asked)
        self._rows -= rows
        for lane in taken[0].lanes:
            fault = await self._score(lane, taken)
            if fault and len(taken) > 1:
                # The others need not suffer from one that cannot be answered.
                faults = [await self._score(lane, [alone]) for alone in taken]
            else:
                faults = [fault]
            for some, code in zip(taken, faults, strict=False):
                if code:
                    self._failed(lane, code, some)

    async def _score(self, lane: Lane, taken: Sequence[_Shadowed]) -> str:
        """Score and log; the fault's code where that does not work, else empty."""
        asked = [each for some in taken for each in some.asked]
        at = clock.micros()
        part = Part(SHADOW, lane, at, asked, self._ids.take(at, len(asked)))
        began = clock.monotonic()
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._pool, part.score)
        except UnansweredError as error:
            return error.code
        except ProblemError as error:
            return error.name
        except Exception as error:  # noqa: BLE001 - whatever a shadow does, the others go on
            return type(error).__name__
        micros = int((clock.monotonic() - began) * 1e6 / len(asked))
        named = any(some.request is not None for some in taken)
        requests = [some.request for some in taken for _ in some.asked] if named else None
        of = [own for some in taken for own in some.ids]
        payloads = self._recorder.payloads(part, micros, requests, of)
        if self._recorder.note_all(payloads, len(asked)):
            self._metrics.answered(SHADOW, lane.text, len(asked))
        return ""

    def _failed(self, lane: Lane, code: str, rows: _Shadowed) -> None:
        at = clock.micros()
        (own,) = self._ids.take(at, 1)
        who = self._recorder.privacy.entity(entity_of(rows.asked))
        self._recorder.note(Failed(own, at, lane.version, SHADOW, code, entity=who))
        self._metrics.failed(SHADOW, lane.text)
