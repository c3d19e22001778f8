"""What every way of training shares: the table, the cores, the clock, who is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ratchet import clock
from ratchet.errors import RatchetError
from ratchet.features.recipe import Encoding, Recipe
from ratchet.training.algorithms.port import Algorithm, streams
from ratchet.training.all_rows import AllRows
from ratchet.training.attempt import Attempt
from ratchet.training.cores import CorePlan, calm_openmp, plan_cores
from ratchet.training.deadline import Deadline
from ratchet.training.ensemble import Limits
from ratchet.training.progress import Epoch, Progress
from ratchet.training.results import OnEvent, TrainingEvent
from ratchet.training.search.arena import Arena, make_arena
from ratchet.training.search.finals import Finals
from ratchet.training.search.isolation import Isolation
from ratchet.training.settings import TrainingSettings
from ratchet.training.table import TrainingTable
from ratchet.training.warned import WarningNotes

MANY = 1_000
"""Fits of a training, for sharing out the cores: more than there will ever be cores."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What is to be trained: ``metric`` chooses, ``searched`` is what a search improves.

    ``everyone`` are all rows, where the table is a sample of them.
    """

    table: TrainingTable
    settings: TrainingSettings
    metric: str
    searched: str
    cores: int
    limits: Limits | None
    on_event: OnEvent | None
    checkpoints: Path | None = None
    everyone: AllRows | None = None

    @contextmanager
    def running(self, deadline: Deadline) -> Iterator[Setting]:
        """Threads, bounds and warnings around a training that has to be over by ``deadline``."""
        calm_openmp()
        import scipy.linalg  # noqa: F401 - loads its BLAS, so that the limit below reaches it
        from threadpoolctl import threadpool_limits

        cells = len(self.table.y) * max(1, self.table.columns)
        plan = plan_cores(cells, MANY, self.cores)
        notes = WarningNotes()
        pool = ThreadPoolExecutor(max_workers=plan.workers, thread_name_prefix="training")
        setting = Setting(self, deadline, plan, notes, pool)
        try:
            # Once, around all workers: a limit set inside one of them would be lifted by another.
            with threadpool_limits(limits=plan.threads, user_api="blas"), notes.collect():
                yield setting
        finally:
            setting.close()


class Setting:
    """A training while it runs."""

    def __init__(
        self,
        job: Job,
        deadline: Deadline,
        plan: CorePlan,
        notes: WarningNotes,
        pool: ThreadPoolExecutor,
    ) -> None:
        self.job = job
        self.table = job.table
        self.deadline = deadline
        self.plan = plan
        self.notes = notes
        self.pool = pool
        self.started = clock.monotonic()
        self._isolation: Isolation | None = None
        self._telling = threading.Lock()

    @property
    def timed(self) -> bool:
        """Whether there is a deadline."""
        return self.deadline.at != float("inf")

    @property
    def seconds(self) -> float:
        """Since the training began."""
        return clock.monotonic() - self.started

    def arena(
        self,
        folds: int,
        sample: npt.NDArray[np.int64] | None = None,
        recipes: dict[Encoding, Recipe] | None = None,
    ) -> Arena:
        """The arena of all rows, or of a sample of them."""
        rows = len(self.table.y) if sample is None else len(sample)
        return make_arena(
            self.table,
            folds,
            plan=plan_cores(rows * max(1, self.table.columns), MANY, self.job.cores),
            notes=self.notes,
            memory=self.job.settings.memory_bytes,
            isolation=self._isolation,
            sample=sample,
            recipes=recipes,
            follow=self.follow,
        )

    def follow(self, name: str) -> Progress:
        """Epochs of the fit of this name are told, and it is kept for going on after a kill."""

        def told(epoch: Epoch) -> None:
            self.tell(
                TrainingEvent(
                    kind="epoch",
                    candidate=name,
                    done=epoch.number,
                    total=epoch.of,
                    seconds=epoch.seconds,
                    scores={},
                    epoch=epoch,
                )
            )

        return Progress(self.job.checkpoints, told)

    def final_rows(self, algorithm: Algorithm) -> int:
        """How many rows the algorithm can be fitted on at last."""
        everyone = self.job.everyone
        if everyone is not None and streams(algorithm):
            return everyone.rows
        return len(self.table.y)

    def isolate(self) -> None:
        """Have what cannot be interrupted trained in processes of their own, from now on."""
        self._isolation = Isolation()
        self._isolation.warm_up()

    def finals(self, folds: int) -> Finals:
        """The final fits, each told of as the last one of ``folds`` + 1."""

        def tell(name: str, attempt: Attempt) -> None:
            self.tell(
                TrainingEvent(
                    kind="failed" if attempt.error else "fitted",
                    candidate=name,
                    done=folds + 1,
                    total=folds + 1,
                    seconds=attempt.seconds,
                    scores={},
                    error=attempt.error,
                )
            )

        return Finals(
            self.table,
            self.plan,
            self.notes,
            self.deadline,
            tell,
            everyone=self.job.everyone,
            cores=self.job.cores,
            follow=self.follow,
        )

    def tell(self, event: TrainingEvent) -> None:
        """Tell whoever wants to know, one event at a time."""
        if self.job.on_event is not None:
            with self._telling:
                self.job.on_event(event)

    def close(self) -> None:
        """Let threads and processes go."""
        self.pool.shutdown(wait=True, cancel_futures=True)
        if self._isolation is not None:
            self._isolation.close()


def all_failed(failures: Sequence[tuple[str, str]]) -> RatchetError:
    """The error for when there is no model at all, of candidates' names and faults."""
    return RatchetError(
        "No candidate could be trained" if len(failures) > 1 else "The candidate failed",
        why="; ".join(f"{name}: {error}" for name, error in failures),
        fix="correct the parameters under training.algorithms, or name other algorithms",
        where="training.algorithms",
        code="no_candidate",
    )
