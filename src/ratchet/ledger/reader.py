"""The ledger's questions: everything that is read and nothing that is written."""

from __future__ import annotations

from datetime import datetime

from ratchet.ledger.audit import ChainReport, verify_chain
from ratchet.ledger.deployments import (
    Alias,
    Deployment,
    current_deployment,
    list_deployments,
    previous_champion,
)
from ratchet.ledger.experiments import (
    Experiment,
    get_experiment,
    list_experiments,
    live_experiment,
)
from ratchet.ledger.history import History, newest_event, read_history
from ratchet.ledger.holdouts import HoldoutUse, list_uses
from ratchet.ledger.lease import LeaseHolder, read_holder
from ratchet.ledger.outbox import OutboxEntry, OutboxStatus, list_outbox, sent_since
from ratchet.ledger.results import (
    CandidateRecord,
    GateRecord,
    gates_passed,
    list_candidates,
    list_gates,
)
from ratchet.ledger.rollouts import Rollout, get_rollout, list_rollouts, live_rollout
from ratchet.ledger.runs import Run, get_run, last_completed, list_runs, unfinished_runs
from ratchet.ledger.served import ServedReader
from ratchet.ledger.steps import Step, find_step, list_steps
from ratchet.ledger.versions import Version, get_version, list_versions


class LedgerReader(ServedReader):
    """One project's part of a ledger, to be asked.

    Every method raises ``StorageError`` or ``UnreachableError`` when the database fails.
    """

    def get_run(self, run_id: str) -> Run:
        """One run. Raises UsageError when there is none of this id."""
        with self.database.read() as connection:
            return get_run(connection, self.project, run_id)

    def runs(self, limit: int = 20) -> tuple[Run, ...]:
        """The newest runs, newest first."""
        with self.database.read() as connection:
            return list_runs(connection, self.project, limit)

    def last_completed(self, inputs_key: str) -> Run | None:
        """The newest run that decided on these inputs: promoted, candidate or rejected."""
        with self.database.read() as connection:
            return last_completed(connection, self.project, inputs_key)

    def unfinished_run(self) -> Run | None:
        """The newest run without an outcome: whoever holds the lease may continue it."""
        found = self.unfinished_runs()
        return found[0] if found else None

    def unfinished_runs(self) -> tuple[Run, ...]:
        """All runs without an outcome, newest first."""
        with self.database.read() as connection:
            return unfinished_runs(connection, self.project)

    def steps(self, run_id: str) -> tuple[Step, ...]:
        """A run's steps in the order they were last recorded."""
        with self.database.read() as connection:
            return list_steps(connection, self.project, run_id)

    def find_step(self, key: str) -> Step | None:
        """The newest finished step with this key; whether its folder is still there is yours."""
        with self.database.read() as connection:
            return find_step(connection, self.project, key)

    def candidates(self, run_id: str) -> tuple[CandidateRecord, ...]:
        """A run's candidates with their metrics."""
        with self.database.read() as connection:
            return list_candidates(connection, self.project, run_id)

    def gates(self, run_id: str) -> tuple[GateRecord, ...]:
        """A run's gate verdicts in order."""
        with self.database.read() as connection:
            return list_gates(connection, self.project, run_id)

    def gates_passed(self, run_id: str) -> bool:
        """Whether the run's gates were evaluated and every one passed."""
        with self.database.read() as connection:
            return gates_passed(connection, self.project, run_id)

    def versions(self) -> tuple[Version, ...]:
        """All model versions, newest first."""
        with self.database.read() as connection:
            return list_versions(connection, self.project)

    def version(self, number: int) -> Version:
        """One model version. Raises UsageError when there is none of this number."""
        with self.database.read() as connection:
            return get_version(connection, self.project, number)

    def current(self, alias: Alias) -> Version | None:
        """The version an alias points to, or None."""
        with self.database.read() as connection:
            row = current_deployment(connection, self.project, alias)
            if row is None or row.version is None:
                return None
            return get_version(connection, self.project, row.version)

    def champion(self) -> Version | None:
        """The version that serves, or None before the first promotion."""
        return self.current("champion")

    def previous_champion(self) -> int | None:
        """The version a rollback goes to, or None."""
        return previous_champion(self.deployments("champion"))

    def deployments(self, alias: Alias | None = None) -> tuple[Deployment, ...]:
        """Every change of an alias, oldest first."""
        with self.database.read() as connection:
            return list_deployments(connection, self.project, alias)

    def who_served(self, at: datetime) -> Deployment | None:
        """The champion's deployment in force at a time; None before the first one."""
        with self.database.read() as connection:
            row = current_deployment(connection, self.project, "champion", at=at)
        return None if row is None or row.version is None else row

    def verify_chain(self) -> ChainReport:
        """Read the whole chain again and find what was changed."""
        with self.database.read() as connection:
            return verify_chain(connection, self.project)

    def holder(self) -> LeaseHolder | None:
        """Who holds the project's lease, alive or not."""
        with self.database.read() as connection:
            return read_holder(connection, self.project)

    def holdout_uses(self, holdout_id: str | None = None) -> tuple[HoldoutUse, ...]:
        """The decisions on test rows, oldest first: all, or those on one holdout."""
        with self.database.read() as connection:
            return list_uses(connection, self.project, holdout_id)

    def outbox(self, status: OutboxStatus | None = None) -> tuple[OutboxEntry, ...]:
        """The alerts, oldest first."""
        with self.database.read() as connection:
            return list_outbox(connection, self.project, status)

    def sent_since(self, channel: str, since: datetime) -> tuple[datetime, ...]:
        """When messages arrived on a channel after a time, oldest first."""
        with self.database.read() as connection:
            return sent_since(connection, self.project, channel, since)

    def history(self, *, since: datetime, now: datetime) -> History:
        """What the project's health and its delivery are judged by."""
        with self.database.read() as connection:
            return read_history(connection, self.project, since=since, now=now)

    def newest_event(self) -> int:
        """The number of the newest event: while it stays the same, nothing has happened."""
        with self.database.read() as connection:
            return newest_event(connection, self.project)

    def rollout(self, rollout_id: str) -> Rollout:
        """One rollout. Raises UsageError when there is none of this id."""
        with self.database.read() as connection:
            return get_rollout(connection, self.project, rollout_id)

    def rollouts(self, limit: int | None = None) -> tuple[Rollout, ...]:
        """The rollouts, the one that changed last first."""
        with self.database.read() as connection:
            return list_rollouts(connection, self.project, limit)

    def live_rollout(self) -> Rollout | None:
        """The rollout with something still to be decided, or None."""
        with self.database.read() as connection:
            return live_rollout(connection, self.project)

    def experiment(self, name: str) -> Experiment:
        """One experiment, by its name or id. Raises UsageError when there is none."""
        with self.database.read() as connection:
            return get_experiment(connection, self.project, name)

    def experiments(self) -> tuple[Experiment, ...]:
        """The experiments, the one that changed last first."""
        with self.database.read() as connection:
            return list_experiments(connection, self.project)

    def live_experiment(self) -> Experiment | None:
        """The experiment with something still to be decided or done, or None."""
        with self.database.read() as connection:
            return live_experiment(connection, self.project)
