"""Experiments: two versions answer side by side until one is proven better, or time is up.

An experiment is a row that changes, and an event for each change (``experiment_steps.py``). At
most one of a project is open, and none while a rollout is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, select

from ratchet.errors import UsageError
from ratchet.ledger.tables import experiments

Status = Literal["running", "waiting", "decided", "applied", "stopped"]
Verdict = Literal["better", "worse", "not enough evidence"]

CHANGED: Final = "experiment_changed"
CHALLENGER: Final = "challenger"
"""The arm of the version that is tried; the other one is the champion's."""

OPEN: tuple[Status, ...] = ("running", "waiting")


@dataclass(frozen=True, slots=True)
class Experiment:
    """Two versions and what is asked of them.

    Attributes:
        seq: the number of the event that changed it last; changing it takes this number.
        status: ``running``: both answer; ``waiting``: the champion answers everything, and labels
            of the last answers still come; ``decided``: it has its verdict; ``applied``: the
            winner was promoted; ``stopped``: it ended without a verdict.
        a, b: the champion when it began, and the version that is tried.
        share: b's part of the entities in percent.
        rules: what it goes by, fixed when it began.
        record: the number of the record of what serves that it stands on.
        ends: when the last entity is assigned at the latest.
        stopped: when it was; None while it is running.
        evidence: what the last look found.
    """

    experiment_id: str
    seq: int
    changed: datetime
    name: str
    status: Status
    a: int
    b: int
    share: float
    metric: str
    rules: Mapping[str, Any]
    salt: str
    record: int | None
    started: datetime
    ends: datetime
    stopped: datetime | None
    decided: datetime | None
    verdict: Verdict | None
    evidence: Mapping[str, Any]
    by: str
    reason: str

    @property
    def open(self) -> bool:
        """Whether it is still to get its verdict."""
        return self.status in OPEN

    @property
    def pending(self) -> bool:
        """Whether its winner is still to be promoted by itself."""
        return (
            self.status == "decided" and self.verdict == "better" and bool(self.rules.get("apply"))
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """An experiment, asked for.

    Attributes:
        a: the version that must be champion.
        forced: let b answer although its gates did not pass.
    """

    name: str
    a: int
    b: int
    share: float
    metric: str
    ends: datetime
    rules: Mapping[str, Any]
    by: str
    reason: str
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """A change of an experiment, asked for; what is None stays as it is.

    Attributes:
        expected_seq: ``Experiment.seq`` when this was decided.
        clear: have the champion answer everything from then on.
        rules: rules that change.
    """

    experiment_id: str
    expected_seq: int
    by: str
    reason: str
    status: Status | None = None
    verdict: Verdict | None = None
    evidence: Mapping[str, Any] | None = None
    clear: bool = False
    rules: Mapping[str, Any] = field(default_factory=dict)


def list_experiments(connection: Connection, project: str) -> tuple[Experiment, ...]:
    """The experiments, the one that changed last first."""
    query = select(experiments).where(experiments.c.project == project)
    found = connection.execute(query.order_by(experiments.c.seq.desc()))
    return tuple(_experiment(row) for row in found)


def get_experiment(connection: Connection, project: str, name: str) -> Experiment:
    """One experiment, by its name or id. Raises UsageError when there is none."""
    same = (experiments.c.experiment_id == name) | (experiments.c.name == name)
    row = connection.execute(
        select(experiments).where(experiments.c.project == project, same)
    ).one_or_none()
    if row is None:
        raise UsageError(
            f"There is no experiment {name}",
            fix="see them with: ratchet experiment list",
            code="no_experiment",
        )
    return _experiment(row)


def live_experiment(connection: Connection, project: str) -> Experiment | None:
    """The experiment with something still to be decided or done, or None."""
    query = select(experiments).where(
        experiments.c.project == project, experiments.c.status.in_((*OPEN, "decided"))
    )
    found = [_experiment(row) for row in connection.execute(query)]
    alive = [each for each in found if each.open or each.pending]
    return max(alive, key=lambda each: (each.open, each.seq), default=None)


def experiment_place(project: str, experiment_id: str) -> Any:
    """The condition that finds an experiment's row."""
    return (experiments.c.project == project) & (experiments.c.experiment_id == experiment_id)


def row_of(found: Experiment) -> dict[str, Any]:
    """An experiment as the columns of its row."""
    row = {name: getattr(found, name) for name in Experiment.__slots__}
    row["arms"] = {"a": row.pop("a"), "b": row.pop("b")}
    row["split"] = {"b": row.pop("share")}
    return row


def _experiment(row: Row[Any]) -> Experiment:
    fields = dict(row._mapping)
    del fields["project"]
    arms, split = fields.pop("arms"), fields.pop("split")
    return Experiment(a=arms["a"], b=arms["b"], share=split["b"], **fields)
