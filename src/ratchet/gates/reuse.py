"""What a decision may still cost when the same test rows have decided before.

Each time a set of rows decides on a model, luck gets another chance. The k-th decision on the same
rows has the level a 6 / (pi^2 k^2), so that all of them together stay below a, however many there
are; never more than rows that have not decided yet would be asked for.
"""

from __future__ import annotations

from math import pi

MOST_USES = 12
SMALLEST = 0.001


def level_at_use(level: float, use: int, total: float | None = None) -> float | None:
    """The one-sided level for the ``use``-th decision on the same rows; None when used up.

    They are used up after ``MOST_USES`` decisions, or when the level falls below ``SMALLEST``:
    what remains then would only find differences that nobody needs a test for.

    Args:
        level: of a decision on rows that have not decided before, 1 - confidence.
        use: 1 for the first decision on these rows.
        total: the chance that any decision on the same rows passes a model that is no better; twice
            ``level`` if not given.

    Raises:
        ValueError: ``use`` is below 1.
    """
    if use < 1:
        raise ValueError("a decision is at least the first on its rows")
    spent = 2 * level if total is None else total
    allowed = min(level, spent * 6 / (pi * use) ** 2)
    if use == 1:
        return allowed
    return allowed if use <= MOST_USES and allowed >= SMALLEST else None
