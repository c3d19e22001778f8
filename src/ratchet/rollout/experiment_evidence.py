"""What the lake says of an experiment as of a moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from math import exp, log
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from ratchet.rollout.comparison import Comparison, Estimate, compare, path
from ratchet.rollout.evidence import GRACE, label_age
from ratchet.rollout.experiment_rows import SWAP, Seen, read_seen
from ratchet.rollout.pair import Pair, Stage
from ratchet.rollout.requests import blocks_of, count, read_requests

if TYPE_CHECKING:
    from ratchet.data.lake import Lake
    from ratchet.ledger.experiments import Experiment

Classes = Callable[[int], tuple[Any, ...]]

ERRORS: Final = 0.001
"""The chance that a version that fails no more often is stopped for its failures."""


def look_back(
    lake: Lake, found: Experiment, classes: Classes, now: datetime
) -> tuple[Comparison, tuple[Estimate, ...], Seen]:
    """What an experiment comes to as of a moment, and how it came to it; nothing is changed."""
    seen, comparison = compare_now(lake, found, classes, now)
    drawn = () if comparison.blocked else path(seen, found.metric, found.rules)
    return comparison, drawn, seen


def compare_now(
    lake: Lake, found: Experiment, classes: Classes, now: datetime
) -> tuple[Seen, Comparison]:
    """What was seen of an experiment as of a moment, and what that comes to."""
    pair = pair_of(found.a, found.b, found.share, found.started, classes)
    wait = found.evidence.get("labels_after", found.rules["labels_after"])
    if wait is None:
        wait = measured_wait(lake, pair, now)
    seen = read_seen(
        lake,
        pair,
        found.metric,
        now,
        window=found.rules["window"],
        labels_after=wait,
        since=found.started + SWAP,
        until=found.stopped,
    )
    last = found.stopped is not None and now >= found.stopped + GRACE
    moment = int(now.timestamp() * 1e6)
    rules = found.rules
    return seen, compare(seen, found.metric, rules, found.share / 100.0, moment, last=last)


def failures(
    lake: Lake, found: Experiment, classes: Classes, now: datetime
) -> tuple[str, dict[str, int]]:
    """Why b is stopped for its failed requests, if it is, and the counts."""
    pair = pair_of(found.a, found.b, found.share, found.started, classes)
    requests = read_requests(lake, pair, now - GRACE)
    ours, others = count(requests, True), count(requests, False)
    counts = {
        "a": others[1],
        "b": ours[1],
        "requests_a": others[0],
        "requests_b": ours[0],
    }
    blocks = blocks_of(requests, pl.col("failed"))
    if not len(blocks.trials):
        return "", counts
    highest = blocks.log_e()
    if highest <= -log(ERRORS):
        return "", counts
    return (
        f"version {found.b} fails more often: {ours[1]:,} of {ours[0]:,} requests, version "
        f"{found.a} {others[1]:,} of {others[0]:,} (p < {exp(-min(highest, 50.0)):.1g})"
    ), counts


def pair_of(a: int, b: int, share: float, since: datetime, classes: Classes) -> Pair:
    """The two versions, as what was served of them is read."""
    return Pair(
        version=b,
        previous=a,
        stages=(Stage(since, 0, share / 100.0),),
        promoted=None,
        classes={a: classes(a), b: classes(b)},
        loss="auto",
    )


def measured_wait(lake: Lake, pair: Pair, now: datetime) -> float | None:
    """Seconds after which labels are in, measured; None while too few came to tell."""
    found: Mapping[str, Any] = label_age(lake, pair, now)
    wait = found.get("labels_after")
    return None if wait is None else float(wait)
