"""Explains a model's scores by SHAP values: chooses the method, says which and why.

Exact where there is a closed form; else sampled (`ratchet.evaluation.shapley`), at a bounded
number of scored rows; else not at all, and then the reason is returned: permutation importance
(`ratchet.evaluation.importance`) still applies. Sampled values explain the score as it is shipped,
blended and calibrated: log odds for classes, the estimate for regression.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ratchet.evaluation.exact import Exact
from ratchet.evaluation.explanation import Explanation, Value
from ratchet.evaluation.measures import Undefined
from ratchet.evaluation.raw import raw_rows
from ratchet.evaluation.shapley import (
    FEWEST_PAIRS,
    Reference,
    prepare_reference,
    sample_values,
)

if TYPE_CHECKING:
    import polars as pl

    from ratchet.data.task import Task

Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

MOST_BACKGROUND = 200
"""Rows that others are explained against."""
_FEWEST_BACKGROUND = 2
_FEWEST_ROWS = 30
_MOST_FEATURES = 64
_SCREENED_ROWS = 24
_SMALLEST_SCORE = 1e-6
_CHECKED_ROWS, _SAME = 20, 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A model as explanation sees it.

    Attributes:
        task: what it predicts.
        score: its final scores (m, k) of encoded rows (m, D); for several recipes, of their
            matrices side by side.
        groups: each feature's name and its matrix columns (`ratchet.evaluation.raw`).
        background: typical encoded rows (b, D), such as 200 training rows.
        exact: its closed form, where it has one; not used where it does not add up to ``score``.
    """

    task: Task
    score: Callable[[Matrix], Floats]
    groups: tuple[tuple[str, tuple[int, ...]], ...]
    background: Matrix
    exact: Exact | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Explainer:
    """A model made ready for explanation; `prepare_explainer` makes one, for any number of rows.

    Attributes:
        subject: the model; features that matter least may have been joined.
        reference: what sampled values are drawn against; None with a closed form.
        why: the method, and why this one.
    """

    subject: Subject
    reference: Reference | None
    why: str


def prepare_explainer(
    subject: Subject, *, budget: int = 6000, seed: int = 0
) -> Explainer | Undefined:
    """Choose the method and do what is done once.

    Args:
        subject: the model.
        budget: rows scored once, about, when values are sampled.
        seed: of what is drawn.
    """
    if not subject.groups:
        return Undefined("the model reads no feature")
    if subject.exact is not None and _fits(subject, subject.exact):
        kind = "boosted trees" if subject.exact.method == "tree" else "a linear model"
        return Explainer(subject, None, f"exact: the model is {kind} and nothing else")
    if len(subject.background) < _FEWEST_BACKGROUND:
        return Undefined(
            f"SHAP values need at least {_FEWEST_BACKGROUND} typical rows to compare with, and "
            f"there are {len(subject.background)}"
        )
    background = subject.background[:MOST_BACKGROUND]
    subject = replace(subject, background=background, exact=None)
    score = _on_scale(subject)
    joined = _join_weakest(subject, score, seed)
    reference = prepare_reference(
        score, [columns for _, columns in joined.groups], background, budget=budget, seed=seed
    )
    why = "sampled: the score has no closed form (a blend, a calibration or another algorithm)"
    if len(joined.groups) < len(subject.groups):
        count = len(subject.groups) - len(joined.groups) + 1
        why += f"; the {count} features that move the score least are one"
    return Explainer(joined, reference, why)


def explain_global(
    subject: Subject,
    X: Matrix,
    frame: pl.DataFrame,
    *,
    rows: int = 500,
    budget: int = 50_000,
    seed: int = 0,
) -> Explanation | Undefined:
    """Explain the model on a sample of rows.

    Args:
        subject: the model.
        X: encoded rows (n, D).
        frame: the same rows as they came (n rows), for the values shown.
        rows: explained at most; drawn at random.
        budget: rows scored, about, when values are sampled; with a costly model fewer rows are
            explained.
        seed: of all that is drawn.
    """
    explainer = prepare_explainer(subject, budget=max(budget // 10, 500), seed=seed)
    if isinstance(explainer, Undefined):
        return explainer
    count = min(rows, len(X))
    if explainer.reference is not None:
        count = _affordable(explainer.reference, count, budget - explainer.reference.cost)
        if count < min(_FEWEST_ROWS, len(X)):
            features = explainer.reference.features
            return Undefined(
                f"{budget:,} scored rows do not suffice for SHAP values of {features} features"
            )
    if count == 0:
        return Undefined("there are no rows to explain")
    order = np.sort(np.random.default_rng(seed).permutation(len(X))[:count])
    left = budget - (explainer.reference.cost if explainer.reference else 0)
    return explain_rows(
        explainer, X[order], frame[order], budget_per_row=max(1, left // count), seed=seed
    )


def explain_rows(
    explainer: Explainer,
    X: Matrix,
    frame: pl.DataFrame,
    *,
    budget_per_row: int = 600,
    seed: int = 0,
) -> Explanation:
    """Explain given rows.

    Args:
        explainer: the model made ready.
        X: encoded rows (n, D).
        frame: the same rows as they came (n rows), for the values shown.
        budget_per_row: rows scored for each, about, when values are sampled.
        seed: of what is drawn.
    """
    subject = explainer.subject
    names = tuple(name for name, _ in subject.groups)
    data = raw_rows(frame, X, subject.groups)
    if explainer.reference is None:
        return _exact_values(explainer, X, names, data)
    pairs = explainer.reference.pairs(budget_per_row)
    values, se, cost = sample_values(explainer.reference, X, pairs=pairs, seed=seed)
    return Explanation(
        features=names,
        outputs=_outputs(subject.task),
        values=values,
        base=explainer.reference.base,
        data=data,
        scale="estimate" if subject.task.kind == "regression" else "log odds",
        method="sampled",
        why=f"{explainer.why}; {pairs} pairs of orders a row",
        cost=cost,
        se=se,
    )


def log_odds(scores: Floats) -> Floats:
    """Log odds (n, 1) of the positive of two classes, (n, k) of each of more against the rest.

    Scores are kept a millionth away from 0 and 1, where log odds end.
    """
    chosen = scores[:, 1:] if scores.shape[1] == 2 else scores
    held = np.clip(chosen, _SMALLEST_SCORE, 1 - _SMALLEST_SCORE)
    odds: Floats = np.log(held) - np.log1p(-held)
    return odds


def _fits(subject: Subject, exact: Exact) -> bool:
    """Whether a closed form adds up to the scores that the model gives."""
    rows = subject.background[:_CHECKED_ROWS]
    if len(rows) == 0:
        return True
    scores, margins = subject.score(rows), exact.contributions(rows).sum(axis=1)
    if subject.task.kind == "regression":
        return bool(np.allclose(margins, scores, rtol=1e-4, atol=1e-4 * float(scores.std() + 1e-9)))
    if margins.shape[1] == 1:
        made = 1 / (1 + np.exp(-np.clip(margins, -500, 500)))
        return bool(np.allclose(made[:, 0], scores[:, 1], atol=_SAME))
    grown = np.exp(margins - margins.max(axis=1, keepdims=True))
    return bool(np.allclose(grown / grown.sum(axis=1, keepdims=True), scores, atol=_SAME))


def _on_scale(subject: Subject) -> Callable[[Matrix], Floats]:
    """The model's score on the scale that is explained."""
    score = subject.score
    if subject.task.kind == "regression":
        return score
    return lambda X: log_odds(score(X))


def _exact_values(
    explainer: Explainer, X: Matrix, names: tuple[str, ...], data: tuple[tuple[Value, ...], ...]
) -> Explanation:
    """The closed form's parts, summed over each feature's columns."""
    subject = explainer.subject
    exact = subject.exact
    assert exact is not None
    parts = exact.contributions(X)
    values = np.stack(
        [parts[:, list(columns)].sum(axis=1) for _, columns in subject.groups], axis=1
    )
    scale = "log odds" if len(subject.task.classes) == 2 else "log score"
    return Explanation(
        features=names,
        outputs=_outputs(subject.task),
        values=values,
        base=parts[0, -1] if len(parts) else np.zeros(parts.shape[2]),
        data=data,
        scale="estimate" if subject.task.kind == "regression" else scale,
        method=exact.method,
        why=explainer.why,
        cost=len(X),
    )


def _outputs(task: Task) -> tuple[str, ...]:
    if task.kind == "regression":
        return ("estimate",)
    classes = task.classes[1:] if task.kind == "binary" else task.classes
    return tuple(str(label) for label in classes)


def _affordable(reference: Reference, rows: int, budget: int) -> int:
    """Rows that the budget explains with the fewest pairs of walks, at most ``rows``."""
    return min(rows, max(0, int(budget / reference.price(FEWEST_PAIRS))))


def _join_weakest(subject: Subject, score: Callable[[Matrix], Floats], seed: int) -> Subject:
    """Of very many features those that move the score least become one."""
    groups = subject.groups
    if len(groups) <= _MOST_FEATURES:
        return subject
    moves = _moves(subject, score, seed)
    kept = sorted(np.argsort(-moves, kind="stable")[: _MOST_FEATURES - 1].tolist())
    others = [columns for place, (_, columns) in enumerate(groups) if place not in set(kept)]
    merged = tuple(sorted(column for columns in others for column in columns))
    name = f"{len(others)} other features"
    return replace(subject, groups=(*(groups[place] for place in kept), (name, merged)))


def _moves(subject: Subject, score: Callable[[Matrix], Floats], seed: int) -> Floats:
    """How much the score of some rows moves when a feature's values come from others (d,)."""
    rng = np.random.default_rng(seed)
    background = subject.background
    count = min(_SCREENED_ROWS, len(background))
    rows = background[rng.permutation(len(background))[:count]]
    other = background[rng.integers(0, len(background), count)]
    before = score(rows)
    moves = np.empty(len(subject.groups))
    for place, (_, columns) in enumerate(subject.groups):
        chosen = list(columns)
        changed = rows.copy()
        changed[:, chosen] = other[:, chosen]
        moves[place] = np.abs(score(changed) - before).mean()
    return moves
