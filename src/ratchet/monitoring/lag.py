"""How long labels take: the curve of the share that is there at each age, and what it is good for.

Predictions of every age are used: those without a label yet are censored at their age, so that the
curve is neither too low because of young predictions nor too high because of early labels (Kaplan
and Meier, *J. Am. Stat. Assoc.* 53 (1958) 457, with a share that never gets a label). The delays of
the labels that did come, given what they say, are truncated at the prediction's age; their
distribution is estimated backwards (Lynden-Bell, *Mon. Not. R. Astron. Soc.* 155 (1971) 95;
Lagakos, Barraj and De Gruttola, *Biometrika* 75 (1988) 515). A label that came early counts one
over the chance that it has come by now, and so stands for the slower ones of its kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FEWEST: Final = 30
"""Predictions that an age must have been reached by for the curve to go so far."""
MOST_WEIGHT: Final = 20.0
_POINTS: Final = 200
_SETTLED: Final = 0.95
_COMPLETE: Final = 0.98
_EARLIER: Final = 2 / 3


@dataclass(frozen=True, slots=True)
class LagCurve:
    """The share of predictions that have their label at each age.

    Attributes:
        ages: seconds, rising (m,).
        shares: at those ages, 0 to 1, rising (m,).
        followed: the age up to which the curve is known.
        rows: predictions it is from.
        labelled: how many of them have a label.
        settled: it has become flat: what it ends at is the share that will ever have a label.
    """

    ages: tuple[float, ...]
    shares: tuple[float, ...]
    followed: float
    rows: int
    labelled: int
    settled: bool

    @property
    def eventual(self) -> float:
        """The share that ever gets a label, as far as it is known."""
        return self.shares[-1] if self.shares else 0.0

    def at(self, ages: Floats) -> Floats:
        """The share at some ages (n,)."""
        if not self.ages:
            return np.zeros(len(ages))
        places = np.searchsorted(np.array(self.ages), ages, side="right")
        return np.concatenate([[0.0], self.shares])[places]

    def age_of(self, share: float) -> float | None:
        """The age at which this share of all labels is there; None before the curve is settled."""
        wanted = share * self.eventual
        if not self.settled or wanted <= 0:
            return None
        reached = np.flatnonzero(np.array(self.shares) >= wanted - 1e-12)
        return self.ages[int(reached[0])]

    def to_json(self) -> dict[str, Any]:
        """A JSON object; the curve in at most 200 points."""
        return {
            "ages": list(self.ages),
            "shares": list(self.shares),
            "followed": self.followed,
            "rows": self.rows,
            "labelled": self.labelled,
            "settled": self.settled,
            "eventual": self.eventual,
            "median": self.age_of(0.5),
            "nine_in_ten": self.age_of(0.9),
        }


def lag_curve(ages: Floats, lags: Floats) -> LagCurve:
    """The curve from predictions of any age.

    Args:
        ages: seconds since each prediction (n,).
        lags: seconds that its label took (n,), NaN where there is none.
    """
    has = np.isfinite(lags)
    rows = len(ages)
    if rows < FEWEST or not has.any():
        return LagCurve((), (), float(ages.max()) if rows else 0.0, rows, int(has.sum()), False)
    seen = np.where(has, np.maximum(lags, 0.0), np.maximum(ages, 0.0))
    # An age that fewer have reached says little: the curve ends there.
    followed = float(np.partition(ages, rows - FEWEST)[rows - FEWEST])
    times, events = np.unique(seen[has], return_counts=True)
    ordered = np.sort(seen)
    at_risk = rows - np.searchsorted(ordered, times, side="left")
    left = np.cumprod(1.0 - events / at_risk)
    inside = times <= followed
    times, shares = times[inside], 1.0 - left[inside]
    if not len(times):
        return LagCurve((), (), followed, rows, int(has.sum()), False)
    before = shares[np.searchsorted(times, followed * _EARLIER, side="right") - 1]
    if times[0] > followed * _EARLIER:
        before = 0.0
    enough = int(has.sum()) >= FEWEST
    settled = enough and bool(before >= _SETTLED * shares[-1] or shares[-1] >= _COMPLETE)
    keep = np.unique(np.linspace(0, len(times) - 1, _POINTS).round().astype(np.int64))
    return LagCurve(
        tuple(times[keep].tolist()),
        tuple(shares[keep].tolist()),
        followed,
        rows,
        int(has.sum()),
        settled,
    )


def arrival_weights(ages: Floats, lags: Floats, kinds: npt.NDArray[np.int64]) -> Floats:
    """What each labelled row counts (n,): one over the chance that its label is there by now.

    Args:
        ages: seconds since each prediction (n,).
        lags: seconds that the label took (n,), at most the age.
        kinds: codes (n,) of rows whose labels take alike, such as those with the same outcome.
    """
    weight = np.ones(len(ages))
    for kind in np.unique(kinds):
        mine = np.flatnonzero(kinds == kind)
        if len(mine) >= FEWEST:
            weight[mine] = 1.0 / _chance_by(ages[mine], np.clip(lags[mine], 0.0, ages[mine]))
    return np.minimum(weight, MOST_WEIGHT)


def _chance_by(ages: Floats, lags: Floats) -> Floats:
    """P(lag <= age) of each row, of rows that were seen because their lag is at most their age.

    Backwards in time: of those that could have been seen with a lag of t or less and an age of t
    or more, the share whose lag is t leaves; the product over later lags is P(lag <= t).
    """
    times, events = np.unique(lags, return_counts=True)
    seen = np.searchsorted(np.sort(lags), times, side="right")
    too_young = np.searchsorted(np.sort(ages), times, side="left")
    at_risk = seen - too_young
    stays = 1.0 - events / np.maximum(at_risk, events)
    # P(lag <= t_j) is the product of what stays at later times; nothing is later than the last.
    after = np.concatenate([np.cumprod(stays[::-1])[::-1][1:], [1.0]])
    places = np.searchsorted(times, ages, side="right") - 1
    return np.asarray(np.maximum(after[np.maximum(places, 0)], 1.0 / MOST_WEIGHT))
