"""What the feature store's commands print."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.text import Text

from ratchet.cli.tables import plain_table

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.features.store.port import StoredSchema, StoreFacts


def shown_age(age: timedelta) -> str:
    """A duration as a person says it."""
    for unit, seconds in (("d", 86400), ("h", 3600), ("min", 60)):
        if abs(age.total_seconds()) >= seconds:
            return f"{age.total_seconds() / seconds:.1f} {unit}"
    return f"{age.total_seconds():.1f} s"


def schema_json(stored: StoredSchema) -> dict[str, Any]:
    """A stored schema in the ``schemas`` of ``--json``."""
    return {
        "schema": stored.schema.digest,
        "columns": list(stored.schema.names),
        "published": stored.published.isoformat(),
        "rows": stored.rows,
        "oldest": None if stored.oldest is None else stored.oldest.isoformat(),
        "newest": None if stored.newest is None else stored.newest.isoformat(),
    }


def print_push(console: Console, body: dict[str, Any]) -> None:
    """What a push read, stored and left out."""
    lines = [f"{body['rows']:,} rows of {body['source']} read, {body['stored']:,} stored"]
    lines += [
        f"left out: {body[name]:,} rows {why}"
        for name, why in (
            ("later", "that became known later"),
            ("nameless", "that name no entity"),
            ("undated", "that do not say when"),
        )
        if body[name]
    ]
    of = f" of version {', '.join(map(str, body['versions']))}" if body["versions"] else ""
    lines.append(f"{len(body['columns'])} columns{of}, schema {body['schema']}")
    if body["absent"]:
        lines.append(f"not in these rows, so requests must bring them: {', '.join(body['absent'])}")
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def print_status(console: Console, facts: StoreFacts, body: dict[str, Any], at: datetime) -> None:
    """What the store holds, the schema that is read first."""
    console.print(Text(facts.place), soft_wrap=True)
    if not facts.schemas:
        console.print("Nothing has been pushed yet: `ratchet features push`.")
        return
    table = plain_table("schema", "read", "rows", "columns", "oldest", "newest", "published")
    for place, each in enumerate(facts.schemas):
        ends = [
            "-" if end is None else f"{shown_age(at - end)} ago"
            for end in (each.oldest, each.newest)
        ]
        table.add_row(
            each.schema.digest,
            "" if place else "✓",
            f"{each.rows:,}",
            str(len(each.schema.names)),
            *ends,
            f"{shown_age(at - each.published)} ago",
        )
    console.print(table)
    if body["absent"]:
        console.print(Text(f"models read, and it is not stored: {', '.join(body['absent'])}"))
