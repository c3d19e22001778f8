"""What the loop tells: a line for each thing that happened, as JSON, or plain for people."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from ratchet import clock

Write = Callable[[str], None]


class Journal:
    """Writes lines.

    Args:
        write: takes a line with its line break.
        plain: for people, in place of JSON.
    """

    def __init__(self, write: Write, *, plain: bool = False) -> None:
        self._write, self._plain = write, plain

    def tell(self, event: str, project: str = "", /, **facts: Any) -> None:
        """Tell that something happened; facts that are None are left out."""
        at = clock.now()
        known = {name: value for name, value in facts.items() if value is not None}
        if self._plain:
            said = known.pop("says", None)
            more = " ".join(f"{name}={_short(value)}" for name, value in known.items())
            words = [f"{at:%H:%M:%S}", project, event, str(said or ""), "" if said else more]
            self._write(" ".join(word for word in words if word) + "\n")
            return
        line: dict[str, Any] = {"at": at.isoformat(), "event": event}
        if project:
            line["project"] = project
        self._write(json.dumps(line | known, ensure_ascii=False, default=str) + "\n")


def to_descriptor(number: int) -> Write:
    """Write to a file descriptor; nobody reading is no reason to stop."""

    def write(line: str) -> None:
        try:
            os.write(number, line.encode("utf-8", "replace"))
        except OSError:
            return

    return write


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 200 else text[:199] + "…"
