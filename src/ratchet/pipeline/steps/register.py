"""Writes the run into ledger and MLflow; a model that passed becomes a version that serves.

Every part may be repeated: a run that died in the middle of it makes the same version again, not
another one. The ledger says what serves; MLflow's aliases follow.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ratchet.errors import ConflictError, EnvironmentFault
from ratchet.evaluation.compare import SAME_SCORES
from ratchet.pipeline.bundles import BUNDLE, is_whole
from ratchet.pipeline.step import Step, StepContext
from ratchet.pipeline.steps import evaluate, gate, report, train, validate
from ratchet.pipeline.steps.tracking import run_log
from ratchet.pipeline.store import storing

if TYPE_CHECKING:
    from ratchet.ledger.results import CandidateRecord
    from ratchet.ledger.versions import Version
    from ratchet.registry.mlflow import MlflowTracking


def execute(context: StepContext) -> Mapping[str, Any]:
    """Facts: the outcome, its reason, and the registered model if there is one."""
    _record_results(context)
    same = _same_as_champion(context)
    if same is not None:
        return same
    verdict = context.outputs["gate"].facts["verdict"]
    direct = _at_once(context)
    outcome = "rejected" if not verdict["passed"] else "promoted" if direct else "candidate"
    tracking = context.project.open_tracking()
    with _artifacts(context) as folder:
        tracked = tracking.log_run(run_log(context, outcome, verdict["reason"]), folder)
    if not verdict["passed"]:
        return {"outcome": outcome, "reason": verdict["reason"], "model": None}
    version = _register(context, tracking, tracked)
    proof = _proof(context)
    if direct:
        _promote(context, tracking, version, proof)
        reason = proof
    else:
        reason = _roll_out(context, tracking, version, proof)
    return {"outcome": outcome, "reason": reason, "model": _model(context, version)}


def _at_once(context: StepContext) -> bool:
    """Whether a model that passed answers everything at once: also the first one of all."""
    if _only_looks(context):
        return False
    rules = context.settings.rollout
    trial = context.ledger.live_experiment()
    if trial is not None and trial.open:
        return False  # a promotion would end the experiment, which has cost days
    return context.champion is None or (rules.strategy == "direct" and not rules.approval)


def _only_looks(context: StepContext) -> bool:
    """Whether the run is to look closer only: told by its trigger, however it is gone on with."""
    from ratchet.ledger.triggers import only_looks

    return only_looks(context.ledger.get_run(context.run_id).trigger)


def _same_as_champion(context: StepContext) -> dict[str, Any] | None:
    """The end of a run that made the model that serves once more; None for every other run."""
    champion = context.champion
    if champion is None:
        return None
    found = context.outputs["evaluate"].json(evaluate.COMPARISON)["comparison"]
    if champion["bundle_digest"] == context.outputs["package"].facts["digest"]:
        this = f"this model is byte for byte the champion, version {champion['version']}"
    elif found is not None and found["reason"] == SAME_SCORES and _decides_otherwise(context):
        return {
            "outcome": "rejected",
            "reason": f"this model scores the test rows as version {champion['version']} and "
            "differs in its decision threshold alone, which "
            f"{found['metric']} does not look at. To compare the decisions, set "
            "gates.champion.metric to one they matter to, such as f1_positive or accuracy",
            "model": None,
        }
    elif found is not None and found["reason"] == SAME_SCORES:
        # As after an upgrade of Ratchet, or with another description.
        this = f"this model scores the test rows as the champion, version {champion['version']}"
    else:
        return None
    failed = [
        f"{item['name']}: {item['reason']}"
        for item in context.outputs["gate"].json(gate.REPORT)["results"]
        if not item["passed"] and item["group"] != "champion"
    ]
    if failed:
        reason = f"{this}, which does not pass its gates any more: {'; '.join(failed)}"
        return {"outcome": "rejected", "reason": reason, "model": None}
    return {"outcome": "skipped", "reason": f"nothing changed: {this}", "model": None}


def _decides_otherwise(context: StepContext) -> bool:
    """Whether the new model's threshold is another one than the champion's."""
    assert context.champion is not None
    before = context.ledger.version(context.champion["version"]).threshold
    return bool(before != context.outputs["package"].facts["threshold"])


def _record_results(context: StepContext) -> None:
    """Candidates, metrics and gates in columns made for SQL."""
    from ratchet.ledger.results import GateRecord

    context.ledger.record_candidates(context.run_id, _candidates(context))
    verdicts = context.outputs["gate"].json(gate.REPORT)["results"]
    context.ledger.record_gates(
        context.run_id,
        [
            GateRecord(
                item["name"],
                item["passed"],
                item["value"],
                item["threshold"],
                item["reason"],
                item["where"],
            )
            for item in verdicts
        ],
    )


def _candidates(context: StepContext) -> list[CandidateRecord]:
    from ratchet.ledger.results import CandidateRecord, Measure

    trained, evaluated = context.outputs["train"], context.outputs["evaluate"]
    seconds = trained.json(train.TIMING)
    held_out = evaluated.json(evaluate.HELD_OUT)
    best = trained.facts["best"]
    estimates = evaluated.json(evaluate.METRICS)["estimates"]
    found = []
    for record in trained.json(train.CANDIDATES):
        name = record["name"]
        measures = [
            Measure(metric, "cv", mean, std=std) for metric, (mean, std) in record["cv"].items()
        ]
        if name == best:
            measures += [
                Measure(metric, "test", item["value"], item["low"], item["high"])
                for metric, item in estimates.items()
            ]
        else:
            test = held_out.get(name, {}).get("test", {})
            measures += [Measure(metric, "test", value) for metric, value in test.items()]
        found.append(
            CandidateRecord(
                name,
                record["algorithm"],
                name == best,
                record["params"],
                seconds[name],
                record["error"],
                tuple(measures),
            )
        )
    return found


@contextmanager
def _artifacts(context: StepContext) -> Iterator[Path]:
    """A folder of what MLflow is to keep with the run: plots, metrics, checks, predictions."""
    outputs = context.outputs
    with storing(), TemporaryDirectory(prefix="ratchet-") as name:
        folder = Path(name)
        shutil.copytree(outputs["evaluate"].file(evaluate.PLOTS), folder / evaluate.PLOTS)
        for step, file in (
            ("validate", validate.REPORT),
            ("evaluate", evaluate.METRICS),
            ("evaluate", evaluate.SLICES),
            ("evaluate", evaluate.IMPORTANCE),
            ("evaluate", evaluate.EXPLANATION),
            ("evaluate", evaluate.COMPARISON),
            ("evaluate", evaluate.PREDICTIONS),
            ("gate", gate.REPORT),
            ("report", report.PAGE),
        ):
            shutil.copy(outputs[step].file(file), folder / file)
        shutil.copy(outputs["package"].file(BUNDLE) / "card.md", folder / "card.md")
        yield folder


def _register(context: StepContext, tracking: MlflowTracking, tracked: str) -> Version:
    """The bundle in its lasting place, in the ledger, and in MLflow's registry."""
    from ratchet.registry.versions import NewVersion

    packaged = context.outputs["package"].facts
    place = _keep_bundle(context)
    version = context.ledger.add_version(
        context.run_id,
        packaged["digest"],
        place.relative_to(context.project.state).as_posix(),
        threshold=packaged["threshold"],
        schema_digest=packaged["schema_digest"],
    )
    registered = tracking.register(
        context.project.name,
        NewVersion(
            version=version.version,
            run_id=context.run_id,
            bundle=place,
            bundle_digest=packaged["digest"],
            tracked_run=tracked,
            description=context.settings.description,
        ),
    )
    return context.ledger.link_version(version.version, registered.version)


def _keep_bundle(context: StepContext) -> Path:
    """Copy the bundle out of the run's folder, which may be cleaned away one day."""
    digest = context.outputs["package"].facts["digest"]
    place: Path = context.project.bundles / digest[:16]
    partial = place.with_name(f".{place.name}.partial")
    with storing():
        if not is_whole(place, digest):  # one of this digest that was altered is mended
            shutil.rmtree(place, ignore_errors=True)
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(context.outputs["package"].file(BUNDLE), partial)
            partial.rename(place)
    return place


def _proof(context: StepContext) -> str:
    """Why the model may serve."""
    reason: str = context.outputs["gate"].facts["verdict"]["reason"]
    alone = ""
    if context.outputs["train"].facts.get("alone"):
        alone = "; compared with no other candidate, for want of time"
    if context.champion is None:
        return f"{reason}; the first champion{alone}"
    found = context.outputs["evaluate"].facts
    version_before = f"version {context.champion['version']}"
    if found["verdict_on_champion"] == "superior":
        return f"{reason}; better than {version_before} by {found['difference']:.4f}{alone}"
    return f"{reason}; not worse than {version_before} by the margin or more{alone}"


def _promote(context: StepContext, tracking: MlflowTracking, version: Version, proof: str) -> None:
    from ratchet.registry.promotion import apply, plan_promotion

    plan = plan_promotion(
        context.ledger, None, version.version, by="run", reason=proof, run_id=context.run_id
    )
    apply(plan, context.ledger, None)
    _show(context, tracking)


def _roll_out(context: StepContext, tracking: MlflowTracking, version: Version, proof: str) -> str:
    """Begin the rollout; the reason says what happens next."""
    from ratchet.pipeline.rolling import begin, goes_on

    try:
        rollout = begin(
            context.project,
            context.ledger,
            version.version,
            by="run",
            reason=proof,
            run_id=context.run_id,
            only_looks=_only_looks(context),
        )
    except ConflictError as error:
        if error.name not in (
            "rollout_in_progress",
            "experiment_in_progress",
            "traffic_split",
            "no_champion",
        ):
            raise
        # What serves is somebody else's at present. The version is kept, and nothing is lost.
        start = f"ratchet rollout start {version.version}"
        return f"{proof}; version {version.version} waits, as {_lower(error.what)}: then {start}"
    _show(context, tracking)
    return f"{proof}; {goes_on(rollout)}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _show(context: StepContext, tracking: MlflowTracking) -> None:
    from ratchet.registry.promotion import reconcile

    try:
        reconcile(context.ledger, tracking)
    except EnvironmentFault as error:
        # What serves is decided and stored; the aliases follow with the next run or promotion.
        context.reporter.note(f"MLflow's aliases are behind: {error}")


def _model(context: StepContext, version: Version) -> dict[str, Any]:
    return {
        "name": context.project.name,
        "version": version.version,
        "uri": f"models:/{context.project.name}/{version.mlflow_version}",
        "bundle": str(context.project.state / version.bundle_path),
        "digest": version.bundle_digest,
    }


def _says(facts: Mapping[str, Any]) -> str:
    if facts["model"] is None:
        return "no new version"
    what = "is champion" if facts["outcome"] == "promoted" else "is a candidate"
    return f"version {facts['model']['version']} {what} ({facts['model']['uri']})"


STEP = Step(
    name="register",
    inputs=("ingest", "train", "evaluate", "package", "gate", "report"),
    settings=lambda settings: None,
    execute=execute,
    says=_says,
    # Repeating it changes nothing that is there already; skipping it could leave a half.
    reusable=False,
    uses_champion=True,
)
