"""The process that looks: it holds the libraries, and may die of a project without the loop.

``python -m ratchet.loop.looker`` reads one JSON object a line and answers each with one line. What
the libraries print goes to its standard error. It ends when nobody speaks to it any more.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet import clock
from ratchet.errors import RatchetError
from ratchet.loop.projects import Opening
from ratchet.loop.tick import bug, tick
from ratchet.pipeline.store import storage_fault

if TYPE_CHECKING:
    from ratchet.ledger.runs import Outcome
    from ratchet.ledger.store import Ledger
    from ratchet.project import Project


def main() -> None:
    """Answer until there is nothing more to read."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("300", encoding="ascii")
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line)), default=str) + "\n")
        answers.flush()


def answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Do what is asked for: the answer or the fault, never an exception."""
    try:
        project = Opening.from_json(asked["opening"]).load(Path(asked["root"]))
        if asked["do"] == "bury":
            told = (asked["run"], asked["key"], asked["reason"])
            return {"ok": True, "data": bury(project, *told, final=asked["final"])}
        return {"ok": True, "data": tick(project, clock.now(), busy=asked["busy"]).to_json()}
    except RatchetError as error:
        return {"ok": False, "error": error.to_json()}
    except OSError as error:
        return {"ok": False, "error": storage_fault(error).to_json()}
    except Exception as error:  # noqa: BLE001 - the process's edge: other projects are waiting
        if os.environ.get("RATCHET_DEBUG"):
            traceback.print_exc()
        return {"ok": False, "error": bug(error).to_json()}


def bury(
    project: Project, run_id: str | None, key: str, reason: str, *, final: bool
) -> dict[str, Any]:
    """See to a run whose process died.

    One that may go on is left open: the policy has it gone on with, a few times. One that died of
    its limits, or too often, is ended as failed; as promoted, if that was done before it died.

    Args:
        run_id: the run, if it was one that was gone on with.
        final: going on would end in the same way.

    Raises:
        ConflictError: somebody else works on the project: the run goes on after all.
    """
    from ratchet.pipeline.telling import tell
    from ratchet.triggers.decide import MOST_ATTEMPTS

    with project.open_ledger() as ledger:
        with ledger.lease("ratchet loop, ending a run that died"):
            mine = [
                run
                for run in ledger.unfinished_runs()
                if run.run_id == run_id or (run.trigger_key is not None and run.trigger_key == key)
            ]
            over = [run.run_id for run in mine if final or run.attempts >= MOST_ATTEMPTS]
            for one in over:
                _end(project, ledger, one, reason)
            if not mine:
                _tell_not_begun(project, ledger, key, reason)
        tell(project, ledger)
    return {"ended": over, "left": [run.run_id for run in mine if run.run_id not in over]}


def _end(project: Project, ledger: Ledger, run_id: str, reason: str) -> None:
    from ratchet.alerts.messages import compose

    promoted = any(row.run_id == run_id for row in ledger.deployments("champion"))
    outcome: Outcome = "promoted" if promoted else "failed"
    error = {"code": "died", "what": reason, "why": "", "fix": "", "where": ""}
    notices = compose(
        project.settings.alerts,
        outcome,
        project=project.name,
        reason=reason,
        at=clock.now(),
        run_id=run_id,
    )
    ledger.finish_run(
        run_id, outcome, reason, summary={"run_id": run_id, "error": error}, notices=notices
    )


def _tell_not_begun(project: Project, ledger: Ledger, key: str, reason: str) -> None:
    from ratchet.alerts.messages import compose

    if any(run.trigger_key == key for run in ledger.runs(50)):
        return  # it ended itself, and died after that
    ledger.enqueue(
        compose(
            project.settings.alerts,
            "unhealthy",
            project=project.name,
            reason=f"a run could not begin: {reason}",
            at=clock.now(),
            topic="loop:run",
        )
    )


if __name__ == "__main__":
    main()
