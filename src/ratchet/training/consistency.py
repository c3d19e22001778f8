"""What settings of training contradict each other, or the task: found before anything is read.

A run asks first with what the project file alone tells, and again when the target is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratchet.data.task import Task, TaskKind
from ratchet.errors import ConfigError
from ratchet.training.algorithms.catalogue import algorithms_for, resolve_candidates
from ratchet.training.select import search_metric, selection_metric
from ratchet.training.settings import DEFAULT_FOLDS, TrainingSettings


def check_training(settings: TrainingSettings, kind: TaskKind | None) -> None:
    """Refuse what no training could be begun with.

    Args:
        settings: what was asked for.
        kind: the task, where it is known; without it, what depends on it is let pass.

    Raises:
        ConfigError: an algorithm, a parameter or a metric does not exist or does not fit the
            task, or something is to be learned by cross-validation and there is none.
        MissingExtraError: an algorithm's library is not installed.
    """
    named = settings.algorithms if kind is None else algorithms_of(settings, kind)
    candidates = resolve_candidates(named, kind)
    require_folds(settings, len(candidates))
    if kind is not None:
        task = Task(kind, ())
        selection_metric(settings, task)
        search_metric(settings, task)
        require_meaning(settings, kind)


def check_window(settings: TrainingSettings, time: str | None) -> None:
    """Refuse a training window that needs to know when rows were, where nothing says so.

    Raises:
        ConfigError: a duration or a number of rows, and ``data.time`` is not set.
    """
    if settings.window in ("all", "auto") or time is not None:
        return
    raise ConfigError(
        f"training.window is {settings.window}, and nothing says when a row was",
        why="which rows are the newest is told by the column that data.time names",
        fix="set data.time, or training.window to all",
        where="training.window",
    )


def algorithms_of(settings: TrainingSettings, kind: TaskKind) -> Mapping[str, dict[str, Any]]:
    """Those of the settings; where they are the defaults, those that suit the task."""
    usual = settings.algorithms == algorithms_for("binary")
    return algorithms_for(kind) if usual else settings.algorithms


def require_folds(settings: TrainingSettings, candidates: int) -> int:
    """The folds for so many candidates (0: none).

    Raises:
        ConfigError: there are none, and something is to be learned by them.
    """
    folds = settings.folds_for(candidates)
    off = settings.tuning == "off"
    if folds == 0 and candidates > 1:
        raise ConfigError(
            f"{candidates} algorithms cannot be compared without cross-validation",
            fix=f"set training.tuning.folds to {DEFAULT_FOLDS}, or name a single algorithm",
            where="training.tuning.folds",
        )
    if folds == 0 and settings.threshold.value is None:
        some = f"`training.tuning: {{trials: 0, folds: {DEFAULT_FOLDS}}}`"
        raise ConfigError(
            "A threshold cannot be chosen without cross-validation",
            fix=f"set {some if off else f'training.tuning.folds to {DEFAULT_FOLDS}'}, or "
            "`training.threshold: {value: 0.5}`",
            where="training.threshold",
        )
    return folds


def require_meaning(settings: TrainingSettings, kind: TaskKind) -> None:
    """What was asked for by hand must not be left undone without a word.

    Raises:
        ConfigError: a threshold or a calibration of what has none.
    """
    usual = TrainingSettings()
    for name, fits in (("threshold", kind == "binary"), ("calibration", kind != "regression")):
        asked = getattr(settings, name)
        if not fits and asked not in (getattr(usual, name), "none"):
            raise ConfigError(
                f"training.{name} has no meaning for this target: the task is {kind}",
                fix=f"remove training.{name}, or set data.task",
                where=f"training.{name}",
            )
