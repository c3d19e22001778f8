"""How far the chains of a ledger are: what moved, of all its projects, in one question."""

from __future__ import annotations

from sqlalchemy import Connection, select

from ratchet.ledger.tables import chains


def read_heads(connection: Connection) -> dict[str, int]:
    """The number of each project's newest event."""
    rows = connection.execute(select(chains.c.project, chains.c.seq))
    return {str(project): int(seq) for project, seq in rows}
