"""A registered model held against minimum metrics, outside of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.errors import DataError, UsageError
from ratchet.pipeline.checking import read_all
from ratchet.pipeline.scoring import find_version

if TYPE_CHECKING:
    from ratchet.evaluation.metrics import Metrics
    from ratchet.gates.report import GateReport
    from ratchet.packaging.model import Model
    from ratchet.project import Project


@dataclass(frozen=True, slots=True)
class Validation:
    """What was held against what."""

    model: str
    version: int
    measured_on: str
    metrics: Mapping[str, float | None]
    report: GateReport

    def to_json(self) -> dict[str, Any]:
        """The validation as JSON values."""
        return {
            "model": self.model,
            "version": self.version,
            "measured_on": self.measured_on,
            "metrics": dict(self.metrics),
            **self.report.to_json(),
        }


def validate_version(
    project: Project, name: str | None, least: Mapping[str, float], data: Path | None
) -> Validation:
    """Judge a model version by minimum metrics.

    Args:
        name: ``NAME``, ``NAME@alias`` or ``NAME/version``; the project's champion without.
        least: metric to least value, to the largest of an error; the project's ``gates.minimum``
            when empty.
        data: labelled rows to measure on; the metrics stored in the bundle without.

    Raises:
        UsageError: no such model, or nothing to hold it against.
        DataError: the rows cannot be scored or have no labels.
    """
    from ratchet.evaluation.metrics import Metrics
    from ratchet.gates.report import GateReport
    from ratchet.gates.thresholds import judge_minimum
    from ratchet.packaging.model import Model

    if not least and not project.settings.gates.minimum:
        raise UsageError(
            "There is no minimum to hold the model against",
            fix="add an option such as --min-roc-auc 0.8 or --max-rmse 10, or set gates.minimum",
        )
    version = find_version(project, _reference(project, name))
    model = Model.load(project.state / version.bundle_path)
    if data is None:
        metrics = Metrics.from_json(model.metrics())
        measured_on = f"metrics of its own {metrics.rows:,} test rows"
    else:
        metrics = _measure(project, model, data)
        measured_on = f"{metrics.rows:,} rows of {data.name}"
    where = project.origins.of if not least else (lambda *_: "command line")
    report = GateReport(
        judge_minimum(metrics, dict(least) or project.settings.gates.minimum, where=where)
    )
    return Validation(project.name, version.version, measured_on, metrics.values(), report)


def _reference(project: Project, name: str | None) -> str:
    if name is None:
        return "champion"
    for mark in ("@", "/"):
        model, found, which = name.partition(mark)
        if found:
            break
    if model != project.name:
        raise UsageError(
            f"This project's model is {project.name}, not {model}",
            fix=f"name {project.name}, or another project with --project",
            code="no_model",
        )
    return which or "champion"


def _measure(project: Project, model: Model, data: Path) -> Metrics:
    from ratchet.data.sources.open_source import open_source
    from ratchet.data.task import Task
    from ratchet.evaluation.metrics import evaluate
    from ratchet.project import source_for_file

    target = project.settings.data.target
    kinds = {column.name: column.kind for column in model.signature.inputs}
    if target in project.settings.data.columns:
        kinds[target] = project.settings.data.columns[target]
    source = open_source(
        source_for_file(project.settings.data.source, data), project.root, columns=kinds
    )
    if target not in source.schema():
        raise DataError(
            f"{data.name} has no column {target}, so there is nothing to measure against",
            fix="give rows with their labels",
            code="column_missing",
        )
    frame = read_all(source)
    task = Task(model.task, model.classes)  # type: ignore[arg-type]
    return evaluate(
        task.encode(frame[target]), model.score(frame), task=task, threshold=model.threshold
    )
