"""From a sample to all rows: the best of each rung meet again on several times as many.

Successive halving (Jamieson & Talwalkar, AISTATS 2016) with the number of rows as the resource.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ratchet.training.search.arena import Arena
from ratchet.training.search.engine import Search
from ratchet.training.search.sampling import draw_sample
from ratchet.training.search.setting import Setting
from ratchet.training.search.trial import Trial

GROWTH = 4
FINALISTS = 8
FEWEST = 2
LEAST_GROWTH = 1.5
"""A rung with less than this times the rows tells nothing new."""

PER_CANDIDATE = 2


def climb(search: Search, setting: Setting, make: Callable[[Arena], Search]) -> Search:
    """The last search of a row of them, each on more rows, with fewer configurations.

    ``make`` gives the search of an arena. It ends with all rows, or when there is no time for more.
    """
    rows, folds = len(setting.table.y), len(search.arena.folds)
    most = FINALISTS
    while search.arena.rows < rows:
        finalists = _finalists(search, most)
        size, finalists = _next_rung(search, finalists, rows)
        if size < LEAST_GROWTH * search.arena.rows and size < rows:
            break
        higher = make(setting.arena(folds, draw_sample(setting.table, size)))
        higher.retry(finalists, setting.pool)
        if higher.standings.leader is None:
            break
        search.arena.matrices.clear()
        search, most = higher, max(FEWEST, most // 2)
    return search


def _finalists(search: Search, most: int) -> list[Trial]:
    """The best few, at least the best of each candidate that is not clearly behind."""
    standings = search.standings
    found = []
    for place in range(len(standings.trials)):
        gap, error = standings.gap(place)
        ranked = standings.ranked(place)
        if gap <= 3 * error or len(standings.trials) <= FEWEST:
            found += ranked[:PER_CANDIDATE]
        else:
            found += ranked[:1]
    found.sort(key=lambda trial: (trial.loss(search.metric), trial.number))
    return found[:most]


def _next_rung(search: Search, finalists: Sequence[Trial], rows: int) -> tuple[int, list[Trial]]:
    """How many rows the next rung has, and for which configurations there is time there."""
    now = search.arena.rows
    chosen = list(finalists)
    for size in (rows, GROWTH * now):
        chosen = list(finalists)
        while len(chosen) >= min(FEWEST, len(finalists)):
            if size <= rows and _cost(chosen, search, size) <= search.left_in_all:
                return size, chosen
            chosen.pop()
            if not chosen:
                break
    chosen = list(finalists)[:FEWEST]
    each = max(1e-6, _cost(chosen, search, now))
    return int(min(rows, now * search.left_in_all / each)), chosen


def _cost(trials: Sequence[Trial], search: Search, rows: int) -> float:
    """Seconds that these take on so many rows, side by side as in this search."""
    seconds = sum(trial.seconds for trial in trials) * rows / search.arena.rows
    return seconds / search.arena.plan.workers
