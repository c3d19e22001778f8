"""Targets to be estimated: every algorithm, whatever their scale."""

import numpy as np
import pytest

from ratchet.errors import ConfigError
from ratchet.training.fitted import TrainingRows
from ratchet.training.targets import Standard, standard_of
from ratchet.training.thresholds import scale_lightgbm_text
from unit.training.training_algorithms import ALL, explained, fit, make_rows

ESTIMATORS = [name for name, classes in ALL if classes == 0]
DOTTED = ["sklearn.ensemble.HistGradientBoostingRegressor", "sklearn.linear_model.LinearRegression"]


@pytest.mark.parametrize("name", [*ESTIMATORS, *DOTTED])
def test_estimates_explain_what_can_be_explained(name):
    fitted = fit(name, make_rows(400, 0))
    fresh = make_rows(300, 0, seed=1)
    estimates = fitted.predict(fresh.X)
    assert (fitted.classes, estimates.dtype, estimates.shape) == (0, np.float64, (300, 1))
    assert explained(fresh.y, estimates[:, 0]) > 0.6
    assert fitted.predict(fresh.X[:0]).shape == (0, 1)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize(("center", "scale"), [(0, 1e-6), (0, 1e9), (1e9, 1), (-5, 1e-3)])
def test_the_scale_of_the_target_changes_nothing_but_the_scale(name, center, scale):
    plain = fit(name, make_rows(200, 0)).predict(make_rows(100, 0, seed=1).X)
    moved = fit(name, make_rows(200, 0, center=center, scale=scale))
    estimates = (moved.predict(make_rows(100, 0, seed=1).X) - center) / scale
    # The last digits of the target itself are lost at 1e9 + 1; a split may then fall elsewhere.
    assert np.abs(estimates - plain).mean() < 1e-2
    assert explained(plain, estimates) > 0.999


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_target_of_one_value_is_learned(name):
    rows = make_rows(60, 0)
    rows.y[:] = 7.25
    assert np.allclose(fit(name, rows).predict(rows.X), 7.25)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_heavy_rows_draw_the_estimates(name):
    rows = make_rows(300, 0)
    weight = np.where(rows.y > np.median(rows.y), 9.0, 0.1).astype(np.float32)
    heavy = TrainingRows(rows.X, rows.y, weight, rows.categorical, rows.names, 0)
    assert fit(name, heavy).predict(rows.X).mean() > fit(name, rows).predict(rows.X).mean() + 0.1


def test_boosting_stops_early_on_squared_error():
    fitted = fit("lightgbm", make_rows(300, 0), params={"learning_rate": 0.2},
                 validation=make_rows(150, 0, seed=1))  # fmt: skip
    assert 10 <= fitted.rounds < 300
    assert fitted.model.num_trees() == fitted.rounds


def test_ridge_is_scikit_learns():
    from sklearn.linear_model import Ridge

    rows = make_rows(200, 0, center=1e4, scale=30)
    weight = np.linspace(0.5, 2, 200).astype(np.float32)
    weighted = TrainingRows(rows.X, rows.y, weight, (), rows.names, 0)
    for intercept in (True, False):
        model = Ridge(alpha=3.0, fit_intercept=intercept)
        model.fit(rows.X.astype(float), rows.y, sample_weight=weight)
        fitted = fit("ridge", weighted, params={"alpha": 3.0, "fit_intercept": intercept})
        expected = model.predict(rows.X.astype(float))
        assert np.allclose(fitted.predict(rows.X)[:, 0], expected, rtol=1e-9)
        assert np.allclose(fitted.model.coef_, model.coef_, rtol=1e-7, atol=1e-9)


def test_the_leaves_of_a_lightgbm_text_are_moved_and_back():
    fitted = fit("lightgbm", make_rows(200, 0))
    X = make_rows(50, 0, seed=3).X
    text = fitted.model.model_to_string()
    import lightgbm

    moved = lightgbm.Booster(model_str=scale_lightgbm_text(text, center=100.0, scale=-3.0))
    assert np.allclose(moved.predict(X), 100 - 3 * fitted.model.predict(X), rtol=1e-12)


def test_standard_units():
    rows = make_rows(100, 0, center=5.0, scale=2.0)
    standard = standard_of(rows)
    values = standard.standardise(rows.y)
    assert (values.mean(), values.std()) == pytest.approx((0, 1))
    assert np.allclose(standard.restore(values), rows.y)
    assert standard_of(make_rows(20, 2)) == Standard(0.0, 1.0)


@pytest.mark.parametrize("name", ["random_forest", "extra_trees"])
def test_a_criterion_for_another_kind_of_target_is_refused(name):
    with pytest.raises(ConfigError, match="criterion") as caught:
        fit(name, make_rows(60, 0), params={"criterion": "gini"})
    assert "squared_error" in caught.value.fix
    with pytest.raises(ConfigError, match="criterion"):
        fit(name, make_rows(60, 2), params={"criterion": "squared_error"})
