"""What a rollout's tests promise, by simulation: error rates over all looks, power, no bias."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ratchet.rollout.canary import TESTS
from ratchet.rollout.sequential import (
    distance_bound,
    effect_path,
    log_e_path,
    mean_path,
    settled_after,
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

    Both the rate of errors and the losses change for everybody when the share does.
    """
    rng = np.random.default_rng(20261121)
    share, stage = shares(3000), shares(3000) > 0.1
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
        score = rng.random(3000)
        for alpha in gone:
            level = alpha / len(TESTS)
            gone[alpha] += (
                any(path > -math.log(level) for path in paths)
                or bool((mean_path(effects, level / 2)[200:] > 0).any())
                or any(
                    distance_bound(score[:n][new[:n]], score[:n][~new[:n]], level)[1] > 0
                    for n in (1200, 3000)
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
