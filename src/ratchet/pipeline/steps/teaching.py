"""Calls the training with a run's rows, budget, store and listeners."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ratchet.errors import EnvironmentFault
from ratchet.pipeline.steps.going_on import new_rows_start, past_winners

if TYPE_CHECKING:
    from ratchet.pipeline.step import Reporter, StepContext
    from ratchet.pipeline.steps.rows import Rows
    from ratchet.registry.mlflow_live import LiveLog
    from ratchet.training.deadline import Deadline
    from ratchet.training.previous import Previous
    from ratchet.training.progress import Epoch
    from ratchet.training.results import Trained, TrainingEvent
    from ratchet.training.search.store import OptunaStore

_LOGGED = ("final", "fold 1")
"""Fits whose epochs MLflow keeps: of a trial's folds one says enough."""

SEARCH, CHECKPOINTS = "_search", "_checkpoints"
"""In the run's folder, until it ends: what a killed training goes on from."""


def teach(context: StepContext, rows: Rows, previous: Previous | None) -> Trained:
    """Train by the settings, within what is left of the run's budget."""
    from ratchet.training.candidates import fit_candidates
    from ratchet.training.consistency import require_meaning

    require_meaning(context.settings.training, rows.task.kind)
    frame, everyone = rows.train, None
    if context.update == "incremental":
        start = new_rows_start(context)
        assert isinstance(start, int)
        frame = rows.train_from(start)
    else:
        everyone = rows.all_train(context.folder)
    by_time, by_group = _order(context, rows)
    with _store(context) as store, _Listener(context) as listener:
        return fit_candidates(
            frame,
            rows.task.encode(frame[rows.roles.target]),
            settings=context.settings.training,
            features=context.settings.features,
            task=rows.task,
            roles=rows.roles,
            schema=rows.schema,
            root=context.project.root,
            time=frame[by_time] if by_time else None,
            groups=frame[by_group] if by_group else None,
            deadline=_deadline(context, rows.train.height + rows.test.height),
            store=store,
            warm=past_winners(context),
            previous=previous,
            update=context.update,
            everyone=everyone,
            on_event=listener.hear,
            checkpoints=context.project.runs / context.run_id / CHECKPOINTS,
        )


def _order(context: StepContext, rows: Rows) -> tuple[str | None, str | None]:
    """The columns that folds follow or keep together, as the split does."""
    method = context.outputs["split"].facts["method"]
    roles = rows.roles
    by_time = roles.time if method in ("time", "column") else None
    by_group = roles.group if method == "group" or (method == "column" and not by_time) else None
    return by_time, by_group


def _deadline(context: StepContext, rows: int) -> Deadline:
    """When training must be over so that the run keeps its budget."""
    from ratchet.training.deadline import NEVER, Deadline

    budget = context.settings.training.budget
    if budget is None:
        return NEVER
    return Deadline(context.allowance.training_ends(budget, rows))


@contextmanager
def _store(context: StepContext) -> Iterator[OptunaStore | None]:
    """Where trials outlive the process: the ledger's database, and a folder of the state."""
    from ratchet.pipeline.cache import code_digest, user_code_digest
    from ratchet.training.search.store import OptunaStore, store_digest

    tuning = context.settings.training.tuning
    if context.update != "retune" or tuning == "off" or not tuning.searches:
        yield None
        return
    digest = store_digest(context.run_id, code_digest(), user_code_digest(context.project) or "")
    store = OptunaStore(
        context.project.ledger_url, context.project.runs / context.run_id / SEARCH, digest
    )
    try:
        yield store
    finally:
        store.close()


class _Listener:
    """Tells the screen, and MLflow of epochs, what training says."""

    def __init__(self, context: StepContext) -> None:
        self._reporter: Reporter = context.reporter
        self._context = context
        self._live: LiveLog | None = None
        self._deaf = False

    def __enter__(self) -> _Listener:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._log(self._live.close)

    def hear(self, event: TrainingEvent) -> None:
        """One event of the training."""
        if event.kind == "failed":
            self._reporter.note(f"{event.candidate} failed: {event.error}")
        elif event.kind == "trial":
            self._reporter.progress(_trial(event))
        elif event.epoch is not None:
            self._reporter.progress(_epoch(event.candidate, event.epoch))
            if event.candidate.endswith(_LOGGED):
                self._log(lambda: self._to_mlflow(event))
        else:
            self._reporter.progress(f"{event.candidate} {event.done}/{event.total}")

    def _to_mlflow(self, event: TrainingEvent) -> None:
        epoch = event.epoch
        if epoch is None:
            return
        if self._live is None:
            self._live = self._context.project.open_tracking().live(self._context.run_id)
        metrics = {
            "train_loss": epoch.train_loss,
            "validation_loss": epoch.validation_loss,
            "train_accuracy": epoch.train_accuracy,
            "validation_accuracy": epoch.validation_accuracy,
        }
        self._live.epoch(event.candidate, epoch.number, metrics)

    def _log(self, call: Any) -> None:
        """MLflow may be away: training goes on, and is told of once."""
        if self._deaf:
            return
        try:
            call()
        except EnvironmentFault as error:
            self._deaf = True
            self._reporter.note(f"epochs are not logged: {error}")


def _trial(event: TrainingEvent) -> str:
    """One line: how far the search is, and how good the best is."""
    of = f"/{event.total}" if event.total else ""
    best = f", best {event.metric} {event.best:.4f} ({event.best_candidate})" if event.best else ""
    left = f", {event.left:.0f} s left" if event.left is not None else ""
    return f"trial {event.done}{of}{best}{left}"


def _epoch(name: str, epoch: Epoch) -> str:
    """One line: losses, and accuracies where there are classes."""
    shown = {
        "train loss": epoch.train_loss,
        "validation loss": epoch.validation_loss,
        "train accuracy": epoch.train_accuracy,
        "validation accuracy": epoch.validation_accuracy,
    }
    told = ", ".join(f"{what} {value:.4f}" for what, value in shown.items() if value is not None)
    return f"{name}, epoch {epoch.number}/{epoch.of}: {told}"
