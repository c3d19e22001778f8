"""The ledger: opened once per process, asked and written through one object.

What happens to a row is decided in the module of its concept; here a transaction is opened around
it, so that every change and its event are kept together or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from ratchet import clock
from ratchet.errors import EnvironmentFault
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
from ratchet.ledger.database import BUSY_SECONDS, Database, open_database
from ratchet.ledger.deployments import Action, Alias, Change, Deployment
from ratchet.ledger.events import Transaction, read_events
from ratchet.ledger.experiments import Experiment, Trial, Turn
from ratchet.ledger.holdouts import HoldoutRows, HoldoutUse, Judgement
from ratchet.ledger.keys import Key
from ratchet.ledger.lease import TIME_TO_LIVE, Lease, acquire
from ratchet.ledger.migrations import migrate, newest, refuse_newer, schema_version
from ratchet.ledger.outbox import Notice, OutboxEntry
from ratchet.ledger.process import operator
from ratchet.ledger.reader import LedgerReader
from ratchet.ledger.results import CandidateRecord, GateRecord
from ratchet.ledger.rollouts import Begin, Move, Rollout
from ratchet.ledger.runs import Outcome, Run, RunInputs
from ratchet.ledger.splitting import Split
from ratchet.ledger.steps import Step
from ratchet.ledger.tables import plain
from ratchet.ledger.traffic import Arm, Kind, Traffic
from ratchet.ledger.versions import Version, VersionStatus


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
    database = open_database(url, create=create, busy_seconds=busy_seconds)
    try:
        with database.read() as connection:
            version = schema_version(connection)
        refuse_newer(version, place=database.place)
        if version < newest():
            with database.write() as connection:
                migrate(connection, at=now(), place=database.place)
    except BaseException:
        database.close()
        raise
    return Ledger(database, project, now)


class Ledger(LedgerReader):
    """One project's part of a ledger.

    While it holds the project's lease, every write first sees that the lease is still held.
    Every method raises ``StorageError`` or ``UnreachableError`` when the database fails.
    """

    def __init__(self, database: Database, project: str, now: Callable[[], datetime]) -> None:
        super().__init__(database, project)
        self._now = now
        self._lease: Lease | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    @contextmanager
    def _write(self) -> Iterator[Transaction]:
        with self.database.write() as connection:
            tx = Transaction.begin(connection, self.project, self._now())
            if self._lease is not None:
                self._lease.confirm(connection)
            yield tx

    @contextmanager
    def lease(
        self, purpose: str = "ratchet run", *, ttl: timedelta = TIME_TO_LIVE
    ) -> Iterator[Lease]:
        """Hold the project while the body runs.

        Args:
            purpose: what for, as whoever waits reads it.
            ttl: how long it lasts without a heartbeat.

        Raises:
            ConflictError: a live process holds it, named with what to do.
        """
        with self._write() as tx:
            holder = acquire(tx, purpose=purpose, ttl=ttl, now=self._now)
        lease = Lease(self.database, holder, self.project, ttl=ttl, now=self._now)
        self._lease = lease
        lease.start()
        try:
            yield lease
        finally:
            self._lease = None
            # A lease that cannot be given back now ends by itself; the run's result stands.
            with suppress(EnvironmentFault):
                lease.stop()

    def record(self, kind: str, facts: Mapping[str, Any], *, run_id: str | None = None) -> int:
        """Add an event that changes no other table: a decision and its facts."""
        with self._write() as tx:
            return tx.append(kind, facts, run_id=run_id)

    def start_run(
        self,
        run_id: str,
        *,
        trigger: str,
        trigger_key: str | None = None,
        inputs: RunInputs | None = None,
    ) -> Run:
        """Add a run. Raises ConflictError when it, or its trigger's run, is there already."""
        with self._write() as tx:
            return runs.start_run(
                tx, run_id, trigger=trigger, trigger_key=trigger_key, inputs=inputs
            )

    def resume_run(self, run_id: str) -> Run:
        """Continue a run that stopped. Raises ConflictError when it is finished."""
        with self._write() as tx:
            return runs.resume_run(tx, run_id)

    def describe_run(self, run_id: str, inputs: RunInputs) -> Run:
        """Add what became known of a run's inputs."""
        with self._write() as tx:
            return runs.describe_run(tx, run_id, inputs)

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

    def record_step(self, step: Step) -> Step:
        """Write how a step stands, in place of what was written of it before."""
        with self._write() as tx:
            return steps.record_step(tx, step)

    def record_candidates(self, run_id: str, found: Sequence[CandidateRecord]) -> None:
        """Write a run's candidates and their metrics."""
        with self._write() as tx:
            results.record_candidates(tx, run_id, found)

    def record_gates(self, run_id: str, verdicts: Sequence[GateRecord]) -> None:
        """Write a run's gate verdicts."""
        with self._write() as tx:
            results.record_gates(tx, run_id, verdicts)

    def note_holdout_use(
        self,
        run_id: str,
        challenger: str,
        rows: HoldoutRows,
        *,
        comparison: str,
        champion: int,
        metric: str,
        rule: str,
    ) -> HoldoutUse:
        """Count a decision on test rows before it is made, or give back the one that is there."""
        with self._write() as tx:
            return holdouts.note_use(
                tx,
                run_id,
                challenger,
                rows,
                comparison=comparison,
                champion=champion,
                metric=metric,
                rule=rule,
            )

    def judge_holdout_use(self, run_id: str, challenger: str, judgement: Judgement) -> HoldoutUse:
        """Write what a decision on test rows came to.

        Raises:
            UsageError: it was never noted.
        """
        with self._write() as tx:
            return holdouts.judge_use(tx, run_id, challenger, judgement)

    def add_version(
        self,
        run_id: str,
        bundle_digest: str,
        bundle_path: str,
        *,
        status: VersionStatus = "candidate",
        threshold: float | None = None,
        schema_digest: str | None = None,
    ) -> Version:
        """Add a model version, or give back the one this run made of this bundle before."""
        with self._write() as tx:
            return versions.add_version(
                tx,
                run_id,
                bundle_digest,
                bundle_path,
                status=status,
                threshold=threshold,
                schema_digest=schema_digest,
            )

    def link_version(self, number: int, mlflow_version: str) -> Version:
        """Note the number a version has in MLflow's registry."""
        with self._write() as tx:
            return versions.link_version(tx, number, mlflow_version)

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

    def note_evidence(self, rollout_id: str, expected_seq: int, found: Mapping[str, Any]) -> None:
        """Keep what a look at a rollout found, if it has not moved meanwhile."""
        with self._write() as tx:
            rollout_steps.note_evidence(tx, rollout_id, expected_seq, found)

    def begin_experiment(self, wanted: Trial) -> Experiment:
        """Begin to compare two versions side by side; see ``experiments.Trial``.

        Raises:
            UsageError: a name that is taken or none, no such version, or no split.
            ConflictError: another experiment or a rollout is open, or what serves forbids it.
        """
        with self._write() as tx:
            return experiment_steps.begin_experiment(tx, wanted)

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

    def note_findings(
        self, experiment_id: str, expected_seq: int, found: Mapping[str, Any]
    ) -> None:
        """Keep what a look at an experiment found, if it has not changed meanwhile."""
        with self._write() as tx:
            experiment_steps.note_findings(tx, experiment_id, expected_seq, found)

    def note_serving(
        self,
        record: int,
        version: int,
        why: str,
        notices: Callable[[int], Sequence[Notice]] = lambda seq: (),
    ) -> bool:
        """Tell once that a version does not load, or does again; see ``health.note_health``."""
        with self._write() as tx:
            return health.note_health(tx, record, version, why, notices)

    def note_problems(
        self,
        problems: Mapping[str, str],
        notices: Callable[[int, Sequence[str], Sequence[str]], Sequence[Notice]] = (
            lambda seq, new, gone: ()
        ),
    ) -> bool:
        """Tell once of what is wrong with the pipeline; see ``health.note_problems``."""
        with self._write() as tx:
            return health.note_problems(tx, problems, notices)

    def note_settings(self, settings: Mapping[str, Any], *, by: str | None = None) -> bool:
        """Keep the settings if they changed; see ``settings_log.note_settings``."""
        with self.database.read() as connection:
            last = read_events(connection, self.project, kind=settings_log.CHANGED, limit=1)
        if last and last[0].facts["digest"] == digest_of(plain(settings)):
            return False
        with self._write() as tx:
            return settings_log.note_settings(tx, settings, by=by or operator())

    def add_key(
        self, key_id: str, name: str, scopes: Sequence[str], digest: str, *, by: str
    ) -> Key:
        """Keep a new API key, of its secret only the digest.

        Raises:
            UsageError: no name, no scope, or an unknown one.
            ConflictError: a live key of this name is there already.
        """
        with self._write() as tx:
            return keys.add_key(tx, key_id, name, scopes, digest, by=by)

    def revoke_key(self, key_id: str, *, by: str) -> Key:
        """End a key for good. Raises UsageError when there is none."""
        with self._write() as tx:
            return keys.revoke_key(tx, key_id, by=by)

    def enqueue(self, notices: Sequence[Notice]) -> int:
        """Keep alerts for delivery; gives back how many were new."""
        with self._write() as tx:
            return outbox.enqueue(tx, notices)

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

    def postpone(self, key: str, due: datetime) -> None:
        """An alert could not be tried, as its channel takes no more for now."""
        with self._write() as tx:
            outbox.postpone(tx, key, due)

    def mark_failed(self, key: str, error: str, *, due: datetime | None) -> None:
        """An alert did not arrive; it is tried again at ``due``, or never (None)."""
        with self._write() as tx:
            outbox.mark_failed(tx, key, error, due=due)
