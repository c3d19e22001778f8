"""Rollouts of a project: its settings, lake, bundles, alerts and MLflow put together for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ratchet import clock
from ratchet.errors import StorageError
from ratchet.monitoring.vitals import show_span
from ratchet.pipeline.bundles import require_bundle
from ratchet.pipeline.store import storing
from ratchet.rollout import approval, drive
from ratchet.rollout.meanwhile import end_overtaken

if TYPE_CHECKING:
    from ratchet.alerts.messages import Message
    from ratchet.alerts.settings import Occasion
    from ratchet.ledger.rollouts import Rollout, Strategy
    from ratchet.ledger.store import Ledger
    from ratchet.project import Project
    from ratchet.rollout.drive import Step


def begin(
    project: Project,
    ledger: Ledger,
    version: int,
    *,
    by: str,
    reason: str,
    strategy: Strategy | None = None,
    run_id: str | None = None,
    forced: bool = False,
    only_looks: bool = False,
) -> Rollout:
    """Begin to roll a version out as the settings say.

    Raises as ``drive.start``, and as ``require_bundle``.

    Args:
        only_looks: as a shadow that goes no further until somebody approves, whatever the
            settings say; it gives way to any other version that a run wants to serve.
    """
    require_bundle(project, ledger, version)
    end_overtaken(ledger)
    settings = project.settings.rollout
    rules = dict(settings.rules)
    if only_looks:
        labels = max(settings.labels, project.settings.triggers.investigate.labels)
        strategy, rules = (
            "shadow",
            {**rules, "only_looks": True, "approval": True, "labels": labels},
        )
    elif run_id is not None:
        _make_way(ledger, version, by)
    return drive.start(
        ledger,
        version,
        strategy or settings.strategy,
        rules,
        by=by,
        reason=reason,
        run_id=run_id,
        forced=forced,
    )


def _make_way(ledger: Ledger, version: int, by: str) -> None:
    """End the look at a challenger that nobody approved, for a version that more speaks for."""
    live = next((each for each in ledger.rollouts() if each.only_looks), None)
    if live is not None and live.version != version:
        drive.abort(ledger, by=by, reason=f"version {version} takes its place")


def advance(project: Project, ledger: Ledger, now: datetime | None = None) -> Step | None:
    """Take the next step of the rollout at work, if there is one. Raises as ``drive.advance``."""
    return drive.advance(
        ledger,
        project.open_lake,
        classes=read_classes(project, ledger),
        now=now or clock.now(),
        registry=project.open_tracking,
        tell=_teller(project),
    )


def approve(
    project: Project, ledger: Ledger, version: int, *, by: str, reason: str
) -> tuple[Rollout, str]:
    """Let a version on that waits. Raises as ``approval.approve``, and as ``require_bundle``."""
    approval.waiting(ledger, version)
    require_bundle(project, ledger, version)
    return approval.approve(
        ledger,
        version,
        by=by,
        reason=reason,
        registry=project.open_tracking,
        tell=_teller(project),
    )


def goes_on(rollout: Rollout) -> str:
    """What happens next to a rollout, in a sentence."""
    version, steps = rollout.version, rollout.rules["steps"]
    if rollout.status == "awaiting_approval":
        return (
            f"version {version} waits: ratchet approve {version}, or ratchet reject {version} "
            "--reason WHY"
        )
    if rollout.status == "shadow" and rollout.rules["approval"]:
        labels = rollout.rules["labels"]
        seen = f"its first {labels:,} labels" if labels else "enough requests"
        return (
            f"version {version} answers unseen, as a shadow; after {seen} it waits for "
            f"`ratchet approve {version}`, or ends if it is worse (ratchet rollout)"
        )
    place = rollout.stage + 1
    where = "unseen, as a shadow" if rollout.stage < 0 else f"{rollout.share:g} % of the traffic"
    if not rollout.open or place >= len(steps):
        return f"version {version}: {rollout.status} ({rollout.reason})"
    needs = rollout.rules["minimum"]
    seen = "enough requests" if needs is None else f"{needs:,} requests"
    hold = show_span(timedelta(seconds=rollout.rules["hold"]))
    then = "all of it" if steps[place] >= 100 else f"{steps[place]:g} %"
    if rollout.status == "paused":
        return (
            f"version {version} answers {where} and is paused: it gets no more until `ratchet "
            "rollout resume`, and goes back if it is worse (ratchet rollout)"
        )
    return (
        f"version {version} answers {where}; after {hold} and {seen} it gets {then}, "
        "or goes back if it is worse (ratchet rollout)"
    )


def read_classes(project: Project, ledger: Ledger) -> Callable[[int], tuple[Any, ...]]:
    """What reads a version's classes, in the order of its scores, from its bundle."""

    def read(version: int) -> tuple[Any, ...]:
        from ratchet.packaging.bundle import SIGNATURE

        place = project.state / ledger.version(version).bundle_path / SIGNATURE
        if not place.is_file():
            raise StorageError(
                f"The bundle of version {version} is not there",
                fix="bring the folder back from a backup, or: ratchet rollout abort (or "
                "ratchet experiment stop)",
                where=str(place.parent),
                code="no_bundle",
            )
        with storing():
            return tuple(json.loads(place.read_text(encoding="utf-8"))["classes"])

    return read


def _teller(project: Project) -> drive.Tell:
    def tell(occasion: Occasion, reason: str, rollout: Rollout) -> Sequence[Message]:
        from ratchet.alerts.messages import compose

        facts = {
            "rollout": rollout.rollout_id,
            "version": rollout.version,
            "previous": rollout.previous,
            "share": rollout.share,
        }
        at = f"at {rollout.share:g} % of the traffic" if rollout.stage >= 0 else "as a shadow"
        return compose(
            project.settings.alerts,
            occasion,
            project=project.name,
            reason=f"version {rollout.version}, {at}: {reason}",
            at=clock.now(),
            run_id=rollout.run_id,
            facts=facts,
        )

    return tell
