"""Answers and labels into the prediction log, before anybody hears of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from ratchet import clock
from ratchet.data.coded import Coded, CodedColumn, PackedScores
from ratchet.data.predictions.log import LogFullError
from ratchet.data.predictions.records import Batch, Failed, Feedback, Served
from ratchet.errors import StorageError
from ratchet.serving.asked import entities_of
from ratchet.serving.http import ProblemError
from ratchet.serving.trouble import Trouble

if TYPE_CHECKING:
    from ratchet.data.predictions.log import PredictionLog
    from ratchet.serving.metrics import Metrics
    from ratchet.serving.parts import Part
    from ratchet.serving.privacy import Privacy
    from ratchet.serving.settings import LogSettings

MANY = 12
"""Rows that are one record, column by column; fewer are one each."""
RETRY_AFTER = 5
"""Seconds that a client should wait while the log takes nothing: compaction makes room."""


class Recorder:
    """Writes records; what it returned from is in the log, or was counted as not.

    Args:
        log: the process's log.
        privacy: what of a row may be written.
        settings: what to do when the log takes nothing.
        on_trouble: is told when the log begins to take nothing.

    Attributes:
        waits: whether answers wait for the disk.
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
        self.waits = settings.fsync == "always"
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
        request: str | Sequence[str | None] | None = None,
        of: Sequence[str] | None = None,
    ) -> list[bytes]:
        """Answered rows as they are logged. Their values come from a codec: they need no check.

        Args:
            micros: time in the server.
            request: the id of the rows' request; or that of each.
            of: the predictions that the rows shadow.
        """
        if len(part.asked) >= MANY:
            columns = self._columns(part)
            if columns is not None:
                return [self._batch(part, columns, micros, request, of)]
        return self._rows(part, micros, request, of)

    def _columns(self, part: Part) -> dict[str, Sequence[Any] | CodedColumn] | None:
        """What is logged of the rows by column; None where some have a column others have not."""
        found: dict[str, Any] = dict(zip(part.lane.names, part.by_column(), strict=True))
        for name in part.lane.optional:
            absent = found[name].count(UNSET)
            if absent == len(part.asked):
                del found[name]
            elif absent:
                return None
        if not self.privacy.keeps_all:
            found = self.privacy.columns(found, found.values())
        return {
            name: column.brief() if isinstance(column, Coded) else column
            for name, column in found.items()
        }

    def _batch(
        self,
        part: Part,
        columns: dict[str, Sequence[Any] | CodedColumn],
        micros: int,
        request: str | Sequence[str | None] | None,
        of: Sequence[str] | None,
    ) -> bytes:
        """The rows as one record."""
        entities = entities_of(part.asked)
        if entities is not None and not self.privacy.keeps_all:
            entities = [*map(self.privacy.entity, entities)]
        return self._encode(
            Batch(
                at=part.at,
                version=part.lane.version,
                arm=part.arm,
                names=[*columns],
                values=[*columns.values()],
                ids=part.ids,
                scores=part.scores if part.matrix is None else PackedScores.of(part.matrix),
                labels=part.labels if part.lane.classes else None,
                entities=entities,
                micros=micros,
                of=of,
                request=request,
            )
        )

    def _rows(
        self,
        part: Part,
        micros: int,
        request: str | Sequence[str | None] | None,
        of: Sequence[str] | None,
    ) -> list[bytes]:
        """The rows as a record each."""
        asked, privacy = part.asked, self.privacy
        requests = request if isinstance(request, list) else repeat(request)
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
                part.ids,
                features,
                part.score_rows(),
                part.labels,
                entities,
                of or repeat(None),
                requests,
                strict=False,
            )
        ]

    async def keep(self, payloads: Sequence[bytes], rows: int) -> None:
        """Log answers, all or none; ``payloads`` hold so many ``rows``.

        Raises:
            ProblemError: 503 where the log takes nothing and the settings say ``refuse``.
        """
        self.keep_at_once(payloads, rows)
        if self.waits and not self._failing:
            try:
                await self._log.durable()
            except StorageError as error:
                self._lost(error, rows)
                if self._refuse:
                    raise _unlogged() from None

    def keep_at_once(self, payloads: Sequence[bytes], rows: int) -> None:
        """As ``keep``, without waiting for the disk; for a log that does not wait for it."""
        if not self._append(payloads, rows) and self._refuse:
            raise _unlogged()

    async def keep_feedback(self, items: Sequence[Feedback]) -> None:
        """Log labels, all or none. A label that is not kept is never confirmed.

        Raises:
            ProblemError: 503 where the log takes nothing.
        """
        try:
            self._log.append([self._encode(item) for item in items])
            await self._log.durable()
        except StorageError as error:
            self._lost(error, 0)
            raise _unlogged() from None
        self._failing = False

    def note(self, record: Failed) -> bool:
        """Log what nobody waits for; whether that went well."""
        return self._append([self._encode(record)], 1)

    def note_all(self, payloads: Sequence[bytes], rows: int) -> bool:
        """Log rows that nobody waits for; whether that went well."""
        return self._append(payloads, rows)

    def _append(self, payloads: Sequence[bytes], rows: int) -> bool:
        try:
            self._log.append(payloads if len(payloads) != 1 else payloads[0])
        except StorageError as error:
            self._lost(error, rows)
            return False
        self._failing = False
        return True

    def _lost(self, error: StorageError, rows: int) -> None:
        self._metrics.unlogged(rows)
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
