"""What a run leaves beside the ledger: its record as JSON, its page, and a line a step."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ratchet import clock
from ratchet.pipeline import store
from ratchet.pipeline.outcome import Outcome, Run
from ratchet.pipeline.step import StepOutput
from ratchet.pipeline.steps.teaching import CHECKPOINTS, SEARCH

if TYPE_CHECKING:
    from ratchet.ledger.reader import LedgerReader
    from ratchet.project import Project

PAGE = "report.html"


def page_of(
    project: Project, run_id: str, outcome: Outcome, outputs: Mapping[str, StepOutput]
) -> str | None:
    """Where the run's page is, or will be; None for a run that changed nothing or got nowhere."""
    got_somewhere = "train" in outputs or (outcome != "skipped" and "ingest" in outputs)
    return str(project.runs / run_id / PAGE) if got_somewhere else None


def leave_record(
    project: Project, ledger: LedgerReader, ended: Run, outputs: Mapping[str, StepOutput]
) -> None:
    """Write ``run.json`` and, if the run has one, its page, into the run's folder."""
    folder = project.runs / ended.run_id
    body = ended.to_json()
    with store.storing():
        folder.mkdir(parents=True, exist_ok=True)
    store.write_atomic(folder / "run.json", json.dumps(body, indent=1, ensure_ascii=False))
    for left in (SEARCH, CHECKPOINTS):
        shutil.rmtree(folder / left, ignore_errors=True)
    if ended.report is None:
        return
    from ratchet.pipeline.steps.report import report_facts, run_facts, write_report

    started = ledger.get_run(ended.run_id).started.isoformat()
    with store.storing():
        write_report(folder, report_facts(project, outputs, run_facts(body, project, started)))


def log_step(
    project: Project,
    run_id: str,
    what: tuple[str, str, float, str],
    notes: Sequence[str] = (),
) -> None:
    """One JSON line in the run's own log: step, status, seconds, detail, and notes if any."""
    step, status, seconds, detail = what
    line = {
        "at": clock.now().isoformat(),
        "run": run_id,
        "step": step,
        "status": status,
        "seconds": round(seconds, 4),
        "detail": detail,
        **({"notes": list(notes)} if notes else {}),
    }
    folder = project.runs / run_id
    with store.storing():
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line, ensure_ascii=False) + "\n")
