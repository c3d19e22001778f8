"""Stored features by entity while serving: never in the way of requests that need none.

A store on this machine answers between two turns of the event loop. One that waits for another
machine is read in a thread, one read at a time: entities that are asked for meanwhile go into the
next read together. When it is away, requests for ids are refused at once until it was tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ratchet.clock import monotonic
from ratchet.clock import now as read_clock
from ratchet.errors import RatchetError, UnreachableError
from ratchet.features.store.port import FeatureSchema, StoredRow, micros
from ratchet.serving.http import ProblemError

if TYPE_CHECKING:
    from ratchet.features.store.port import FeatureStore

INLINE = 64
"""Entities that are read on the event loop itself, where the store does not wait."""

AT_ONCE = 2_000
"""Entities that requests share a read for; one request alone may have more."""

PATIENCE = 0.9
"""Seconds after which a request for ids is answered, whatever the store does."""

PAUSE = 0.5
"""Seconds after a failed read during which the store is not asked again."""

_RETRY_SECONDS = 1
_SECOND = 1_000_000


@dataclass(slots=True)
class _Shared:
    """Entities of several requests, and the one read for them."""

    ids: list[str] = field(default_factory=list)
    read: asyncio.Task[list[StoredRow | None]] | None = None


class Lookup:
    """The server's way to stored features; used on one event loop.

    Args:
        open_store: opens the feature store when it is first needed.
        max_age: a stored row that is older is refused; None takes any.
        poll: seconds after which it is asked which schema is to be read.
        measure: is given the age in seconds of every row that is found; the staleness metric.
        now: reads the clock.
    """

    def __init__(
        self,
        open_store: Callable[[], FeatureStore],
        *,
        max_age: timedelta | None = None,
        poll: float = 1.0,
        measure: Callable[[float], None] | None = None,
        now: Callable[[], datetime] = read_clock,
    ) -> None:
        self._open, self._poll, self._measure, self._now = open_store, poll, measure, now
        self._max_age = max_age
        self._store: FeatureStore | None = None
        self._schema: FeatureSchema | None = None
        self._asked = float("-inf")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="features")
        self._gathering: _Shared | None = None
        self._turn = asyncio.Lock()
        self._away: tuple[float, RatchetError] | None = None

    async def rows(self, ids: Sequence[str]) -> list[StoredRow | None]:
        """The stored row of each entity, None where there is none; their age is measured.

        Raises:
            ProblemError: 503 when the store does not answer.
        """
        if not ids:
            return []
        if self._away is not None and monotonic() < self._away[0]:
            raise _unavailable(self._away[1])
        try:
            if self._store is not None and not self._store.waits and len(ids) <= INLINE:
                found = self._read(ids)
            else:
                async with asyncio.timeout(PATIENCE):
                    found = await self._share(ids)
        except RatchetError as error:
            raise _unavailable(error) from None
        except TimeoutError:
            slow = UnreachableError("The feature store does not answer")
            self._away = (monotonic() + PAUSE, slow)
            raise _unavailable(slow) from None
        if self._measure is not None:
            at = micros(self._now())
            for row in found:
                if row is not None:
                    self._measure((at - row.stamp) / _SECOND)
        return found

    async def records(
        self,
        ids: Sequence[str],
        given: Sequence[Mapping[str, Any]],
        columns: Sequence[str],
        *,
        where: str = "ids",
    ) -> list[dict[str, Any]]:
        """One record per entity: the stored values of ``columns``, and over them the given ones.

        A stored column that is not among ``columns`` is left out; one that is in neither place
        is absent.

        Args:
            ids: the entities.
            given: what the request itself says of each.
            columns: what the models that serve read.
            where: what a problem calls the list of ids, or ``id`` where there is one.

        Raises:
            ProblemError: 503 when the store does not answer; 404 for an entity nobody knows,
                409 for a row older than ``max_age``, each unless the request says all itself.
        """
        found = await self.rows(ids)
        oldest = None if self._max_age is None else micros(self._now() - self._max_age)
        records = []
        for place, (row, own) in enumerate(zip(found, given, strict=True)):
            missing = [name for name in columns if name not in own]
            record = dict(own)
            if missing:
                at = "id" if where == "id" else f"{where}[{place}]"
                if row is None:
                    raise _unknown(ids[place], at, known=self._schema is not None)
                if oldest is not None and row.stamp < oldest:
                    raise self._stale(row, at)
                stored = row.values
                record.update((name, stored[name]) for name in missing if name in stored)
            records.append(record)
        return records

    def close(self) -> None:
        """Let go of the store; a read that still waits for it fails."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._store is not None:
            self._store.close()

    async def _share(self, ids: Sequence[str]) -> list[StoredRow | None]:
        """Read in the thread, together with the entities of other requests."""
        shared = self._gathering
        if shared is None or len(shared.ids) + len(ids) > AT_ONCE:
            shared = self._gathering = _Shared()
            shared.read = asyncio.get_running_loop().create_task(self._read_shared(shared))
            # When all who waited have gone, nobody else asks how it ended.
            shared.read.add_done_callback(_look_at)
        start = len(shared.ids)
        shared.ids.extend(ids)
        assert shared.read is not None
        # A request that goes away takes only itself out of the read.
        found = await asyncio.shield(shared.read)
        return found[start : start + len(ids)]

    async def _read_shared(self, shared: _Shared) -> list[StoredRow | None]:
        async with self._turn:
            if self._gathering is shared:
                self._gathering = None
            if self._away is not None and monotonic() < self._away[0]:
                raise self._away[1]
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, self._read, shared.ids)

    def _read(self, ids: Sequence[str]) -> list[StoredRow | None]:
        """Read at last; a fault is kept before anybody else has a turn, and waits as long."""
        try:
            if self._store is None:
                self._store = self._open()
            if monotonic() >= self._asked + self._poll:
                self._schema = self._store.current()
                self._asked = monotonic()
            if self._schema is None:
                return [None] * len(ids)
            return self._store.read(ids, self._schema)
        except RatchetError as error:
            self._away = (monotonic() + PAUSE, error)
            raise

    def _stale(self, row: StoredRow, where: str) -> ProblemError:
        return ProblemError(
            409,
            "features_stale",
            "The stored features are too old",
            why=f"they are of {row.at:%Y-%m-%dT%H:%M:%SZ}, and serving.max_age is {self._max_age}",
            fix="push newer ones with `ratchet features push`, or send the values in the request",
            field=where,
        )


def _look_at(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


def _unknown(entity: str, where: str, *, known: bool) -> ProblemError:
    return ProblemError(
        404,
        "unknown_id",
        f'No features are stored for "{entity:.100}"',
        why="" if known else "no features have been pushed yet",
        fix="send the columns in the request, or push them with `ratchet features push`",
        field=where,
    )


def _unavailable(error: RatchetError) -> ProblemError:
    return ProblemError(
        503,
        "features_unavailable",
        "Stored features cannot be read at the moment",
        why=error.what,
        fix="send whole records instead of ids, or try again",
        retry_after=_RETRY_SECONDS,
    )
