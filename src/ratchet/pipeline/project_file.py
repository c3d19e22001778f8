"""Writing a project file a person likes to read: every guess in it, with the reason beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ratchet.config.yaml import Place, parse_scalar
from ratchet.errors import ConfigError

_PLAIN = re.compile(
    r"[A-Za-z_][A-Za-z0-9_./ -]*[A-Za-z0-9_]\Z|[A-Za-z_]\Z|[0-9]+(ms|[smhd])\Z"  # or a duration
)
_NOWHERE = Place("", 0)


@dataclass(frozen=True, slots=True)
class Draft:
    """What ``init`` found out.

    Attributes:
        source: the fields of ``data.source``.
        roles: ``positive``, ``task``, ``id``, ``time`` and so on, as far as they are known.
        columns: each column's kind.
        expectations: the starting suite, as ``checks.expectations`` takes it.
        algorithms: the candidates' names.
        time_budget: of a run, as ``training.tuning.time`` takes it.
        notes: the guesses, one sentence each.
    """

    project: str
    source: Mapping[str, Any]
    target: str
    roles: Mapping[str, Any]
    columns: Mapping[str, str]
    expectations: Sequence[Mapping[str, Any]]
    algorithms: Sequence[str]
    time_budget: str
    notes: Sequence[str]


def render(draft: Draft) -> str:
    """The text of ``ratchet.yaml``."""
    lines = ["# Written by `ratchet init`. What was guessed:"]
    lines += [f"#   {_one_line(note)}" for note in draft.notes]
    lines += [
        "# Everything that is not said here has a default: `ratchet config show` prints them.",
        f"project: {scalar(draft.project)}",
        "data:",
        f"  source: {flow(draft.source)}",
        f"  target: {scalar(draft.target)}",
        *(f"  {name}: {flow(value)}" for name, value in draft.roles.items()),
        "  columns:                    # a value that does not fit its kind stops the run",
        *(f"    {scalar(name)}: {kind}" for name, kind in draft.columns.items()),
        "checks:",
        "  expectations:               # Great Expectations' names and arguments",
        *(f"    - {flow(item)}" for item in draft.expectations),
        "training:",
        f"  algorithms: {flow({name: {} for name in draft.algorithms})}",
        f"  tuning: {flow({'time': draft.time_budget})}         # of a run; off: no search",
        "gates:",
        "  champion: {margin: 0.0, confidence: 0.95}   # a new model must be proven better",
        "  budget: {latency_p95: 5ms, size: 50MB, memory: 500MB}",
    ]
    if not draft.expectations:
        lines.remove("checks:")
        lines = [line for line in lines if not line.startswith("  expectations:")]
    return "\n".join(lines) + "\n"


def flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        return scalar(value)
    if isinstance(value, Iterable):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return json.dumps(value)


def scalar(text: str) -> str:
    """Text that reads back as itself, in quotes only where it must."""
    try:
        same = parse_scalar(text, _NOWHERE) == text
    except ConfigError:
        same = False
    # Words that older YAML readers take for truth values stay in quotes as well.
    if same and _PLAIN.match(text) and text.lower() not in ("yes", "no", "on", "off", "y", "n"):
        return text
    return json.dumps(text, ensure_ascii=False)


def _one_line(text: str) -> str:
    return " ".join(text.split())
