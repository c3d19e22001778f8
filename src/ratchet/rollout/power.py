"""How many entities an experiment takes, told before it starts from what the champion did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ratchet.rollout.always_valid import needed, visible
from ratchet.rollout.experiment_rows import read_seen
from ratchet.rollout.outcome_metrics import SHARES, measure_arm

if TYPE_CHECKING:
    from ratchet.data.lake import Lake
    from ratchet.rollout.pair import Pair

HISTORY: Final = timedelta(days=28)
"""The champion's past that is looked at."""
UNKNOWN: Final = 5_000
"""The number of entities that is planned with while nothing is known."""

_LEAST = 30
_MARGIN, _PART = 0.01, 0.05


@dataclass(frozen=True, slots=True)
class Power:
    """What an experiment can show.

    Attributes:
        margin: the smallest difference that matters.
        value: the champion's, of the metric; None while nothing is known of it.
        spread: as ``always_valid.radius`` has it; None while it is not known.
        expected: entities that will count in the time it has; None as above.
        needed: entities of both arms that show the margin four times out of five.
        visible: the difference that ``expected`` shows four times out of five.
    """

    margin: float
    value: float | None = None
    spread: float | None = None
    expected: int | None = None
    needed: int | None = None
    visible: float | None = None

    @property
    def tightest(self) -> float:
        """The number of entities at which the interval is the tightest: half of all."""
        return max((self.expected or UNKNOWN) / 2.0, 100.0)

    @property
    def enough(self) -> bool | None:
        """Whether the time is enough to see the margin; None when nobody can tell."""
        if self.expected is None or self.needed is None:
            return None
        return self.expected >= self.needed

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        own = {name: getattr(self, name) for name in Power.__slots__}
        return {**own, "tightest": self.tightest}


def plan_power(
    lake: Lake,
    pair: Pair,
    metric: str,
    now: datetime,
    *,
    share: float,
    days: float,
    alpha: float,
    margin: float | None,
    window: float,
    labels_after: float | None,
) -> Power:
    """Look at the champion's last weeks, and tell what the experiment can show.

    Args:
        share: of b, 0 to 1.
        days: how long entities are assigned.
        margin: None: a point of a share or an area, 0.01 of a log loss or Brier score, 5 % of the
            champion's own error for numbers.
        labels_after: None while nobody can tell: then nothing can be told here either.
    """
    since = now - HISTORY
    seen = read_seen(lake, pair, metric, now, window=window, labels_after=labels_after, since=since)
    a = seen.rows.at(int(now.timestamp() * 1e6), ~seen.of_b)
    arm = measure_arm(a.values, a.positive, a.entity, metric)
    if arm.entities < _LEAST or not np.isfinite(arm.value):
        return _unknown(metric, share, alpha, margin)
    numbers = metric in ("absolute_error", "squared_error")
    wanted = margin or (_PART * arm.value if numbers else _MARGIN) or _MARGIN
    spread = float(np.sqrt(arm.variance * (1.0 / share + 1.0 / (1.0 - share))))
    if not spread:
        return Power(wanted, arm.value)
    expected = _expected(seen.first, days, now)
    if metric != "conversion" and seen.old[0]:
        expected = int(expected * seen.labelled[0] / seen.old[0])
    tightest = max(expected / 2.0, 100.0)
    return Power(
        wanted,
        arm.value,
        spread,
        expected,
        needed(wanted, spread, alpha),
        visible(max(expected, 1), spread, alpha, tightest),
    )


def _unknown(metric: str, share: float, alpha: float, margin: float | None) -> Power:
    """Without history: of a share the worst case is known, of anything else nothing."""
    wanted = margin or _MARGIN
    if metric not in SHARES:
        return Power(wanted)
    spread = float(np.sqrt(0.25 / share + 0.25 / (1.0 - share)))
    return Power(wanted, spread=spread, needed=needed(wanted, spread, alpha))


def _expected(first: Any, days: float, now: datetime) -> int:
    """Entities to come in so many days: as many as were seen in as many, or at the same rate."""
    span = (now.timestamp() * 1e6 - float(first.min())) / 8.64e10
    if span >= days:
        return int((first >= now.timestamp() * 1e6 - days * 8.64e10).sum())
    return int(len(first) * days / max(span, 1.0 / 24.0))
