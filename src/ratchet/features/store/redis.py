"""The feature store in Redis: shared by servers on several machines.

Keys: ``ratchet:PROJECT:row:SCHEMA:ENTITY`` holds eight bytes of time and the packed values, with
Redis' own time to live; the hash ``ratchet:PROJECT:schemas`` says which schemas were published.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from ratchet.clock import now as read_clock
from ratchet.config.secrets import mask
from ratchet.errors import ConfigError, MissingExtraError, StorageError, UnreachableError
from ratchet.features.store.packing import STAMP, pack, stamp_of, stamped, unpacker
from ratchet.features.store.port import (
    FeatureRow,
    FeatureSchema,
    StoredRow,
    StoredSchema,
    StoreFacts,
    micros,
    moment,
)

if TYPE_CHECKING:
    from redis import Redis

CONNECT_SECONDS, READ_SECONDS = 0.3, 0.4
"""Together below the second in which a server must have answered that Redis is away."""

_WRITE_SECONDS = 10.0
_BATCH, _SCRIPT_ROWS = 5_000, 500
_AT_ONCE = 1_000
_SCANNED = 1_000

# Redis runs a script alone, so that no other writer comes between the look and the write. Times
# are compared in halves: a number of Lua's is a double, which cannot hold all of one.
_NEWEST_WINS = """
local stored = 0
for place, key in ipairs(KEYS) do
  local row = ARGV[place + 1]
  local old = redis.call('GETRANGE', key, 0, 7)
  local wins = #old < 8
  if not wins then
    local high, low = struct.unpack('>I4I4', row)
    local old_high, old_low = struct.unpack('>I4I4', old)
    wins = high > old_high or (high == old_high and low >= old_low)
  end
  if wins then
    if ARGV[1] == '' then
      redis.call('SET', key, row)
    else
      redis.call('SET', key, row, 'PX', ARGV[1])
    end
    stored = stored + 1
  end
end
return stored
"""


class RedisStore:
    """Feature rows in Redis 6 or newer, or in what speaks its protocol.

    Args:
        url: ``redis://[user:password@]host[:port][/database]``, ``rediss://`` or ``unix://``.
        project: whose rows; several projects may share a database.
        now: reads the clock.
    """

    waits = True

    def __init__(self, url: str, project: str, *, now: Callable[[], datetime] = read_clock) -> None:
        self._place, self._now = mask(url), now
        self._prefix = f"ratchet:{project}:row:"
        self._catalog = f"ratchet:{project}:schemas"
        self._quick = _client(url, CONNECT_SECONDS, READ_SECONDS)
        self._patient = _client(url, _WRITE_SECONDS, _WRITE_SECONDS)
        self._newest_wins = self._patient.register_script(_NEWEST_WINS)

    def push(
        self, rows: Iterable[FeatureRow], schema: FeatureSchema, *, ttl: timedelta | None = None
    ) -> int:
        """Store rows, some thousand in a round trip; how many were newer than what was there."""
        prefix = f"{self._prefix}{schema.digest}:"
        life = "" if ttl is None else str(max(1, ttl // timedelta(milliseconds=1)))
        stored, waiting = 0, iter(rows)
        while batch := list(islice(waiting, _BATCH)):
            with self._faults(), self._patient.pipeline(transaction=False) as pipeline:
                for start in range(0, len(batch), _SCRIPT_ROWS):
                    some = batch[start : start + _SCRIPT_ROWS]
                    self._newest_wins(
                        keys=[prefix + row.entity for row in some],
                        args=[life, *(stamped(row.stamp, pack(row.values)) for row in some)],
                        client=pipeline,
                    )
                stored += sum(pipeline.execute())
        return stored

    def publish(self, schema: FeatureSchema) -> None:
        """Make ``schema`` the one that is read; forget all but it and the one before."""
        published = self._published()
        at = max([micros(self._now()), *(each + 1 for each, _ in published)])
        entry = msgspec.msgpack.encode([at, schema.to_json()])
        with self._faults():
            self._patient.hset(self._catalog, schema.digest, entry)
        before = [each.digest for _, each in published if each.digest != schema.digest]
        for digest in before[1:]:
            self._forget(digest)

    def current(self) -> FeatureSchema | None:
        """The schema published last."""
        published = self._published()
        return published[0][1] if published else None

    def read(self, entities: Sequence[str], schema: FeatureSchema) -> list[StoredRow | None]:
        """The rows, by MGET; more than a thousand are several of them in one round trip."""
        prefix, unpack = f"{self._prefix}{schema.digest}:", unpacker(schema)
        keys = [prefix + entity for entity in entities]
        with self._faults():
            if len(keys) <= _AT_ONCE:
                found: list[Any] = self._quick.mget(keys) if keys else []
            else:
                with self._quick.pipeline(transaction=False) as pipeline:
                    for start in range(0, len(keys), _AT_ONCE):
                        pipeline.mget(keys[start : start + _AT_ONCE])
                    found = [row for part in pipeline.execute() for row in part]
        return [None if raw is None else unpack(raw[STAMP:], stamp_of(raw)) for raw in found]

    def describe(self) -> StoreFacts:
        """Counted key by key, without blocking others."""
        return StoreFacts(
            self._place,
            tuple(
                StoredSchema(schema, moment(published), *self._count(schema))
                for published, schema in self._published()
            ),
        )

    def ping(self) -> None:
        """Ask for an answer."""
        with self._faults():
            self._quick.ping()

    def close(self) -> None:
        """Close all connections."""
        with self._faults():
            self._quick.close()
            self._patient.close()

    def _published(self) -> list[tuple[int, FeatureSchema]]:
        """When and what was published, newest first."""
        with self._faults():
            entries: dict[Any, Any] = self._quick.hgetall(self._catalog)
        found = [msgspec.msgpack.decode(entry) for entry in entries.values()]
        return sorted(
            ((at, FeatureSchema.from_json(columns)) for at, columns in found),
            key=lambda each: each[0],
            reverse=True,
        )

    def _count(self, schema: FeatureSchema) -> tuple[int, datetime | None, datetime | None]:
        """How many rows there are, and their oldest and newest time."""
        rows = 0
        ends: list[bytes] = []
        for keys in self._keys(schema.digest):
            with self._faults(), self._patient.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.getrange(key, 0, STAMP - 1)
                heads = [head for head in pipeline.execute() if head]
            rows += len(heads)
            if heads:
                ends = [min([*ends, *heads]), max([*ends, *heads])]
        oldest, newest = (moment(stamp_of(end)) for end in ends) if ends else (None, None)
        return rows, oldest, newest

    def _forget(self, digest: str) -> None:
        for keys in self._keys(digest):
            with self._faults():
                self._patient.unlink(*keys)
        with self._faults():
            self._patient.hdel(self._catalog, digest)

    def _keys(self, digest: str) -> Iterator[list[Any]]:
        """The keys of a schema's rows, some at a time; while Redis grows, a key may come twice."""
        pattern = re.sub(r"([\\*?\[\]])", r"\\\1", f"{self._prefix}{digest}:") + "*"
        cursor: int | None = None
        while cursor != 0:
            with self._faults():
                cursor, keys = self._patient.scan(cursor or 0, match=pattern, count=_SCANNED)
            if keys:
                yield keys

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Whatever redis-py says, as one of our own errors, without a password."""
        from redis.exceptions import (
            AuthenticationError,
            ConnectionError,
            RedisError,
            ResponseError,
            TimeoutError,
        )

        try:
            yield
        except AuthenticationError as error:
            raise self._away(error, "check user and password in storage.features") from None
        except (ConnectionError, TimeoutError, OSError) as error:
            raise self._away(error, "start Redis, or set storage.features") from None
        except ResponseError as error:
            if "NOAUTH" in str(error) or "NOPERM" in str(error):
                raise self._away(error, "check user and password in storage.features") from None
            raise StorageError(
                "Redis refuses to read or write features",
                why=_said(error),
                fix="give Redis memory (maxmemory) and the right to write",
                where=self._place,
            ) from None
        except RedisError as error:
            raise self._away(error, "check storage.features") from None

    def _away(self, error: Exception, fix: str) -> UnreachableError:
        return UnreachableError(
            "The feature store in Redis does not answer",
            why=_said(error),
            fix=fix,
            where=self._place,
        )


def _client(url: str, connect_seconds: float, read_seconds: float) -> Redis:
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.exceptions import ConnectionError
        from redis.retry import Retry
    except ModuleNotFoundError:
        raise MissingExtraError.of("redis", "redis", "A feature store in Redis") from None
    options: dict[str, Any] = {
        "socket_connect_timeout": connect_seconds,
        "socket_timeout": read_seconds,
        # A connection that Redis closed when it stopped is made anew at once; waiting again for
        # one that does not answer would only take longer.
        "retry": Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
        "protocol": 2,
    }
    try:
        return Redis.from_url(url, **options)
    except ValueError as error:
        raise ConfigError(
            "The feature store's address cannot be read",
            why=mask(str(error)),
            fix="write it as redis://user:password@host:6379/0, special characters as %XX",
            where="storage.features",
        ) from None


def _said(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
