"""Whether two ways to score the same rows agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]

TOLERANCE = 1e-6
"""The largest difference that counts as none: of a score, or of an estimate in its scale."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How far two sets of scores are apart.

    Attributes:
        rows: how many rows were compared.
        max_difference: the largest difference of any score; infinity where one is not a number
            or the shapes differ. Of an estimate (one score a row) in shares of its own size or of
            the estimates' standard deviation, whichever is more, since any unit is possible.
        labels_differ: rows whose most likely class differs, ties aside. A tie is a row whose
            expected scores of the two classes lie within the tolerance of each other: there the
            last digit decides, which no two runtimes share.
    """

    rows: int
    max_difference: float
    labels_differ: int

    @property
    def passed(self) -> bool:
        """Whether every score is within the tolerance and no label differs."""
        return self.max_difference <= TOLERANCE and self.labels_differ == 0


def compare_scores(expected: Scores, actual: Scores) -> Parity:
    """Compare ``actual`` (n, k) with ``expected`` (n, k)."""
    if expected.shape != actual.shape:
        return Parity(len(expected), float("inf"), len(expected))
    if not len(expected):
        return Parity(0, 0.0, 0)
    difference = np.abs(expected - actual)
    if expected.shape[1] == 1:
        difference /= _scale(expected)
    broken = np.isnan(difference)
    largest = float("inf") if broken.any() else float(difference.max())
    row = np.arange(len(expected))
    wanted, given = expected.argmax(axis=1), actual.argmax(axis=1)
    ahead = expected[row, wanted] - expected[row, given]
    return Parity(len(expected), largest, int((ahead > TOLERANCE).sum()))


def _scale(estimates: Scores) -> Scores:
    """What a difference of each estimate (n, 1) is measured by."""
    size = np.maximum(np.abs(estimates), estimates.std())
    return np.where(size > 0.0, size, 1.0)
