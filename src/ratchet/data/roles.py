"""What each column is for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from ratchet.data.schema import TableSchema
from ratchet.data.settings import DataSettings
from ratchet.errors import DataError


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns with a special part; all others are features."""

    target: str
    id: str | None = None
    time: str | None = None
    group: str | None = None
    exclude: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, settings: DataSettings) -> Roles:
        """The roles that the ``data`` section gives."""
        split = settings.split.column
        return cls(
            target=settings.target,
            id=settings.id,
            time=settings.time,
            group=settings.group,
            exclude=settings.exclude if split is None else (*settings.exclude, split),
        )

    def features(self, schema: TableSchema) -> tuple[str, ...]:
        """The columns of ``schema`` that have no role, in their order."""
        taken = {self.target, self.id, self.time, self.group, *self.exclude}
        return tuple(name for name in schema.names if name not in taken)

    def require(self, names: Iterable[str]) -> None:
        """Raise DataError (``column_missing``) when a column with a role is not in ``names``.

        Excluded columns may be absent: nobody will miss them.
        """
        present = list(names)
        for role in ("target", "id", "time", "group"):
            name = getattr(self, role)
            if name is None or name in present:
                continue
            near = difflib.get_close_matches(name, present, n=1, cutoff=0.6)
            like = next((p for p in present if p.lower() == name.lower()), None)
            guess = like or (near[0] if near else None)
            shown = ", ".join(present[:12]) + (" …" if len(present) > 12 else "")
            fix = f'Set data.{role} to "{guess}"' if guess else f"Set data.{role} to one of them"
            if len(present) == 1 and any(mark in present[0] for mark in ",;\t|"):
                fix = "Set data.source.separator to the character between the names"
            raise DataError(
                f'The data has no column "{name}", which data.{role} names',
                why=f"Its columns are {shown}",
                fix=fix,
                where=f"data.{role}",
                code="column_missing",
            )
