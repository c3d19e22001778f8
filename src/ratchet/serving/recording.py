"""Answers and labels into the prediction log, before anybody hears of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any

import msgspec

from ratchet import clock
from ratchet.data.predictions.log import LogFullError
from ratchet.data.predictions.records import Failed, Feedback, Served
from ratchet.errors import StorageError
from ratchet.serving.http import ProblemError
from ratchet.serving.trouble import Trouble

if TYPE_CHECKING:
    from ratchet.data.predictions.log import PredictionLog
    from ratchet.serving.metrics import Metrics
    from ratchet.serving.parts import Part
    from ratchet.serving.privacy import Privacy
    from ratchet.serving.settings import LogSettings

RETRY_AFTER = 5
"""Seconds that a client should wait while the log takes nothing: compaction makes room."""


class Recorder:
    """Writes records; what it returned from is in the log, or was counted as not.

    Args:
        log: the process's log.
        privacy: what of a row may be written.
        settings: what to do when the log takes nothing.
        on_trouble: is told when the log begins to take nothing.
    """

    def __init__(
        self,
        log: PredictionLog,
        privacy: Privacy,
        settings: LogSettings,
        metrics: Metrics,
        on_trouble: Callable[[Trouble], None],
    ) -> None:
        self._log, self.privacy = log, privacy
        self._refuse = settings.when_full == "refuse"
        self._waits = settings.fsync == "always"
        self._metrics, self._on_trouble = metrics, on_trouble
        self._failing, self._failed_at = False, 0.0
        self._encode = msgspec.json.Encoder().encode

    @property
    def refuses(self) -> bool:
        """Whether answers are refused at present, as the log takes nothing.

        A while after a refusal it is worth another try, which only a request can make.
        """
        lately = self._failing and clock.monotonic() < self._failed_at + RETRY_AFTER
        return self._refuse and (lately or not self._log.stats.healthy)

    def payloads(
        self,
        part: Part,
        micros: int,
        requests: Iterable[str | None],
        of: Iterable[str | None] = repeat(None),
    ) -> list[bytes]:
        """Answered rows as they are logged. Their values come from a codec: they need no check.

        Args:
            micros: time in the server.
            requests: the id of each row's request; it may be endless, and so may ``of``.
            of: the predictions that the rows shadow.
        """
        asked, privacy = part.asked, self.privacy
        if privacy.keeps_all and not asked[0].row.renamed:
            features = [each.row for each in asked]
            entities = [each.entity for each in asked]
        else:
            features = [privacy.features(each.row) for each in asked]
            entities = [privacy.entity(each.entity) for each in asked]
        encode, at, version, arm = self._encode, part.at, part.lane.version, part.arm
        return [
            encode(Served(own, at, version, arm, row, scores, label, who, micros, other, request))
            for own, row, scores, label, who, other, request in zip(
                part.ids, features, part.scores, part.labels, entities, of, requests, strict=False
            )
        ]

    async def keep(self, payloads: Sequence[bytes]) -> None:
        """Log answers, all or none.

        Raises:
            ProblemError: 503 where the log takes nothing and the settings say ``refuse``.
        """
        if not self._append(payloads) and self._refuse:
            raise _unlogged()
        if self._waits and not self._failing:
            try:
                await self._log.durable()
            except StorageError as error:
                self._lost(error, payloads)
                if self._refuse:
                    raise _unlogged() from None

    async def keep_feedback(self, items: Sequence[Feedback]) -> None:
        """Log labels, all or none. A label that is not kept is never confirmed.

        Raises:
            ProblemError: 503 where the log takes nothing.
        """
        try:
            self._log.append([self._encode(item) for item in items])
            await self._log.durable()
        except StorageError as error:
            self._lost(error, ())
            raise _unlogged() from None
        self._failing = False

    def note(self, record: Failed) -> bool:
        """Log what nobody waits for; whether that went well."""
        return self._append([self._encode(record)])

    def note_all(self, payloads: Sequence[bytes]) -> bool:
        """Log rows that nobody waits for; whether that went well."""
        return self._append(payloads)

    def _append(self, payloads: Sequence[bytes]) -> bool:
        try:
            self._log.append(payloads if len(payloads) != 1 else payloads[0])
        except StorageError as error:
            self._lost(error, payloads)
            return False
        self._failing = False
        return True

    def _lost(self, error: StorageError, payloads: Sequence[Any]) -> None:
        self._metrics.unlogged(len(payloads))
        self._failed_at = clock.monotonic()
        if not self._failing:
            self._failing = True
            full = isinstance(error, LogFullError)
            self._on_trouble(
                Trouble(
                    None,
                    None,
                    "The prediction log is full" if full else "The prediction log takes nothing",
                    error.why,
                    "requests are refused" if self._refuse else "answers go out unlogged",
                )
            )


def _unlogged() -> ProblemError:
    return ProblemError(
        503,
        "log_full",
        "The answer cannot be kept, so it is not given",
        why="the prediction log takes nothing at present",
        fix="try again; if it lasts, look at the disk and at serving.log",
        retry_after=RETRY_AFTER,
    )
