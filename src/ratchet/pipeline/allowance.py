"""The time that a run promised, and how much of it its trainings may use.

A run that climbs the ladder trains more than once, and all of it is one run: the promise is not
made anew for each rung.
"""

from __future__ import annotations

from dataclasses import dataclass

from ratchet import clock

_AFTER_SECONDS = 8.5
"""What exporting, evaluating, packaging, judging and registering a model takes on a machine at
rest."""
_AFTER_PER_ROW, _MOST_COUNTED = 5e-5, 60_000
"""And for each row, as more rows make larger models: a blend with forests may take 13 seconds."""
_AFTER_SHARE = 1.0
"""And for very many rows: so many times what the steps before training took."""
_MOST_SLOWED = 3.0
"""A machine that is slower than that for us is not waited for."""
_LEAST_TRAINING = 0.4
"""The first training gets at least this share of the budget, however late it begins."""
_LEAST_RUNG = 0.1
"""A further one is begun only with this share of it: what is made in less is not worth judging."""


@dataclass(slots=True)
class Allowance:
    """What one run has used of its time.

    Attributes:
        began: when the run began, on the monotonic clock in seconds: a budget counts from there.
        worked: the processor seconds that this process had used then.
        judging: the seconds from the end of a training to its verdict, once that was seen.
    """

    began: float
    worked: float
    judging: float = 0.0
    _trained: float | None = None
    _slowed: float = 1.0
    _rows: int = 0

    def training_ends(self, budget: float, rows: int = 0) -> float:
        """By when a training that begins now must be over so that the run keeps its ``budget``.

        ``rows`` is how many there are, as far as it is known. The least share of
        the budget is granted once: what a rung leaves of it is all that the next has.

        Returns:
            A moment of the monotonic clock, which may have passed.
        """
        if self._trained is None:
            self._trained = clock.monotonic()
            spent, used = self._trained - self.began, clock.processor() - self.worked
            # On a busy machine a second of work takes longer: as much longer as it did until now.
            self._slowed = min(_MOST_SLOWED, max(1.0, spent / max(used, 0.1)))
        self._rows = max(self._rows, min(rows, _MOST_COUNTED))
        before = self._trained - self.began
        usual = _AFTER_SECONDS + _AFTER_PER_ROW * self._rows
        after = max(usual * self._slowed + _AFTER_SHARE * before, self.judging)
        return max(self.began + budget - after, self._trained + _LEAST_TRAINING * budget)

    def has_room(self, budget: float | None) -> bool:
        """Whether there is time to train once more; always without a budget."""
        if budget is None or self._trained is None:
            return True
        return self.training_ends(budget) - clock.monotonic() >= _LEAST_RUNG * budget
