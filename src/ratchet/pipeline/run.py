"""One pass of the pipeline: from the trigger to exactly one outcome.

Whatever happens, the run is in the ledger with its reason. A process that dies leaves the run
open; the next one takes the lease over, goes on from the last finished step, and ends it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ratchet import clock, ids
from ratchet.errors import RatchetError, UnreachableError, UsageError
from ratchet.ledger.history import SOURCE
from ratchet.ledger.triggers import only_looks
from ratchet.pipeline import store
from ratchet.pipeline.allowance import Allowance
from ratchet.pipeline.cache import inputs_key, result_settings, step_key
from ratchet.pipeline.checking import check_settings, stale
from ratchet.pipeline.commit import read_commit
from ratchet.pipeline.ending import leave_record, log_step, page_of
from ratchet.pipeline.graph import STEPS
from ratchet.pipeline.outcome import Climb, Outcome, Run, StepRecord
from ratchet.pipeline.request import Request
from ratchet.pipeline.settings_log import note_settings
from ratchet.pipeline.step import Reporter, Rung, Silent, Step, StepContext, StepOutput
from ratchet.pipeline.telling import notices, tell
from ratchet.pipeline.updating import JUDGED, MADE, climbs, ladder, no_time_for
from ratchet.pipeline.workspace import Workspace
from ratchet.project import Project, load_project
from ratchet.training.deadline import out_of_time

if TYPE_CHECKING:
    from pathlib import Path

    from ratchet.ledger.store import Ledger

# A service that is away for a moment must not cost a training run.
_RETRY_SECONDS = (0.5, 2.0)


def run(
    project: Project | Path | str,
    request: Request | None = None,
    *,
    reporter: Reporter | None = None,
) -> Run:
    """Run the pipeline of a project, or of the project in a folder, once.

    Faults of a step end the run as ``failed`` and are in its ``fault``.

    Raises:
        ConfigError, MissingExtraError: the settings cannot be worked with.
        ConflictError: another process holds the project.
        UsageError: the request names a run, a step or a version that is not there.
        StorageError, UnreachableError: the ledger itself fails; the run stays open.
    """
    if not isinstance(project, Project):
        project = load_project(project)
    request = request or Request()
    if request.until is not None and request.until not in [step.name for step in STEPS]:
        names = ", ".join(step.name for step in STEPS)
        raise UsageError(f"There is no step `{request.until}`", fix=f"the steps are {names}")
    check_settings(project)
    with project.open_ledger() as ledger:
        with ledger.lease("ratchet run"):
            note_settings(project, ledger)
            ended = _Session(project, ledger, request, reporter or Silent()).work()
        tell(project, ledger)
    return ended


class _Session:
    """The state of one pass, while it runs."""

    def __init__(
        self, project: Project, ledger: Ledger, request: Request, reporter: Reporter
    ) -> None:
        self.project = project
        self.ledger = ledger
        self.request = request
        self.reporter = reporter
        self.allowance = Allowance(clock.monotonic(), clock.processor())
        self.laboured = clock.labour()
        self.workspace = Workspace(
            project.open_lake(), project.settings.data, project.settings.training.memory_bytes
        )
        self.outputs: dict[str, StepOutput] = {}
        self.records: list[StepRecord] = []
        self.update: Rung = "retune"
        self.climbed: list[Climb] = []
        self.run_id = self._open_run()
        self.champion = self._champion()

    def work(self) -> Run:
        """Do the steps and end the run."""
        try:
            outcome, reason = self._steps()
            fault = None
        except RatchetError as error:
            outcome, reason, fault = "failed", self._failure(error), error
        except OSError as error:
            fault = store.storage_fault(error)
            outcome, reason = "failed", self._failure(fault)
        except MemoryError:
            fault = RatchetError(
                "The memory is used up",
                fix="train on a share of the rows (data.sample), or on a larger machine",
                code="memory",
            )
            outcome, reason = "failed", self._failure(fault)
        if outcome is None:
            return self._result("candidate", reason, None)
        return self._end(outcome, reason, fault)

    # -- the run's record ------------------------------------------------------------------

    def _champion(self) -> dict[str, Any] | None:
        """The version that served when the run began: not one that it promoted before it died."""
        history = self.ledger.deployments("champion")
        while history and history[-1].run_id == self.run_id:
            history = history[:-1]
        number = history[-1].version if history else None
        if number is None:
            return None
        version = self.ledger.version(number)
        return {
            "version": version.version,
            "run_id": version.run_id,
            "bundle": str(self.project.state / version.bundle_path),
            "bundle_digest": version.bundle_digest,
        }

    def _open_run(self) -> str:
        if self.request.resume is not None:
            return self.ledger.resume_run(self.request.resume).run_id
        left = list(self.ledger.unfinished_runs())
        key = self.request.trigger_key
        goes_on = next((run for run in left if key is None or run.trigger_key == key), None)
        for older in left:
            if older is not goes_on:
                self._abandon(older.run_id, "its process died and a newer run took its place")
        if goes_on is not None:
            return self.ledger.resume_run(goes_on.run_id).run_id
        return self._start(self.request.trigger, key)

    def _start(self, trigger: str, key: str | None) -> str:
        run_id = ids.run_id(clock.now())
        self.ledger.start_run(run_id, trigger=trigger, trigger_key=key)
        source = read_commit(self.project.root)
        if source is not None:
            facts = {"commit": source.commit, "committed": source.at}
            self.ledger.record(SOURCE, facts, run_id=run_id)
        return run_id

    def _abandon(self, run_id: str, reason: str) -> None:
        self.ledger.finish_run(run_id, "failed", reason)

    def _settle_inputs(self, snapshot: Mapping[str, Any]) -> str:
        """Write down what the run depends on; a run left open on other inputs is given up."""
        from ratchet.ledger.runs import RunInputs

        key = inputs_key(self.project, snapshot["digest"])
        left = self.ledger.get_run(self.run_id)
        if left.inputs_key not in (None, key):
            self._abandon(self.run_id, "its process died, and its inputs changed since")
            # The key stays with the first: what it set off is gone on with under one of its own.
            again = None if left.trigger_key is None else f"{left.trigger_key}:again"
            self.run_id = self._start(left.trigger, again)
        self.ledger.describe_run(
            self.run_id,
            RunInputs(
                inputs_key=key,
                config_digest=ids.digest_of(result_settings(self.project)),
                snapshot_version=snapshot["version"],
                snapshot_digest=snapshot["digest"],
            ),
        )
        return key

    # -- the steps -------------------------------------------------------------------------

    def _steps(self) -> tuple[Outcome | None, str]:
        first, *others = STEPS
        ingested = self._do(first)
        key = self._settle_inputs(ingested.facts)
        if self.request.until != first.name:
            stale = self._stale(ingested.facts)
            if stale is not None:
                return "rejected", stale
            unchanged = self._unchanged(key, ingested.facts)
            if unchanged is not None:
                return "skipped", unchanged
            return self._others(others)
        return None, self._stopped()

    def _others(self, others: Sequence[Step]) -> tuple[Outcome | None, str]:
        """The steps after the first, some of them once for each way to make the model."""
        wanted = self.project.settings.training.update
        rungs = [*ladder(wanted, self.champion)]
        self.update = rungs.pop(0)
        todo, late = [*others], ""
        while todo:
            step = todo.pop(0)
            output = self._do(step)
            verdict = output.facts.get("verdict")
            refused = verdict["reason"] if verdict and not verdict["passed"] else None
            if step.stops and refused is not None:
                return "rejected", refused
            if refused is not None and rungs and climbs(step.name, wanted):
                late = self._no_room(step.name, refused, rungs[0])
                if late:
                    rungs = []
                else:
                    self._climb(refused, rungs.pop(0))
                    todo = [*_from(MADE)]
                    continue
            if step.name == self.request.until:
                return None, self._stopped()
        ended = self.outputs[others[-1].name].facts
        return ended["outcome"], ended["reason"] + late

    def _no_room(self, at: str, refused: str, rung: Rung) -> str:
        """Why the next rung is not begun, empty if there is time; without a model it is a fault."""
        if at == JUDGED:
            after = {step.name for step in _from(MADE)[1:]}
            self.allowance.judging = sum(one.seconds for one in self.records if one.name in after)
        if self.allowance.has_room(self.project.settings.training.budget):
            return ""
        why = no_time_for(rung)
        if at == MADE:
            raise out_of_time(f"The run has {why}", f"{self.update} is not possible: {refused}")
        self.reporter.note(f"{self.update} is not enough ({refused}), and there is {why}")
        return f"; there was {why}"

    def _stopped(self) -> str:
        return f"stopped after {self.request.until}, as asked; `ratchet run` goes on"

    def _climb(self, reason: str, rung: Rung) -> None:
        """The cheaper way was not enough: make the model in the next one."""
        self.climbed.append(Climb(self.update, reason))
        self.reporter.note(f"{self.update} is not enough ({reason}); next: {rung}")
        self.update = rung
        again = {step.name for step in _from(MADE)}
        self.records = [record for record in self.records if record.name not in again]

    def _stale(self, facts: Mapping[str, Any]) -> str | None:
        if self.request.data_version is not None:
            return None
        return stale(self.project, facts, clock.now())

    def _unchanged(self, key: str, facts: Mapping[str, Any]) -> str | None:
        if self.request.force or self.request.data_version is not None:
            return None
        done = self.ledger.last_completed(key)
        # Data that failed its checks is looked at, and told of, every time: it must not turn green.
        if done is None or (done.outcome == "rejected" and not done.summary.get("gates")):
            return None
        if only_looks(done.trigger) and not only_looks(self.ledger.get_run(self.run_id).trigger):
            return None  # its model was never to serve; this run's is, and may reuse its steps
        return (
            f"nothing changed since run {done.run_id}, which ended {done.outcome}: the same data "
            f"(version {facts['version']}, {facts['rows']:,} rows, digest "
            f"{facts['digest'][:12]}), settings and code"
        )

    def _do(self, step: Step) -> StepOutput:
        from ratchet.ledger.steps import Step as LedgerStep

        self.reporter.started(step.name)
        began, started = clock.monotonic(), clock.now()
        key = None
        try:
            key = step_key(step, self.project, self.outputs, self.champion, self.update)
            found = self._recall(step, key)
            output = found or self._execute(step)
            if step.stands_for is not None:
                output = replace(output, stands_for=step.stands_for(output))
        except (RatchetError, OSError, MemoryError) as error:
            self._record_fault(step, key, error, clock.monotonic() - began)
            raise
        seconds = clock.monotonic() - began
        self.outputs[step.name] = output
        self.ledger.record_step(
            LedgerStep(
                self.run_id,
                step.name,
                "finished",
                key=key,
                output_digest=output.digest,
                folder=output.folder.relative_to(self.project.state).as_posix(),
                started=started,
                seconds=seconds,
                cached=found is not None,
            )
        )
        self._tell(step, output, seconds, reused=found is not None)
        return output

    def _tell(self, step: Step, output: StepOutput, seconds: float, *, reused: bool) -> None:
        verdict = output.facts.get("verdict")
        stopped = verdict is not None and not verdict["passed"]
        status = "stopped" if stopped else "reused" if reused else "done"
        detail = step.says(output.facts)
        self.records.append(StepRecord(step.name, status, seconds, reused, detail))
        self.reporter.finished(step.name, seconds, status, detail)
        notes = output.facts.get("notes", ())
        for note in notes:
            self.reporter.note(note)
        log_step(self.project, self.run_id, (step.name, status, seconds, detail), notes)

    def _recall(self, step: Step, key: str) -> StepOutput | None:
        if not step.reusable:
            return None
        found = self.ledger.find_step(key)
        if found is None or found.folder is None or found.output_digest is None:
            return None
        if self.request.force and found.run_id != self.run_id:
            return None
        return store.recall(step.name, self.project.state / found.folder, found.output_digest)

    def _execute(self, step: Step) -> StepOutput:
        folder = self.project.runs / self.run_id
        for wait in (*_RETRY_SECONDS, None):
            partial = store.fresh_folder(folder, step.name)
            try:
                facts = step.execute(self._context(partial))
            except UnreachableError as error:
                if wait is None or error.name != "unreachable":
                    raise
                self.reporter.note(f"{error.what}; trying again in {wait:g} s")
                time.sleep(wait)
            else:
                return store.keep(partial, step.name, facts)
        raise AssertionError("the last attempt returns or raises")

    def _context(self, folder: Path) -> StepContext:
        return StepContext(
            self.project,
            self.run_id,
            folder,
            self.outputs,
            self.workspace,
            self.ledger,
            self.champion,
            self.request,
            self.allowance,
            self.update,
            self.reporter,
        )

    def _record_fault(self, step: Step, key: str | None, error: Exception, seconds: float) -> None:
        from ratchet.ledger.steps import Step as LedgerStep

        fault = error if isinstance(error, RatchetError) else None
        if isinstance(error, OSError):
            fault = store.storage_fault(error)
        told = (fault or RatchetError("The memory is used up", code="memory")).to_json()
        self.records.append(StepRecord(step.name, "failed", seconds, False, told["what"], told))
        self.reporter.finished(step.name, seconds, "failed", told["what"])
        self.ledger.record_step(
            LedgerStep(self.run_id, step.name, "failed", key=key, seconds=seconds, error=told)
        )
        log_step(self.project, self.run_id, (step.name, "failed", seconds, told["what"]))

    # -- the end ---------------------------------------------------------------------------

    def _failure(self, fault: RatchetError) -> str:
        at = self.records[-1].name if self.records else STEPS[0].name
        fix = f" To fix it: {fault.fix}." if fault.fix else ""
        return f"step {at}: {fault.what}.{fix}"

    def _end(self, outcome: Outcome, reason: str, fault: RatchetError | None) -> Run:
        ended = replace(
            self._result(outcome, reason, fault),
            report=page_of(self.project, self.run_id, outcome, self.outputs),
        )
        body = ended.to_json()
        self.ledger.finish_run(
            self.run_id,
            outcome,
            reason,
            summary=body,
            notices=notices(self.project, ended),
        )
        leave_record(self.project, self.ledger, ended, self.outputs)
        return ended

    def _result(self, outcome: Outcome, reason: str, fault: RatchetError | None) -> Run:
        from ratchet.pipeline.summary import summarise

        done = {record.name for record in self.records}
        missing = [
            StepRecord(step.name, "not run", 0.0, False) for step in STEPS if step.name not in done
        ]
        return Run(
            run_id=self.run_id,
            outcome=outcome,
            reason=reason,
            trigger=self.ledger.get_run(self.run_id).trigger,
            cpu_seconds=clock.labour() - self.laboured,
            seconds=clock.monotonic() - self.allowance.began,
            steps=(*self.records, *missing),
            champion=self.champion,
            update=self.update,
            climbed=tuple(self.climbed),
            fault=fault,
            **summarise(self.outputs),
        )


def _from(name: str) -> tuple[Step, ...]:
    """The step of this name and those after it."""
    return STEPS[[step.name for step in STEPS].index(name) :]
