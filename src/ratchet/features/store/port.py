"""The feature store's port: the newest row of every entity, read in one round trip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Protocol

import msgspec

from ratchet.data.schema import Column
from ratchet.ids import digest_of

DIGEST_LENGTH = 12

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """Microseconds since 1970; a time without a zone is UTC."""
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return (at - _EPOCH) // _MICROSECOND


def moment(stamp: int) -> datetime:
    """The time ``stamp`` microseconds after 1970, UTC."""
    return _EPOCH + timedelta(microseconds=stamp)


@dataclass(frozen=True)
class FeatureSchema:
    """The columns of stored rows; rows of different schemas never meet.

    The order of the columns does not matter: they are kept sorted by name.
    """

    columns: tuple[Column, ...]

    @classmethod
    def of(cls, columns: Iterable[Column]) -> FeatureSchema:
        """The schema of these columns."""
        return cls(tuple(sorted(columns, key=lambda column: column.name)))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The column names, sorted."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def digest(self) -> str:
        """The schema's version: 12 hex digits of names and kinds."""
        return digest_of(self.to_json())[:DIGEST_LENGTH]

    def to_json(self) -> list[list[str]]:
        """``[[name, kind], ...]``."""
        return [[column.name, column.kind] for column in self.columns]

    @classmethod
    def from_json(cls, raw: Iterable[Iterable[Any]]) -> FeatureSchema:
        """The schema that ``to_json`` wrote."""
        return cls.of(Column(name, kind) for name, kind in raw)


class FeatureRow(msgspec.Struct, frozen=True, gc=False):
    """A row to be stored.

    Attributes:
        entity: whom it is about.
        stamp: its time in microseconds since 1970, UTC; see ``micros``.
        values: in the order of the schema's columns.
    """

    entity: str
    stamp: int
    values: Sequence[Any]


class StoredRow(msgspec.Struct, frozen=True, gc=False):
    """A stored row.

    Attributes:
        values: column to value, as JSON has them: dates and times are ISO text, missing is None.
        stamp: the row's own time, or when it was pushed: microseconds since 1970, UTC.
    """

    values: Mapping[str, Any]
    stamp: int

    @property
    def at(self) -> datetime:
        """The row's own time, or when it was pushed; UTC."""
        return moment(self.stamp)


@dataclass(frozen=True, slots=True)
class StoredSchema:
    """A schema of which there are rows, and when they were last pushed."""

    schema: FeatureSchema
    published: datetime
    rows: int
    oldest: datetime | None
    newest: datetime | None


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What a store holds of one project; the first of ``schemas`` is the one that is read."""

    place: str
    schemas: tuple[StoredSchema, ...]


class FeatureStore(Protocol):
    """The newest row per entity of one project.

    What every adapter promises:

    - A row never replaces one of the same entity and schema that is newer; of two of the same
      time the one pushed last stays. This holds between processes too.
    - A row whose time to live is over is as if it had never been there.
    - Rows of a schema can be written before it is published, so readers go over from a complete
      set of rows to another one. Publishing forgets all schemas but this and the one before it,
      which somebody may still read.
    - A read is one round trip, and fails within a second when the store is away. It comes back
      by itself when the store does.
    - Safe to use from several threads. No error of a library and no password leaves the adapter:
      UnreachableError or StorageError.
    """

    waits: bool
    """Whether a read may wait for another machine, so that an event loop must not run it."""

    def push(
        self, rows: Iterable[FeatureRow], schema: FeatureSchema, *, ttl: timedelta | None = None
    ) -> int:
        """Store rows; how many were, as no newer one was there. They end after ``ttl``."""
        ...

    def publish(self, schema: FeatureSchema) -> None:
        """Make ``schema`` the one that readers read."""
        ...

    def current(self) -> FeatureSchema | None:
        """The schema published last; None when nothing was ever pushed."""
        ...

    def read(self, entities: Sequence[str], schema: FeatureSchema) -> list[StoredRow | None]:
        """The row of each entity, None where there is none."""
        ...

    def describe(self) -> StoreFacts:
        """What is there; takes as long as there are rows."""
        ...

    def ping(self) -> None:
        """Raise UnreachableError or StorageError when the store does not answer."""
        ...

    def close(self) -> None:
        """Let go of all connections."""
        ...
