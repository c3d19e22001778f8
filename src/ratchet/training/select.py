"""Chooses the best candidate, by cross-validation on the training rows alone.

Test rows have no say: they are there for the gate, and a choice made on them would be too good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ratchet.data.task import Task
from ratchet.errors import ConfigError, DataError
from ratchet.training.blend import ENSEMBLE
from ratchet.training.results import NO_TIME, CandidateResult
from ratchet.training.scoring import LOWER_IS_BETTER, METRICS, REGRESSION_METRICS
from ratchet.training.settings import TrainingSettings

SIMPLEST_FIRST = (
    "logistic_regression",
    "ridge",
    "svm",
    "lightgbm",
    "xgboost",
    "extra_trees",
    "random_forest",
)
"""Order among candidates that score the same: simpler, then quicker to answer."""

TIE = 1e-6
"""Means closer than this are the same score."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The best candidate, the metric that chose it, all by it from the best down, and why.

    ``alone``: others were asked for, and it was compared with none of them.
    """

    best: CandidateResult
    metric: str
    ranking: tuple[str, ...]
    reason: str
    alone: bool = False


def selection_metric(settings: TrainingSettings, task: Task) -> str:
    """The metric that chooses: the one set, else the task's own.

    That is ROC-AUC with two classes, log loss with more, RMSE for regression.

    Raises:
        ConfigError: the metric set is not one of this task.
    """
    return _metric_for(settings.metric, task, "training.metric")


def search_metric(settings: TrainingSettings, task: Task) -> str:
    """What a search improves: ``tuning.metric``, else the metric that chooses.

    Raises:
        ConfigError: the metric set is not one of this task.
    """
    tuning = settings.tuning
    if tuning == "off" or tuning.metric is None:
        return selection_metric(settings, task)
    return _metric_for(tuning.metric, task, "training.tuning.metric")


def _metric_for(given: str, task: Task, where: str) -> str:
    if given == "auto":
        usual = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}
        return usual[task.kind]
    known = REGRESSION_METRICS if task.kind == "regression" else METRICS
    if given not in known:
        raise ConfigError(
            f"{given} is no metric of a {task.kind} task",
            fix=f"set it to auto or one of {', '.join(known)}, or change data.task",
            where=where,
        )
    return given


def choose_best(
    results: Sequence[CandidateResult],
    metric: str,
    ensemble: str = "",
    asked: Sequence[CandidateResult] = (),
) -> Choice:
    """The candidate with the best mean of ``metric`` over the folds; ties go to the simpler.

    An ensemble among them is the choice whatever its mean: it is only there when it is better by
    more than chance, which ``ensemble`` says. Without cross-validation the first candidate is.

    Args:
        results: those that can be chosen from.
        metric: what is compared.
        ensemble: why the ensemble is better, if there is one.
        asked: all that were asked for, where more were than ``results``.

    Raises:
        DataError: no fold could be scored with this metric.
    """
    trained = [result for result in results if result.status == "ok"]
    if trained and not any(result.cv for result in trained):
        late = _late(trained[0], asked or results)
        only = "the only candidate" + (" that could be trained" if len(results) > 1 else "")
        return Choice(trained[0], metric, (trained[0].name,), late or only, bool(late))
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
    if best.algorithm == ENSEMBLE and ensemble:
        reason += f"; {ensemble}"
    late = _late(ranked[-1], asked or results)
    if late:
        reason += f"; {late}"
    return Choice(best, metric, tuple(result.name for result in ranked), reason, bool(late))


def _late(only: CandidateResult, asked: Sequence[CandidateResult]) -> str:
    """What to say of a candidate that was compared with no other, for want of time; else nothing.

    One that was given up because it was far behind was compared.
    """
    others = [result for result in asked if result.name not in (only.name, ENSEMBLE)]
    late = sum(result.error == NO_TIME for result in others)
    if not late or any(result.status != "failed" and result.error != NO_TIME for result in others):
        return ""
    of_them = "the others" if late == len(others) else f"{late} of the others"
    return f"1 of {len(others) + 1} candidates; the time was up for {of_them}"


def _rank(result: CandidateResult, metric: str) -> tuple[bool, int, int, str]:
    mean = result.cv[metric][0]
    signed = mean if metric in LOWER_IS_BETTER else -mean
    simple = (
        SIMPLEST_FIRST.index(result.algorithm)
        if result.algorithm in SIMPLEST_FIRST
        else len(SIMPLEST_FIRST)
    )
    # Seconds would tell the quicker one too, but not the same one every time.
    return (result.algorithm != ENSEMBLE, round(signed / TIE), simple, result.name)
