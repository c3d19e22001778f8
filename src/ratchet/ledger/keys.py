"""API keys: who may call the server, and for what; of a secret only its digest is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.sql import ColumnElement

from ratchet.errors import ConflictError, UsageError
from ratchet.ledger.events import Transaction
from ratchet.ledger.tables import keys

Scope = Literal["predict", "feedback", "read", "admin"]

SCOPES: tuple[Scope, ...] = ("predict", "feedback", "read", "admin")
CREATED = "key_created"
REVOKED = "key_revoked"


@dataclass(frozen=True, slots=True)
class Key:
    """An API key.

    Attributes:
        key_id: its public part.
        seq: the number of the event that made it.
        at: when it was made.
        name: who or what it was made for.
        scopes: what it opens, in the order of ``SCOPES``.
        digest: SHA-256 of the whole key, 64 hex digits. A key holds 256 random bits, so nothing
            is learned from it.
        by: who made it.
        revoked: when it was revoked, or None.
    """

    key_id: str
    seq: int
    at: datetime
    name: str
    scopes: tuple[Scope, ...]
    digest: str = field(repr=False)
    by: str
    revoked_seq: int | None = None
    revoked: datetime | None = None
    revoked_by: str | None = None

    @property
    def live(self) -> bool:
        """Whether it still opens anything."""
        return self.revoked is None


def add_key(
    tx: Transaction, key_id: str, name: str, scopes: Sequence[str], digest: str, *, by: str
) -> Key:
    """Keep a new key.

    Raises:
        UsageError: no name, no scope, or an unknown one.
        ConflictError: a live key of this name is there already.
    """
    facts: dict[str, Any] = {
        "key_id": key_id,
        "name": _checked_name(name),
        "scopes": list(_checked_scopes(scopes)),
        "digest": digest,
        "by": by,
    }
    same = [key for key in list_keys(tx.connection, tx.project) if key.live and key.name == name]
    if same:
        raise ConflictError(
            f"There is a key named `{name}` already: {same[0].key_id}",
            fix=f"revoke it first (ratchet keys revoke {same[0].key_id}) or take another name",
            code="key_exists",
        )
    seq = tx.append(CREATED, facts)
    tx.connection.execute(insert(keys).values(project=tx.project, seq=seq, at=tx.at, **facts))
    return get_key(tx.connection, tx.project, key_id)


def revoke_key(tx: Transaction, key_id: str, *, by: str) -> Key:
    """End a key for good; one that is revoked already stays as it is.

    Args:
        key_id: its public part, or its name.

    Raises:
        UsageError: there is none.
    """
    key = get_key(tx.connection, tx.project, key_id)
    if not key.live:
        return key
    facts = {"key_id": key.key_id, "revoked_by": by}
    seq = tx.append(REVOKED, facts)
    tx.connection.execute(
        update(keys)
        .where(_place(tx.project, key.key_id))
        .values(revoked_seq=seq, revoked=tx.at, revoked_by=by)
    )
    return get_key(tx.connection, tx.project, key.key_id)


def get_key(connection: Connection, project: str, key_id: str) -> Key:
    """One key by its public part, or by its name: the live one, else the last one revoked.

    Raises:
        UsageError: there is none (code ``no_key``).
    """
    known = list_keys(connection, project)
    named = [key for key in known if key.name == key_id]
    # At most one is live, and it is the newest: a name is free again once its key is revoked.
    for key in (*(key for key in known if key.key_id == key_id), *reversed(named)):
        return key
    raise UsageError(f"There is no key `{key_id}`", fix="ratchet keys list", code="no_key")


def list_keys(connection: Connection, project: str) -> tuple[Key, ...]:
    """Every key that was ever made, oldest first."""
    query = select(keys).where(keys.c.project == project).order_by(keys.c.seq)
    return tuple(_key(row) for row in connection.execute(query))


def _checked_name(name: str) -> str:
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise UsageError(
            "A key needs a name of 1 to 100 printable characters",
            fix="name the program that will use it: ratchet keys create shop --scope predict",
        )
    return name


def _checked_scopes(scopes: Sequence[str]) -> tuple[Scope, ...]:
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise UsageError(
            f"There is no scope `{unknown[0]}`" if unknown else "A key needs at least one scope",
            fix=f"use one or more of {', '.join(SCOPES)}: --scope predict --scope feedback",
        )
    return tuple(scope for scope in SCOPES if scope in scopes)


def _place(project: str, key_id: str) -> ColumnElement[bool]:
    return (keys.c.project == project) & (keys.c.key_id == key_id)


def _key(row: Row[Any]) -> Key:
    fields = dict(row._mapping)
    del fields["project"]
    return Key(**{**fields, "scopes": tuple(fields["scopes"])})
