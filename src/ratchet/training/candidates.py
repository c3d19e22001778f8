"""Trains the candidates: searched and compared on the training rows, then fitted on all of them.

Nothing here sees a validation or test row of the project's split. In every fold the recipe is
learned anew on the fold's training rows; boosting is stopped by a part of these, never by the rows
the fold is scored on; the final fit takes the median of the folds' rounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.features.settings import FeaturesSettings
from ratchet.training.algorithms.catalogue import resolve_candidates
from ratchet.training.all_rows import AllRows
from ratchet.training.consistency import algorithms_of, require_folds
from ratchet.training.cores import available_cores
from ratchet.training.deadline import NEVER, Deadline
from ratchet.training.ensemble import Limits
from ratchet.training.fitted import Targets
from ratchet.training.previous import Previous
from ratchet.training.results import OnEvent, Trained
from ratchet.training.search.renewal import renew
from ratchet.training.search.run import Training
from ratchet.training.search.setting import Job
from ratchet.training.search.store import SearchStore
from ratchet.training.select import search_metric, selection_metric
from ratchet.training.settings import TrainingSettings, Update
from ratchet.training.table import TrainingTable, group_codes, order_codes
from ratchet.training.weights import row_weights

Warm = Mapping[str, Sequence[Mapping[str, Any]]]


def fit_candidates(
    frame: pl.DataFrame,
    y: Targets,
    *,
    settings: TrainingSettings,
    features: FeaturesSettings,
    task: Task,
    roles: Roles,
    schema: TableSchema,
    root: Path,
    time: pl.Series | None = None,
    groups: pl.Series | None = None,
    deadline: Deadline = NEVER,
    store: SearchStore | None = None,
    limits: Limits | None = None,
    warm: Warm | None = None,
    previous: Previous | None = None,
    update: Update = "retune",
    everyone: AllRows | None = None,
    on_event: OnEvent | None = None,
    checkpoints: Path | None = None,
) -> Trained:
    """Train the candidates of ``settings`` on the rows ``frame`` with codes or numbers ``y`` (n,).

    With ``time`` (n,) the folds follow time, with ``groups`` (n,) no group is in two folds; which
    of them, if any, is the split's to say.

    ``retune`` searches: until ``deadline``, by which the final fits are over too, or until
    ``tuning.trials``; with neither for ``tuning.time``. ``warm`` are parameters by candidate that
    are tried right after the defaults. ``store`` keeps finished trials, so that a search that was
    killed goes on, the time it had counting as spent. Without a time limit the results are the
    same for the same rows, settings and cores.

    ``refit`` trains the ``previous`` model's configurations and weights anew, without a search;
    ``incremental`` goes on training its models with these rows, keeping its recipes.

    ``everyone`` are all training rows, where ``frame`` is a sample of them since memory has no room
    for more: algorithms that can read their rows in pieces are at last fitted on these.

    ``checkpoints`` is a folder for what a killed fit goes on from; its owner removes it.

    ``limits`` are an ensemble's. ``on_event`` is called from worker threads, one call at a time.

    Raises:
        ConfigError: an algorithm, parameter or metric does not exist or does not fit the task, or
            several algorithms are not to be compared.
        MissingExtraError: an algorithm's library is not installed.
        DataError: the rows cannot be cut into folds, or the recipe cannot be learned.
        StorageError: the store cannot be read or written.
        RatchetError: ``no_candidate``: every candidate failed; ``not_incremental``: no model of
            ``previous`` can go on.
    """
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
    job = Job(
        table=table,
        settings=settings,
        metric=selection_metric(settings, task),
        searched=search_metric(settings, task),
        cores=settings.cores or available_cores(),
        limits=limits,
        on_event=on_event,
        checkpoints=checkpoints,
        everyone=None if everyone is None else _weighted(everyone, table, settings),
    )
    if update in ("refit", "incremental") and previous is not None:
        with job.running(deadline) as setting:
            return renew(setting, previous, incremental=update == "incremental")
    candidates = resolve_candidates(algorithms_of(settings, task.kind), task.kind)
    folds = require_folds(settings, len(candidates))
    with job.running(_by(settings, deadline)) as setting:
        return Training(setting, candidates, folds, store, warm or {}).run()


def _weighted(everyone: AllRows, table: TrainingTable, settings: TrainingSettings) -> AllRows:
    """All rows with their weights, and whether they are in an order that folds have to follow."""
    return replace(
        everyone,
        weight=row_weights(everyone.y, settings.class_weight, table.task),
        ordered=table.time is not None or table.groups is not None,
    )


def _by(settings: TrainingSettings, deadline: Deadline) -> Deadline:
    """The deadline, or that of the settings where there is nothing else to end a search."""
    tuning = settings.tuning
    if tuning == "off" or not tuning.searches:
        return NEVER  # there is nothing that could be left out
    if deadline != NEVER or tuning.seconds is None:
        return deadline
    return Deadline.after(tuning.seconds)
