"""Target means per category: learned with shrinkage, and cross-fitted for training rows.

The encoding of category i is the grand mean plus a part of the category's
deviation from it,

    e_i = m + w_i (m_i - m),   w_i = n_i t / (n_i t + s),

with s the variance of labels inside categories and t the variance between
categories, both estimated by one-way analysis of variance (Searle, Casella and
McCulloch, *Variance Components*, 1992, section 3.6: s = SSE / (N - k),
t = max(0, (MSA - s) / n_0)). That is the empirical-Bayes mean of a random-effects
model. scikit-learn's ``TargetEncoder`` has the same form but takes each category's
own variance for s, so a category seen once, whose own variance is zero, is given
its single label; here a column without signal has t near 0 and every category
gets the grand mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ratchet.features.encoders.slots import Codes, Floats


def learn_means(codes: Codes, y: Floats, categories: int) -> tuple[Floats, float]:
    """The shrunken mean of each category, and the grand mean.

    Args:
        codes: the category of each row, 0 to categories - 1.
        y: the label of each row.
        categories: how many there are; one without rows gets the grand mean.
    """
    counts = np.bincount(codes, minlength=categories).astype(np.float64)
    grand = float(np.mean(y))
    centred = y - grand
    sums: Floats = np.bincount(codes, weights=centred, minlength=categories).astype(np.float64)
    return grand + shrunken(counts, sums, float(np.sum(centred**2))), grand


def shrunken(counts: Floats, sums: Floats, square: float) -> Floats:
    """What each category's mean differs from the grand mean, shrunken as the module says.

    Args:
        counts: rows of each category.
        sums: of their labels, less the grand mean each.
        square: the sum of the squares of all labels, less the grand mean each.
    """
    seen = counts > 0
    deviations = np.divide(sums, counts, out=np.zeros_like(sums), where=seen)
    between = float(np.sum(counts * deviations**2))
    within = max(0.0, square - between)
    rows, groups = float(counts.sum()), float(seen.sum())
    if groups < 2:
        return np.zeros_like(sums)
    noise = within / (rows - groups) if rows > groups else square / (rows - 1)
    typical = (rows - float(np.sum(counts**2)) / rows) / (groups - 1)
    spread = max(0.0, (between / (groups - 1) - noise) / typical)
    if spread <= 1e-12 * (noise + spread):
        return np.zeros_like(sums)
    between_part = counts * spread
    weights = np.divide(between_part, between_part + noise, out=np.zeros_like(sums), where=seen)
    return np.asarray(weights * deviations)


def assign_folds(
    y: Floats, folds: int, seed: int, *, groups: Codes | None, discrete: bool
) -> np.ndarray[Any, np.dtype[np.intp]]:
    """The fold of each training row, 0 to folds - 1, seeded.

    Rows of one group stay together; without groups the folds of a discrete
    ``y`` are stratified, which keeps each fold's own mean out of the others'.
    """
    random = np.random.default_rng(seed)
    if groups is not None:
        of_group = random.permutation(int(groups.max(initial=0)) + 1) % folds
        return of_group[groups]
    order = random.permutation(len(y))
    if discrete:
        order = order[np.argsort(y[order], kind="stable")]
    assigned = np.empty(len(y), dtype=np.intp)
    assigned[order] = np.arange(len(y)) % folds
    return assigned


def cross_fit(codes: Codes, y: Floats, categories: int, folds: Codes) -> Floats:
    """Each row's encoding as learned from the other folds' rows."""
    encoded = np.full(len(y), np.mean(y) if len(y) else 0.0)
    for fold in range(int(folds.max(initial=0)) + 1):
        inside = folds == fold
        if inside.all() or not inside.any():
            continue
        means, _ = learn_means(codes[~inside], y[~inside], categories)
        encoded[inside] = means[codes[inside]]
    return encoded
