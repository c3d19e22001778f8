"""Whether the bundle scores as training did."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ratchet.gates.report import GateResult, Where, default_places

NAME = "parity"


def judge_parity(
    expected: npt.NDArray[np.float64],
    actual: npt.NDArray[np.float64] | None,
    tolerance: float,
    *,
    problem: str = "",
    where: Where = default_places,
) -> GateResult:
    """The bundle's scores against the scores in training, row by row.

    Args:
        expected: class scores in training (n, k); for regression estimates (n, 1).
        actual: the bundle's of the same rows; None when it gave none.
        tolerance: the largest difference that counts as none; of estimates, relative to the
            largest of them where that is above 1, for they have a unit and scores have none.
        problem: why it gave none.
        where: where the tolerance was set.
    """
    place = where("gates", "parity_tolerance")

    def result(value: float | None, passed: bool, reason: str) -> GateResult:
        return GateResult(NAME, "artifacts", value, tolerance, passed, reason, place)

    if actual is None:
        return result(None, False, f"not compared: {problem or 'the bundle gave no scores'}")
    if len(expected) == 0:
        return result(None, False, "not compared: there are no test rows")
    if expected.shape != actual.shape:
        shapes = f"{actual.shape} instead of {expected.shape}"
        return result(None, False, f"the bundle's scores have the shape {shapes}")
    worst = np.abs(expected - actual).max(axis=1) / _unit(expected)
    broken = int((~np.isfinite(worst)).sum())
    if broken:
        return result(None, False, f"{broken} of {len(worst)} rows have a score that is no number")
    row = int(worst.argmax())
    largest = float(worst[row])
    if largest <= tolerance:
        return result(largest, True, f"{len(worst):,} rows score alike, within {largest:.1e}")
    beyond = int((worst > tolerance).sum())
    return result(
        largest,
        False,
        f"{beyond:,} of {len(worst):,} rows differ by more than {tolerance:g}, most in row "
        f"{row}: {largest:.2e}",
    )


def _unit(expected: npt.NDArray[np.float64]) -> float:
    """What differences are measured in."""
    return max(1.0, float(np.abs(expected).max())) if expected.shape[1] == 1 else 1.0
