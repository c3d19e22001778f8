"""A project's health: its signs gathered from disk, lake and server, judged, and told of."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet import clock
from ratchet.config.durations import parse_duration, parse_size
from ratchet.errors import UsageError
from ratchet.ids import digest_of
from ratchet.monitoring.delivery import WINDOW
from ratchet.monitoring.health import assess
from ratchet.monitoring.vitals import Backlog, Health, Problem, Pulse, Signs, show_span

if TYPE_CHECKING:
    from ratchet.alerts.messages import Message
    from ratchet.ledger.reader import LedgerReader
    from ratchet.ledger.store import Ledger
    from ratchet.project import Project

_ANSWER = 3.0
_TOLD_ALREADY = ("failed",)
"""Problems that their own alerts tell of."""


def look_at_health(
    project: Project,
    ledger: LedgerReader,
    pulse: Pulse | None = None,
    *,
    server: str | None = None,
    lake: bool = True,
) -> Health:
    """Judge a project's health now.

    Args:
        pulse: of the loop that looks after it, if there is or was one.
        server: the address of a server to ask whether it is ready.
        lake: ask the lake when data arrived; else what the runs saw is taken.

    Raises:
        RatchetError: the ledger or the lake cannot be read.
    """
    now = clock.now()
    signs = signs_of(project, pulse, server=server, lake=lake)
    return assess(ledger.history(since=now - WINDOW, now=now), signs)


def tell_health(project: Project, ledger: Ledger, health: Health) -> bool:
    """Keep an event, and alerts, when what is wrong is not what was told last.

    Returns:
        Whether it was news.
    """
    problems: dict[str, str] = {each.code: each.what for each in health.problems}
    return ledger.note_problems(problems, partial(_messages, project, health))


def signs_of(
    project: Project, pulse: Pulse | None = None, *, server: str | None = None, lake: bool = True
) -> Signs:
    """What the ledger cannot know of a project."""
    from ratchet.evaluation.catalog import find_metric

    max_age = project.settings.checks.max_age
    minimum = project.settings.gates.minimum
    return Signs(
        arrivals=arrivals(project) if lake else (),
        max_age=None if max_age is None else parse_duration(max_age),
        loop=pulse,
        log=backlog(project),
        server=None if server is None else ask_server(server),
        minimum={
            name: (limit, find_metric(name).better == "higher") for name, limit in minimum.items()
        },
    )


def arrivals(project: Project) -> tuple[datetime, ...]:
    """When the table got new rows, oldest first."""
    return tuple(
        each.created for each in project.open_lake().history("data") if each.change != "unchanged"
    )


def backlog(project: Project) -> Backlog | None:
    """What of the prediction log waits for the lake; None when nothing was ever served."""
    from ratchet.data.predictions.segments import SEALED

    folder = project.site().log_folder
    if not folder.is_dir():
        return None
    total, oldest = 0, None
    for path, found in _files(folder):
        total += found.st_size
        if path.suffix == SEALED:
            oldest = min(oldest or found.st_mtime, found.st_mtime)
    log = project.settings.serving.log
    return Backlog(
        total,
        None if oldest is None else datetime.fromtimestamp(oldest, UTC),
        parse_duration(log.compact),
        parse_size(log.max_disk),
    )


def ask_server(url: str) -> str:
    """Why a server does not answer predictions; empty when it does.

    Raises:
        UsageError: no address of a web server.
    """
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{url} is no address of a server", fix="write http://HOST:PORT")
    try:
        with urlopen(f"{url.rstrip('/')}/readyz", timeout=_ANSWER):  # noqa: S310 - checked above
            return ""
    except HTTPError as error:
        error.close()
        return f"it answers {error.code}"
    except URLError as error:
        return f"it does not answer ({error.reason})"
    except (OSError, HTTPException, ValueError) as error:
        return f"it does not answer ({type(error).__name__})"


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Files that are moved away meanwhile are not counted."""
    for path in folder.glob("*/*"):
        with suppress(FileNotFoundError):
            yield path, path.stat()


def _messages(
    project: Project, health: Health, seq: int, new: Sequence[str], gone: Sequence[str]
) -> tuple[Message, ...]:
    from ratchet.alerts.messages import compose

    told: list[Message] = []
    wrong: dict[str, Problem] = {each.code: each for each in health.problems}
    for code in (*new, *gone):
        problem = wrong.get(code)
        if problem is not None and code in _TOLD_ALREADY:
            continue
        since = None if problem is None or problem.since is None else health.at - problem.since
        messages = compose(
            project.settings.alerts,
            "recovered" if problem is None else "unhealthy",
            project=project.name,
            reason=f"No more: {code.replace('_', ' ')}." if problem is None else problem.what,
            at=health.at,
            topic=f"health {code}",
            advice="" if problem is None else f"{problem.fix}.",
            facts={}
            if problem is None
            else {"for": None if since is None else show_span(since), **problem.evidence},
        )
        told += [
            replace(each, key=digest_of([project.name, "health", seq, code, each.channel])[:32])
            for each in messages
        ]
    return tuple(told)
