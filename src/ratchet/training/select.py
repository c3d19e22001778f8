"""Chooses the best candidate, by cross-validation on the training rows alone.

Test rows have no say: they are there for the gate, and a choice made on them would be too good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ratchet.data.task import Task
from ratchet.errors import DataError
from ratchet.training.results import CandidateResult
from ratchet.training.scoring import LOWER_IS_BETTER
from ratchet.training.settings import TrainingSettings

SIMPLEST_FIRST = ("logistic_regression", "svm", "lightgbm", "xgboost", "random_forest")
"""Order among candidates that score the same: simpler, then quicker to answer."""

TIE = 1e-6
"""Means closer than this are the same score."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The best candidate, the metric that chose it, all by it from the best down, and why."""

    best: CandidateResult
    metric: str
    ranking: tuple[str, ...]
    reason: str


def selection_metric(settings: TrainingSettings, task: Task) -> str:
    """The metric that chooses: the one set, else ROC-AUC, or log loss with many classes."""
    if settings.metric != "auto":
        return settings.metric
    return "roc_auc" if task.kind == "binary" else "log_loss"


def choose_best(results: Sequence[CandidateResult], metric: str) -> Choice:
    """The candidate with the best mean of ``metric`` over the folds; ties go to the simpler.

    Without cross-validation there is a single candidate, and it is the choice.

    Raises:
        DataError: no fold could be scored with this metric.
    """
    trained = [result for result in results if result.status == "ok"]
    if len(trained) == 1 and not trained[0].cv:
        return Choice(trained[0], metric, (trained[0].name,), "the only candidate")
    scored = [result for result in trained if metric in result.cv]
    if not scored:
        raise DataError(
            f"No fold can be scored by {metric}",
            why="the scored part of every fold holds a single class",
            fix="choose another training.metric, fewer folds, or bring more rows",
            where="training.metric",
        )
    ranked = sorted(scored, key=lambda result: _rank(result, metric))
    best = ranked[0]
    mean, deviation = best.cv[metric]
    folds = len(best.folds)
    reason = f"best mean {metric} over {folds} folds: {mean:.4f} ± {deviation:.4f}"
    return Choice(best, metric, tuple(result.name for result in ranked), reason)


def _rank(result: CandidateResult, metric: str) -> tuple[int, int, str]:
    mean = result.cv[metric][0]
    signed = mean if metric in LOWER_IS_BETTER else -mean
    simple = (
        SIMPLEST_FIRST.index(result.algorithm)
        if result.algorithm in SIMPLEST_FIRST
        else len(SIMPLEST_FIRST)
    )
    # Seconds would tell the quicker one too, but not the same one every time.
    return (round(signed / TIE), simple, result.name)
