"""Whether labels still come as they used to: a stalled feed of labels looks like a healthy model.

The newest predictions are compared with the earlier ones at equal age: with the delays of before,
so many of them would have a label by now.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from math import sqrt
from typing import Any, Final

import numpy as np

from ratchet.monitoring.labelled import Log, micros, moment_of
from ratchet.monitoring.lag import LagCurve, lag_curve

_SECOND: Final = 1_000_000
_SURE: Final = 3.29
"""Standard errors of one chance in two thousand, one-sided."""
_FEWER: Final = 0.8
_SLOWER: Final = 1.5
_ENOUGH: Final = 20.0


@dataclass(frozen=True, slots=True)
class LabelTrend:
    """The newest predictions' labels against those of the predictions before them.

    Attributes:
        predictions: the newest predictions.
        labelled: how many of them have a label.
        expected: how many would have one by now, by the delays of before; None where those are
            not known.
        falling: there are fewer by a fifth or more, and not by chance.
        delay: seconds until half as many have a label as used to in the end; None where that was
            not reached.
        usual_delay: the same of the earlier predictions.
        growing: the delay has grown by half or more.
        last_label: when the newest outcome became known; None without any.
    """

    predictions: int = 0
    labelled: int = 0
    expected: float | None = None
    falling: bool = False
    delay: float | None = None
    usual_delay: float | None = None
    growing: bool = False
    last_label: datetime | None = None

    @property
    def ratio(self) -> float | None:
        """Labels that are there, of those that were to be expected."""
        if self.expected is None or self.expected <= 0:
            return None
        return self.labelled / self.expected

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        last = None if self.last_label is None else self.last_label.isoformat()
        return asdict(self) | {"ratio": self.ratio, "last_label": last}


def label_trend(log: Log, recent: timedelta) -> LabelTrend:
    """Compare the predictions of the last ``recent`` with those before; shadows are left out."""
    seen = [answers for answers in log.answers if not answers.shadow]
    if not seen:
        return LabelTrend()
    at = np.concatenate([answers.at for answers in seen])
    lag = np.concatenate([answers.lag for answers in seen])
    ages, new = (log.now - at) / _SECOND, at >= micros(log.as_of - recent)
    known = np.isfinite(lag)
    last = None
    if known.any():
        last = moment_of(int((at[known] + np.round(lag[known] * _SECOND).astype(np.int64)).max()))
    labelled = int(known[new].sum())
    base = LabelTrend(int(new.sum()), labelled, last_label=last)
    before = lag_curve(ages[~new], lag[~new])
    if not before.ages or not new.any():
        return base
    chance = before.at(ages[new])
    expected, spread = float(chance.sum()), sqrt(float((chance * (1 - chance)).sum()))
    fewer = expected - labelled > _SURE * spread and labelled < _FEWER * expected
    now_curve = lag_curve(ages[new], lag[new])
    usual, delay = _age_at(before, before.eventual / 2), _age_at(now_curve, before.eventual / 2)
    slower = usual is not None and delay is not None and usual > 0 and delay > _SLOWER * usual
    return LabelTrend(
        base.predictions,
        labelled,
        expected,
        bool(expected >= _ENOUGH and fewer),
        delay,
        usual,
        bool(slower),
        last,
    )


def _age_at(curve: LagCurve, share: float) -> float | None:
    """The age at which a share of all predictions has a label."""
    reached = np.flatnonzero(np.array(curve.shares) >= share)
    return curve.ages[int(reached[0])] if share > 0 and len(reached) else None
