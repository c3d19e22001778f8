"""Shapley values of any scorer at a bounded cost, by sampled orders of the features.

A row is reached from a background row by switching its features one after the other; what the score
does at a feature's turn, averaged over orders and background rows, is the feature's Shapley value
(Castro, Gomez and Tejada, *Computers & Operations Research* 36 (2009) 1726). Here each order is
walked forwards and backwards (antithetic; Mitchell, Cooper, Frank and Holmes, *JMLR* 23 (2022) 43),
background rows are drawn in strata of their scores, and an additive model of the score, fitted once
on background rows, is the control variate: its own Shapley values are known, so that only what it
does not explain is left to chance (Goldwasser and Hooker, *Stat* 13 (2024) e70). Columns of one
group switch together. Equal inputs give equal values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ratchet.errors import RatchetError
from ratchet.evaluation.additive import Additive, fit_additive

Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Score = Callable[[Matrix], Floats]

_CHUNK = 8192
"""Rows built and scored at once."""
FEWEST_PAIRS, _MOST_PAIRS = 2, 64
_POOLED = 3
"""How many of a row's own walks the mean variance of all rows counts for."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What rows are explained against; made once by `prepare_reference`, used for any rows.

    Attributes:
        score: scores a matrix (m, D) on the explained scale (m, k).
        group: the group 0 to d - 1 of each matrix column (D,).
        background: typical rows (b, D).
        scores: their scores (b, k).
        additive: the control variate.
        share: the part of the groups in which two background rows differ, on average.
        cost: rows scored to make it.
    """

    score: Score
    group: Ints
    background: Matrix
    scores: Floats
    additive: Additive
    share: float
    cost: int

    @property
    def features(self) -> int:
        """How many groups there are."""
        return int(self.group.max()) + 1

    @property
    def base(self) -> Floats:
        """The mean score of the background (k,)."""
        base: Floats = self.scores.mean(axis=0)
        return base

    def price(self, pairs: int) -> float:
        """Rows scored, on average, for one row with ``pairs`` pairs of walks."""
        return 1 + 2 * pairs * max(self.share * self.features - 1, 0.0)

    def pairs(self, budget: int) -> int:
        """Pairs of walks of one row for about ``budget`` scored rows, at least the fewest."""
        each = self.price(1) - 1
        most = _MOST_PAIRS if each == 0 else int((budget - 1) / each)
        return max(FEWEST_PAIRS, min(_MOST_PAIRS, most))


def prepare_reference(
    score: Score,
    groups: Sequence[Sequence[int]],
    background: Matrix,
    *,
    budget: int = 6000,
    seed: int = 0,
) -> Reference:
    """Score the background and fit the control variate on walks between its rows.

    Args:
        score: scores a matrix (m, D) on the explained scale (m, k).
        groups: the matrix columns of each feature; every column belongs to just one.
        background: typical rows (b, D), at least 2.
        budget: rows scored, about.
        seed: of the walks.

    Raises:
        RatchetError: ``groups`` do not part the columns (a bug of the caller).
    """
    group = np.full(background.shape[1], -1, dtype=np.int64)
    for place, columns in enumerate(groups):
        group[list(columns)] = place
    if (group < 0).any() or sum(map(len, groups)) != len(group) or not all(groups):
        raise RatchetError("Groups of columns must hold every column of the matrix just once")
    scores = score(background)
    rng = np.random.default_rng(seed)
    count = len(background)
    pairs = 4 * count
    first = rng.permutation(np.arange(pairs) % count)
    second = (first + rng.integers(1, count, pairs)) % count
    share = float(_differing(background[first], background[second], group).mean())
    keep = max(32, int(budget / max(2 * share * len(groups), 1)))
    first, second = first[:keep], second[:keep]
    walks = _Walks(score, group, background[first], background[second])
    found, cost = walks.both_ways(scores[first], scores[second], rng)
    additive = fit_additive(background, first, second, found, group)
    return Reference(score, group, background, scores, additive, share, cost + count)


def sample_values(
    reference: Reference, X: Matrix, *, pairs: int, seed: int = 0
) -> tuple[Floats, Floats, int]:
    """Shapley values of rows (n, d, k), their standard errors (n, d, k), and the rows scored.

    The values of a row add up to its score less the background's mean. What sampling leaves over
    is given to the features in proportion to their variances, the least squares correction.

    Args:
        reference: what rows are explained against.
        X: the rows (n, D).
        pairs: walks forwards and backwards of each row, at least 2.
        seed: of orders and background rows.
    """
    rows, count = len(X), len(reference.background)
    if rows == 0:
        nothing = np.zeros((0, reference.features, reference.scores.shape[1]))
        return nothing, nothing, 0
    rng = np.random.default_rng(seed)
    ranked = np.argsort(reference.scores[:, _widest(reference.scores)], kind="stable")
    strata = (np.arange(pairs) + rng.random((rows, pairs))) / pairs
    chosen = ranked[(strata * count).astype(np.int64)].ravel()
    own = np.repeat(np.arange(rows), pairs)
    scores = reference.score(X)
    walks = _Walks(reference.score, reference.group, X[own], reference.background[chosen])
    found, cost = walks.both_ways(scores[own], reference.scores[chosen], rng)
    here = reference.additive.parts(X)
    there = reference.additive.parts(reference.background)
    found -= here[own] - there[chosen]
    found = found.reshape(rows, pairs, *found.shape[1:])
    values = found.mean(axis=1) + here - there.mean(axis=0)
    variance = _steadied(found.var(axis=1, ddof=1), pairs) / pairs
    left = scores - reference.base - values.sum(axis=1)
    values += left[:, None, :] * _weights(variance, values)
    return values, np.sqrt(variance), cost + rows


def _steadied(variance: Floats, pairs: int) -> Floats:
    """Variances (n, d, k) drawn towards their mean over rows, as a row's few walks know little."""
    own = pairs - 1
    drawn: Floats = (own * variance + _POOLED * variance.mean(axis=0)) / (own + _POOLED)
    return drawn


def _weights(variance: Floats, values: Floats) -> Floats:
    """How what is left over is shared out: by the features' variances (n, d, k), summing to 1."""
    weight = variance
    for fallback in (np.abs(values), np.ones_like(values)):
        total = weight.sum(axis=1, keepdims=True)
        weight = np.where(total > 0, weight, fallback)
    shares: Floats = weight / weight.sum(axis=1, keepdims=True)
    return shares


def _widest(scores: Floats) -> int:
    """The score with the largest spread."""
    return int(scores.var(axis=0).argmax())


def _differing(first: Matrix, second: Matrix, group: Ints) -> npt.NDArray[np.bool_]:
    """In which groups two rows differ (m, d); missing equals missing."""
    differ = (first != second) & ~(np.isnan(first) & np.isnan(second))
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(int(group.max()) + 1))
    found: npt.NDArray[np.bool_] = np.logical_or.reduceat(differ[:, order], starts, axis=1)
    return found


class _Walks:
    """Walks from background rows (m, D) to rows (m, D), both ways through one order each."""

    def __init__(self, score: Score, group: Ints, rows: Matrix, background: Matrix) -> None:
        self._score, self._group = score, group
        self._rows, self._background = rows, background
        self._differ = _differing(rows, background, group)

    def both_ways(
        self, ends: Floats, starts: Floats, rng: np.random.Generator
    ) -> tuple[Floats, int]:
        """The mean over both ways of what each feature's turn does (m, d, k); rows scored.

        ``ends`` and ``starts`` are the scores (m, k) of the rows and of the background rows.
        """
        count, features = self._differ.shape
        order = rng.permuted(np.tile(np.arange(features), (count, 1)), axis=1)
        forth, cost = self._walk(order, ends, starts)
        back, more = self._walk(order[:, ::-1], ends, starts)
        return (forth + back) / 2, cost + more

    def _walk(self, order: Ints, ends: Floats, starts: Floats) -> tuple[Floats, int]:
        """What each feature's turn does in the given orders (m, d, k).

        A turn at which the rows do not differ changes nothing and is not scored.
        """
        turns = np.take_along_axis(self._differ, order, axis=1)
        passed = np.cumsum(turns, axis=1)
        total = passed[:, -1]
        # The state after a walk's last differing turn is the row itself: its score is known.
        walk, turn = np.nonzero(turns & (passed < total[:, None]))
        scores = self._score_states(order, walk, turn, starts.shape[1])
        table = np.concatenate((scores, ends, starts))
        count, steps = len(order), len(scores)
        each = np.maximum(total - 1, 0)
        offset = np.cumsum(each) - each
        state = offset[:, None] + passed - 1
        at_row = steps + np.arange(count)[:, None]
        state = np.where(passed >= total[:, None], at_row, state)
        state = np.where(passed == 0, at_row + count, state)
        reached = table[np.concatenate((at_row + count, state), axis=1)]
        effects = np.empty((*order.shape, starts.shape[1]))
        np.put_along_axis(effects, order[:, :, None], np.diff(reached, axis=1), axis=1)
        return effects, steps

    def _score_states(self, order: Ints, walk: Ints, turn: Ints, outputs: int) -> Floats:
        """Scores of the states after ``turn`` of each ``walk``."""
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(order.shape[1])[None, :], axis=1)
        scores = np.empty((len(walk), outputs))
        for start in range(0, len(walk), _CHUNK):
            part = slice(start, start + _CHUNK)
            own = walk[part]
            switched = (rank[own] <= turn[part, None])[:, self._group]
            scores[part] = self._score(np.where(switched, self._rows[own], self._background[own]))
        return scores
