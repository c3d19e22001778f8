"""What of a row may be written down: columns that are left out, or kept as a keyed digest."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ratchet.errors import StorageError
from ratchet.serving.asked import record_of

if TYPE_CHECKING:
    from ratchet.serving.site import Site

KEY_FILE = "hash.key"
_DIGEST_SIZE = 16


class Privacy:
    """Takes personal data out of what is logged.

    Args:
        drop: columns that are left out.
        hash: columns of which a keyed BLAKE2b digest is kept: equal values have equal digests,
            a whole number the same one as its text, and nobody can try values without the key.
        key: of the digests.
        id_column: what holds for it holds for the entity too.
    """

    def __init__(
        self,
        drop: Iterable[str] = (),
        hash: Iterable[str] = (),
        key: bytes = b"",
        id_column: str | None = None,
    ) -> None:
        self._drop, self._hash = frozenset(drop), frozenset(hash)
        # BLAKE2b takes keys of up to 64 bytes.
        self._key = key if len(key) <= 64 else blake2b(key).digest()
        self.keeps_all = not (self._drop or self._hash)
        self.drops_entity = id_column in self._drop
        self._hashes_entity = id_column in self._hash

    @classmethod
    def of(cls, site: Site) -> Privacy:
        """As the settings say; a key that they do not give is made and kept beside the log.

        Raises:
            StorageError: the key's file cannot be written or read.
        """
        log = site.settings.log
        if not log.hash:
            return cls(log.drop, id_column=site.id)
        key = site.hash_key
        held = read_key(site.folder / KEY_FILE) if key is None else key.encode()
        return cls(log.drop, log.hash, held, site.id)

    def features(self, row: Any) -> dict[str, Any]:
        """What is logged of a codec's row, by column."""
        return self.values(record_of(row))

    def values(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """A record without what is dropped and with digests of what is hashed."""
        return {
            name: self.digest(value) if name in self._hash and value is not None else value
            for name, value in record.items()
            if name not in self._drop
        }

    def columns(
        self, names: Iterable[str], columns: Iterable[Sequence[Any]]
    ) -> dict[str, Sequence[Any]]:
        """As ``values``, of many records by column."""
        return {
            name: [None if value is None else self.digest(value) for value in column]
            if name in self._hash
            else column
            for name, column in zip(names, columns, strict=True)
            if name not in self._drop
        }

    def entity(self, entity: str | None) -> str | None:
        """What is logged of an entity."""
        if entity is None or self.drops_entity:
            return None
        return self.digest(entity) if self._hashes_entity else entity

    def digest(self, value: Any) -> str:
        """The keyed digest of a value: 32 hex digits."""
        text = value.encode() if isinstance(value, str) else msgspec.json.encode(value)
        return blake2b(text, digest_size=_DIGEST_SIZE, key=self._key).hexdigest()


def read_key(path: Path) -> bytes:
    """The key in the file ``path``, which is made with a random one when it is not there.

    Raises:
        StorageError: it cannot be written or read, or holds no key.
    """
    try:
        if not path.exists():
            _make_key(path)
        key = path.read_bytes().strip()
    except OSError as error:
        raise StorageError(
            "The key of hashed columns cannot be read",
            why=error.strerror or str(error),
            fix="let the server's user read and write this file, or set serving.log.hash_key",
            where=str(path),
        ) from None
    if len(key) < 32:
        raise StorageError(
            "The key of hashed columns is broken",
            why="the file holds less than a key",
            fix="restore it: digests made with another key cannot be joined with the earlier ones",
            where=str(path),
        )
    return key


def _make_key(path: Path) -> None:
    """Write a random key that only this user may read; of several processes one succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, secrets.token_hex(32).encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        os.link(partial, path)
    except FileExistsError:
        return
    finally:
        partial.unlink()
