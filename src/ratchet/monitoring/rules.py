"""When a column has drifted: calibrated thresholds, a rule without them, or the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import hypot, inf, sqrt
from typing import Literal, TypeAlias, get_args

from ratchet.errors import UsageError
from ratchet.monitoring.settings import AT_MOST_ONE
from ratchet.monitoring.statistics import Measured, js_by_chance
from ratchet.monitoring.thresholds import ALPHA, FLOORS, Thresholds

Limited: TypeAlias = Literal[
    "ks", "psi", "wasserstein", "js", "cramers_v", "missing", "new", "combined"
]
"""The statistics that a limit can be set for."""
Statistic: TypeAlias = Limited | Literal["kind"]
"""What can decide: a statistic, or that the values are of another kind than they were."""
STATISTICS: tuple[Limited, ...] = get_args(Limited)

MISSING_POINTS, MISSING_TIMES = 0.02, 3.0
_MISSING_CHANCE = 3.29  # standard errors: one in a thousand
_UNCALIBRATED = 2.0


@dataclass(frozen=True, slots=True)
class DriftRules:
    """What counts as drift.

    Attributes:
        thresholds: of past windows; without them a column drifts when its distance is twice the
            floor, and more than chance gives by Benjamini and Hochberg over all columns.
        fixed: the user's own limits by statistic, each in the place of the limit of its kind;
            the other kinds keep theirs.
        alpha: false alarms that are accepted, over all columns of a quiet window.
        floors: the least distance that is drift, for ``ks`` and ``js``.
        share: the data drift when this share of the columns does; None: when any does.
    """

    thresholds: Thresholds | None = None
    fixed: Mapping[str, float] = field(default_factory=dict)
    alpha: float = ALPHA
    floors: Mapping[str, float] = field(default_factory=lambda: dict(FLOORS))
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A statistic against its limit: drift when it is more."""

    statistic: Statistic
    value: float
    limit: float
    significant: bool = True

    @property
    def drifted(self) -> bool:
        """The statistic is beyond the limit, and not by chance."""
        return self.significant and self.value > self.limit

    @property
    def strength(self) -> float:
        """How many times the limit."""
        if self.limit > 0:
            return self.value / self.limit
        return inf if self.value > 0 else 0.0


def parse_limits(texts: list[str]) -> dict[str, float]:
    """Limits from ``KIND=VALUE``.

    Raises:
        UsageError: an unknown kind, no number at least 0, or more than there can be.
    """
    found: dict[str, float] = {}
    for text in texts:
        kind, _, value = text.partition("=")
        kind = kind.strip()
        try:
            limit = float(value)
        except ValueError:
            limit = -1.0
        if kind not in STATISTICS or not 0 <= limit < inf:
            raise UsageError(
                f'"{text}" is no threshold',
                why=f"kinds are {', '.join(STATISTICS)}; the value is a number at least 0",
                fix="write for example --threshold ks=0.1",
            )
        if kind in AT_MOST_ONE and limit > 1:
            raise UsageError(
                f'"{text}" is a threshold that nothing is beyond',
                why=f"{kind} is never above 1",
                fix=f"give a smaller value; {kind}=1 switches this kind off",
            )
        found[kind] = limit
    return found


def values_of(found: Measured) -> dict[Limited, float]:
    """The statistics that a column has."""
    known: dict[Limited, float | None] = {
        "ks": found.ks.value if found.ks else None,
        "psi": found.psi,
        "wasserstein": found.wasserstein,
        "js": found.js,
        "cramers_v": found.cramers_v,
        "missing": abs(found.missing[1] - found.missing[0]) if sum(found.rows) else None,
        "new": found.new_share,
        "combined": found.combined,
    }
    return {name: value for name, value in known.items() if value is not None}


def find_in(
    name: str, found: Measured, rules: DriftRules, *, significant: bool, moves: bool = False
) -> Finding:
    """The finding that decides on a column: the one furthest beyond its limit.

    Args:
        name: the column.
        found: what was measured of it.
        rules: the rules.
        significant: its p-value stands against those of all columns.
        moves: its values are others each time by nature: only whether they are there is judged.
    """
    values = values_of(found)
    if moves:
        values = {kind: value for kind, value in values.items() if kind == "missing"}
    findings = [
        Finding(kind, values[kind], rules.fixed[kind])
        for kind in STATISTICS
        if kind in rules.fixed and kind in values
    ]
    findings += _distance(name, found, rules, values, significant=significant)
    if "missing" not in rules.fixed:
        findings.append(_missing(name, found, rules))
    # Without any statistic to judge by there is nothing to find.
    none = Finding("missing", 0.0, inf)
    return max(findings, key=lambda each: (each.drifted, each.strength), default=none)


def _distance(
    name: str,
    found: Measured,
    rules: DriftRules,
    values: Mapping[Limited, float],
    *,
    significant: bool,
) -> list[Finding]:
    kind: Limited = "ks" if "ks" in values else "js"
    if kind not in values or kind in rules.fixed:
        return []
    known = rules.thresholds.distances.get(name) if rules.thresholds else None
    if known is not None:
        return [Finding(kind, values[kind], known)]
    limit = _UNCALIBRATED * rules.floors[kind]
    if kind == "js":
        # Many levels lie apart by chance alone, and more so in few rows.
        limit = hypot(limit, js_by_chance(found.groups, found.rows))
    return [Finding(kind, values[kind], limit, significant)]


def _missing(name: str, found: Measured, rules: DriftRules) -> Finding:
    """Missing values became three times as frequent or rare, by two points and not by chance."""
    before, after = found.missing
    usual = rules.thresholds.missing.get(name) if rules.thresholds else None
    if after >= before:
        limit = _beyond(before) - before
        if usual is not None:
            limit = max(limit, usual - before)
    else:
        limit = _beyond(1 - before) - (1 - before)
    first, second = found.total
    if first and second:
        pooled = (before * first + after * second) / (first + second)
        chance = _MISSING_CHANCE * sqrt(pooled * (1 - pooled) * (1 / first + 1 / second))
        limit = max(limit, chance)
    return Finding("missing", abs(after - before), limit)


def _beyond(share: float) -> float:
    """The share above which there are more by two points, and thrice as many or a third left."""
    times = min(MISSING_TIMES * share, 1 - (1 - share) / MISSING_TIMES)
    return max(share + MISSING_POINTS, times)


def significant_columns(p_values: Mapping[str, float], level: float) -> frozenset[str]:
    """Benjamini and Hochberg: of what they name, the share ``level`` is by chance."""
    ranked = sorted(p_values.items(), key=lambda item: item[1])
    last = 0
    for place, (_, p) in enumerate(ranked, start=1):
        if p <= level * place / len(ranked):
            last = place
    return frozenset(name for name, _ in ranked[:last])
