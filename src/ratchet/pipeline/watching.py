"""Watching a project: what its settings mean to monitoring, and where what was found is kept."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ratchet.errors import UsageError
from ratchet.ids import token
from ratchet.pipeline.store import storing

if TYPE_CHECKING:
    from ratchet.ledger.store import Ledger
    from ratchet.monitoring.monitor import Observation
    from ratchet.project import Project

FOLDER: Final = "monitoring"
KEPT: Final = 100
"""How many observations are kept as files; the ledger keeps what they came to for ever."""


def watch_project(
    project: Project, ledger: Ledger, *, as_of: datetime | None = None
) -> Observation:
    """Look once at what serves, as of a moment.

    A look at the present is kept: as the event ``monitored`` of the ledger, from which the
    triggers decide, and as ``.ratchet/monitoring/<moment>.json`` and ``.html``. A look at the
    past is only given back.

    Args:
        project: the project.
        ledger: its ledger.
        as_of: nothing answered or observed later is used; now when left out.

    Raises:
        UsageError: a moment in the future.
        StorageError, UnreachableError: the ledger, the lake or the folder fails.
        ConflictError: somebody else counted the same predictions at the same time.
    """
    from ratchet import clock
    from ratchet.monitoring.monitor import EVENT, observe

    now = clock.now()
    if as_of is not None and as_of > now:
        raise UsageError(
            f"{as_of.isoformat()} is in the future",
            fix="leave --as-of out to look at the present",
        )
    log = project.settings.serving.log
    found = observe(
        ledger,
        project.open_lake(),
        project.settings.monitoring,
        bundles=project.state,
        as_of=as_of or now,
        metric=_metric(project),
        unlogged=(*log.drop, *log.hash),
    )
    if as_of is None:
        _keep(project, found)
        ledger.record(EVENT, found.summary())
    return found


def observation_files(project: Project) -> list[Path]:
    """The pages of the observations that are kept, oldest first."""
    return sorted((project.state / FOLDER).glob("*.html"))


def _metric(project: Project) -> str | None:
    metric = project.settings.training.metric
    return None if metric == "auto" else metric


def _keep(project: Project, found: Observation) -> None:
    from ratchet.pipeline.report.observation import render_observation

    project.prepare_state()
    folder = project.state / FOLDER
    name = f"{found.at:%Y%m%dT%H%M%S%f}"
    texts = {
        f"{name}.json": json.dumps(found.to_json(), ensure_ascii=False, default=str),
        f"{name}.html": render_observation(found, project.name),
    }
    with storing():
        folder.mkdir(exist_ok=True)
        for file, text in texts.items():
            partial = folder / f".{file}.{token()}"
            try:
                partial.write_text(text, encoding="utf-8")
                partial.replace(folder / file)
            except OSError:
                # On a full disk each look would leave another one.
                partial.unlink(missing_ok=True)
                raise
        for suffix in ("json", "html"):
            for old in sorted(folder.glob(f"*.{suffix}"))[:-KEPT]:
                old.unlink(missing_ok=True)
