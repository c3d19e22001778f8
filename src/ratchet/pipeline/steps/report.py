"""Writes the run report: one HTML page that tells everything about the run, and its facts."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.pipeline.bundles import BUNDLE
from ratchet.pipeline.report import points, reading
from ratchet.pipeline.report.facts import (
    CandidateFacts,
    CheckFacts,
    ComparisonFacts,
    FeatureFacts,
    MemberFacts,
    ModelFacts,
    Outcome,
    ReportFacts,
    ReproductionFacts,
    RunFacts,
    StepFacts,
    TaskFacts,
)
from ratchet.pipeline.step import Step, StepContext, StepOutput
from ratchet.pipeline.steps import evaluate, features, gate, train, validate
from ratchet.pipeline.steps.going_on import PREVIOUS
from ratchet.pipeline.steps.train import window_said

if TYPE_CHECKING:
    from ratchet.project import Project

PAGE = "report.html"
FACTS = "report.json"

Outputs = Mapping[str, StepOutput]


def execute(context: StepContext) -> Mapping[str, Any]:
    """Leaves ``report.html`` and ``report.json``, as far as the run is known before its end."""
    page = write_report(
        context.folder, report_facts(context.project, context.outputs, _so_far(context))
    )
    return {"size": page}


def write_report(folder: Path, facts: ReportFacts) -> int:
    """Write the page and its facts into ``folder``; the page's size in bytes."""
    from ratchet.pipeline.report.page import render_report

    page = render_report(facts).encode()
    (folder / PAGE).write_bytes(page)
    text = json.dumps(facts.to_json(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    (folder / FACTS).write_text(text + "\n", encoding="utf-8", errors="replace")
    return len(page)


def report_facts(project: Project, outputs: Outputs, run: RunFacts) -> ReportFacts:
    """Everything that the steps left, as far as the run got.

    Args:
        project: whose run it is.
        outputs: of the steps that finished, by name.
        run: which run, and what it ended in (`run_facts`).
    """
    task = _task(project, outputs)
    metric = task.metric if task else ""
    evaluated, gated = outputs.get("evaluate"), outputs.get("gate")
    measured = evaluated.json(evaluate.METRICS) if evaluated else None
    importance = _optional(evaluated, evaluate.IMPORTANCE)
    drawn = _optional(evaluated, evaluate.POINTS)
    explained = _optional(evaluated, evaluate.EXPLANATION) or {}
    return ReportFacts(
        run=run,
        task=task,
        model=_model(outputs, measured) if _made(outputs) else None,
        comparison=_comparison(evaluated, gated, run.champion),
        data=_data(outputs) if "ingest" in outputs else None,
        checks=_checks(outputs),
        candidates=_candidates(outputs) if _made(outputs) else (),
        search=_search(project, outputs, metric),
        gates=tuple(map(reading.read_gate, gated.json(gate.REPORT)["results"])) if gated else (),
        slices=reading.read_slices(evaluated.json(evaluate.SLICES), metric) if evaluated else (),
        curves=points.read_curves(drawn, task.target if task else "") if drawn else None,
        confusion=tuple(map(tuple, measured["confusion"])) if measured else (),
        classes=reading.read_classes(measured) if measured else (),
        importance=_importance(importance, evaluated, task) if importance else None,
        explanation=points.read_explanation(explained.get("explanation")),
        unexplained=explained.get("problem", ""),
        features=_features(outputs),
        reproduction=_reproduction(outputs) if "package" in outputs else None,
    )


def run_facts(body: Mapping[str, Any], project: Project, started: str = "") -> RunFacts:
    """A run that ended, from ``Run.to_json``."""
    model, champion = body.get("model") or {}, body.get("champion") or {}
    return RunFacts(
        project=project.name,
        run_id=body["run_id"],
        outcome=body["outcome"],
        reason=body["reason"],
        started=started,
        seconds=body["seconds"],
        trigger=body["trigger"],
        description=project.settings.description,
        version=str(model["version"]) if model else None,
        champion=str(champion["version"]) if champion else None,
        uri=model.get("uri", ""),
        update=body.get("update", ""),
        climbed=tuple((climb["update"], climb["reason"]) for climb in body.get("climbed", ())),
        fault=reading.read_fault(body.get("error")),
        steps=reading.read_steps(body["steps"]),
    )


def _so_far(context: StepContext) -> RunFacts:
    """The run as it is known before its end: judged, but not registered."""
    verdict = context.outputs["gate"].facts["verdict"]
    outcome: Outcome = "passed" if verdict["passed"] else "rejected"
    steps = context.ledger.steps(context.run_id)
    return RunFacts(
        project=context.project.name,
        run_id=context.run_id,
        outcome=outcome,
        reason=verdict["reason"],
        started=context.ledger.get_run(context.run_id).started.isoformat(),
        trigger=context.request.trigger,
        description=context.settings.description,
        champion=str(context.champion["version"]) if context.champion else None,
        update=context.update,
        steps=tuple(
            StepFacts(step.name, "reused" if step.cached else "done", step.seconds or 0.0)
            for step in steps
            if step.status == "finished"
        ),
    )


def _optional(output: StepOutput | None, name: str) -> Any:
    """A file that not every run has, read."""
    if output is None or not output.file(name).is_file():
        return None
    return output.json(name)


def _made(outputs: Outputs) -> bool:
    """Whether there is a model: an update that cannot be made leaves a verdict only."""
    return "train" in outputs and "best" in outputs["train"].facts


def _task(project: Project, outputs: Outputs) -> TaskFacts | None:
    if "split" not in outputs:
        return None
    raw = outputs["split"].facts["task"]
    metric = outputs["train"].facts["metric"] if _made(outputs) else ""
    classes = tuple(reading.label_text(label) for label in raw["classes"])
    return TaskFacts(raw["kind"], project.settings.data.target, classes, metric)


def _data(outputs: Outputs) -> Any:
    split = outputs["split"].facts if "split" in outputs else None
    return reading.read_data(outputs["ingest"].facts, split)


def _checks(outputs: Outputs) -> tuple[CheckFacts, ...]:
    """The report of the checks, with the one that can only be made after the split."""
    if "validate" not in outputs:
        return ()
    results = [*outputs["validate"].json(validate.REPORT)["results"]]
    overlap = outputs["split"].facts["overlap"] if "split" in outputs else None
    return tuple(map(reading.read_check, [*results, overlap] if overlap else results))


def _model(outputs: Outputs, measured: Mapping[str, Any] | None) -> ModelFacts:
    trained, facts = outputs["train"], outputs["train"].facts
    best = next(one for one in trained.json(train.CANDIDATES) if one["name"] == facts["best"])
    packaged = outputs.get("package")
    interval, calibration = facts.get("interval"), facts.get("calibration")
    return ModelFacts(
        name=facts["best"],
        algorithm=facts["algorithm"],
        reason=facts["reason"],
        params=reading.read_params(best["params"]),
        members=_members(trained),
        metrics=reading.read_metrics(measured) if measured else (),
        confidence=measured["confidence"] if measured else 0.95,
        rows=measured["rows"] if measured else None,
        threshold=reading.read_threshold(facts.get("threshold")),
        calibration=calibration["method"] if calibration else "",
        uncalibrated=facts.get("uncalibrated", ""),
        learned=window_said(facts),
        interval=(interval["coverage"], interval["low"], interval["high"]) if interval else None,
        form=packaged.facts["kind"] if packaged else "",
        size=packaged.facts["size"] if packaged else None,
        digest=packaged.facts["digest"] if packaged else "",
        refused=tuple(facts.get("passed_over", ())),
        notes=tuple(facts.get("notes", ())),
    )


def _members(trained: StepOutput) -> tuple[MemberFacts, ...]:
    """The models of an ensemble; none where there is only one."""
    members = trained.facts.get("members", ())
    if len(members) < 2:
        return ()
    return reading.read_members(members, trained.json(PREVIOUS)["members"])


def _comparison(
    evaluated: StepOutput | None, gated: StepOutput | None, champion: str | None
) -> ComparisonFacts | None:
    """The comparison as evaluated; what it proves as the gate said, which knows its level."""
    if evaluated is None or champion is None:
        return None
    results = gated.json(gate.REPORT)["results"] if gated else ()
    judged: Mapping[str, Any] = next(
        (result for result in results if result["name"] == "champion"), {}
    )
    return reading.read_comparison(evaluated.json(evaluate.COMPARISON), champion, judged)


def _candidates(outputs: Outputs) -> tuple[CandidateFacts, ...]:
    trained, evaluated = outputs["train"], outputs.get("evaluate")
    held_out = evaluated.json(evaluate.HELD_OUT) if evaluated else {}
    seconds, best = trained.json(train.TIMING), trained.facts["best"]
    return tuple(
        reading.read_candidate(record, best, held_out, seconds)
        for record in trained.json(train.CANDIDATES)
    )


def _search(project: Project, outputs: Outputs, metric: str) -> Any:
    raw = _optional(outputs.get("train"), train.TRIALS)
    if not raw:
        return None
    tuning = project.settings.training.tuning
    budget = None if tuning == "off" else tuning.seconds
    return reading.read_search(raw, metric, budget)


def _importance(raw: Any, evaluated: StepOutput | None, task: TaskFacts | None) -> Any:
    usual = "rmse" if task is not None and task.kind == "regression" else "log_loss"
    told = evaluated.facts.get("importance_metric") if evaluated is not None else None
    return reading.read_importance(raw, told or usual)


def _features(outputs: Outputs) -> tuple[FeatureFacts, ...]:
    """As the shipped recipes make them, else as the plan says."""
    packaged = outputs.get("package")
    if packaged is not None:
        from ratchet.features.recipe import Recipe

        files = sorted(path.name for path in packaged.file(BUNDLE).glob("recipe*.json"))
        recipes = [Recipe.from_json(packaged.json(f"{BUNDLE}/{name}")) for name in files]
        notes = {note.name: note for recipe in recipes for note in recipe.describe()}
        return reading.read_features([note.to_json() for note in notes.values()])
    planned = _optional(outputs.get("features"), features.FILE)
    return reading.read_features(planned["features"]) if planned else ()


def _reproduction(outputs: Outputs) -> ReproductionFacts:
    raw = outputs["package"].json(f"{BUNDLE}/metadata.json")
    version = outputs["ingest"].facts["version"]
    command = shlex.join(["ratchet", "run", "--data-version", str(version), "--force"])
    return ReproductionFacts(
        command,
        raw["seed"],
        raw["code_version"],
        raw["config_digest"],
        tuple(raw["libraries"].items()),
    )


def _says(facts: Mapping[str, Any]) -> str:
    return f"{PAGE}, {facts['size'] / 1000:,.0f} kB"


STEP = Step(
    name="report",
    inputs=("ingest", "validate", "split", "features", "train", "evaluate", "package", "gate"),
    settings=lambda settings: settings.description,
    execute=execute,
    says=_says,
    # It names this run and its times, which no other run has.
    reusable=False,
    uses_champion=True,
)
