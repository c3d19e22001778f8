"""What the final fits will take, from what the folds took."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ratchet.training.search.arena import Arena
from ratchet.training.search.trial import Trial

CAREFUL = 1.2
"""A final fit is taken to need this times what its folds let expect."""

AROUND = 0.3
"""Seconds for what comes between the search and the final fits."""

PER_CELL = 4e-6
"""Seconds for each score (rows x classes) that weights, calibration and threshold look at."""

MOST_MEMBERS = 5
"""Models that are reserved for: those of the largest ensemble."""


def final_seconds(trial: Trial, arena: Arena, rows: int) -> float:
    """Seconds that fitting the trial's configuration on all ``rows`` takes, encoding included."""
    learned = [(len(arena.folds[number].train), attempt.seconds)
               for number, attempt in trial.attempts.items()
               if number < len(arena.folds) and attempt.seconds > 0]  # fmt: skip
    if not learned:
        return 0.0
    larger = rows * len(learned) / sum(count for count, _ in learned)
    usual = sum(seconds for _, seconds in learned) / len(learned)
    # What cannot be interrupted may grow with the square of its rows, as kernel machines do.
    power = 1 if trial.entrant.algorithm.interruptible else 2
    largest = max(count for count, _ in learned)
    encoding = arena.matrices.seconds(trial.entrant.encoding) * rows / max(1, largest)
    return float(CAREFUL * (usual * larger**power + encoding))


def reserved_seconds(
    trials: Sequence[Trial], arena: Arena, rows_of: Callable[[Trial], int], classes: int
) -> float:
    """Seconds to keep for the final fits of the best of ``trials``, and what is done around them.

    ``rows_of`` says how many rows a trial's configuration is fitted on at last. Fits run side by
    side as in the search, but not all start at once.
    """
    costs = sorted((final_seconds(trial, arena, rows_of(trial)) for trial in trials), reverse=True)
    fits = sum(costs[:MOST_MEMBERS])
    abreast = max(1.0, 0.75 * arena.plan.workers)
    around = AROUND + PER_CELL * arena.rows * max(1, classes) * len(trials)
    return max([fits / abreast, *costs[:1]]) + around
