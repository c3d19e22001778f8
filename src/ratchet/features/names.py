"""Feature names: the nearest one, and names that are used once."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest_name(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown ``name``: the nearest known one, or all of a short list."""
    listed = list(known)
    lower = {item.lower(): item for item in listed}
    near = get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    if near:
        return f'Did you mean "{lower[near[0]]}"?'
    if len(listed) <= 20:
        return f"There are: {', '.join(listed)}"
    return f"There are {len(listed)} columns, none with a similar name"


def unique_names(wanted: Iterable[str], taken: Iterable[str] = ()) -> tuple[str, ...]:
    """``wanted`` with ``#2``, ``#3`` … behind a name that was given before."""
    used = set(taken)
    given = []
    for name in wanted:
        candidate, number = name, 1
        while candidate in used:
            number += 1
            candidate = f"{name}#{number}"
        used.add(candidate)
        given.append(candidate)
    return tuple(given)
