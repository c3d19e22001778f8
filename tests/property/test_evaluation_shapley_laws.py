"""What must hold of Shapley values of any score: their axioms, their distance from the truth."""

import itertools
from dataclasses import replace
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.evaluation.shapley import prepare_reference, sample_values

WORLDS = st.integers(0, 10_000)


def world(seed, features=5, rows=12):
    """A random score with interactions, on columns of numbers, few values and missing ones."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40 + rows, features)).astype(np.float32)
    X[:, 0] = rng.integers(0, 3, len(X))
    X[rng.random(len(X)) < 0.2, 1] = np.nan
    first, second = rng.normal(size=features), 0.5 * rng.normal(size=(features, features))

    def score(X):
        Z = np.nan_to_num(X.astype(np.float64), nan=-1.0)
        return np.column_stack((Z @ first, np.einsum("ni,ij,nj->n", Z, second, np.tanh(Z))))

    return score, X[:40], X[40:]


def every_coalition(score, background, X):
    """Exact Shapley values (n, d, k) by their definition."""
    features = X.shape[1]
    worth = {}
    for coalition in itertools.product((False, True), repeat=features):
        rows = np.where(coalition, X[:, None, :], background[None]).reshape(-1, features)
        worth[coalition] = score(rows).reshape(len(X), len(background), -1).mean(axis=1)
    values = np.zeros((len(X), features, next(iter(worth.values())).shape[1]))
    for place in range(features):
        for coalition, without in worth.items():
            if coalition[place]:
                continue
            size = sum(coalition)
            weight = factorial(size) * factorial(features - size - 1) / factorial(features)
            joined = (*coalition[:place], True, *coalition[place + 1 :])
            values[:, place] += weight * (worth[joined] - without)
    return values


def singles(features):
    return [[place] for place in range(features)]


@given(WORLDS)
@settings(max_examples=15, deadline=None)
def test_a_rows_values_add_up_to_its_score_less_the_usual_one(seed):
    score, background, X = world(seed)
    reference = prepare_reference(score, singles(5), background, budget=500, seed=seed)
    values, se, _ = sample_values(reference, X, pairs=2, seed=seed)
    assert values.sum(axis=1) + score(background).mean(axis=0) == pytest.approx(score(X))
    assert np.isfinite(se).all()


@given(WORLDS, st.integers(0, 4))
@settings(max_examples=15, deadline=None)
def test_a_feature_that_the_score_does_not_read_gets_nothing(seed, dummy):
    score, background, X = world(seed)

    def blind(X):
        seen = X.copy()
        seen[:, dummy] = 0.0
        return score(seen)

    reference = prepare_reference(blind, singles(5), background, budget=500, seed=seed)
    values, se, _ = sample_values(reference, X, pairs=3, seed=seed)
    assert (values[:, dummy] == 0).all()
    assert (se[:, dummy] == 0).all()


@given(WORLDS)
@settings(max_examples=10, deadline=None)
def test_groups_are_one_feature(seed):
    """The value of a group is that of a score which reads the group as one column."""
    score, background, X = world(seed)
    groups = [[0, 2], [1], [3, 4]]
    reference = prepare_reference(score, groups, background, budget=500, seed=seed)
    values, _, _ = sample_values(reference, X[:4], pairs=40, seed=seed)

    rows = np.concatenate((background, X[:4]))
    tokens = np.arange(len(rows), dtype=np.float32)[:, None].repeat(3, axis=1)

    def by_token(tokens):
        parts = np.empty((len(tokens), 5), np.float32)
        for place, columns in enumerate(groups):
            parts[:, columns] = rows[tokens[:, place].astype(int)][:, columns]
        return score(parts)

    wanted = every_coalition(by_token, tokens[:40], tokens[40:])
    spread = np.abs(wanted).max() + 1e-9
    assert np.abs(values - wanted).max() < 0.35 * spread


@given(WORLDS)
@settings(max_examples=8, deadline=None)
def test_features_that_play_the_same_part_get_the_same(seed):
    """Two columns that are equal in every row, in a score that treats them alike."""
    _, background, X = world(seed)
    background, X = (np.nan_to_num(part) for part in (background, X))
    background[:, 3], X[:, 3] = background[:, 2], X[:, 2]

    def alike(X):
        a, b = X[:, 2].astype(np.float64), X[:, 3].astype(np.float64)
        return (np.tanh(a) * np.tanh(b) + a + b + X[:, 0])[:, None]

    reference = prepare_reference(alike, singles(5), background, budget=1500, seed=seed)
    values, se, _ = sample_values(reference, X, pairs=30, seed=seed)
    gap = np.abs(values[:, 2] - values[:, 3])
    assert (gap <= 5 * np.hypot(se[:, 2], se[:, 3]) + 1e-6).all()


def test_an_additive_score_of_few_values_is_exact_at_once():
    """The control variate knows all of it: nothing is left to chance."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 4, size=(300, 4)).astype(np.float32)
    heights = rng.normal(size=(4, 4))

    def score(X):
        return sum(heights[j, X[:, j].astype(int)] for j in range(4))[:, None]

    background = X[:200]
    reference = prepare_reference(score, singles(4), background)
    values, _, _ = sample_values(reference, X[200:], pairs=2)
    for place in range(4):
        curve = heights[place, X[:, place].astype(int)]
        wanted = curve[200:] - curve[:200].mean()
        assert values[:, place, 0] == pytest.approx(wanted, abs=0.01)


def test_the_standard_errors_cover_the_truth():
    held, total, squared, promised = 0, 0, 0.0, 0.0
    for seed in range(30):
        score, background, X = world(seed)
        truth = every_coalition(score, background, X)
        reference = prepare_reference(score, singles(5), background, budget=800, seed=seed)
        values, se, _ = sample_values(reference, X, pairs=6, seed=seed)
        held += int((np.abs(values - truth) <= 1.96 * se + 1e-9).sum())
        total += truth.size
        squared += float(np.square(values - truth).sum())
        promised += float(np.square(se).sum())
    # Strata, and the correction to the exact sum, make the values better than promised.
    assert held / total > 0.93
    assert 0.3 < squared / promised < 1.1


def test_the_control_variate_halves_the_error():
    """Of a score that is mostly additive, as those of fitted models are."""
    rng = np.random.default_rng(1)
    background, X = (rng.normal(size=(n, 6)).astype(np.float32) for n in (100, 60))

    def score(X):
        Z = X.astype(np.float64)
        return (2 * Z[:, 0] + np.sin(2 * Z[:, 1]) + Z[:, 2] ** 2 + 0.3 * Z[:, 3] * Z[:, 4])[:, None]

    truth = every_coalition(score, background, X)
    with_curves = prepare_reference(score, singles(6), background, budget=6000)
    flat = replace(with_curves.additive, weights=(None,) * 6)
    without = replace(with_curves, additive=flat)
    errors = [
        np.sqrt(np.square(sample_values(reference, X, pairs=4)[0] - truth).mean())
        for reference in (with_curves, without)
    ]
    assert errors[0] < errors[1] / 1.5
