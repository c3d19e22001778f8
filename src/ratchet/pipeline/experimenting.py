"""Experiments of a project: its lake, bundles, alerts and MLflow put together for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ratchet import clock
from ratchet.errors import UsageError
from ratchet.ids import token
from ratchet.pipeline.bundles import require_bundle
from ratchet.pipeline.rolling import read_classes
from ratchet.pipeline.store import storing
from ratchet.rollout import experiment as drive
from ratchet.rollout.drive import show_aliases

if TYPE_CHECKING:
    from ratchet.alerts.messages import Message
    from ratchet.ledger.experiments import Experiment, Trial
    from ratchet.ledger.store import Ledger
    from ratchet.project import Project
    from ratchet.registry.plans import PromotionPlan
    from ratchet.rollout.comparison import Comparison, Estimate
    from ratchet.rollout.experiment import Look
    from ratchet.rollout.experiment_plan import Plan
    from ratchet.rollout.experiment_rows import Seen

FOLDER: Final = "experiments"


def plan(
    project: Project,
    ledger: Ledger,
    trial: Trial,
    *,
    days: float,
    margin: float | None,
) -> Plan:
    """Say what an experiment can show before it starts. Raises as ``experiment_plan.plan``."""
    from ratchet.rollout.experiment_plan import plan as plan_it

    classes = read_classes(project, ledger)
    return plan_it(project.open_lake(), trial, classes, clock.now(), days=days, margin=margin)


def advance(project: Project, ledger: Ledger, now: datetime | None = None) -> Look | None:
    """Look at the experiment at work, if there is one. Raises as ``experiment.advance``.

    A step that is taken leaves the report behind.
    """
    moment = now or clock.now()
    look = drive.advance(
        ledger,
        project.open_lake,
        classes=read_classes(project, ledger),
        now=moment,
        registry=project.open_tracking,
        tell=_teller(project),
    )
    if look is not None and look.changed and look.did != "ended":
        write_report(project, ledger, look.experiment, report_place(project, look.experiment))
    return look


def stop(project: Project, ledger: Ledger, name: str, *, by: str, reason: str) -> Experiment:
    """End an experiment without a verdict. Raises as ``experiment.stop``."""
    return drive.stop(ledger, name, by=by, reason=reason)


def look_back(
    project: Project, ledger: Ledger, found: Experiment
) -> tuple[Comparison, tuple[Estimate, ...], Seen]:
    """What an experiment comes to now, or came to when it was decided; nothing is changed.

    Raises:
        StorageError: the lake cannot be read, or a bundle is gone.
    """
    from ratchet.rollout.experiment_evidence import look_back as look_at

    return look_at(
        project.open_lake(), found, read_classes(project, ledger), found.decided or clock.now()
    )


def apply_winner(
    project: Project,
    ledger: Ledger,
    found: Experiment,
    *,
    by: str,
    force: bool = False,
    reason: str = "",
    dry_run: bool = False,
) -> tuple[PromotionPlan, str]:
    """Promote the winner through the plan that ``ratchet promote`` makes.

    Returns:
        The plan, and why MLflow's aliases are behind, if they are.

    Raises:
        ConflictError: b is not proven better, or the champion is another one meanwhile.
        DataError: its bundle is not the one that was registered.
        UsageError: forced without a reason.
    """
    from ratchet.registry.promotion import apply, plan_promotion

    if force and not reason.strip():
        raise UsageError(
            "A verdict is overruled only with a reason", fix="say why: --reason", code="no_reason"
        )
    drive.check_winner(ledger, found, force=force)
    told = drive.winning(found)
    made = plan_promotion(
        ledger,
        None,
        found.b,
        by=by,
        reason=f"{told}; {reason}" if reason else told,
        force=drive.gates_overruled(ledger, found, force=force),
    )
    if made.refusal:
        return made, ""
    require_bundle(project, ledger, found.b)
    if dry_run:
        return made, ""
    with ledger.lease("ratchet experiment apply"):
        apply(made, ledger, None)
        drive.note_applied(ledger, found, by=by, reason=found.reason)
    return made, show_aliases(ledger, project.open_tracking)


def report_place(project: Project, found: Experiment) -> Path:
    """Where an experiment's report is kept."""
    return project.state / FOLDER / f"{found.name}.html"


def write_report(project: Project, ledger: Ledger, found: Experiment, place: Path) -> None:
    """Write an experiment's report as one page. Raises StorageError: it cannot be written."""
    from ratchet.pipeline.report.experiment import render_experiment

    comparison, path, seen = look_back(project, ledger, found)
    page = render_experiment(found, comparison, path, seen, project.name)
    with storing():
        if place.parent == project.state / FOLDER:
            project.prepare_state()
            place.parent.mkdir(exist_ok=True)
        partial = place.with_name(f".{place.name}.{token()}")
        partial.write_text(page, encoding="utf-8")
        partial.replace(place)


def _teller(project: Project) -> drive.Tell:
    def tell(reason: str, found: Experiment) -> Sequence[Message]:
        from ratchet.alerts.messages import compose

        return compose(
            project.settings.alerts,
            "experiment",
            project=project.name,
            reason=f"experiment {found.name}: {reason}",
            at=clock.now(),
            facts={"experiment": found.name, "a": found.a, "b": found.b, "metric": found.metric},
        )

    return tell
