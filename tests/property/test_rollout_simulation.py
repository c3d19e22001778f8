"""What a rollout's tests promise, by simulation: error rates over all looks, power, no bias."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from ratchet.monitoring.lag import settled_after
from ratchet.rollout.canary import TESTS
from ratchet.rollout.requests import Blocks, blocks_of
from ratchet.rollout.sequential import (
    distance_bound,
    effect_path,
    log_e_path,
    mean_path,
)

CANARIES = 2000
LEVEL = 0.01 / len(TESTS)


def at_most(alpha: float, runs: int) -> float:
    """The share of runs that a test of this level exceeds three standard errors at most."""
    return alpha + 3 * math.sqrt(alpha * (1 - alpha) / runs)


def shares(rows: int) -> np.ndarray:
    """A tenth for the first two fifths of the rows, then half."""
    return np.where(np.arange(rows) < 0.4 * rows, 0.1, 0.5)


def test_of_2000_canaries_that_are_no_worse_hardly_any_goes_back() -> None:
    """Each is looked at after every failed, slow or labelled request, in all its tests at once.

    The rate of errors, the losses and the scores change for everybody when the share does.
    """
    rng = np.random.default_rng(20261121)
    share, stage = shares(3000), shares(3000) > 0.1
    parts = ~stage, stage
    gone = {0.01: 0, 0.1: 0}
    for _ in range(CANARIES):
        new = rng.random(3000) < share
        paths = []
        for rate, null in ((np.where(stage, 0.03, 0.01), 1.0), (0.05, 1.0), (0.01, 1.0)):
            bad = rng.random(3000) < rate
            paths.append(log_e_path(new[bad], np.ones(bad.sum()), share[bad], null=null).max())
        loss = rng.random(3000) ** 2 + np.where(stage, 0.3, 0.0)
        labelled = slice(0, 1500)
        effects = effect_path(loss[labelled], new[labelled], share[labelled])
        score = rng.random(3000) + np.where(stage, 3.0, 0.0)
        steps = [(split, score[part], new[part]) for split, part in zip((2, 6), parts, strict=True)]
        for alpha in gone:
            level = alpha / len(TESTS)
            gone[alpha] += (
                any(path > -math.log(level) for path in paths)
                or bool((mean_path(effects, level / 2)[200:] > 0).any())
                or any(
                    distance_bound(each[:n][own[:n]], each[:n][~own[:n]], level / split)[1] > 0
                    for split, each, own in steps
                    for n in (600, 1200, 1800)
                )
            )
    for alpha, count in gone.items():
        assert count / CANARIES <= at_most(alpha, CANARIES)


def test_counted_shares_and_big_customers_do_not_make_errors_of_their_own() -> None:
    """The share of a block is whatever it was, and errors come in bursts."""
    rng = np.random.default_rng(7)
    gone = 0
    for _ in range(CANARIES):
        ours = rng.binomial(100, rng.beta(1, 4, 60))
        bad = rng.binomial(100, np.where(rng.random(60) < 0.1, 0.4, 0.01))
        hits = rng.hypergeometric(ours, 100 - ours, bad)
        gone += log_e_path(hits, bad, ours / 100).max() > -math.log(0.05)
    assert gone / CANARIES <= at_most(0.05, CANARIES)


def test_some_more_is_no_fault_where_it_is_allowed() -> None:
    rng = np.random.default_rng(8)
    odds = 1.5 * 0.1 / 0.9
    gone = sum(
        log_e_path(
            rng.random(500) < odds / (1 + odds), np.ones(500), np.full(500, 0.1), null=1.5
        ).max()
        > -math.log(0.05)
        for _ in range(CANARIES)
    )
    assert gone / CANARIES <= at_most(0.05, CANARIES)


@pytest.mark.parametrize(("times", "requests"), [(2, 60_000), (3, 17_000), (5, 6_000), (20, 900)])
def test_more_errors_are_found_within(times: int, requests: int) -> None:
    """Half of the canaries at 10 % are back by then, where 0.5 % of requests fail as it is."""
    rng = np.random.default_rng(times)
    found = []
    for _ in range(60):
        bad = np.cumsum(rng.geometric(0.005 * (1 + 0.1 * (times - 1)), 1500))
        ours = rng.random(1500) < 0.1 * times / (0.1 * times + 0.9)
        path = log_e_path(ours, np.ones(1500), np.full(1500, 0.1))
        over = path > -math.log(LEVEL)
        found.append(bad[np.argmax(over)] if over.any() else np.inf)
    assert np.median(found) <= requests


def test_a_lower_bound_of_a_mean_holds_at_every_look() -> None:
    rng = np.random.default_rng(3)
    values = rng.exponential(1.0, (CANARIES, 2000)) - 1.0
    wrong = sum(bool((mean_path(row, 0.05)[200:] > 0).any()) for row in values)
    assert wrong / CANARIES <= at_most(0.05, CANARIES)


def sticky(
    rng: np.random.Generator,
    entities: int,
    rate: float,
    *,
    times: float = 1.0,
    requests: int = 20_000,
    alike: bool = False,
    heavy: bool = True,
) -> pl.DataFrame:
    """Requests of entities that stay with their version, by a tenth of them and then by half.

    A few of the entities send most (Pareto, 1.2; ``heavy``), and some fail much more often than
    others (unless ``alike``). ``times``: how much more often the new version fails.
    """
    volume = rng.pareto(1.2, entities) + 1.0 if heavy else np.ones(entities)
    habit = (
        np.full(entities, rate) if alike else np.minimum(rng.gamma(0.5, 2 * rate, entities), 0.5)
    )
    who = rng.choice(entities, requests, p=volume / volume.sum())
    share = shares(requests)
    new = rng.random(entities)[who] < share
    chance = np.minimum(habit[who] * np.where(new, times, 1.0), 1.0)
    return pl.DataFrame(
        {
            "at": np.arange(requests),
            "entity": who,
            "new": new,
            "bad": rng.random(requests) < chance,
            "share": share,
            "place": (share > 0.1).astype(int),
            "unseen": np.zeros(requests, bool),
        }
    )


def told(requests: pl.DataFrame, null: float = 1.0, usual: float | None = None) -> float:
    return blocks_of(requests, pl.col("bad"), usual=usual).log_e(null)


@pytest.mark.parametrize(
    ("entities", "rate", "null"),
    [(20, 0.05, 1.0), (300, 0.05, 1.0), (5000, 0.05, 1.0), (2000, 0.05, 1.5)],
)
def test_entities_that_fail_more_than_others_are_no_versions_fault(
    entities: int, rate: float, null: float
) -> None:
    """The new version fails exactly as often as it may. Counting each request errs every time."""
    rng, runs = np.random.default_rng(20), 200
    by_entity, by_request = np.zeros(runs), np.zeros(runs // 2)
    for run in range(runs):
        requests = sticky(rng, entities, rate, times=null)
        by_entity[run] = told(requests, null, usual=None if null == 1 else rate)
        if run < len(by_request):
            by_request[run] = told(requests.with_columns(entity=pl.lit(None)), null)
    for alpha in (0.05, LEVEL):
        assert (by_entity > -math.log(alpha)).mean() <= at_most(alpha, runs)
    assert (by_request > -math.log(0.05)).mean() > at_most(0.05, len(by_request))


def test_without_entities_requests_are_counted_as_they_always_were() -> None:
    requests = sticky(np.random.default_rng(21), 300, 0.05).with_columns(entity=pl.lit(None))
    found = blocks_of(requests, pl.col("bad"))
    assert (found.trials.sum(), found.further) == (requests["bad"].sum(), ())
    path = log_e_path(found.hits, found.trials, found.share)
    assert found.log_e() == max(0.0, path.max())


@pytest.mark.parametrize(
    ("entities", "times", "requests", "alike"),
    [(5000, 5, 20_000, False), (1000, 20, 5_000, False), (200, 3, 80_000, True)],
)
def test_more_errors_of_entities_that_stay_are_found(
    entities: int, times: float, requests: int, alike: bool
) -> None:
    """In nine of ten canaries; with few entities it takes their 4th, 16th or 64th failure."""
    rng = np.random.default_rng(22)
    made = [
        blocks_of(
            sticky(
                rng, entities, 0.005, times=times, requests=requests, alike=alike, heavy=not alike
            ),
            pl.col("bad"),
        )
        for _ in range(40)
    ]
    over = np.array([each.log_e() > -math.log(LEVEL) for each in made])
    assert over.mean() >= 0.9
    if alike:
        firsts = [Blocks(each.hits, each.trials, each.share).log_e() for each in made]
        assert np.mean(np.array(firsts) > -math.log(LEVEL)) < 0.6


def test_more_slow_requests_of_entities_that_stay_are_found() -> None:
    """By those that are slow early: sooner or later each entity has a slow request."""
    rng, over = np.random.default_rng(26), np.zeros(2)
    for _ in range(20):
        requests = sticky(rng, 1000, 0.05, times=4, requests=100_000, alike=True)
        first = requests.filter(share=0.1)
        over += [told(first, 1.5, usual) > -math.log(LEVEL) for usual in (0.05, None)]
    assert over[0] >= 18
    assert over[1] <= 12


@pytest.mark.parametrize("times", [1.0, 5.0])
def test_of_two_that_answer_the_same_the_one_that_fails_first_is_told(times: float) -> None:
    """A shadow: each entity is a race between the two, whatever its habits."""
    rng, runs, over = np.random.default_rng(23), 200, 0
    for _ in range(runs):
        requests = sticky(rng, 500, 0.02, requests=5000)
        habit = rng.gamma(0.5, 0.04, 500)[requests["entity"].to_numpy()]
        sides = [
            requests.with_columns(
                new=pl.lit(new),
                unseen=pl.lit(new),
                share=pl.lit(0.0),
                bad=pl.Series(rng.random(5000) < np.minimum(habit * (times if new else 1), 1)),
            )
            for new in (True, False)
        ]
        over += told(pl.concat(sides).sort("at")) > -math.log(0.05)
    assert over / runs <= at_most(0.05, runs) if times == 1 else over / runs >= 0.9


def test_shadows_that_still_answer_in_a_step_do_not_count_there() -> None:
    """Servers follow within a minute: until then the new version answers every entity unseen."""
    rng = np.random.default_rng(24)
    requests = sticky(rng, 500, 0.05, requests=2000)
    late = requests.with_columns(new=pl.lit(True), unseen=pl.lit(True), bad=pl.lit(True))
    assert told(pl.concat([late, requests]).sort("at")) == told(requests)


def test_rows_of_an_entity_that_stays_are_not_independent() -> None:
    """Losses too differ by entity: by its first row the bound holds, by all rows it does not."""
    rng, runs, wrong = np.random.default_rng(25), 200, np.zeros(2)
    for _ in range(runs):
        who = rng.choice(400, 6000, p=(weight := rng.pareto(1.2, 400) + 1.0) / weight.sum())
        new = rng.random(400)[who] < 0.5
        loss = rng.beta(1, 3, 400)[who] + rng.normal(0, 0.05, 6000)
        first = np.sort(np.unique(who, return_index=True)[1])
        for place, rows in enumerate((first, np.arange(6000))):
            effects = effect_path(loss[rows], new[rows], np.full(len(rows), 0.5))
            wrong[place] += bool((mean_path(effects, 0.05)[200:] > 0).any())
    assert wrong[0] / runs <= at_most(0.05, runs)
    assert wrong[1] / runs > 0.3


@pytest.mark.parametrize(("worse", "rows"), [(0.02, 40_000), (0.05, 8_000), (0.1, 3_000)])
def test_a_real_regression_is_found_within(worse: float, rows: int) -> None:
    """Half of the canaries at 50 % are back by then, losses being like Brier scores (sd 0.2)."""
    rng = np.random.default_rng(int(worse * 100))
    found = []
    for _ in range(40):
        new = rng.random(rows) < 0.5
        loss = np.clip(rng.normal(0.25, 0.2, rows), 0, 1) + worse * new
        path = mean_path(effect_path(loss, new, np.full(rows, 0.5)), LEVEL / 2)
        found.append(bool((path[200:] > 0).any()))
    assert np.mean(found) >= 0.5


def test_a_share_that_changes_with_the_losses_does_not_bias_their_difference() -> None:
    """A plain difference of means would find a harm of 0.15 that is not there."""
    rng = np.random.default_rng(5)
    estimates, plain = [], []
    for _ in range(200):
        share = shares(3000)
        new = rng.random(3000) < share
        loss = rng.random(3000) + np.where(share > 0.1, 0.5, 0.0)
        estimates.append(effect_path(loss, new, share).mean())
        plain.append(loss[new].mean() - loss[~new].mean())
    assert abs(np.mean(estimates)) < 4 * np.std(estimates) / math.sqrt(200)
    assert np.mean(plain) > 0.1


def test_the_age_of_labels_is_told_from_young_predictions() -> None:
    rng = np.random.default_rng(6)
    ages, delays = rng.uniform(0, 60, 20_000), rng.exponential(10, 20_000)
    seen = delays <= ages
    found = settled_after(delays[seen], ages[seen])
    assert found is not None
    assert found == pytest.approx(-10 * math.log(0.1), rel=0.05)
    assert np.quantile(delays[seen], 0.9) < 0.85 * found, "which the plain quantile is not"
    assert settled_after(delays[seen][:19], ages[seen][:19]) is None


def test_distances_are_found_and_never_overstated() -> None:
    rng = np.random.default_rng(9)
    over = 0
    for _ in range(300):
        ours, others = rng.random(2000) * 0.9, rng.random(2000)
        over += any(
            distance_bound(ours[:n], others[:n], 0.05)[1] > 0.1 for n in range(100, 2001, 100)
        )
    assert over / 300 <= at_most(0.05, 300)
    distance, bound = distance_bound(rng.normal(1.5, 1, 2000), rng.normal(0, 1, 2000), 0.002)
    assert 0.4 < bound < 0.547 < distance + 0.03  # their sources are 0.547 apart
