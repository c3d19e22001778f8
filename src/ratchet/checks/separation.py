"""How well one column alone predicts the target: the statistics behind the leakage check.

Scores are areas under the ROC curve: 0.5 says nothing, 1 says everything. For more than two
classes it is the mean over the classes, each against the others, weighted by their sizes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]

_BINS = 64
_FEWEST = 10
_RARE = 4
_MOST_CATEGORIES = 2_000


def separation_by_rank(values: Floats, positive: npt.NDArray[np.bool_]) -> float:
    """ROC-AUC of a number, in its better direction, with missing values last or first.

    A value that is missing for one class only (the date of cancellation) is a leak as well,
    so missing values are ranked below all others and above all others, and the better counts.

    Args:
        values: float (n_rows,), NaN where missing.
        positive: bool (n_rows,).

    Returns:
        At least 0.5; 0.5 when one of the classes has fewer than ten rows.
    """
    total_pos = int(positive.sum())
    total_neg = positive.size - total_pos
    if min(total_pos, total_neg) < _FEWEST:
        return 0.5
    there = ~np.isnan(values)
    pos_there = positive[there]
    pos, neg = int(pos_there.sum()), int(there.sum() - pos_there.sum())
    pos_lost, neg_lost = total_pos - pos, total_neg - neg
    above = _mann_whitney(values[there], pos_there)
    ties = 0.5 * pos_lost * neg_lost
    low = above + pos * neg_lost + ties
    high = above + pos_lost * neg + ties
    pairs = total_pos * total_neg
    return max(low / pairs, high / pairs, 1 - low / pairs, 1 - high / pairs)


def _mann_whitney(values: Floats, positive: npt.NDArray[np.bool_]) -> float:
    """Pairs of a positive above a negative, ties counted half (Mann and Whitney's U)."""
    order = np.argsort(values)
    ordered = values[order]
    # A group of equal values shares the mean of the ranks that it spans.
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if ordered.size else order
    ends = np.r_[starts[1:], ordered.size]
    hits = np.add.reduceat(positive[order].astype(np.float64), starts) if ordered.size else order
    ranks = (starts + ends + 1) / 2
    count = float(positive.sum())
    return float((hits * ranks).sum()) - count * (count + 1) / 2


def separation_by_category(codes: Codes, labels: Codes, classes: int) -> float:
    """ROC-AUC of a category's rate of each class, judged on rows it was not counted on.

    Each half of the rows is scored with the rates of the other half, so a category that is met
    once says nothing about itself: names and numbers of rows raise no alarm.

    Args:
        codes: int32 (n_rows,): the category of each row, from 0.
        labels: int32 (n_rows,): the class of each row, from 0.
        classes: how many classes there are.
    """
    codes = _merge_rare(codes)
    categories = int(codes.max(initial=-1)) + 1
    flat = codes.astype(np.int64) * classes + labels
    size = categories * classes
    halves = [
        np.bincount(flat[part::2], minlength=size).reshape(categories, classes).astype(np.float64)
        for part in (0, 1)
    ]
    return float(np.mean([_judge(halves[0], halves[1]), _judge(halves[1], halves[0])]))


def _merge_rare(codes: Codes) -> Codes:
    """The most frequent categories from 1, and 0 for all that are met fewer than four times."""
    counts = np.bincount(codes)
    frequent = np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES]
    frequent = frequent[counts[frequent] >= _RARE]
    places = np.zeros(counts.size, dtype=np.int32)
    places[frequent] = np.arange(1, frequent.size + 1)
    return places[codes]


def _judge(learned: Floats, judged: Floats) -> float:
    """The weighted AUC of one half's counts (categories, classes) by the other half's rates."""
    prior = learned.sum(axis=0) / max(learned.sum(), 1)
    rates = (learned + prior) / (learned.sum(axis=1, keepdims=True) + 1)
    sizes = judged.sum(axis=0)
    total = sizes.sum()
    weight = score = 0.0
    # With two classes one curve is the mirror of the other.
    for label in range(1 if sizes.size == 2 else 0, sizes.size):
        if min(sizes[label], total - sizes[label]) < _FEWEST / 2:
            continue
        auc = _weighted_auc(rates[:, label], judged[:, label], judged.sum(axis=1))
        score += sizes[label] * auc
        weight += sizes[label]
    return score / weight if weight else 0.5


def _weighted_auc(scores: Floats, positives: Floats, counts: Floats) -> float:
    _, group = np.unique(scores, return_inverse=True)
    pos = np.bincount(group, weights=positives)
    neg = np.bincount(group, weights=counts - positives)
    below = np.cumsum(neg) - neg
    pairs = pos.sum() * neg.sum()
    return float((pos * (below + neg / 2)).sum() / pairs) if pairs else 0.5


def bins_of(values: Floats) -> Codes:
    """Numbers as categories: up to 64 of about equal size, and one for missing: int32 (n_rows,)."""
    there = ~np.isnan(values)
    codes = np.zeros(values.size, dtype=np.int32)
    if there.any():
        edges = np.unique(np.quantile(values[there], np.linspace(0, 1, _BINS + 1)[1:-1]))
        codes[there] = np.searchsorted(edges, values[there], side="right") + 1
    return codes


def concordance(values: Floats, target: Floats) -> float:
    """Spearman's correlation of two numbers as a score like an AUC: 0.5 + |rho| / 2.

    Rows in which either is missing are left out; 0.5 with fewer than thirty rows left.
    """
    there = ~(np.isnan(values) | np.isnan(target))
    if there.sum() < 3 * _FEWEST:
        return 0.5
    first, second = _ranks(values[there]), _ranks(target[there])
    spread = first.std() * second.std()
    if spread == 0:
        return 0.5
    covariance = ((first - first.mean()) * (second - second.mean())).mean()
    return float(0.5 + min(abs(covariance / spread), 1.0) / 2)


def _ranks(values: Floats) -> Floats:
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    means = ends - (sizes - 1) / 2
    return np.asarray(means[group], dtype=np.float64)
