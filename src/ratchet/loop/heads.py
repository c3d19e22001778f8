"""How far the ledgers are: asked once a tick for all projects, and only where a file moved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ratchet import clock
from ratchet.errors import RatchetError
from ratchet.loop.projects import NOTHING, Mark, Watched, mark

if TYPE_CHECKING:
    from ratchet.ledger.claims import Claims
    from ratchet.ledger.database import Database

_FIRST_WAIT, _LONGEST_WAIT = 5.0, 120.0


@dataclass(slots=True)
class _File:
    marks: tuple[Mark, Mark] = (NOTHING, NOTHING)
    heads: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Server:
    """A database server that holds ledgers, and what this loop has claimed there.

    Attributes:
        away: why it cannot be used, if it cannot; it is tried again now and then.
    """

    url: str = field(repr=False)
    database: Database | None = None
    claims: Claims | None = None
    heads: dict[str, int] = field(default_factory=dict)
    away: str = ""
    failures: int = 0
    again: float = 0.0

    def refresh(self, projects: list[str]) -> dict[str, str] | None:
        """Renew the claims, claim what is free, and see what moved.

        Args:
            projects: those that this loop wants.

        Returns:
            Who has the others; None while the server is away.
        """
        from ratchet.ledger.claims import Claims
        from ratchet.ledger.heads import read_heads

        if self.away and clock.monotonic() < self.again:
            return None
        try:
            if self.database is None or self.claims is None:
                self.database = _open_server(self.url, projects[0])
                self.claims = Claims(self.database)
            kept = self.claims.renew()
            missing = [name for name in projects if name not in kept]
            held = self.claims.take(missing) if missing else {}
            with self.database.read() as connection:
                self.heads = read_heads(connection)
        except RatchetError as error:
            self.away = f"{error.what}: {error.why}" if error.why else error.what
            self.failures += 1
            wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(self.failures - 1, 10))
            self.again = clock.monotonic() + wait
            return None
        self.away, self.failures = "", 0
        return {name: holder.describe() for name, holder in held.items()}

    def close(self) -> None:
        """Give the claims back."""
        if self.database is None:
            return
        try:
            if self.claims is not None and not self.away:
                self.claims.release()
        except RatchetError:
            return  # they end by themselves
        finally:
            self.database.close()


class Heads:
    """The newest event of every project whose ledger is a file."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}

    def refresh(self, watched: Iterable[Watched]) -> None:
        """See which files moved, and read those."""
        there = {one.ledger_file: one.name for one in watched}
        for gone in self._files.keys() - there.keys():
            del self._files[gone]
        for path, project in there.items():
            if path is None:
                continue
            kept = self._files.setdefault(path, _File())
            marks = (mark(path), mark(f"{path}-wal"))
            if marks != kept.marks:
                kept.marks = marks
                kept.heads = _read(path, project) if marks[0] != NOTHING else {}

    def of(self, watched: Watched) -> int:
        """The number of a project's newest event; 0 where there is none."""
        path = watched.ledger_file
        return 0 if path is None else self._files[path].heads.get(watched.name, 0)


def _read(path: str, project: str) -> dict[str, int]:
    from ratchet.ledger.database import open_database
    from ratchet.ledger.heads import read_heads

    try:
        database = open_database(f"sqlite:///{path}", create=False, busy_seconds=1.0)
        try:
            with database.read() as connection:
                return read_heads(connection)
        finally:
            database.close()
    except RatchetError:
        # The look finds out what is the matter, and says so.
        return {project: -1}


def _open_server(url: str, project: str) -> Database:
    """A database server; its schema is brought up to date."""
    from ratchet.ledger.store import open_ledger

    return open_ledger(url, project=project).database
