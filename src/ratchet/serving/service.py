"""What every protocol calls: rows to answers that are on disk, and labels that come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from typing import TYPE_CHECKING

from ratchet import clock
from ratchet.config.durations import parse_duration
from ratchet.data.predictions.records import Failed
from ratchet.serving.answers import (
    Answered,
    AnsweredTable,
    Order,
    answers_of,
    table_of,
)
from ratchet.serving.asked import Asked, Question, Table
from ratchet.serving.desk import Desk, open_desk
from ratchet.serving.http import ProblemError, Request
from ratchet.serving.ids import PredictionIds
from ratchet.serving.lane import UnansweredError
from ratchet.serving.parts import Part, divide, entity_of, names_of
from ratchet.serving.privacy import Privacy
from ratchet.serving.problems import too_many
from ratchet.serving.recording import Recorder
from ratchet.serving.shadowing import Shadowing

if TYPE_CHECKING:
    from ratchet.data.predictions.log import PredictionLog
    from ratchet.data.predictions.records import Feedback
    from ratchet.serving.codec import Codec
    from ratchet.serving.lookup import Lookup
    from ratchet.serving.metrics import Metrics
    from ratchet.serving.residence import Residence
    from ratchet.serving.site import Site
    from ratchet.serving.trouble import Trouble

_WATCH = 1.0

INLINE = 128
"""Rows scored between two turns of the event loop whatever it takes."""
BRIEF = 0.002
"""Seconds that more may take there; what takes longer is scored in a thread, which costs some 0.3
milliseconds: both take turns, and each of NumPy's steps lets go of the interpreter."""


class Service:
    """Answers rows by whatever serves now; belongs to one event loop.

    Args:
        site: the project.
        residence: what serves; its ``now`` is read once per request.
        log: where answers and labels are kept before they are given or confirmed.
        metrics: what is counted.
        lookup: the way to stored features; None where there is none.
        on_trouble: is told when the log begins to take nothing.

    Raises:
        StorageError: the key of hashed columns cannot be made or read.
    """

    def __init__(
        self,
        site: Site,
        residence: Residence,
        log: PredictionLog,
        metrics: Metrics,
        lookup: Lookup | None = None,
        *,
        on_trouble: Callable[[Trouble], None] = lambda trouble: None,
    ) -> None:
        self.site, self.residence, self.log, self.metrics = site, residence, log, metrics
        self._lookup = lookup
        self.max_rows = site.settings.max_rows
        self._ids = PredictionIds()
        self._recorder = Recorder(log, Privacy.of(site), site.settings.log, metrics, on_trouble)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="scoring")
        self._shadowing = Shadowing(self._recorder, metrics, self._ids)
        self._desk: Desk | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.draining = False

    @property
    def desk(self) -> Desk:
        """What serves now, ready to answer: ``desk.codec`` reads rows, ``desk.serving`` says who.

        Raises:
            ProblemError: 503 where nothing serves.
        """
        serving, desk = self.residence.now, self._desk
        if desk is not None and desk.serving is serving:
            return desk
        if serving is None:
            raise ProblemError(
                503,
                "no_model",
                "No model serves yet",
                fix="train one with `ratchet run`; the server takes it up by itself",
                retry_after=ceil(parse_duration(self.site.settings.poll).total_seconds()),
            )
        self._desk = desk = open_desk(serving)
        return desk

    @property
    def unready(self) -> ProblemError | None:
        """Why no prediction can be made at present; None when one can."""
        if self.draining:
            return ProblemError(503, "stopping", "The server is stopping")
        if self._recorder.refuses:
            return ProblemError(503, "log_full", "The prediction log takes nothing")
        try:
            _ = self.desk
        except ProblemError as problem:
            return problem
        return None

    def start(self) -> None:
        """Begin what runs beside the requests, on the running event loop."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._shadowing.run()), loop.create_task(self._watch())]

    async def stop(self) -> None:
        """Finish what waits. The log is the caller's to close, after this."""
        self.draining = True
        self._shadowing.end()
        if self._tasks:
            shadowing, watch = self._tasks
            watch.cancel()
            await shadowing
        self._pool.shutdown()

    def measure(self) -> None:
        """Bring up to date what is not counted as it happens."""
        self.metrics.observe(self.residence, self.log.stats)

    def check_count(self, rows: int) -> None:
        """Refuse too many rows before work is put into them: ProblemError 413."""
        if rows > self.max_rows:
            raise too_many(rows, self.max_rows)

    async def rows(self, question: Question, codec: Codec) -> list[Asked]:
        """The rows of a question; those of ids are looked up, and the request's own values win.

        Raises:
            ProblemError: 413 for too many, 422 where there is no store or a column is nowhere,
                and whatever the lookup refuses.
        """
        if not question.ids:
            return question.asked
        name = self.site.id
        if self._lookup is None or name is None:
            raise ProblemError(
                422,
                "no_feature_store",
                "Rows cannot be asked for by id",
                why="the project names no id column" if name is None else "no store is open",
                fix="send whole records",
            )
        where = "id" if question.single else "ids"
        names = [column.name for column in codec.columns]
        records = await self._lookup.records(question.ids, question.given, names, where=where)
        for record, entity in zip(records, question.ids, strict=True):
            record[name] = entity
        return codec.check(records, where=where, single=question.single)

    async def predict(
        self,
        asked: Sequence[Asked],
        request: Request | None = None,
        *,
        request_id: str | None = None,
        version: int | None = None,
    ) -> list[Answered]:
        """Answer rows, all of them or none; on return the answers are in the log.

        Args:
            asked: from a ``Codec`` of ``desk``.
            request: is told which arm and version answered, for the metrics.
            request_id: kept with the answers; by default the request's own.
            version: have this version answer, whatever the split says.

        Raises:
            ProblemError: 404 where ``version`` is not loaded, 413 for too many rows, 422 for a
                value, 500 where a version gives no score, 503 where nothing serves or the log
                is full.
        """
        answered = self.predict_at_once(asked, request, request_id=request_id, version=version)
        if answered is not None:
            return answered
        return answers_of(await self._work(self._take(asked, request, request_id, version)))

    async def predict_table(
        self, asked: Sequence[Asked], request: Request, *, version: int | None = None
    ) -> AnsweredTable:
        """As ``predict``, of one row or more, with answers by column."""
        self.check_count(len(asked))
        return table_of(await self._work(self._take(asked, request, None, version)))

    async def _work(self, order: Order) -> list[Part]:
        """Score and log the parts of an order."""
        for part in order.parts:
            try:
                if len(part.asked) <= INLINE or part.effort < BRIEF:
                    part.score()
                else:
                    await asyncio.get_running_loop().run_in_executor(self._pool, part.score)
            except Exception as error:  # noqa: BLE001 - noted, and raised again
                raise self._failure(part, error) from None
            if len(order.parts) > 1:
                await asyncio.sleep(0)  # many rows take a while, and others wait
        micros = order.micros()
        payloads: list[bytes] = []
        for part in order.parts:
            payloads += self._recorder.payloads(part, micros, order.request_id)
            if len(order.parts) > 1:
                await asyncio.sleep(0)  # many rows take a while, and others wait
        await self._recorder.keep(payloads, sum(len(part.asked) for part in order.parts))
        self._count(order)
        return order.parts

    def predict_at_once(
        self,
        asked: Sequence[Asked],
        request: Request | None = None,
        *,
        request_id: str | None = None,
        version: int | None = None,
    ) -> list[Answered] | None:
        """As ``predict``, of few rows, where nothing is to be waited for.

        Returns:
            None, with nothing done, where there are many rows or the log waits for the disk.

        Raises:
            ProblemError: see ``predict``.
        """
        self.check_count(len(asked))
        if not asked:
            return []
        if len(asked) > INLINE or self._recorder.waits:
            return None
        order = self._take(asked, request, request_id, version)
        for part in order.parts:
            try:
                part.score()
            except Exception as error:  # noqa: BLE001 - noted, and raised again
                raise self._failure(part, error) from None
        micros = order.micros()
        payloads = [
            payload
            for part in order.parts
            for payload in self._recorder.payloads(part, micros, order.request_id)
        ]
        self._recorder.keep_at_once(payloads, len(asked))
        self._count(order)
        return answers_of(order.parts)

    async def feedback(self, items: Sequence[Feedback]) -> int:
        """Keep labels; on return they are in the log.

        Returns:
            How many.

        Raises:
            ProblemError: 503 where the log takes nothing.
        """
        self.check_count(len(items))
        await self._recorder.keep_feedback(items)
        self.metrics.feedback(len(items))
        return len(items)

    @property
    def privacy(self) -> Privacy:
        """What of a row may be written; feedback by entity needs it too."""
        return self._recorder.privacy

    def _take(
        self,
        asked: Sequence[Asked],
        request: Request | None,
        request_id: str | None,
        version: int | None,
    ) -> Order:
        """Rows by who answers them."""
        desk = self.desk
        made = asked.row_type if isinstance(asked, Table) else type(asked[0].row)
        if made not in desk.codec.row_types:
            # What serves was swapped while the rows were looked up.
            asked = desk.codec.check([each.record for each in asked], extra="ignore")
        at = clock.micros()
        parts = divide(desk, asked, self._ids.take(at, len(asked)), at, version)
        began = clock.monotonic() if request is None else request.began
        if request is not None:
            request_id = request_id or request.trail
            request.arm, request.version = names_of(parts)
            request.rows = len(asked)
        return Order(desk, parts, began, request_id)

    def _count(self, order: Order) -> None:
        """Count and shadow what was scored and logged."""
        shadows = order.desk.shadows
        for part in order.parts:
            self.metrics.answered(part.arm, part.lane.text, len(part.ids))
            if shadows:
                self._shadowing.offer(shadows, part.asked, part.ids, order.request_id)

    def _failure(self, part: Part, error: Exception) -> Exception:
        """What is raised where a part got no scores; but for a wrong value it is logged."""
        if isinstance(error, ProblemError):
            return error
        if not isinstance(error, UnansweredError):
            self._note_failure(part, type(error).__name__)
            return error
        self._note_failure(part, error.code)
        return ProblemError(
            500,
            error.code,
            f"Version {part.lane.version} gives no score for a row",
            fix="look at the model; or go back to the one before with `ratchet rollback`",
        )

    def _note_failure(self, part: Part, code: str) -> None:
        lane, who = part.lane, self.privacy.entity(entity_of(part.asked))
        failed = Failed(part.ids[0], part.at, lane.version, part.arm, code, entity=who)
        self._recorder.note(failed)
        self.metrics.failed(part.arm, lane.text)

    async def _watch(self) -> None:
        """Bring the numbers up to date that another worker may be asked for."""
        while True:
            self.measure()
            await asyncio.sleep(_WATCH)
