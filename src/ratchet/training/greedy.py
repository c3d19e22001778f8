"""Greedy selection of a blend over the folds' out-of-fold scores, by any part of the folds.

Caruana's (Caruana, Niculescu-Mizil, Crew & Ksikes, ICML 2004): from the best few on, the candidate
that improves the mean of the members most is added, again and again and with replacement; how
often one was added is its weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from ratchet.training.fitted import Proba, Targets
from ratchet.training.folds import Fold, Positions
from ratchet.training.quick_scores import Blends, score_blends
from ratchet.training.scoring import LOWER_IS_BETTER

Floats = npt.NDArray[np.float64]

ROUNDS: Final = 25
PATIENCE: Final = 6
"""Rounds without a better blend after which the selection ends."""
STARTERS: Final = 5
SMALLEST_WEIGHT: Final = 0.02
MOST_ROWS: Final = 30_000
MOST_CELLS: Final = 20_000_000
"""Scores held for a selection: candidates x rows x classes."""
PSEUDO_FOLDS: Final = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """What a blend may cost: members, seconds to score one row, and bytes of its files.

    ``seconds`` and ``bytes`` are each candidate's own; left out, they do not matter.
    """

    members: int = 5
    seconds: tuple[float, ...] = ()
    bytes: tuple[int, ...] = ()
    most_seconds: float = math.inf
    most_bytes: float = math.inf

    def allow(self, members: Sequence[int]) -> bool:
        """Whether a blend of these candidates (positions, each once) is within them."""
        seconds = sum(self.seconds[member] for member in members) if self.seconds else 0.0
        size = sum(self.bytes[member] for member in members) if self.bytes else 0
        return (
            len(members) <= self.members
            and seconds <= self.most_seconds
            and size <= self.most_bytes
        )

    def of(self, kept: Sequence[int]) -> Limits:
        """The same for these candidates alone."""
        return replace(
            self,
            seconds=tuple(self.seconds[place] for place in kept) if self.seconds else (),
            bytes=tuple(self.bytes[place] for place in kept) if self.bytes else (),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One fold's rows: candidates' scores (m, n, c), labels (n,), and what rows count (n,).

    ``c`` is 1 for two classes (the positive class) and for regression, else the classes.
    """

    scores: Blends
    y: Targets
    weight: Floats

    def blend(self, weights: Floats) -> Blends:
        """The weighted mean (1, n, c) of the candidates."""
        members = np.flatnonzero(weights)
        share = weights[members].astype(np.float32)
        return np.tensordot(share, self.scores[members], axes=1)[None]

    def score(self, metric: str, blends: Blends) -> Floats:
        """The metric (b,) of blends (b, n, c), signed so that more is better."""
        sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
        return sign * score_blends(metric, blends, self.y, self.weight)

    def likelihood(self) -> Block:
        """The same with each row's score of its own class, which is all that log loss asks for."""
        if self.scores.shape[2] == 1:
            own = np.where(self.y == 1, self.scores[:, :, 0], 1 - self.scores[:, :, 0])
        else:
            own = self.scores[:, np.arange(len(self.y)), self.y.astype(np.int64)]
        return Block(own[:, :, None], np.ones(len(self.y), dtype=np.int32), self.weight)

    def keep(self, candidates: Sequence[int]) -> Block:
        """The same with these candidates alone."""
        return Block(self.scores[list(candidates)], self.y, self.weight)


class Selection:
    """The greedy selection by one metric; all values are signed so that more is better."""

    def __init__(self, blocks: Sequence[Block], metric: str, limits: Limits) -> None:
        self.blocks = blocks
        self.metric = metric
        self.limits = limits
        self.alone = np.array([block.score(metric, block.scores) for block in blocks])

    def best(self, folds: Sequence[int]) -> int:
        """The single candidate with the best mean among those within the limits."""
        mean = self.alone[list(folds)].mean(axis=0)
        able = [self.limits.allow([candidate]) for candidate in range(len(mean))]
        return int(np.where(able, mean, -np.inf).argmax())

    def weights(self, folds: Sequence[int]) -> Floats:
        """Weights (m,) chosen by the mean metric over these folds."""
        best = counts = self._start(folds)
        found = self._value(counts, folds)
        waited = 0
        for _ in range(ROUNDS):
            allowed = self._allowed(counts)
            if waited == PATIENCE or not len(allowed):
                break
            values = self._trial(counts, allowed, folds)
            counts = counts.copy()
            counts[allowed[values.argmax()]] += 1
            waited += 1
            if values.max() > found:
                best, found, waited = counts, float(values.max()), 0
        weights = best / best.sum()
        weights[weights < SMALLEST_WEIGHT] = 0.0
        return np.asarray(weights / weights.sum())

    def _start(self, folds: Sequence[int]) -> Floats:
        """The best equal-weight blend of the best few, as counts (m,)."""
        mean = self.alone[list(folds)].mean(axis=0)
        counts = np.zeros(len(mean))
        starts: list[Floats] = []
        for candidate in np.argsort(-mean, kind="stable"):
            if len(starts) < STARTERS and self.limits.allow(
                [*np.flatnonzero(counts).tolist(), int(candidate)]
            ):
                counts = counts.copy()
                counts[candidate] = 1
                starts.append(counts)
        values = [self._value(start, folds) for start in starts]
        return starts[int(np.argmax(values))]

    def _allowed(self, counts: Floats) -> npt.NDArray[np.int64]:
        members = np.flatnonzero(counts).tolist()
        able = [
            candidate
            for candidate in range(len(counts))
            if counts[candidate] or self.limits.allow([*members, candidate])
        ]
        return np.array(able, dtype=np.int64)

    def _value(self, counts: Floats, folds: Sequence[int]) -> float:
        weights = counts / counts.sum()
        blocks = [self.blocks[fold] for fold in folds]
        return float(np.mean([block.score(self.metric, block.blend(weights)) for block in blocks]))

    def _trial(
        self, counts: Floats, allowed: npt.NDArray[np.int64], folds: Sequence[int]
    ) -> Floats:
        """The metric with each of these candidates added once."""
        scale = np.float32(1 / (counts.sum() + 1))
        total = np.zeros(len(allowed))
        for block in (self.blocks[fold] for fold in folds):
            sums = block.blend(counts)
            blends = block.scores[allowed]
            blends += sums
            blends *= scale
            total += block.score(self.metric, blends)
        return np.asarray(total / len(folds))


def make_blocks(
    oof: Sequence[Proba], y: Targets, folds: Sequence[Fold], *, seed: int
) -> list[Block]:
    """The rows of each fold that every candidate has scored, thinned out where they are many.

    A single fold is dealt out into several, so that there is something to cross-validate over.
    """
    scored = np.ones(len(y), dtype=bool)
    for scores in oof:
        scored &= np.isfinite(scores).all(axis=1)
    parts = [fold.score[scored[fold.score]] for fold in folds]
    parts = [part for part in parts if len(part)]
    if len(parts) == 1:
        lot = np.random.default_rng(seed).permutation(parts[0])
        parts = [np.sort(part) for part in np.array_split(lot, PSEUDO_FOLDS) if len(part)]
    binary = oof[0].shape[1] == 2
    columns = slice(1, 2) if binary else slice(None)
    width = len(oof) * (1 if binary else oof[0].shape[1])
    most = min(MOST_ROWS, MOST_CELLS // width) // max(1, len(parts))
    blocks = []
    for part in parts:
        kept, weight = _thin(part, y, most, binary=binary, seed=seed)
        stacked = np.stack([scores[kept, columns] for scores in oof]).astype(np.float32)
        blocks.append(Block(stacked, y[kept], weight))
    return blocks


def _thin(
    part: Positions, y: Targets, most: int, *, binary: bool, seed: int
) -> tuple[Positions, Floats]:
    """At most ``most`` of these rows, and what they count; with two classes the common one goes."""
    rng = np.random.default_rng(seed)
    if len(part) <= most:
        return part, np.ones(len(part))
    if not binary:
        return np.sort(rng.choice(part, most, replace=False)), np.ones(most)
    rare, common = sorted((part[y[part] == code] for code in (0, 1)), key=len)
    few = rng.choice(rare, min(len(rare), most // 2), replace=False)
    many = rng.choice(common, min(len(common), most - len(few)), replace=False)
    counts = [len(rare) / max(1, len(few)), len(common) / max(1, len(many))]
    kept = np.concatenate([few, many])
    order = np.argsort(kept)
    return kept[order], np.repeat(counts, [len(few), len(many)])[order]
