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
FEWEST_OF_A_KIND: Final = 20
"""Labels of one kind that its delays are told from."""
MANY: Final = 1_000
"""Predictions that all have a label: what is hidden among them is rarer than three in this many."""
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
    """P(lag <= age) of each row, of rows that were seen because their lag is at most their age."""
    times, within = _backwards(ages, lags)
    places = np.searchsorted(times, ages, side="right") - 1
    return np.asarray(np.maximum(within[np.maximum(places, 0)], 1.0 / MOST_WEIGHT))


def _backwards(ages: Floats, lags: Floats, least: int = 1) -> tuple[Floats, Floats]:
    """Lags t (m,) and P(lag <= t), of rows that were seen because their lag is at most their age.

    Backwards in time: of those that could have been seen with a lag of t or less and an age of t
    or more, the share whose lag is t leaves; the product over later lags is P(lag <= t). A lag
    that fewer than ``least`` could have shown is left out.
    """
    times, events = np.unique(lags, return_counts=True)
    seen = np.searchsorted(np.sort(lags), times, side="right")
    too_young = np.searchsorted(np.sort(ages), times, side="left")
    at_risk = np.maximum(seen - too_young, events)
    keep = at_risk >= least
    stays = 1.0 - events[keep] / at_risk[keep]
    # P(lag <= t_j) is the product of what stays at later times; nothing is later than the last.
    within = np.concatenate([np.cumprod(stays[::-1])[::-1][1:], [1.0]])
    return np.asarray(times[keep], dtype=np.float64), within[: int(keep.sum())]


def settled_after(
    delays: npt.ArrayLike,
    ages: npt.ArrayLike,
    coverage: float = 0.9,
    *,
    least: int = FEWEST_OF_A_KIND,
    flat: bool = False,
) -> float | None:
    """The delay within which ``coverage`` of all labels come, from those that came so far.

    Young predictions can only show short delays. That is allowed for: the distribution is
    estimated backwards from the longest delay, at each among those predictions that were old
    enough to show it. Delays longer than any prediction is old stay unknown.

    Args:
        delays: of the labels that came, (n,), seconds.
        ages: of their predictions now, not less than the delays.
        least: predictions that must be old enough to show a delay.
        flat: only if nearly all of them take at most two thirds of what could have been seen;
            otherwise many may take longer still.

    Returns:
        Seconds; None with fewer than ``least`` labels, or where it is not flat.
    """
    lags, old = np.asarray(delays, float), np.asarray(ages, float)
    if len(lags) < least:
        return None
    times, within = _backwards(old, lags, least)
    if not len(times):
        return None
    if flat:
        followed = float(np.partition(old, len(old) - least)[len(old) - least])
        place = int(np.searchsorted(times, followed * _EARLIER, side="right"))
        if times[0] > followed * _EARLIER or within[place - 1] < _SETTLED:
            return None
    return float(times[int(np.argmax(within >= coverage))])


def complete_after(ages: Floats, lags: Floats) -> float | None:
    """The age from which on every prediction has its label, of many predictions; else None.

    Args:
        ages: seconds since each prediction (n,).
        lags: seconds that its label took (n,), NaN where there is none.
    """
    has = np.isfinite(lags)
    if not has.any():
        return None
    # Open ones are all younger than this; and labels of the others took no longer.
    oldest = float(ages[~has].max(initial=0.0))
    after = max(oldest, float(lags[has].max()))
    return after if int((ages > after).sum()) >= MANY else None


def thirds(values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Which third of all values each is in, 0 to 2 (n,); where many are equal, some are empty."""
    y = np.asarray(values, float)
    return np.asarray(np.searchsorted(np.quantile(y, (1 / 3, 2 / 3)), y, side="left"), np.int64)


def settled_by_kind(
    delays: npt.ArrayLike,
    ages: npt.ArrayLike,
    kinds: npt.ArrayLike,
    coverage: float = 0.9,
    *,
    flat: bool = False,
) -> dict[Any, float | None]:
    """``settled_after`` of each kind of label: when the slowest is in, all are.

    Args:
        delays: of the labels that came, (n,), seconds.
        ages: of their predictions now.
        kinds: what became of each (n,).
        coverage: of each kind's labels.
        flat: as for ``settled_after``.
    """
    lags, old, which = np.asarray(delays, float), np.asarray(ages, float), np.asarray(kinds)
    return {
        kind: settled_after(lags[which == kind], old[which == kind], coverage, flat=flat)
        for kind in np.unique(which).tolist()
    }
