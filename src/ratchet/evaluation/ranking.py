"""Measures of a ranking, each with every row's influence: area under ROC, average precision.

One sort serves both. Sources: DeLong, DeLong and Clarke-Pearson, *Biometrics* 44 (1988) 837, in
the fast form of Sun and Xu, *IEEE Signal Processing Letters* 21 (2014) 1389; average precision is
the step sum of scikit-learn, and its influence is the derivative of that sum by the weight of a row
(the infinitesimal jackknife: the limit of the bootstrap without resampling).

Products are summed by NumPy itself: a BLAS dot would start threads that cost more than they save,
and whose number would show in the last digit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Rows grouped by equal score, from the lowest score to the highest.

    Attributes:
        thresholds: each group's score (g,).
        positives: positive rows of each group (g,).
        negatives: the other rows of each group (g,).
        group: each row's group (n,).
        positive: which rows are positive (n,).
    """

    thresholds: Floats
    positives: Floats
    negatives: Floats
    group: npt.NDArray[np.int64]
    positive: npt.NDArray[np.bool_]

    @property
    def totals(self) -> tuple[float, float]:
        """All positive rows and all others."""
        return float(self.positives.sum()), float(self.negatives.sum())


def rank(positive: npt.NDArray[np.bool_], scores: Floats) -> Ranking:
    """Group rows by score.

    Args:
        positive: which rows are positive (n,), n at least 1.
        scores: their scores (n,).
    """
    order = np.argsort(scores)
    ordered = scores[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    sizes = np.diff(np.append(starts, len(order)))
    group = np.empty(len(order), dtype=np.int64)
    group[order] = np.repeat(np.arange(len(starts)), sizes)
    positives = np.add.reduceat(positive[order].astype(np.float64), starts)
    return Ranking(ordered[starts], positives, sizes - positives, group, positive)


def auc(ranking: Ranking) -> tuple[float, Floats]:
    """Area under the ROC curve and each row's influence on it (n,).

    The influence of a positive row is its share of negatives below (ties count half) less the
    area, over the positives' share; of a negative row likewise. Needs rows of both kinds.
    """
    count, others = ranking.totals
    below = np.cumsum(ranking.negatives) - ranking.negatives / 2
    above = count - np.cumsum(ranking.positives) + ranking.positives / 2
    of_positives = below / others
    of_negatives = above / count
    area = float((ranking.positives * of_positives).sum() / count)
    rows = count + others
    influence = np.where(
        ranking.positive,
        ((of_positives - area) * (rows / count))[ranking.group],
        ((of_negatives - area) * (rows / others))[ranking.group],
    )
    return area, influence


def average_precision(ranking: Ranking) -> tuple[float, Floats]:
    """Average precision and each row's influence on it (n,); needs a positive row.

    With A(s) the positives and B(s) the rows scored s or higher, it is the mean of A/B over the
    positives. A row changes it directly, when it is positive, and through A/B at every positive
    scored no higher than itself.
    """
    count, others = ranking.totals
    positives_up = np.cumsum(ranking.positives[::-1])[::-1]
    rows_up = np.cumsum((ranking.positives + ranking.negatives)[::-1])[::-1]
    precision = positives_up / rows_up
    value = float((ranking.positives * precision).sum() / count)
    gain = np.cumsum(ranking.positives / rows_up)
    loss = np.cumsum(ranking.positives * precision / rows_up)
    scale = (count + others) / count
    influence = np.where(
        ranking.positive,
        ((precision - value + gain - loss) * scale)[ranking.group],
        (-loss * scale)[ranking.group],
    )
    return value, influence
