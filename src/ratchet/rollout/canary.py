"""Whether a version goes on, goes back or stays where it is: a pure function of the evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ratchet.rollout.sequential import distance_bound, effect_path, mean_path

if TYPE_CHECKING:
    from ratchet.rollout.evidence import Evidence, Floats, Quality
    from ratchet.rollout.requests import Blocks

TESTS = ("errors", "slow_95", "slow_99", "scores", "quality")
"""The tests that ``alpha`` is split between, equally; half of quality's for each kind of rows."""

_SURE_REQUESTS, _SURE_SHARE, _SURE_TIMES = 200, 0.05, 5.0
_NOT_FINITE = 3
_LEAST, _MOST = 1_000, 100_000
_SEEN = 140.0
"""Requests times error share at which twice the errors are seen at a share of 10 %."""
_FIRST_ROWS, _FIRST_NEW = 200, 50
"""Rows, and rows of the new version, before a bound that holds asymptotically is asked."""
_UNEQUAL = 4.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one test came to.

    Attributes:
        value: an e-value (its logarithm to base 10), a bound, or a distance.
        limit: beyond which it speaks against the version.
        against: whether it does.
        says: the same for people.
    """

    test: str
    value: float | None
    limit: float
    against: bool
    says: str

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON values."""
        return {name: getattr(self, name) for name in Finding.__slots__}


@dataclass(frozen=True, slots=True)
class Widen:
    """Nothing speaks against it, and enough was seen: on to the next step."""

    reason: str


@dataclass(frozen=True, slots=True)
class Back:
    """It is worse: the champion answers everything again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing speaks against it, and not enough was seen."""

    reason: str


Verdict = Widen | Back | Hold


def judge(
    evidence: Evidence, rules: Mapping[str, Any], stage_started: datetime, now: datetime
) -> tuple[Verdict, tuple[Finding, ...]]:
    """Whether the version goes on.

    Args:
        rules: ``RolloutSettings.rules``, as they were when the rollout began.
        stage_started: when the step at work began.
    """
    findings = tuple(weigh(evidence, rules))
    against = [finding.says for finding in findings if finding.against]
    if against:
        return Back("; ".join(against)), findings
    waits = tuple(_waits(evidence, rules, stage_started, now))
    if waits:
        return Hold("; ".join(waits)), findings
    requests, errors = evidence.ours
    return (
        Widen(
            f"{evidence.requests:,} requests in this step; of its own {requests:,} so far "
            f"{errors:,} failed, and no test speaks against it"
        ),
        findings,
    )


def weigh(evidence: Evidence, rules: Mapping[str, Any]) -> Iterator[Finding]:
    """Every test's finding, those without statistics first."""
    yield from _plain_stops(evidence)
    level = rules["alpha"] / len(TESTS)
    yield _of_counts("errors", evidence.errors, level, 1.0, "errors")
    least = f" and {1e3 * rules['fast']:g} ms" if rules.get("fast") else ""
    for name, blocks, place in (
        ("slow_95", evidence.slow95, "95th"),
        ("slow_99", evidence.slow99, "99th"),
    ):
        words = f"requests over the champion's {place} percentile{least}"
        yield _of_counts(name, blocks, level, rules["slower"], words)
    yield _of_scores(evidence, level, rules["score_shift"])
    yield from quality_findings(evidence.quality, level, rules["margin"])


def quality_findings(quality: Quality, level: float, margin: float) -> Iterator[Finding]:
    """What the labels say: on rows that both versions scored, and on rows of either."""
    yield _of_mean("quality_paired", quality.paired, level / 2, margin, len(quality.paired))
    unequal = labels_differ(quality)
    new = int(quality.chosen.sum())
    if unequal or new < _FIRST_NEW or len(quality.chosen) - new < _FIRST_NEW:
        yield Finding("quality", None, margin, False, unequal or f"{new} labels of its own")
        return
    # Before there were enough of both the bound is not asked; then at every row.
    counts = np.minimum(np.cumsum(quality.chosen), np.cumsum(~quality.chosen))
    first = int(np.argmax(counts >= _FIRST_NEW))
    effects = effect_path(quality.losses, quality.chosen, quality.share)
    yield _of_mean("quality", effects, level / 2, margin, new, first)


def labels_differ(quality: Quality) -> str:
    """Why the labels of the two cannot be compared; empty when they can.

    A decision may itself decide whether its outcome becomes known (a loan that was refused).
    """
    ours, others = quality.ours, quality.others
    if not ours or not others:
        return ""
    shares = quality.ours_labelled / ours, quality.others_labelled / others
    # Stage by stage (Mantel and Haenszel, JNCI 22, 1959): labels may come more rarely for both.
    strata = quality.strata or ((ours, others, quality.ours_labelled, quality.others_labelled),)
    excess, variance = 0.0, 0.0
    for a, b, a_known, b_known in strata:
        if a and b:
            pooled = (a_known + b_known) / (a + b)
            excess += a_known - a * pooled
            variance += pooled * (1 - pooled) * a * b / (a + b)
    if variance == 0 or abs(excess) <= _UNEQUAL * math.sqrt(variance):
        return ""
    return (
        f"labels come for {shares[0]:.1%} of its predictions and for {shares[1]:.1%} of the "
        "champion's, so their quality cannot be compared"
    )


def _plain_stops(evidence: Evidence) -> Iterator[Finding]:
    """What needs no statistics."""
    broken = evidence.broken
    yield Finding("loads", None, 0.0, bool(broken), f"it does not load: {broken}" if broken else "")
    count = evidence.not_finite
    yield Finding(
        "finite",
        float(count),
        float(_NOT_FINITE),
        count >= _NOT_FINITE,
        f"{count} requests got no finite score from it; none from the champion",
    )
    worst = max(_failing(evidence), key=lambda each: each[0] / max(each[1], _SURE_SHARE))
    share, limit, says = worst
    yield Finding("failing", share, limit, share > limit, says)


def _failing(evidence: Evidence) -> Iterator[tuple[float, float, str]]:
    """Of each stage the share of failed requests, what is too much, and the same in words.

    Stage by stage, as more may fail of both versions in one of them: that is no difference.
    """
    for requests, errors, others, their_errors in evidence.stages or (
        (*evidence.ours, *evidence.others),
    ):
        share = errors / requests if requests >= _SURE_REQUESTS else 0.0
        theirs = their_errors / others if others else 0.0
        says = (
            f"{errors / max(requests, 1):.1%} of its {requests:,} requests failed "
            f"({theirs:.1%} of the champion's)"
        )
        yield share, max(_SURE_SHARE, _SURE_TIMES * theirs), says


def _of_counts(name: str, blocks: Blocks, level: float, null: float, words: str) -> Finding:
    limit = -math.log10(level)
    trials = int(blocks.trials.sum())
    if not trials:
        return Finding(name, 0.0, limit, False, f"no {words}")
    reached = blocks.log_e(null) / math.log(10)
    hits, due = int(blocks.hits.sum()), float((blocks.trials * blocks.share).sum())
    more = "" if null == 1 else f", and up to {null:g} times that is no fault"
    first = " (the first of each entity)" if blocks.further else ""
    says = (
        f"{hits:,} of {trials:,} {words}{first} were its own; its share would be {due:,.0f}{more}"
    )
    return Finding(name, reached, limit, reached > limit, says)


def _of_scores(evidence: Evidence, level: float, most: float) -> Finding:
    """The step in which the scores are proven furthest apart.

    Each step for itself, at level a / (j (j + 1)) in the j-th, which sums to a: the scores of
    everybody may move from step to step, while the share does.
    """
    furthest, bound = 0.0, 0.0
    for place, (ours, others) in enumerate(evidence.scores, start=1):
        apart = _apart(ours, others, level / (place * (place + 1)))
        if apart[1] >= bound:
            bound = apart[1]
            furthest = apart[0]
    says = (
        f"its scores are {furthest:.3f} from the champion's (Kolmogorov-Smirnov; at least "
        f"{bound:.3f}, allowed {most:g})"
    )
    return Finding("scores", bound, most, bound > most, says)


def _apart(ours: Floats, others: Floats, level: float) -> tuple[float, float]:
    """The largest distance of one class's scores, and its lower bound."""
    width = ours.shape[1]
    furthest, bound = 0.0, 0.0
    for place in range(width):
        mine, theirs = (each[:, place] for each in (ours, others))
        mine, theirs = (each[np.isfinite(each)] for each in (mine, theirs))
        # Two classes' scores say the same thing twice.
        found = distance_bound(mine, theirs, level / max(1, width if width > 2 else 1))
        furthest, bound = max(furthest, found[0]), max(bound, found[1])
    return furthest, bound


def _of_mean(
    name: str, values: Any, level: float, margin: float, rows: int, first: int = _FIRST_ROWS
) -> Finding:
    first = max(first, _FIRST_ROWS)
    kind = "on the same rows" if name == "quality_paired" else "of its own"
    if len(values) <= first:
        return Finding(name, None, margin, False, f"{rows:,} labels {kind}")
    bound = float(mean_path(values, level)[first:].max())
    mean = float(np.mean(values))
    says = (
        f"it loses {abs(mean):.4f} {'less' if mean < 0 else 'more'} than the champion by {rows:,} "
        f"labels {kind} (the difference is at least {bound:+.4f}, allowed {margin:g})"
    )
    return Finding(name, bound, margin, bound > margin, says)


def _waits(
    evidence: Evidence, rules: Mapping[str, Any], stage_started: datetime, now: datetime
) -> Iterator[str]:
    """What is still to be waited for."""
    left = timedelta(seconds=rules["hold"]) - (now - stage_started)
    if left > timedelta():
        yield f"{_time(left)} to go"
    needed = fewest_requests(evidence, rules["minimum"])
    if evidence.requests < needed:
        # What is younger may still be on its way into the lake.
        yield (
            f"{evidence.requests:,} of {needed:,} requests to both versions by "
            f"{evidence.until:%H:%M} UTC"
        )
    labels = int(evidence.quality.chosen.sum()) + len(evidence.quality.paired)
    if labels < rules["labels"]:
        unequal = labels_differ(evidence.quality)
        yield unequal or f"{labels:,} of {rules['labels']:,} labels"


def fewest_requests(evidence: Evidence, minimum: int | None) -> int:
    """The requests that a step needs."""
    if minimum is not None:
        return minimum
    requests, errors = evidence.others
    share = errors / requests if requests else 0.0
    return min(_MOST, max(_LEAST, math.ceil(_SEEN / share) if share else _LEAST))


def _time(span: timedelta) -> str:
    minutes = math.ceil(span.total_seconds() / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} h"
