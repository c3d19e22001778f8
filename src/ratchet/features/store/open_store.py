"""From an address to a feature store."""

from __future__ import annotations

from pathlib import Path

from ratchet.errors import ConfigError
from ratchet.features.store.port import FeatureStore

REDIS = ("redis://", "rediss://", "unix://")


def open_store(url: str, project: str) -> FeatureStore:
    """The store at ``sqlite:////absolute/file.db``, ``redis://``, ``rediss://`` or ``unix://``.

    Nothing is connected yet. Whatever follows ``sqlite:///`` is the path as it is, unquoted.

    Raises:
        ConfigError: an address of another form.
        MissingExtraError: Redis without redis-py.
    """
    if url.startswith("sqlite:///"):
        from ratchet.features.store.sqlite import SqliteStore

        return SqliteStore(Path(url.removeprefix("sqlite:///")), project)
    if url.startswith(REDIS):
        from ratchet.features.store.redis import RedisStore

        return RedisStore(url, project)
    raise ConfigError(
        "The feature store's address is neither SQLite nor Redis",
        why=f"it starts with {url.split(':', 1)[0]!r}" if ":" in url else "it is no address",
        fix="set storage.features to `sqlite` or to redis://host:6379/0",
        where="storage.features",
    )
