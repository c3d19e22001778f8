"""What a decision may still cost when the same test rows have decided before.

Each time a set of rows decides on a model, luck gets another chance. With level a at the first use
and a / k^2 at the k-th, all uses together stay below a x pi^2 / 6 = 1.65 a, however many there are:
8.2 % at a = 5 %.
"""

from __future__ import annotations

SMALLEST = 0.001


def level_at_use(level: float, use: int) -> float | None:
    """The level for the ``use``-th decision on the same rows; None when they are used up.

    Args:
        level: of the first decision, 1 - confidence.
        use: 1 for the first decision on these rows.

    Raises:
        ValueError: ``use`` is below 1.
    """
    if use < 1:
        raise ValueError("a decision is at least the first on its rows")
    allowed = level / use**2
    return allowed if use == 1 or allowed >= SMALLEST else None
