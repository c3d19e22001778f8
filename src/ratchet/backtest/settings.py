"""What is replayed, and how: the questions of one backtest, and the policies it compares."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from pydantic import Field

from ratchet.config.durations import parse_duration
from ratchet.config.load import load_settings
from ratchet.config.section import Section
from ratchet.errors import UsageError
from ratchet.gates.settings import GatesSettings
from ratchet.triggers.expression import names_of
from ratchet.triggers.settings import TriggersSettings

FIRST_SHARE: Final = 0.2
"""Share of the rows that the first model is made of."""
_ROWS = re.compile(r"\s*([0-9][0-9_]*)\s*(rows?)?\s*\Z")


@dataclass(frozen=True, slots=True)
class Pace:
    """How history passes by.

    Attributes:
        period: after which the policy is asked again: a span of time, or a number of rows; None
            for one that suits the rows.
        delay: after which a row's label is known.
        first: share of the rows whose labels are known when the first model is made.
    """

    period: timedelta | int | None = None
    delay: timedelta = timedelta(days=1)
    first: float = FIRST_SHARE


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy under test: when to train, and what a new model must prove."""

    name: str
    triggers: TriggersSettings
    gates: GatesSettings


class PolicyFile(Section):
    """A file with a policy: the sections of ``ratchet.yaml`` that it would change."""

    name: str | None = Field(default=None, description="How the report calls it.")
    triggers: TriggersSettings = Field(
        default_factory=TriggersSettings, description="As in ratchet.yaml."
    )
    gates: GatesSettings | None = Field(
        default=None, description="As in ratchet.yaml; the project's own if left out."
    )


def parse_period(text: str) -> timedelta | int:
    """``7d`` as a span of time, ``500rows`` as a number of rows.

    Raises:
        UsageError: neither, or nothing above zero.
    """
    rows = _ROWS.match(text)
    if rows is not None and int(rows[1]) >= 1:
        return int(rows[1])
    example = "7d, or a number of rows such as 500rows"
    period = read_duration(text, "--period", example)
    if not period:
        raise UsageError(
            "--period is a length of time above zero, or at least one row",
            why=f"{text!r} would never come to an end of a period",
            fix=f"write --period {example}",
        )
    return period


def read_duration(text: str, option: str, example: str) -> timedelta:
    """A duration given on the command line; ``0`` is none.

    Raises:
        UsageError: it is none.
    """
    if text.strip().rstrip("dhms") == "0":
        return timedelta(0)
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}", fix=f"write {option} {example}") from None


def read_policies(files: Sequence[Path], gates: GatesSettings) -> tuple[Policy, ...]:
    """The policies of some files.

    Args:
        files: YAML with a ``triggers:`` section.
        gates: the project's, for those that have none of their own.

    Raises:
        UsageError: no such file, or two policies of one name.
        ConfigError: a file is no policy.
    """
    found: list[Policy] = []
    for path in files:
        if not path.is_file():
            raise UsageError(f"There is no policy file {path}", fix="name an existing file")
        body = load_settings(PolicyFile, [(path, path.name)], {}).settings
        found.append(Policy(body.name or path.stem, body.triggers, body.gates or gates))
    require_names(found)
    return tuple(found)


def require_names(policies: Sequence[Policy]) -> None:
    """Raise UsageError when two policies have one name."""
    names = [policy.name for policy in policies]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(
                f'Two policies are called "{name}"', fix="give each file a `name:` of its own"
            )


def listens(policy: TriggersSettings, rule: str) -> bool:
    """Whether a rule that may only investigate has a say in when to train."""
    settings = getattr(policy, rule)
    if settings is None:
        return False
    named = policy.expression is not None and rule in names_of(policy.expression)
    joined = policy.combine == "all" and rule in policy.written
    return settings.action == "retrain" or named or joined
