from datetime import date, datetime

import numpy as np
import polars as pl
import pytest

from ratchet.data.task import Task
from ratchet.errors import ConfigError
from ratchet.features.recipe import Encoding

NAN = float("nan")
TABLE = {
    "a": [1.0, 2.0, 4.0, 7.0],
    "b": [-3, 0, 5, None],
    "flag": [True, False, True, False],
    "zero_one": [0, 1, 1, 0],
    "c": ["x", "y", "x", "y"],
    "y": [0, 1, 0, 1],
}


def named(recipe, X):
    return dict(zip(recipe.feature_names, X.T.tolist(), strict=True))


def test_squares_of_every_column_that_is_more_than_two_values(fit):
    recipe, X = fit(TABLE, generate={"squares": True})
    assert recipe.feature_names[5:] == ("square(a)", "square(b)")
    np.testing.assert_equal(named(recipe, X)["square(b)"], [9.0, 0.0, 25.0, NAN])
    recipe, X = fit(TABLE, generate={"squares": ["flag"]})
    assert named(recipe, X)["square(flag)"] == [1.0, 0.0, 1.0, 0.0]


def test_logarithms_of_columns_without_negative_values(fit):
    recipe, X = fit(TABLE, generate={"logs": True})
    assert recipe.feature_names[5:] == ("log(a)",)
    np.testing.assert_allclose(named(recipe, X)["log(a)"], np.log1p([1, 2, 4, 7]), rtol=1e-7)
    assert np.isnan(recipe.vector({"a": -1.0})[0, 5])
    assert recipe.vector({"a": -0.5})[0, 5] == np.float32(np.log(0.5))


def test_a_logarithm_of_negative_training_values_is_refused(fit):
    with pytest.raises(ConfigError, match='logarithm of "b"') as caught:
        fit(TABLE, generate={"logs": ["b"]})
    assert caught.value.where == "features.generate.logs"


def test_bands_between_training_quantiles(fit):
    recipe, X = fit({"a": list(range(100)), "y": [0, 1] * 50}, generate={"bins": {"a": 4}})
    assert np.bincount(X[:, 1].astype(int)).tolist() == [25, 25, 25, 25]
    assert recipe.vector({"a": 10**9})[0, 1] == 3.0
    assert np.isnan(recipe.vector({})[0, 1])


def test_bands_of_a_column_with_few_values_merge(fit):
    _, X = fit({"a": [0] * 90 + [1] * 10, "y": [0, 1] * 50}, generate={"bins": {"a": 10}})
    assert set(X[:, 1]) <= {0.0, 1.0}
    _, X = fit({"a": [5] * 10, "y": [0, 1] * 5}, generate={"bins": {"a": 10}})
    assert set(X[:, 1]) == {0.0}


def test_bands_between_given_edges_one_column_each(fit):
    table = {"tenure": [1, 12, 30, 11, None], "y": [0, 1, 0, 1, 0]}
    rule = {"bins": {"tenure": [12, 24]}}
    recipe, X = fit(table, generate=rule, encoding=Encoding("onehot", "impute", scale=True))
    names = ("bin(tenure)=[-inf, 12)", "bin(tenure)=[12, 24)", "bin(tenure)=[24, inf)")
    assert recipe.feature_names[-3:] == names
    expected = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0], [1, 0, 0]]
    assert X[:, -3:].tolist() == expected
    _, X = fit(table, generate=rule, encoding=Encoding("onehot"))
    assert X[4, -3:].tolist() == [0, 0, 0]
    _, X = fit(table, generate=rule, encoding=Encoding("codes", "impute"))
    assert X[:, -1].tolist() == [0, 1, 2, 0, 0]


def interaction(seed, n=2000):
    """The sign of a*b decides; neither a nor b alone, nor the strong column s, does."""
    random = np.random.default_rng(seed)
    a, b, s, t = random.normal(size=(4, n))
    y = (a * b + 0.5 * s + 0.5 * random.normal(size=n) > 0).astype(int)
    return pl.DataFrame({"s": s + 100, "t": t, "a": a + 5, "b": b, "y": y})


def test_the_product_that_tells_most_is_kept(fit):
    for seed in range(5):
        frame = interaction(seed)
        y = frame["y"].to_numpy()
        recipe, X = fit(frame, y, generate={"interactions": {"max": 1}})
        assert recipe.feature_names[-1] == "a*b"
        values = frame["a"].to_numpy() * frame["b"].to_numpy()
        np.testing.assert_array_equal(X[:, -1], values.astype(np.float32))


def test_products_are_capped_and_the_same_each_time(fit):
    frame = interaction(0, 30_000)
    y = frame["y"].to_numpy()
    first, _ = fit(frame, y, generate={"interactions": {"max": 3}})
    second, _ = fit(frame, y, generate={"interactions": {"max": 3}})
    assert len(first.feature_names) == 7
    assert first == second
    chosen, _ = fit(frame, y, generate={"interactions": {"columns": ["s", "t"]}})
    assert chosen.feature_names[4:] == ("s*t",)


def test_products_for_several_classes(fit):
    frame = interaction(1)
    y = frame["y"].to_numpy() + (frame["t"].to_numpy() > 1)
    task = Task("multiclass", (0, 1, 2))
    recipe, _ = fit(frame, y, task=task, generate={"interactions": {"max": 1}})
    assert recipe.feature_names[-1] == "a*b"


def test_a_constant_column_makes_no_product(fit):
    frame = interaction(0).with_columns(t=pl.lit(3.0))
    recipe, _ = fit(frame, frame["y"].to_numpy(), generate={"interactions": {"max": 100}})
    assert not [name for name in recipe.feature_names if "t*" in name or "*t" in name]


DATES = {
    "joined": [date(2024, 1, 31), date(2024, 2, 1), None, date(2024, 12, 25)],
    "seen": [datetime(2024, 1, 1), datetime(2024, 1, 2, 12), None, datetime(2024, 1, 1, 6)],
    "y": [0, 1, 0, 1],
}


def test_dates_become_the_parts_that_vary(fit):
    recipe, X = fit(DATES)
    table = named(recipe, X)
    assert recipe.feature_names == (
        "joined.month",
        "joined.weekday",
        "joined.days",
        "seen.weekday",
        "seen.hour",
        "seen.days",
    )
    np.testing.assert_equal(table["joined.weekday"], [3.0, 4.0, NAN, 3.0])
    np.testing.assert_equal(table["joined.days"], [0.0, 1.0, NAN, 329.0])
    np.testing.assert_equal(table["seen.hour"], [0.0, 12.0, NAN, 6.0])
    np.testing.assert_equal(table["seen.days"], [0.0, 1.5, NAN, 0.25])
    row = recipe.vector({"joined": "2023-12-31", "seen": datetime(2024, 1, 3)})
    assert row.tolist() == [[12.0, 7.0, -31.0, 3.0, 0.0, 2.0]]


def test_dates_may_be_taken_whole_or_not_at_all(fit):
    recipe, _ = fit(DATES, generate={"dates": True})
    assert len(recipe.feature_names) == 9
    recipe, _ = fit({**DATES, "x": [1, 2, 3, 4]}, generate={"dates": False})
    assert recipe.feature_names == ("x",)
    assert [column.name for column in recipe.inputs] == ["x"]


def test_missing_dates_are_filled_and_told_once(fit):
    recipe, X = fit(DATES, encoding=Encoding("onehot", "impute", scale=True))
    told = [name for name in recipe.feature_names if "missing" in name]
    assert told == ["joined.days is missing", "seen.days is missing"]
    assert not np.isnan(X).any()


@pytest.mark.parametrize(
    ("generate", "where", "message"),
    [
        ({"squares": ["aa"]}, "squares", 'Did you mean "a"?'),
        ({"squares": ["c"]}, "squares", "holds a string"),
        ({"logs": ["y"]}, "logs", "no feature column"),
        ({"bins": {"c": 3}}, "bins", "holds a string"),
        ({"interactions": {"columns": ["a", "z"]}}, "interactions.columns", "no feature column"),
        ({"frequency": ["a"]}, "frequency", "holds a number"),
        ({"target": ["d"]}, "target", "no feature column"),
    ],
)
def test_generators_of_columns_that_do_not_fit_are_refused(fit, generate, where, message):
    with pytest.raises(ConfigError, match=r"feature column|which this generator") as caught:
        fit(TABLE, generate=generate)
    assert caught.value.where == f"features.generate.{where}"
    assert message in str(caught.value)


def test_generators_work_on_computed_features(fit):
    recipe, X = fit(
        TABLE,
        expressions={"double": "a * 2", "kind": "c || 'z'"},
        generate={"squares": ["double"], "frequency": ["kind"]},
    )
    table = named(recipe, X)
    assert table["square(double)"] == [4.0, 16.0, 64.0, 196.0]
    assert table["frequency(kind)"] == [0.5] * 4
