"""Folds of the training rows: stratified, by group, or in time order.

A fold says which rows a candidate learns from and which it is scored on. Nothing here sees a
test row. Positions are int64 arrays into the training rows, in ascending order.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ratchet.errors import DataError

Positions = npt.NDArray[np.int64]
Targets = npt.NDArray[np.int32] | npt.NDArray[np.float64]

VALUE_BINS = 20
"""Quantile bins that stand for classes where the target is a number."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Positions of the rows to train on and of the rows to score."""

    train: Positions
    score: Positions


def make_folds(
    y: Targets,
    folds: int,
    *,
    seed: int,
    time: npt.NDArray[np.generic] | None = None,
    groups: npt.NDArray[np.generic] | None = None,
) -> tuple[Fold, ...]:
    """Cut rows with class codes or numbers ``y`` (n,) into at most ``folds`` folds.

    With ``time`` (n,), fold i trains on everything before the block it scores (expanding window;
    equal times are never cut apart); with ``groups`` (n,), a group is never on both sides; else
    every fold has about the same share of each class, or of high and low numbers. Time goes before
    groups. Folds whose training part holds a single class or number are left out.

    Raises:
        DataError: no fold is left: too few rows, classes or groups.
    """
    if time is not None:
        made = _time_folds(time, folds)
    else:
        strata = strata_of(y)
        number = (
            _deal_classes(strata, folds, seed)
            if groups is None
            else _deal_groups(groups, strata, folds, seed)
        )
        made = [
            Fold(np.flatnonzero(number != fold), np.flatnonzero(number == fold))
            for fold in range(folds)
        ]
    usable = tuple(fold for fold in made if len(fold.score) and _varied(y[fold.train]))
    if not usable:
        raise DataError(
            f"{len(y)} training rows cannot be cross-validated in {folds} folds",
            why="every way to cut them leaves a training part with a single class or value",
            fix="bring more rows, of the rare class above all, or train one algorithm with "
            "`folds: 0`",
            where="training.tuning.folds",
        )
    return usable


def cut_validation(
    y: Targets,
    share: float,
    *,
    seed: int,
    time: npt.NDArray[np.generic] | None = None,
    groups: npt.NDArray[np.generic] | None = None,
) -> Fold | None:
    """One cut of about ``share`` of the rows, the latest with ``time``; None if it cannot be made.

    It stops the rounds of a boosted model early; it is cut like the folds so that it is as
    far from the rows learned on as the rows scored later.
    """
    parts = max(2, round(1 / share))
    if time is not None:
        return _time_cut(y, time, share)
    try:
        return make_folds(y, parts, seed=seed, groups=groups)[0]
    except DataError:
        return None


def strata_of(y: Targets) -> npt.NDArray[np.int32]:
    """What is spread evenly (n,): the class, or the quantile bin of a number."""
    if not np.issubdtype(y.dtype, np.floating):
        return np.asarray(y, dtype=np.int32)
    bins = max(1, min(VALUE_BINS, len(y) // 10))
    cuts = np.quantile(y, np.arange(1, bins) / bins)
    return np.searchsorted(cuts, y).astype(np.int32)


def _varied(y: Targets) -> bool:
    return len(y) > 1 and bool((y != y[0]).any())


def _deal_classes(y: npt.NDArray[np.int32], folds: int, seed: int) -> Positions:
    """The fold of each row: rows of a class, shuffled, are dealt out in turn."""
    shuffled = np.random.default_rng(seed).permutation(len(y))
    by_class = shuffled[np.argsort(y[shuffled], kind="stable")]
    number = np.empty(len(y), dtype=np.int64)
    # One running count through all classes: fold sizes differ by one row at most.
    number[by_class] = np.arange(len(y)) % folds
    return number


def _deal_groups(
    groups: npt.NDArray[np.generic], y: npt.NDArray[np.int32], folds: int, seed: int
) -> Positions:
    """The fold of each row: groups of like size and classes are dealt out to and fro."""
    _, code = np.unique(groups, return_inverse=True)
    count = int(code.max()) + 1 if len(code) else 0
    per_class = np.stack(
        [np.bincount(code[y == label], minlength=count) for label in np.unique(y)], axis=1
    )
    size = per_class.sum(axis=1)
    share = per_class[:, -1] / size
    lot = np.random.default_rng(seed).permutation(count)
    order = np.lexsort((lot, share, -size))
    turn = np.arange(count)
    there, back = turn % folds, folds - 1 - turn % folds
    of_group = np.empty(count, dtype=np.int64)
    of_group[order] = np.where((turn // folds) % 2 == 0, there, back)
    return np.asarray(of_group[code])


def _time_folds(time: npt.NDArray[np.generic], folds: int) -> list[Fold]:
    """Expanding windows over ``folds + 1`` blocks of about equal size."""
    order = np.argsort(time, kind="stable").astype(np.int64)
    sorted_time = time[order]
    targets = (np.arange(1, folds + 1) * len(order)) // (folds + 1)
    # A boundary moves to the first row of its moment, so that no moment is cut apart.
    cuts = np.searchsorted(sorted_time, sorted_time[targets[targets < len(order)]], side="left")
    bounds = [*np.unique(cuts[cuts > 0]).tolist(), len(order)]
    return [
        Fold(np.sort(order[:start]), np.sort(order[start:end])) for start, end in pairwise(bounds)
    ]


def _time_cut(y: Targets, time: npt.NDArray[np.generic], share: float) -> Fold | None:
    order = np.argsort(time, kind="stable").astype(np.int64)
    target = min(len(order) - 1, int(len(order) * (1 - share)))
    start = int(np.searchsorted(time[order], time[order[target]], side="left"))
    if start == 0 or not _varied(y[order[:start]]):
        return None
    return Fold(np.sort(order[:start]), np.sort(order[start:]))
