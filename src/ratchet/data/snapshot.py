"""What is known about one version of a table of the lake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from ratchet.data.schema import TableSchema

Change = Literal["created", "appended", "replaced", "unchanged"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of a table: it never changes, and neither does what is said here.

    ``digest`` is the content digest of all its rows, ``change`` what made the version,
    ``source`` where the rows came from, ``fingerprint`` the source's at that time, ``details``
    what its maker wants to find again, as JSON values.
    """

    table: str
    version: int
    rows: int
    digest: str
    schema: TableSchema
    change: Change
    source: str
    created: datetime
    fingerprint: str | None
    details: Mapping[str, Any] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """What the commit of the version carries, as JSON."""
        return {
            "rows": self.rows,
            "digest": self.digest,
            "schema": self.schema.to_json(),
            "change": self.change,
            "source": self.source,
            "created": self.created.isoformat(),
            "fingerprint": self.fingerprint,
            **({"details": dict(self.details)} if self.details else {}),
        }

    @classmethod
    def from_facts(cls, table: str, version: int, facts: Mapping[str, Any]) -> Snapshot:
        """The snapshot whose ``facts`` a commit carries."""
        return cls(
            table=table,
            version=version,
            rows=facts["rows"],
            digest=facts["digest"],
            schema=TableSchema.from_json(facts["schema"]),
            change=facts["change"],
            source=facts["source"],
            created=datetime.fromisoformat(facts["created"]).astimezone(UTC),
            fingerprint=facts["fingerprint"],
            details=facts.get("details", {}),
        )


@dataclass(frozen=True, slots=True)
class Ingest:
    """What an ingest did and why; ``snapshot`` is the newest version afterwards."""

    snapshot: Snapshot
    change: Change
    reason: str
