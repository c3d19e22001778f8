"""The gate of a replayed run: the rules of the real one, on rows that neither model has seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import Final

import numpy as np

from ratchet.backtest.cells import Cells
from ratchet.evaluation.catalog import find_metric
from ratchet.evaluation.compare import MIN_CLASS_ROWS, MIN_ROWS, SAME_SCORES, compare
from ratchet.evaluation.estimate import quantile_one_sided
from ratchet.gates.champion import decide
from ratchet.gates.reuse import level_at_use
from ratchet.gates.settings import GatesSettings

ENOUGH: Final = 200
"""As in the pipeline: so many newer rows are worth more than more rows that are older."""
_LET_BE: Final = 0.25


@dataclass(slots=True)
class Gate:
    """Judges the models of one replay; remembers which rows decided.

    Attributes:
        cells: the models.
        settings: what must be proven.
        used: the rows of every decision so far, from and to.
    """

    cells: Cells
    settings: GatesSettings
    used: list[tuple[int, int]] = field(default_factory=list)

    def judge(self, new: int, old: int) -> Judged:
        """The model of one training point against that of another, which serves."""
        fit = self.cells.fits[new]
        metric = self.settings.champion.metric or self.cells.metric
        low = self._below_minimum(new)
        if low:
            return Judged(False, "rejected", None, low)
        start, stop = self._rows(max(fit.tested, self.cells.fits[old].cut), fit.known)
        if stop - start < MIN_ROWS:
            return Judged(
                False, "not_enough_evidence", None, f"{max(stop - start, 0)} rows are too few"
            )
        champion = self.settings.champion
        found = compare(
            self.cells.stream.y[start:stop],
            self.cells.proba(new, start, stop),
            self.cells.proba(old, start, stop),
            task=self.cells.stream.task,
            metric=metric,
            threshold=fit.threshold,
            old_threshold=self.cells.fits[old].threshold,
            margin=champion.margin,
            confidence=champion.confidence,
        )
        use = 1 + self._decisions_before(start, stop)
        if found.reason != SAME_SCORES and found.se is not None:
            self.used.append((start, stop))
        made = decide(found, champion, use)
        said = "no comparison"
        if made.difference is not None and made.se is not None:
            said = f"{metric} {made.difference:+.4f} ± {made.se:.4f} on {found.n:,} rows"
        return Judged(made.passed, made.verdict, made.difference, said)

    def _below_minimum(self, new: int) -> str:
        fit = self.cells.fits[new]
        for name, limit in self.settings.minimum.items():
            found = self.cells.reading(new, fit.tested, fit.known, name)
            sign = find_metric(name).sign
            if found is None or sign * found.value < sign * limit:
                shown = "no value" if found is None else f"{found.value:.4f}"
                return f"{name} {shown}, {limit:g} is the minimum"
        return ""

    def _rows(self, start: int, stop: int) -> tuple[int, int]:
        """All newer rows, or those that no decision used, whichever proves the smaller gain."""
        last = max((end for _, end in self.used), default=0)
        if last <= start or not self._enough(last, stop, start):
            return start, stop
        use = 1 + self._decisions_before(start, stop)
        first, again = (self._level(number) for number in (1, use))
        if first is not None and again is not None:
            reach = quantile_one_sided(first) / quantile_one_sided(again)
            if stop - last < (stop - start) * reach**2:
                return start, stop
        return last, stop

    def _level(self, use: int) -> float | None:
        champion = self.settings.champion
        return level_at_use(1 - champion.confidence, use, champion.spent)

    def _enough(self, start: int, stop: int, from_: int) -> bool:
        if stop - start < ENOUGH:
            return False
        task = self.cells.stream.task
        if task.kind == "regression":
            return True
        y = self.cells.stream.y
        among, every = (
            np.bincount(y[first:stop], minlength=len(task.classes)) for first in (start, from_)
        )
        return bool((among >= np.minimum(every, MIN_CLASS_ROWS)).all())

    def _decisions_before(self, start: int, stop: int) -> int:
        """In how many decisions the rows took part: the mean over them, rounded up."""
        shared = sum(max(0, min(stop, end) - max(start, first)) for first, end in self.used)
        return max(0, ceil(shared / max(stop - start, 1) - _LET_BE))


@dataclass(frozen=True, slots=True)
class Judged:
    """What the gate said of a model."""

    passed: bool
    verdict: str
    difference: float | None
    reason: str
