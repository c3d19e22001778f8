"""Search spaces and portfolios: everything in them can be trained."""

import numpy as np
import pytest

from ratchet.training.fitted import TrainingRows
from ratchet.training.scoring import roc_auc
from unit.training.training_algorithms import (
    ALL,
    HERE,
    QUICK,
    algorithm_of,
    fit,
    make_rows,
    task_of,
)

SIZES = (300, 5_000, 50_000, 2_000_000)


@pytest.mark.parametrize(("name", "classes"), ALL)
@pytest.mark.parametrize("rows", SIZES)
def test_every_value_of_a_space_is_a_parameter(name, classes, rows):
    algorithm, task = algorithm_of(name), task_of(classes)
    space = algorithm.space(task, rows, 20)
    defaults = algorithm.defaults(task, rows, 20)
    assert space
    assert len({dimension.name for dimension in space}) == len(space)
    for dimension in space:
        ends = dimension.choices or (dimension.low, dimension.high)
        for value in ends:
            value = int(value) if dimension.integer else value
            algorithm.check({**defaults, dimension.name: value})


@pytest.mark.parametrize(("name", "classes"), ALL)
@pytest.mark.parametrize("rows", SIZES)
def test_a_portfolio_is_of_parameters_and_differs_from_the_defaults(name, classes, rows):
    algorithm, task = algorithm_of(name), task_of(classes)
    defaults = algorithm.defaults(task, rows, 20)
    portfolio = algorithm.portfolio(task, rows, 20)
    assert 2 <= len(portfolio) <= 6
    whole = [{**defaults, **part} for part in portfolio]
    for complete in whole:
        assert algorithm.check(complete) == complete
        assert complete != defaults
    assert len({str(sorted(complete.items())) for complete in whole}) == len(whole)


@pytest.mark.parametrize(("name", "classes"), ALL)
def test_every_portfolio_trains(name, classes):
    rows = make_rows(120, classes)
    for part in algorithm_of(name).portfolio(task_of(classes), 120, 6):
        scores = fit(name, rows, params={**part, **QUICK.get(name, {})}).predict(rows.X)
        assert np.isfinite(scores).all()


def make_rare(n, seed):
    """One positive in a thousand, told by two columns."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6)).astype(np.float32)
    signal = 1.5 * X[:, 2] + X[:, 3] + 0.5 * rng.normal(size=n)
    y = (signal > np.quantile(signal, 0.999)).astype(np.int32)
    return TrainingRows(X, y, None, (), tuple("abcdef"), 2)


@pytest.mark.parametrize("name", [name for name in ("lightgbm", "xgboost") if name in HERE])
def test_one_positive_in_a_thousand_is_found(name):
    fresh = make_rare(20_000, 4)
    fitted = fit(name, make_rare(20_000, 3), params={}, validation=make_rare(5_000, 5))
    scores = fitted.predict(fresh.X)[:, 1]
    assert roc_auc(fresh.y == 1, scores) > 0.95
    assert 0.0002 < scores.mean() < 0.005
