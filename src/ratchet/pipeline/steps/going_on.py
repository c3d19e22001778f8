"""What a run leaves for the next training: the model as it can go on, and what won."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratchet.pipeline.steps.holdout import test_rows_unseen
from ratchet.pipeline.store import storing

if TYPE_CHECKING:
    from pathlib import Path

    from ratchet.ledger.reader import LedgerReader
    from ratchet.pipeline.step import StepContext, StepOutput
    from ratchet.training.blend import Blend
    from ratchet.training.previous import Previous

# Volatile: what training goes on from is no part of what was made.
PREVIOUS = "_previous.json"
CANDIDATES = "candidates.json"
FEWEST_NEW = 50
"""Threshold and calibration are learned on the new rows too: fewer say too little of them."""


def keep_for_later(context: StepContext, blend: Blend) -> None:
    """Leave what a refit or an incremental training of this model needs."""
    from ratchet.training.previous import Previous

    with storing():
        (context.folder / PREVIOUS).write_text(
            json.dumps(Previous.of(blend).to_json(), default=_plain), encoding="utf-8"
        )


def recall_previous(context: StepContext) -> Previous | str:
    """The serving model as training can go on from it, or why it cannot."""
    assert context.champion is not None
    version = context.champion["version"]
    previous = left_by_run(context.ledger, context.project.state, context.champion["run_id"])
    if previous is None:
        return f"the training files of the serving version {version} are not here any more"
    if context.update == "incremental":
        return _with_new_rows(context, previous)
    return previous


def previous_of(trained: StepOutput) -> Previous:
    """What a train step left for the next training."""
    from ratchet.training.previous import Previous

    return Previous.from_json(trained.json(PREVIOUS))


def left_by_run(ledger: LedgerReader, state: Path, run_id: str) -> Previous | None:
    """What a run's training left of its model; None if it is not here any more."""
    from ratchet.training.previous import Previous

    folder = step_folder(ledger, state, run_id, "train")
    if folder is None or not (folder / PREVIOUS).is_file():
        return None
    return Previous.from_json(json.loads((folder / PREVIOUS).read_text(encoding="utf-8")))


def past_winners(context: StepContext) -> dict[str, list[Mapping[str, Any]]]:
    """The tuned parameters of each candidate in the serving model's run: worth trying first."""
    if context.champion is None:
        return {}
    folder = step_folder(context.ledger, context.project.state, context.champion["run_id"], "train")
    if folder is None or not (folder / CANDIDATES).is_file():
        return {}
    records = json.loads((folder / CANDIDATES).read_text(encoding="utf-8"))
    return {record["name"]: [record["tuned"]] for record in records if record.get("tuned")}


def new_rows_start(context: StepContext) -> int | str:
    """The position of the first stored row that the serving model's run had not, or why none."""
    assert context.champion is not None
    folder = step_folder(
        context.ledger, context.project.state, context.champion["run_id"], "ingest"
    )
    facts = folder / "facts.json" if folder is not None else None
    if facts is None or not facts.is_file():
        return "what the serving model was trained on is not known any more"
    known = json.loads(facts.read_text(encoding="utf-8"))
    now = context.outputs["ingest"].facts
    if context.settings.data.sample is not None:
        return "a sample of the rows changes with the rows"
    if now["version"] <= known["version"] or now["rows"] <= known["rows"]:
        return "there are no new rows"
    since = [
        version
        for version in context.workspace.lake.history(now["table"])
        if known["version"] < version.version <= now["version"]
    ]
    if any(version.change != "appended" for version in since):
        return "the table was replaced, not added to"
    return int(known["rows"])


def step_folder(ledger: LedgerReader, state: Path, run_id: str, step: str) -> Path | None:
    """Where the outputs of a run's step lie, its own or the reused ones; None if they are gone."""
    for done in ledger.steps(run_id):
        if done.name == step and done.status == "finished" and done.folder is not None:
            folder = state / done.folder
            return folder if folder.is_dir() else None
    return None


def _with_new_rows(context: StepContext, previous: Previous) -> Previous | str:
    if all(member.saved is None for member in previous.members):
        return "no algorithm of the serving model can go on training"
    start = new_rows_start(context)
    if isinstance(start, str):
        return start
    new = context.outputs["ingest"].facts["rows"] - start
    if new < FEWEST_NEW:
        return f"{new:,} new rows are too few to learn from alone: {FEWEST_NEW} are needed"
    if not test_rows_unseen(context, context.champion["run_id"] if context.champion else ""):
        return "the serving model has learned rows that test now: the split has moved"
    return previous


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    return value.item()
