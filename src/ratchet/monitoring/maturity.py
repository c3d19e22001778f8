"""From what age on the labels of predictions are complete enough, whatever they say.

A share of all labels is no measure of it: with two positives in a hundred that are known after
weeks, nearly all labels are there on the first day, and all of them are negative. So a cohort is
mature at the age by which the slowest outcome has that share of its labels. Where that cannot be
known, nothing is mature, and why is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import sqrt
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ratchet.data.task import Task
from ratchet.monitoring.labelled import Answers, Log
from ratchet.monitoring.lag import (
    FEWEST_OF_A_KIND,
    LagCurve,
    complete_after,
    lag_curve,
    settled_by_kind,
    thirds,
)

Floats = npt.NDArray[np.float64]

_NEGLIGIBLE: Final = 0.005
"""Of more than two classes, the rare ones that are hardly known are not waited for."""
_THIRDS: Final = ("the lowest outcomes", "the middle outcomes", "the highest outcomes")
_SURE: Final = 2.33
_EARLIER: Final = (0.25, 0.5)
_SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Maturity:
    """When the labels of a cohort are complete enough.

    Attributes:
        share: of the labels that will ever come, of the outcome whose labels take the longest.
        age: mature at this age whatever the labels; None to go by the share.
    """

    share: float = 0.9
    age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class LabelAge:
    """From what age on the labels of predictions are there, whatever they say.

    Attributes:
        after: seconds; None while nobody can tell.
        why: why nobody can; else empty.
        fixed: somebody set it.
    """

    after: float | None = None
    why: str = ""
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class _Known:
    """Labels of the answers that somebody saw: delays and ages in seconds, outcomes by number."""

    lags: Floats
    ages: Floats
    kinds: npt.NDArray[np.int64]
    names: tuple[str, ...]


def label_lags(log: Log) -> LagCurve:
    """The curve of the labels' delays, of the answers that somebody saw."""
    return lag_curve(*_seen_lags(log))


def usual_lags(log: Log, curve: LagCurve) -> LagCurve:
    """The curve that says how many labels come: the fullest of today's and earlier moments'.

    When labels stop coming, today's curve ends lower from day to day; by that curve cohorts with
    few labels would become mature.
    """
    ages, lags = _seen_lags(log)
    found = [curve]
    for share in _EARLIER if len(ages) else ():
        back = float(ages.max()) * share
        then = ages >= back
        known = np.where(lags[then] <= ages[then] - back, lags[then], np.nan)
        found.append(lag_curve(ages[then] - back, known))
    settled = [one for one in found if one.settled]
    return max(settled, key=lambda one: one.eventual, default=curve)


def label_age(log: Log, curve: LagCurve, maturity: Maturity) -> LabelAge:
    """The age at which the slowest outcome has its share of labels: today, and before.

    When labels stop coming, the delays that are seen get shorter: so no less than at earlier
    moments.

    Args:
        log: what is known.
        curve: of the delays of all labels.
        maturity: what is enough.
    """
    if maturity.age is not None:
        return LabelAge(maturity.age.total_seconds(), fixed=True)
    if not curve.labelled:
        return LabelAge(why="no label has come yet")
    if not curve.settled:
        return LabelAge(why="labels still come to the oldest predictions")
    known = _labels(log)
    today = settled_by_kind(known.lags, known.ages, known.kinds, maturity.share, flat=True)
    why = _unknown(log, known, today)
    if why:
        # Where every prediction has its label, there is none to wait for.
        every = complete_after(*_seen_lags(log))
        return LabelAge(every, "" if every is not None else why)
    found = [after for after in today.values() if after is not None]
    for share in _EARLIER:
        back = float(known.ages.max()) * share
        then = known.lags <= known.ages - back
        before = settled_by_kind(
            known.lags[then],
            known.ages[then] - back,
            known.kinds[then],
            maturity.share,
            flat=True,
        )
        found += [after for after in before.values() if after is not None]
    return LabelAge(max(found))


def is_mature(
    curve: LagCurve, needed: LabelAge, share: float, ages: Floats, has: npt.NDArray[np.bool_]
) -> bool:
    """Whether a cohort that is over has nearly all labels it will ever have.

    The ages decide, by the delays of all labels: a cohort that happened to get its slow labels
    early, or has none that are slow, must not be taken before the others, or the newest cohorts
    would be those of the lucky. The labels that are there must not contradict it: a stalled feed
    makes nothing mature.

    Args:
        curve: how many labels come.
        needed: the age.
        share: of the labels that will ever come.
        ages: of the cohort's predictions, seconds (n,).
        has: which have a label (n,).
    """
    if needed.after is None or ages.min() < needed.after:
        return False
    if needed.fixed:
        return True
    wanted = share * curve.eventual
    chance = _SURE * sqrt(wanted * (1 - wanted) / len(ages)) if wanted < 1 else 0.0
    return bool(has.mean() >= wanted - chance)


def _unknown(log: Log, known: _Known, found: dict[Any, float | None]) -> str:
    """What of the outcomes' delays is not known; empty where enough is."""
    rare: list[int] = []
    for kind, name in enumerate(known.names):
        count = int((known.kinds == kind).sum())
        if count < FEWEST_OF_A_KIND:
            rare.append(kind)
        elif found[kind] is None:
            return f"labels of {name} still come to the oldest predictions"
    if not rare or (len(known.names) > 2 and _share_of(log, rare) < _NEGLIGIBLE):
        return ""
    count = int((known.kinds == rare[0]).sum())
    if not count:
        return f"no label of {known.names[rare[0]]} has come yet"
    few = f"label of {known.names[rare[0]]} has" if count == 1 else "labels"
    if count > 1:
        few += f" of {known.names[rare[0]]} have"
    return f"only {count} {few} come, and {FEWEST_OF_A_KIND} are needed to tell how long they take"


def _share_of(log: Log, kinds: list[int]) -> float:
    """The share of some classes, as the scores of the newest version say."""
    seen = [answers for answers in log.answers if not answers.shadow]
    newest = max(seen, key=lambda answers: answers.version)
    return float(newest.proba[:, kinds].sum(axis=1).mean())


def _labels(log: Log) -> _Known:
    """The labels by what they say: of numbers, by which third of all theirs is in."""
    seen = [answers for answers in log.answers if not answers.shadow]
    newest = max(seen, key=lambda answers: answers.version).task
    mine = [answers for answers in seen if answers.task.kind == newest.kind]
    lags = np.concatenate([answers.lag[answers.has] for answers in mine])
    ages = np.concatenate([ages_of(log, answers)[answers.has] for answers in mine])
    lags = np.clip(lags, 0.0, ages)
    if newest.kind == "regression":
        y = np.concatenate([answers.y[answers.has] for answers in mine])
        filled, kinds = np.unique(thirds(y), return_inverse=True)
        return _Known(lags, ages, kinds, tuple(_THIRDS[place] for place in filled))
    kinds = np.concatenate([_codes(answers, newest) for answers in mine])
    there = kinds >= 0
    names = tuple(f'class "{label}"' for label in newest.classes)
    return _Known(lags[there], ages[there], kinds[there], names)


def _codes(answers: Answers, task: Task) -> npt.NDArray[np.int64]:
    """Outcomes as codes of the classes of another version's task; -1 where it has no such one."""
    places = {label: code for code, label in enumerate(task.classes)}
    table = np.array([places.get(label, -1) for label in answers.task.classes], dtype=np.int64)
    return np.asarray(table[answers.y[answers.has]], dtype=np.int64)


def _seen_lags(log: Log) -> tuple[Floats, Floats]:
    """Seconds since each answer that somebody saw, and seconds that its label took (n,)."""
    seen = [answers for answers in log.answers if not answers.shadow]
    if not seen:
        return np.empty(0), np.empty(0)
    ages = np.concatenate([ages_of(log, answers) for answers in seen])
    return ages, np.concatenate([answers.lag for answers in seen])


def ages_of(log: Log, answers: Answers) -> Floats:
    """Seconds since each answer (n,)."""
    return np.asarray((log.now - answers.at) / _SECOND, dtype=np.float64)
