"""Two versions on the same predictions: a shadow against the answers that it shadows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ratchet.evaluation.catalog import find_metric, usual_metric
from ratchet.evaluation.compare import Comparison, compare
from ratchet.monitoring.cohorts import Aged
from ratchet.monitoring.labelled import Watched


@dataclass(frozen=True, slots=True)
class Pair:
    """Two versions that answered the same predictions, of which one was not seen.

    Attributes:
        version: the shadow.
        against: whose answers were seen.
        comparison: of the two; a positive difference is in favour of the shadow.
    """

    version: int
    against: int
    comparison: Comparison


def metric_of(wanted: str | None, known: Watched) -> str:
    """The metric that was asked for if it fits the version's task, else the usual one."""
    if wanted is None or known.task.kind not in find_metric(wanted).kinds:
        return usual_metric(known.task.kind)
    return wanted


def find_pairs(
    aged: Sequence[Aged], watched: Mapping[int, Watched], metric: str | None, confidence: float
) -> tuple[Pair, ...]:
    """Every shadow against the answers it shadows, on mature cohorts."""
    if not any(one.answers.shadow for one in aged):
        return ()
    seen: dict[str, tuple[int, int]] = {}
    for place, one in enumerate(aged):
        if not one.answers.shadow:
            rows = np.flatnonzero(np.isin(one.period, list(one.mature)) & one.answers.has)
            seen |= {one.answers.ids[row]: (place, int(row)) for row in rows}
    found = []
    for one in aged:
        if not one.answers.shadow:
            continue
        by_place: dict[int, list[tuple[int, int]]] = {}
        for row in np.flatnonzero(one.answers.has).tolist():
            match = seen.get(one.answers.of[row])
            if match is not None:
                by_place.setdefault(match[0], []).append((row, match[1]))
        for place, matched in by_place.items():
            pair = _pair(one, aged[place], np.array(matched), watched, metric, confidence)
            if pair is not None:
                found.append(pair)
    return tuple(found)


def _pair(
    one: Aged,
    other: Aged,
    rows: Any,
    watched: Mapping[int, Watched],
    metric: str | None,
    confidence: float,
) -> Pair | None:
    mine, theirs = one.answers, other.answers
    if mine.task != theirs.task or mine.version == theirs.version:
        return None
    comparison = compare(
        mine.y[rows[:, 0]],
        mine.proba[rows[:, 0]],
        theirs.proba[rows[:, 1]],
        task=mine.task,
        metric=metric_of(metric, watched[mine.version]),
        threshold=watched[mine.version].threshold,
        old_threshold=watched[theirs.version].threshold,
        confidence=confidence,
    )
    return Pair(mine.version, theirs.version, comparison)
