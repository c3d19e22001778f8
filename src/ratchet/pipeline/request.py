"""What a run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for.

    Attributes:
        data: a file to read in place of the configured source.
        data_version: an older version of the lake's table to train on again.
        force: train even if nothing changed, and answer nothing from the cache.
        resume: the id of an unfinished run to continue.
        until: the last step to do; the run stays open after it.
        trigger: what set the run off.
        trigger_key: the trigger's key: one key makes at most one run, and a run of it that was
            left open goes on.
    """

    data: Path | None = None
    data_version: int | None = None
    force: bool = False
    resume: str | None = None
    until: str | None = None
    trigger: str = "manual"
    trigger_key: str | None = None
