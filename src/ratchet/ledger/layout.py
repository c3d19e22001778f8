"""Which part of all entities belongs to which arm, so that a change of weights moves the fewest.

All entities lie in [0, 100) percent, cut into ``PARTS`` equal parts. An arm owns stretches of it.
When the weights change, an arm that grows keeps every part it has and takes parts that shrinking
arms gave up; an arm that shrinks gets none. So an entity stays with its arm for as long as that
arm does not shrink, whatever the number of arms; no layout moves fewer.
"""

from __future__ import annotations

from collections.abc import Mapping

PARTS = 1_000_000
"""Parts of all entities: shares are kept in steps of 0.0001 %."""

Layout = tuple[tuple[int, str], ...]
"""Stretches in order: where each ends (not included), and the arm that owns it."""


def lay_out(parts: Mapping[str, int], before: Layout = ()) -> Layout:
    """The layout in which every arm owns as many parts as it is to have.

    Args:
        parts: parts by arm, together ``PARTS``; the first arm is the one that others grow at
            the cost of, as a rule the champion.
        before: the layout until now; without one the first arm owned everything.
    """
    first = next(iter(parts))
    owned = _owned(before or ((PARTS, first),))
    free: list[tuple[int, int]] = []
    for arm, stretches in owned.items():
        excess = sum(high - low for low, high in stretches) - parts.get(arm, 0)
        free += _cut(stretches, excess, from_top=arm == first)
    free.sort()
    for arm, wanted in parts.items():
        stretches = owned.setdefault(arm, [])
        missing = wanted - sum(high - low for low, high in stretches)
        stretches += _cut(free, missing, from_top=False)
    return _joined(owned)


def parts_of(layout: Layout) -> dict[str, int]:
    """How many parts each arm owns."""
    return {arm: sum(high - low for low, high in own) for arm, own in _owned(layout).items()}


def _owned(layout: Layout) -> dict[str, list[tuple[int, int]]]:
    owned: dict[str, list[tuple[int, int]]] = {}
    low = 0
    for high, arm in layout:
        owned.setdefault(arm, []).append((low, high))
        low = high
    return owned


def _cut(stretches: list[tuple[int, int]], size: int, *, from_top: bool) -> list[tuple[int, int]]:
    """Take ``size`` parts away from ``stretches``, which is in order; gives back what was taken."""
    taken = []
    while size > 0 and stretches:
        low, high = stretches.pop(-1 if from_top else 0)
        part = min(size, high - low)
        size -= part
        if from_top:
            taken.append((high - part, high))
            if low < high - part:
                stretches.append((low, high - part))
        else:
            taken.append((low, low + part))
            if low + part < high:
                stretches.insert(0, (low + part, high))
    return taken


def _joined(owned: Mapping[str, list[tuple[int, int]]]) -> Layout:
    """All stretches in order, neighbours of one arm made one."""
    joined: list[tuple[int, str]] = []
    every = sorted((low, high, arm) for arm, own in owned.items() for low, high in own)
    for _, high, arm in every:
        if joined and joined[-1][1] == arm:
            joined.pop()
        joined.append((high, arm))
    return tuple(joined)
