"""What a rollout is judged by: each stop, each wait, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ratchet.rollout.canary import Back, Hold, Widen, fewest_requests, judge, labels_differ
from ratchet.rollout.evidence import Evidence, Quality
from ratchet.rollout.requests import Blocks
from ratchet.rollout.settings import RolloutSettings

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RULES = RolloutSettings(strategy="canary").rules
GOOD = Evidence(NOW, requests=1500, ours=(150, 0), others=(1350, 0))
LONG_AGO = NOW - timedelta(hours=1)


def verdict(evidence: Evidence, since: datetime = LONG_AGO, **rules: object):
    return judge(evidence, {**RULES, **rules}, since, NOW)[0]


def blocks(hits: list[int], trials: list[int], share: float = 0.1) -> Blocks:
    return Blocks(np.array(hits, float), np.array(trials, float), np.full(len(hits), share))


def test_with_enough_seen_and_nothing_against_it_goes_on() -> None:
    found = verdict(GOOD)
    assert isinstance(found, Widen)
    assert "1,500 requests in this step" in found.reason


@pytest.mark.parametrize(
    ("evidence", "since", "rules", "why"),
    [
        (GOOD, NOW - timedelta(minutes=10), {}, "20 min to go"),
        (replace(GOOD, requests=999), LONG_AGO, {}, "999 of 1,000 requests"),
        (GOOD, LONG_AGO, {"minimum": 2000}, "1,500 of 2,000 requests"),
        (GOOD, LONG_AGO, {"labels": 10}, "0 of 10 labels"),
    ],
)
def test_what_it_waits_for_is_said(evidence, since, rules, why) -> None:
    found = verdict(evidence, since, **rules)
    assert isinstance(found, Hold)
    assert why in found.reason


@pytest.mark.parametrize(
    ("evidence", "why"),
    [
        (replace(GOOD, broken="no file"), "does not load: no file"),
        (replace(GOOD, not_finite=3), "3 requests got no finite score"),
        (replace(GOOD, ours=(300, 30), others=(2700, 10)), "10.0% of its 300 requests failed"),
        (replace(GOOD, errors=blocks([5], [5])), "5 of 5 errors were its own"),
        (replace(GOOD, slow95=blocks([30], [60])), "30 of 60 requests over"),
        (
            replace(GOOD, scores=((np.full((500, 1), 0.9), np.full((500, 1), 0.1)),)),
            "its scores are 1.000 from",
        ),
        (
            replace(
                GOOD,
                quality=Quality(paired=np.random.default_rng(0).normal(0.1, 0.1, 1000)),
            ),
            "more than the champion by 1,000 labels on the same rows",
        ),
    ],
)
def test_what_speaks_against_it_takes_it_back_at_once(evidence, why) -> None:
    found = verdict(evidence, NOW)
    assert isinstance(found, Back)
    assert why in found.reason


@pytest.mark.parametrize(
    "evidence",
    [
        replace(GOOD, not_finite=2),
        replace(GOOD, ours=(199, 50), others=(1800, 0)),
        replace(GOOD, ours=(300, 30), others=(2700, 60), requests=10**6),
        replace(GOOD, errors=blocks([4], [4])),
        replace(GOOD, slow95=blocks([15], [100])),
        replace(GOOD, scores=((np.full((99, 1), 0.9), np.full((500, 1), 0.1)),)),
        replace(GOOD, quality=Quality(paired=np.full(150, 1.0))),
    ],
)
def test_less_than_that_does_not(evidence) -> None:
    assert not isinstance(verdict(evidence, minimum=1000), Back)


def test_errors_that_everybody_has_are_not_its_own() -> None:
    outage = replace(GOOD, ours=(300, 90), others=(2700, 800), errors=blocks([90], [890]))
    assert not isinstance(verdict(outage), Back)


def test_an_outage_of_one_step_is_not_taken_for_the_versions() -> None:
    """Pooled, 6.7 % of its requests and 0.2 % of the champion's would have failed."""
    outage = replace(
        GOOD,
        ours=(1500, 101),
        others=(99_500, 200),
        stages=((1000, 1, 99_000, 100), (500, 100, 500, 100)),
    )
    assert not isinstance(verdict(outage), Back)
    own = replace(outage, stages=((1000, 1, 99_000, 100), (500, 100, 500, 2)))
    found = verdict(own)
    assert isinstance(found, Back)
    assert found.reason == "20.0% of its 500 requests failed (0.4% of the champion's)"


def test_scores_that_move_for_everybody_between_steps_are_no_distance() -> None:
    rng = np.random.default_rng(1)
    sizes = ((500, 4500, 0.0), (2500, 2500, 3.0))
    steps = tuple(
        (rng.normal(mean, 1, (ours, 1)), rng.normal(mean, 1, (others, 1)))
        for ours, others, mean in sizes
    )
    pooled = tuple(np.concatenate(each) for each in zip(*steps, strict=True))
    assert not isinstance(verdict(replace(GOOD, scores=steps)), Back)
    assert isinstance(verdict(replace(GOOD, scores=(pooled,))), Back)
    apart = (*steps[:1], (steps[1][0] + 1.5, steps[1][1]))
    assert isinstance(verdict(replace(GOOD, scores=apart)), Back)


def test_labels_that_come_more_rarely_for_both_in_a_step_can_be_compared() -> None:
    pooled = Quality(ours=1900, others=3100, ours_labelled=1080, others_labelled=2520)
    strata = ((400, 1600, 360, 1440), (1500, 1500, 720, 1080))
    same = ((400, 1600, 360, 1440), (1500, 1500, 720, 720))
    assert labels_differ(pooled)
    assert labels_differ(replace(pooled, strata=strata))
    assert labels_differ(replace(pooled, others_labelled=2160, strata=())) != ""
    assert labels_differ(replace(pooled, others_labelled=2160, strata=same)) == ""


def test_an_entity_counts_at_its_4th_failure_in_a_test_of_its_own() -> None:
    first = blocks([0, 0], [1, 1])
    further = (blocks([1] * 5, [1] * 5), Blocks.none(), Blocks.none())
    evidence = replace(GOOD, errors=replace(first, further=further))
    found = verdict(evidence)
    assert isinstance(found, Back)
    assert "0 of 2 errors (the first of each entity) were its own" in found.reason
    assert not isinstance(verdict(replace(GOOD, errors=first)), Back)


def test_a_margin_is_allowed() -> None:
    worse = np.random.default_rng(0).normal(0.02, 0.05, 3000)
    evidence = replace(GOOD, quality=Quality(paired=worse))
    assert isinstance(verdict(evidence), Back)
    assert isinstance(verdict(evidence, margin=0.05), Widen)


def test_the_fewest_requests_follow_the_errors_there_are() -> None:
    assert fewest_requests(GOOD, None) == 1000
    assert fewest_requests(replace(GOOD, others=(20_000, 100)), None) == 28_000
    assert fewest_requests(replace(GOOD, others=(100_000, 1)), None) == 100_000
    assert fewest_requests(replace(GOOD, others=(20_000, 100)), 50) == 50


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"steps": (10, 50)}, "last step is 100"),
        ({"steps": (50, 10, 100)}, "more than the one before"),
        ({"steps": (0, 100)}, "more than the one before"),
        ({"steps": (0.00001, 100)}, "no finer"),
        ({"strategy": "canary", "steps": (100,)}, "needs a step below 100"),
        ({"hold": "soon"}, "no duration"),
        ({"alpha": 0}, "greater than 0"),
    ],
)
def test_settings_that_make_no_rollout_are_refused(settings, why) -> None:
    with pytest.raises(ValueError, match=why):
        RolloutSettings(**settings)
