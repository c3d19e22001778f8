"""What is told to the tracking server of one pipeline run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class CandidateLog:
    """A candidate: becomes a run nested in the pipeline's run.

    Attributes:
        metrics: name to value; values that are None or not finite are left out.
        failed: it could not be trained.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    failed: bool = False


@dataclass(frozen=True, slots=True)
class RunLog:
    """A pipeline run, complete: it is logged once, when everything is known.

    Attributes:
        run_id: Ratchet's own id of the run.
        failed: it ended without a model.
    """

    run_id: str
    started: datetime
    ended: datetime
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    candidates: tuple[CandidateLog, ...] = ()
    failed: bool = False
