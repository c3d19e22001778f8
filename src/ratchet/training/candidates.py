"""Trains the candidates: cross-validated on the training rows, then fitted on all of them.

Nothing here sees a validation or test row of the project's split. In every fold the recipe is
learned anew on the fold's training rows; boosting is stopped by a part of these, never by the rows
the fold is scored on; the final fit takes the median of the folds' rounds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import polars as pl

from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.errors import ConfigError, RatchetError
from ratchet.features.recipe import Encoding
from ratchet.features.settings import FeaturesSettings
from ratchet.training.algorithms.catalogue import Candidate, resolve_candidates
from ratchet.training.attempt import Attempt, try_fit
from ratchet.training.cores import CorePlan, available_cores, calm_openmp, plan_cores
from ratchet.training.entrant import Entrant, enter
from ratchet.training.fitted import Codes, Matrix, TrainingRows
from ratchet.training.folds import Fold, cut_validation, make_folds
from ratchet.training.record import Record
from ratchet.training.results import CandidateResult, OnEvent, TrainingEvent
from ratchet.training.settings import TrainingSettings
from ratchet.training.table import TrainingTable, group_codes, order_codes
from ratchet.training.warned import WarningNotes
from ratchet.training.weights import row_weights

VALIDATION_SHARE = 0.15
"""Share of a fold's training rows that only tells boosting when to stop."""

Job = Callable[[], None]


def fit_candidates(
    frame: pl.DataFrame,
    y: Codes,
    *,
    settings: TrainingSettings,
    features: FeaturesSettings,
    task: Task,
    roles: Roles,
    schema: TableSchema,
    root: Path,
    time: pl.Series | None = None,
    groups: pl.Series | None = None,
    on_event: OnEvent | None = None,
) -> tuple[CandidateResult, ...]:
    """Train every candidate of ``settings`` on the training rows ``frame`` with codes ``y`` (n,).

    With ``time`` (n,) the folds follow time, with ``groups`` (n,) no group is in two folds; which
    of them, if any, is the split's to say. ``on_event`` is called from worker threads, one call at
    a time. Results are in the order of the project file and are the same for the same rows,
    settings and cores.

    Raises:
        ConfigError: an algorithm or parameter does not exist, or several are not to be compared.
        MissingExtraError: an algorithm's library is not installed.
        DataError: the rows cannot be cut into folds, or the recipe cannot be learned.
        RatchetError: ``no_candidate``: every candidate failed.
    """
    candidates = resolve_candidates(settings.algorithms)
    folds = _folds(settings, candidates, task)
    table = TrainingTable(
        frame=frame,
        y=y,
        weight=row_weights(y, settings.class_weight, task),
        time=None if time is None else order_codes(time),
        groups=None if groups is None else group_codes(groups),
        task=task,
        roles=roles,
        schema=schema,
        features=features,
        root=root,
        seed=settings.seed,
    )
    cores = settings.cores or available_cores()
    results = _Training(table, candidates, folds, cores, on_event).run()
    if all(result.status == "failed" for result in results):
        raise _all_failed(results)
    return results


def _folds(settings: TrainingSettings, candidates: Sequence[Candidate], task: Task) -> int:
    if task.kind == "regression":
        raise ConfigError(
            "Ratchet trains classifiers, and this target is a number to be estimated",
            fix="name a target with classes, or set data.task to binary or multiclass",
            where="data.task",
        )
    folds = settings.folds_for(len(candidates))
    if folds == 0 and len(candidates) > 1:
        raise ConfigError(
            f"{len(candidates)} algorithms cannot be compared without cross-validation",
            fix="set `folds` to 5, or name a single algorithm",
            where="training.tuning.folds",
        )
    return folds


class _Training:
    """One call of ``fit_candidates``.

    A job is one encoding of one fold, with the candidates that ask for it one after the other:
    a matrix is made once, and lives no longer than they need it.
    """

    def __init__(
        self,
        table: TrainingTable,
        candidates: Sequence[Candidate],
        folds: int,
        cores: int,
        on_event: OnEvent | None,
    ) -> None:
        self.table = table
        self.folds: tuple[Fold, ...] = ()
        if folds:
            self.folds = make_folds(
                table.y, folds, seed=table.seed, time=table.time, groups=table.groups
            )
        rows, columns = table.frame.height, len(table.roles.features(table.schema))
        entrants = [
            enter(candidate, table.task, rows, columns, cross_validated=folds > 0)
            for candidate in candidates
        ]
        self.records = [Record(entrant) for entrant in entrants]
        self.by_encoding: dict[Encoding, list[Record]] = {}
        for record in self.records:
            self.by_encoding.setdefault(record.entrant.encoding, []).append(record)
        jobs = max(1, len(self.folds)) * len(self.by_encoding)
        self.plan = plan_cores(rows * max(1, columns), jobs, cores)
        self.notes = WarningNotes()
        self.on_event = on_event
        self.lock = threading.Lock()

    def run(self) -> tuple[CandidateResult, ...]:
        """Cross-validate, then fit on all rows."""
        with _bounded(self.plan.threads), self.notes.collect():
            _run_jobs(
                [
                    self._fold_job(number, encoding)
                    for number in range(len(self.folds))
                    for encoding in self.by_encoding
                ],
                self.plan,
            )
            _run_jobs([self._final_job(encoding) for encoding in self.by_encoding], self.plan)
        rows, classes = self.table.frame.height, len(self.table.task.classes)
        return tuple(record.result(self.folds, rows, classes) for record in self.records)

    def _fold_job(self, number: int, encoding: Encoding) -> Job:
        def job() -> None:
            members = [record for record in self.by_encoding[encoding] if not record.error]
            if not members:
                return
            fold = self.folds[number]
            recipe, rows = self.table.encode(fold.train, encoding)
            score = (self.table.apply(recipe, fold.score), self.table.y[fold.score])
            watch: TrainingRows | None = None
            # Those that stop early come last: then the uncut rows are not needed any more.
            for record in sorted(members, key=lambda record: record.entrant.stops_early):
                entrant = record.entrant
                if entrant.stops_early and watch is None:
                    rows, watch = self._cut(number, rows)
                if entrant.stops_early and watch is None:
                    entrant = entrant.settle(None)
                attempt = self._try(entrant, rows, watch, score)
                with self.lock:
                    record.attempts[number] = attempt
                    self._tell("fold", record, attempt)

        return job

    def _final_job(self, encoding: Encoding) -> Job:
        def job() -> None:
            members = [record for record in self.by_encoding[encoding] if not record.error]
            if not members:
                return
            recipe, rows = self.table.encode(None, encoding)
            for record in members:
                record.entrant = record.entrant.settle(record.rounds)
                attempt = self._try(record.entrant, rows, None, None)
                with self.lock:
                    record.final, record.recipe = attempt, recipe
                    self._tell("fitted", record, attempt)

        return job

    def _cut(self, number: int, rows: TrainingRows) -> tuple[TrainingRows, TrainingRows | None]:
        """A fold's training rows: those to learn from, and those that tell when to stop, if any."""
        table, train = self.table, self.folds[number].train
        cut = cut_validation(
            rows.y,
            VALIDATION_SHARE,
            seed=table.seed + 1 + number,
            time=None if table.time is None else table.time[train],
            groups=None if table.groups is None else table.groups[train],
        )
        return (rows, None) if cut is None else (rows.take(cut.train), rows.take(cut.score))

    def _try(
        self,
        entrant: Entrant,
        rows: TrainingRows,
        watch: TrainingRows | None,
        score: tuple[Matrix, Codes] | None,
    ) -> Attempt:
        return try_fit(
            entrant,
            rows,
            watch,
            seed=self.table.seed,
            threads=self.plan.threads,
            notes=self.notes,
            score=score,
        )

    def _tell(self, kind: Literal["fold", "fitted"], record: Record, attempt: Attempt) -> None:
        if self.on_event is not None:
            event = TrainingEvent(
                kind="failed" if attempt.error else kind,
                candidate=record.entrant.name,
                done=len(record.made),
                total=len(self.folds) + 1,
                seconds=attempt.seconds,
                scores=attempt.scores,
                error=attempt.error,
            )
            self.on_event(event)


@contextmanager
def _bounded(threads: int) -> Iterator[None]:
    """At most this many threads per fit in linear algebra, while candidates train."""
    calm_openmp()
    import scipy.linalg  # noqa: F401 - loads its BLAS, so that the limit below reaches it
    from threadpoolctl import threadpool_limits

    # Once, around all workers: a limit set inside one of them would be lifted by another.
    with threadpool_limits(limits=threads, user_api="blas"):
        yield


def _run_jobs(jobs: Sequence[Job], plan: CorePlan) -> None:
    """Run the jobs, ``plan.workers`` at a time; the first one's error ends them all."""
    pool = ThreadPoolExecutor(max_workers=plan.workers, thread_name_prefix="training")
    try:
        for future in [pool.submit(job) for job in jobs]:
            future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _all_failed(results: Sequence[CandidateResult]) -> RatchetError:
    return RatchetError(
        "No candidate could be trained" if len(results) > 1 else "The candidate failed",
        why="; ".join(f"{result.name}: {result.error}" for result in results),
        fix="correct the parameters under training.algorithms, or name other algorithms",
        where="training.algorithms",
        code="no_candidate",
    )
