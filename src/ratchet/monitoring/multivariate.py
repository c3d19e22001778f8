"""Drift that no column shows alone: can a model tell new rows from those of the reference?

A classifier learns to tell a sample of one from a sample of the other, and is judged on rows that
it did not learn from. If it does no better than chance (an AUC of 0.5), nothing that such a model
could find has changed, in columns or in how they go together. See Lopez-Paz and Oquab,
"Revisiting classifier two-sample tests", ICLR 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ratchet.data.task import Task
from ratchet.errors import MissingExtraError
from ratchet.evaluation.metrics import evaluate
from ratchet.monitoring.columns import NUMBERS, unjudged
from ratchet.monitoring.exact import kind_between
from ratchet.monitoring.tallies import level_texts, number_values

ROWS = 20_000
"""Rows of each side that are looked at."""

LEAST_AUC = 0.55
"""Drift: the AUC's interval lies above this."""

_FOLDS = 5
_FEWEST = 100
_TREES = 60
_NAMED = 5
_OPTIONS: Mapping[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.1,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.8,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 0,
    "verbosity": -1,
}


@dataclass(frozen=True, slots=True)
class ToldApart:
    """How well new rows can be told from those of the reference.

    Attributes:
        auc: on rows that the classifier did not learn from; 0.5 is chance, 1 is always.
        low: lower end of its 95 % interval (DeLong).
        high: upper end.
        drifted: ``low`` is above 0.55.
        columns: the ones it was told by, with their share of its gain, the most telling first.
        rows: of the reference and of the new rows that were looked at.
    """

    auc: float
    low: float
    high: float
    drifted: bool
    columns: tuple[tuple[str, float], ...]
    rows: tuple[int, int]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def tell_apart(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    *,
    columns: Sequence[str] | None = None,
    seed: int = 0,
) -> ToldApart | None:
    """Try to tell two tables apart; equal tables and seeds give equal answers.

    Args:
        reference: what is usual.
        current: the new rows.
        columns: what to look at; all that both have when not given. Time and identifiers always
            tell rows apart, and are left out.
        seed: of the samples and folds.

    Returns:
        None with fewer than 100 rows on a side, or without a column.

    Raises:
        MissingExtraError: LightGBM is not installed.
    """
    if min(reference.height, current.height) < _FEWEST:
        return None
    sides = [_sample(frame, seed) for frame in (reference, current)]
    wanted = reference.columns if columns is None else list(columns)
    features = {
        name: values
        for name in wanted
        if name in current.columns and (values := _encode(name, *sides)) is not None
    }
    if not features:
        return None
    X = np.column_stack(list(features.values()))
    y = np.repeat(np.array([0, 1], dtype=np.int32), [side.height for side in sides])
    scores, gains = _cross_fit(X, y, seed)
    proba = np.column_stack([1 - scores, scores])
    found = evaluate(y, proba, task=Task("binary", (0, 1)), names=("roc_auc",))["roc_auc"]
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    ranked = sorted(zip(features, gains.tolist(), strict=True), key=lambda item: -item[1])
    return ToldApart(
        auc=found.value,
        low=found.low,
        high=found.high,
        drifted=found.low > LEAST_AUC,
        columns=tuple((name, gain) for name, gain in ranked[:_NAMED] if gain > 0),
        rows=(sides[0].height, sides[1].height),
    )


def _sample(frame: pl.DataFrame, seed: int) -> pl.DataFrame:
    return frame if frame.height <= ROWS else frame.sample(ROWS, seed=seed)


def _encode(
    name: str, reference: pl.DataFrame, current: pl.DataFrame
) -> npt.NDArray[np.float64] | None:
    """A column of both sides as numbers; None where its kind always tells rows apart."""
    first, second = reference[name], current[name]
    kind = kind_between(first, second)[0]
    if unjudged(kind, first.n_unique(), len(first) - first.null_count()):
        return None
    if kind in NUMBERS:
        parts = [number_values(side, kind).astype(np.float64) for side in (first, second)]
        values = np.concatenate(parts)
        return np.where(np.isfinite(values), values, np.nan)
    texts = pl.concat([level_texts(side) for side in (first, second)])
    # Levels in the order of their frequency, so that a tree can split off the rare ones.
    counted = texts.drop_nulls().value_counts(name="n").sort("n", texts.name, descending=True)
    codes = texts.replace_strict(
        counted[texts.name], pl.Series(range(counted.height), dtype=pl.Float64), default=None
    )
    return codes.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _cross_fit(
    X: npt.NDArray[np.float64], y: npt.NDArray[np.int32], seed: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Scores (n,) by models that did not learn from the row, and columns' shares of the gain."""
    try:
        import lightgbm
    except ImportError as error:
        raise MissingExtraError(
            "Telling rows apart needs LightGBM", fix="pip install lightgbm"
        ) from error
    folds = np.random.default_rng(seed).permutation(len(y)) % _FOLDS
    weights = np.where(y == 1, 1 / y.sum(), 1 / (len(y) - y.sum())) * len(y) / 2
    scores, gains = np.empty(len(y)), np.zeros(X.shape[1])
    for fold in range(_FOLDS):
        learns, held = folds != fold, folds == fold
        data = lightgbm.Dataset(X[learns], y[learns], weight=weights[learns])
        model = lightgbm.train(dict(_OPTIONS), data, num_boost_round=_TREES)
        scores[held] = model.predict(X[held])
        gains += model.feature_importance("gain")
    total = gains.sum()
    return scores, gains / total if total > 0 else gains
