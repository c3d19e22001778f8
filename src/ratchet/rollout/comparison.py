"""What an experiment came to: the two arms, the difference, and whether it may be read at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ratchet.rollout.always_valid import radius
from ratchet.rollout.outcome_metrics import LOWER, Arm, measure_arm
from ratchet.rollout.ratio import Ratio, check_ratio

if TYPE_CHECKING:
    import numpy.typing as npt

    from ratchet.rollout.experiment_rows import Rows, Seen

LEAST: Final = 200
"""The fewest entities of both arms that are read, and of either one: ``LEAST_SIDE``."""
LEAST_SIDE: Final = 50
LEAST_RARER: Final = 10
"""The fewest entities of either arm that say the rarer of 0 and 1: below it no bell curve fits."""

_LABELS_APART = 4.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """The difference after so many entities.

    Attributes:
        at: microseconds since 1970.
        better: by how much b is better than a; less than 0: worse.
        low, high: its always-valid interval; None while too few count.
    """

    at: int
    a: Arm
    b: Arm
    better: float
    low: float | None
    high: float | None

    @property
    def entities(self) -> int:
        """Of both arms."""
        return self.a.entities + self.b.entities

    @property
    def spread(self) -> float:
        """As ``always_valid.radius`` has it."""
        return float(np.sqrt(self.entities * (self.a.error**2 + self.b.error**2)))

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "at": self.at,
            "a": _arm_json(self.a),
            "b": _arm_json(self.b),
            "better": _known(self.better),
            "low": self.low,
            "high": self.high,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a look at an experiment found.

    Attributes:
        blocked: why the result may not be read; empty when it may.
        estimate: None when it is blocked, or nothing counts yet.
    """

    ratio: Ratio
    blocked: str
    estimate: Estimate | None
    labels_after: float | None
    old: tuple[int, int]
    labelled: tuple[int, int]
    crossed: int

    @property
    def proven(self) -> str:
        """``better``, ``worse``, or empty."""
        found = self.estimate
        if found is None or found.low is None or found.high is None:
            return ""
        return "better" if found.low > 0 else "worse" if found.high < 0 else ""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        own = asdict(self)
        return {
            "ratio": self.ratio.to_json(),
            "blocked": self.blocked or None,
            "estimate": None if self.estimate is None else self.estimate.to_json(),
            **{name: own[name] for name in ("labels_after", "crossed")},
            "old": list(self.old),
            "labelled": list(self.labelled),
        }


def compare(
    seen: Seen, metric: str, rules: Mapping[str, Any], share: float, now: int, *, last: bool
) -> Comparison:
    """Compare the arms, unless something says that they cannot be.

    Args:
        share: of b, 0 to 1.
        now: microseconds since 1970.
        last: whether no entity comes any more; see ``check_ratio``.
    """
    ratio = check_ratio(seen.of_b, share, last=last)
    blocked = ""
    if ratio.mismatch:
        blocked = (
            f"the entities did not come as {1 - share:.0%} to {share:.0%}: {ratio.a:,} to "
            f"{ratio.b:,}; something decides who is seen"
        )
    elif metric != "conversion" and _labels_apart(seen):
        told = [f"{x:,} of {n:,}" for x, n in zip(seen.labelled, seen.old, strict=True)]
        blocked = f"labels come more often for one arm: {told[0]} and {told[1]}"
    found = None if blocked else estimate(seen.rows, seen.of_b, metric, rules, now)
    return Comparison(
        ratio, blocked, found, seen.labels_after, seen.old, seen.labelled, seen.crossed
    )


def estimate(
    rows: Rows, of_b: npt.NDArray[np.bool_], metric: str, rules: Mapping[str, Any], at: int
) -> Estimate | None:
    """The difference at a moment; None while an arm has nobody that counts."""
    arms = []
    for keep in (~of_b, of_b):
        own = rows.at(at, keep)
        arms.append(measure_arm(own.values, own.positive, own.entity, metric))
    a, b = arms
    if not (a.entities and b.entities and np.isfinite(a.value) and np.isfinite(b.value)):
        return None
    better = (a.value - b.value) if metric in LOWER else (b.value - a.value)
    found = Estimate(at, a, b, better, None, None)
    if not _enough(a, b):
        return found
    wide = radius(found.entities, found.spread, rules["alpha"], rules["tightest"])
    if not np.isfinite(wide):
        return found
    return Estimate(at, a, b, better, better - wide, better + wide)


def path(
    seen: Seen, metric: str, rules: Mapping[str, Any], *, points: int = 40
) -> tuple[Estimate, ...]:
    """The difference as it was over time: at each look that had something to read."""
    if not len(seen.rows.since):
        return ()
    low, high = int(seen.rows.since.min()), int(seen.rows.since.max())
    moments: Sequence[int] = np.unique(np.linspace(low, high, points).astype(np.int64)).tolist()
    made = (estimate(seen.rows, seen.of_b, metric, rules, int(at)) for at in moments)
    return tuple(each for each in made if each is not None)


def _enough(a: Arm, b: Arm) -> bool:
    if a.entities + b.entities < LEAST or min(a.entities, b.entities) < LEAST_SIDE:
        return False
    return all(arm.rarer is None or arm.rarer >= LEAST_RARER for arm in (a, b))


def _labels_apart(seen: Seen) -> bool:
    """Whether one arm's entities get labels more often than the other's."""
    n = np.asarray(seen.old, float)
    if n.min() < LEAST_SIDE:
        return False
    shares = np.asarray(seen.labelled) / n
    common = sum(seen.labelled) / n.sum()
    error = np.sqrt(common * (1 - common) * (1 / n).sum())
    return bool(error > 0 and abs(shares[0] - shares[1]) > _LABELS_APART * error)


def _arm_json(arm: Arm) -> dict[str, Any]:
    return {"entities": arm.entities, "value": _known(arm.value), "error": _known(arm.error)}


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
