"""Three rules for the threshold of drift side by side: see docs/decisions/0018.

Thirty columns, ten past windows of 2,000 rows, one quiet window and one in which a column moved.
The distances of past windows are brought to logarithms (as in most monitors), to fourth roots, or
left as they are; mean, spread and Student's quantile are the same for all.

    python benchmarks/drift_rules.py [RUNS]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from ratchet.monitoring.distributions import student_quantile
from ratchet.monitoring.profile import Profile, build_profile
from ratchet.monitoring.thresholds import distance

COLUMNS, ROWS, PAST, PRIOR, ALPHA, FLOOR = 30, 2_000, 10, 10, 0.05, 0.05
NAMES = [f"c{place}" for place in range(COLUMNS)]
KINDS = {"independent": 0.2, "groups": 0.5, "days": 2.5}


@dataclass(frozen=True)
class Rule:
    """How distances are brought to a scale and back; ``relative``: spread is one of the mean."""

    there: Callable[[np.ndarray], np.ndarray]
    back: Callable[[float], float]
    relative: bool = True


RULES = {
    "logarithms": Rule(np.log, np.exp, relative=False),
    "fourth roots": Rule(lambda d: np.power(d, 0.25), lambda z: z**4),
    "distances": Rule(lambda d: d, lambda z: z),
}


@dataclass
class Count:
    """What a rule came to."""

    alarms: int = 0
    found: int = 0
    limits: list[float] = field(default_factory=list)


def window_of_rows(rng: np.random.Generator, kind: str) -> pl.DataFrame:
    values = rng.normal(size=(ROWS, COLUMNS))
    if kind == "groups":
        alike = rng.normal(size=(ROWS // 20, COLUMNS)).repeat(20, axis=0)
        values = np.sqrt(0.5) * (alike + values)
    elif kind == "days":
        values += rng.normal(0, 0.3, COLUMNS)
    return pl.DataFrame(values, schema=NAMES, orient="row")


def distances(profile: Profile, frame: pl.DataFrame, *, within: bool = False) -> dict[str, float]:
    window = profile.window()
    window.fold(frame)
    columns = profile.columns
    return {name: distance(columns[name], window.tallies[name], within=within) for name in NAMES}


def limits(rule: Rule, past: Mapping[str, list[float]]) -> dict[str, float]:
    scaled = {name: rule.there(np.array(found)) for name, found in past.items()}
    over = {name: z.mean() ** 2 if rule.relative else 1.0 for name, z in scaled.items()}
    pooled = np.mean([z.var(ddof=1) / over[name] for name, z in scaled.items()])
    freedom = PAST + PRIOR - 1
    reach = student_quantile(1 - ALPHA / COLUMNS, freedom)
    made = {}
    for name, z in scaled.items():
        spread = ((PAST - 1) * z.var(ddof=1) + PRIOR * pooled * over[name]) / freedom
        high = z.mean() + reach * np.sqrt(spread * (1 + 1 / PAST))
        made[name] = max(FLOOR, float(rule.back(high)))
    return made


def simulate(kind: str, shift: float, runs: int) -> dict[str, Count]:
    counts = {name: Count() for name in RULES}
    for seed in range(runs):
        rng = np.random.default_rng([seed, len(kind), 7])
        past = [window_of_rows(rng, kind) for _ in range(PAST)]
        profile = build_profile(pl.concat(past), dict.fromkeys(NAMES, "number"))
        each = [distances(profile, frame, within=True) for frame in past]
        known = {name: [one[name] for one in each] for name in NAMES}
        new = window_of_rows(rng, kind)
        quiet = distances(profile, new)
        moved = distances(profile, new.with_columns(pl.col("c0") + shift))["c0"]
        for name, rule in RULES.items():
            limit = limits(rule, known)
            counts[name].alarms += any(quiet[column] > limit[column] for column in NAMES)
            counts[name].found += moved > limit["c0"]
            counts[name].limits.append(float(np.median(list(limit.values()))))
    return counts


def main() -> None:
    """Print a line for each kind of rows and rule."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    print("rows          shift  rule          quiet windows with an alarm  found  median limit")
    for kind, shift in KINDS.items():
        for name, count in simulate(kind, shift, runs).items():
            limit = float(np.median(count.limits))
            print(
                f"{kind:12}  {shift:5.1f}  {name:12}  {count.alarms / runs:27.3f}  "
                f"{count.found / runs:5.2f}  {limit:12.3f}"
            )


if __name__ == "__main__":
    main()
