"""The ledger: opened once per process, asked and written through one object.

What happens to a row is decided in the module of its concept; here a transaction is opened around
it, so that every change and its event are kept together or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Self

from ratchet import clock
from ratchet.ids import digest_of
from ratchet.ledger import (
    deployments,
    experiment_steps,
    health,
    holdouts,
    keys,
    outbox,
    results,
    rollout_steps,
    runs,
    settings_log,
    splitting,
    steps,
    versions,
)
from ratchet.ledger.database import BUSY_SECONDS
from ratchet.ledger.deployments import Action, Alias, Change, Deployment
from ratchet.ledger.events import read_events
from ratchet.ledger.experiments import Experiment, Turn
from ratchet.ledger.migrations import open_current
from ratchet.ledger.outbox import Notice, OutboxEntry
from ratchet.ledger.process import operator
from ratchet.ledger.rollouts import Begin, Move, Rollout
from ratchet.ledger.runs import Outcome, Run
from ratchet.ledger.served import ServedLedger, rehearsed, written
from ratchet.ledger.splitting import Split
from ratchet.ledger.tables import plain
from ratchet.ledger.traffic import Arm, Kind, Traffic
from ratchet.ledger.writer import LedgerWriter


def open_ledger(
    url: str,
    *,
    project: str,
    create: bool = True,
    now: Callable[[], datetime] = clock.now,
    busy_seconds: float = BUSY_SECONDS,
) -> Ledger:
    """Open a project's ledger and bring its schema up to date.

    Args:
        url: ``sqlite:////absolute/file.db`` or ``postgresql://user:password@host/database``.
        project: whose part of it; several projects may share one database.
        create: make a missing SQLite file.
        now: the clock.
        busy_seconds: how long a writer waits for another one on SQLite.

    Raises:
        ConfigError: the address cannot be read.
        StorageError: the file is missing, damaged, locked, read-only or newer than this Ratchet.
        UnreachableError: PostgreSQL does not answer or refuses us.
        MissingExtraError: PostgreSQL without its driver.
    """
    database = open_current(url, create=create, now=now, busy_seconds=busy_seconds)
    return Ledger(database, project, now)


class Ledger(LedgerWriter):
    """One project's part of a ledger.

    Methods that are ``written`` functions are described where they are defined, in the module
    of their concept; their first argument, the transaction, is the ledger's to give. Every method
    raises ``StorageError`` or ``UnreachableError`` when the database fails.
    """

    @classmethod
    def over(cls, served: ServedLedger) -> Self:
        """The whole of a ledger that a server has opened; whoever opened it closes it."""
        return cls(served.database, served.project, served._now)

    start_run = written(runs.start_run)
    resume_run = written(runs.resume_run)
    describe_run = written(runs.describe_run)
    record_step = written(steps.record_step)
    record_candidates = written(results.record_candidates)
    record_gates = written(results.record_gates)
    note_holdout_use = written(holdouts.note_use)
    judge_holdout_use = written(holdouts.judge_use)
    add_version = written(versions.add_version)
    link_version = written(versions.link_version)
    note_evidence = written(rollout_steps.note_evidence)
    begin_experiment = written(experiment_steps.begin_experiment)
    rehearse_experiment = rehearsed(experiment_steps.begin_experiment)
    note_findings = written(experiment_steps.note_findings)
    note_problems = written(health.note_problems)
    add_key = written(keys.add_key)
    revoke_key = written(keys.revoke_key)
    postpone = written(outbox.postpone)
    mark_failed = written(outbox.mark_failed)

    def record(self, kind: str, facts: Mapping[str, Any], *, run_id: str | None = None) -> int:
        """Add an event that changes no other table: a decision and its facts."""
        with self._write() as tx:
            return tx.append(kind, facts, run_id=run_id)

    def finish_run(
        self,
        run_id: str,
        outcome: Outcome,
        reason: str,
        *,
        summary: Mapping[str, Any] | None = None,
        notices: Sequence[Notice] = (),
    ) -> Run:
        """End a run once and for all; its alerts are kept in the same transaction.

        Raises:
            ConflictError: it has an outcome already.
        """
        with self._write() as tx:
            run = runs.finish_run(tx, run_id, outcome, reason, summary)
            outbox.enqueue(tx, notices)
            return run

    def deploy(
        self,
        version: int | None,
        alias: Alias = "champion",
        *,
        expected_previous: int | None,
        by: str,
        reason: str,
        action: Action = "promote",
        run_id: str | None = None,
        forced: bool = False,
        notices: Sequence[Notice] = (),
    ) -> Deployment:
        """Point an alias to a version; see ``deployments.Change`` for the arguments.

        A champion that changes answers all of the traffic: a split ends.

        Raises:
            UsageError: no such version.
            ConflictError: the alias moved meanwhile, the run promoted another version before,
                or the gates of a champion-to-be did not pass and it is not forced.
        """
        change = Change(version, alias, expected_previous, by, reason, action, run_id, forced)
        with self._write() as tx:
            deployed = deployments.deploy(tx, change)
            outbox.enqueue(tx, notices)
            return deployed

    def set_traffic(
        self,
        arms: Sequence[Arm],
        shadow: Sequence[int] = (),
        *,
        kind: Kind,
        salt: str | None = None,
        by: str,
        reason: str,
        expected_seq: int,
        forced: bool = False,
        notices: Sequence[Notice] = (),
    ) -> Traffic:
        """Split the traffic between versions; see ``splitting.Split`` for the arguments.

        Raises:
            UsageError: no such version, or arms that make no split.
            ConflictError: no champion, what serves changed since ``expected_seq`` was read, or a
                version's gates did not pass and it is not forced.
        """
        split = Split(tuple(arms), tuple(shadow), kind, by, reason, expected_seq, salt, forced)
        with self._write() as tx:
            record = splitting.set_traffic(tx, split)
            outbox.enqueue(tx, notices)
            return record

    def begin_rollout(self, wanted: Begin, *, notices: Sequence[Notice] = ()) -> Rollout:
        """Begin to roll a version out; see ``rollouts.Begin``.

        Raises:
            UsageError: no such version.
            ConflictError: another rollout is open, nothing serves, the version serves already,
                the traffic is split, or the version's gates did not pass.
        """
        with self._write() as tx:
            found = rollout_steps.begin_rollout(tx, wanted)
            outbox.enqueue(tx, notices)
            return found

    def move_rollout(self, move: Move, *, notices: Sequence[Notice] = ()) -> Rollout:
        """Take a rollout's next step and change what serves with it; see ``rollouts.Move``.

        Raises:
            UsageError: no such rollout.
            ConflictError: it moved meanwhile, or what serves was changed by somebody else.
        """
        with self._write() as tx:
            found = rollout_steps.move_rollout(tx, move)
            outbox.enqueue(tx, notices)
            return found

    def turn_experiment(self, turn: Turn, *, notices: Sequence[Notice] = ()) -> Experiment:
        """Change an experiment, and what serves with it; see ``experiments.Turn``.

        Raises:
            UsageError: no such experiment.
            ConflictError: it changed meanwhile.
        """
        with self._write() as tx:
            found = experiment_steps.turn_experiment(tx, turn)
            outbox.enqueue(tx, notices)
            return found

    def note_settings(self, settings: Mapping[str, Any], *, by: str | None = None) -> bool:
        """Keep the settings if they changed; see ``settings_log.note_settings``."""
        with self.database.read() as connection:
            last = read_events(connection, self.project, kind=settings_log.CHANGED, limit=1)
        if last and last[0].facts["digest"] == digest_of(plain(settings)):
            return False
        with self._write() as tx:
            return settings_log.note_settings(tx, settings, by=by or operator())

    def claim_due(
        self,
        now: datetime,
        *,
        hold: timedelta = timedelta(minutes=5),
        limit: int = 20,
        channel: str | None = None,
    ) -> tuple[OutboxEntry, ...]:
        """Take the alerts that are due, so that no other process sends them too."""
        with self.database.read() as connection:
            if not outbox.has_due(connection, self.project, now):
                return ()
        with self._write() as tx:
            return outbox.claim_due(tx, now, hold=hold, limit=limit, channel=channel)

    def mark_delivered(self, *keys: str) -> None:
        """Alerts arrived, in one message."""
        with self._write() as tx:
            for key in keys:
                outbox.mark_delivered(tx, key)
