import numpy as np
import polars as pl
import pytest

from ratchet.features.categories import Categories
from ratchet.features.encoders.slots import Slot
from ratchet.features.recipe import Encoding

NAN = float("nan")
NATIVE, IMPUTE = Encoding(), Encoding("codes", "impute")
ONEHOT = Encoding("onehot", "impute")
SHARES = Encoding("onehot", high_cardinality="frequency")


def column(**counts):
    """A text column with so many rows of each value; ``none`` is missing."""
    values = [name if name != "none" else None for name, n in counts.items() for _ in range(n)]
    return pl.DataFrame({"c": pl.Series(values, dtype=pl.String), "y": [0] * len(values)})


def served(recipe, *values):
    frame = pl.DataFrame({"c": pl.Series(values, dtype=pl.String)})
    matrix = recipe.matrix(frame)
    rows = np.vstack([recipe.vector({"c": value}) for value in values])
    np.testing.assert_array_equal(matrix, rows)
    return matrix[:, 0].tolist() if matrix.shape[1] == 1 else matrix.tolist()


def test_categories_are_ordered_by_frequency_then_name():
    frame = column(b=3, a=3, z=5, none=2)
    found = Categories.of(frame["c"], Slot("c", "text", "string"))
    assert found.names == ("z", "a", "b")
    assert found.counts == (5, 3, 3)
    assert (found.distinct, found.missing, found.rows) == (3, 2, 13)


def test_codes_with_native_missing(fit):
    recipe, X = fit(column(a=30, b=20, none=5), encoding=NATIVE)
    assert recipe.categorical == (0,)
    np.testing.assert_equal(X[:, 0], [0.0] * 30 + [1.0] * 20 + [NAN] * 5)
    np.testing.assert_equal(served(recipe, "b", "new", None, ""), [1.0, NAN, NAN, NAN])


def test_unseen_joins_the_rare_ones(fit):
    recipe, X = fit(column(a=600, b=390, c=6, d=4), encoding=NATIVE)
    assert set(X[:, 0]) == {0.0, 1.0, 2.0}
    np.testing.assert_equal(served(recipe, "a", "c", "d", "new", None), [0.0, 2.0, 2.0, 2.0, NAN])


def test_imputed_missing_is_the_most_frequent_or_a_code_of_its_own(fit):
    recipe, _ = fit(column(a=600, b=400), encoding=IMPUTE)
    assert served(recipe, "b", None, "new") == [1.0, 0.0, 0.0]
    recipe, _ = fit(column(a=600, b=380, none=20), encoding=IMPUTE)
    assert served(recipe, "b", None, "new") == [1.0, 2.0, 0.0]
    recipe, _ = fit(column(a=600, b=371, c=9, none=20), encoding=IMPUTE)
    assert served(recipe, "b", None, "new", "c") == [1.0, 3.0, 2.0, 2.0]


def test_onehot_has_a_column_per_category(fit):
    recipe, _ = fit(column(a=600, b=400), encoding=ONEHOT)
    assert recipe.feature_names == ("c=a", "c=b")
    assert recipe.categorical == ()
    assert served(recipe, "b", "new", None) == [[0, 1], [0, 0], [1, 0]]


def test_onehot_of_rare_and_missing_values(fit):
    recipe, _ = fit(column(a=600, b=371, c=9, none=20), encoding=ONEHOT)
    assert recipe.feature_names == ("c=a", "c=b", "c=(other)", "c=(missing)")
    assert served(recipe, "c", "new", None, "a") == [
        [0, 0, 1, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
        [1, 0, 0, 0],
    ]


def test_a_category_called_other_does_not_clash(fit):
    recipe, X = fit(column(**{"(other)": 600, "b": 392, "c": 8}), encoding=ONEHOT)
    assert recipe.feature_names == ("c=(other)", "c=b", "c=(other)#2")
    assert X.sum() == 1000


def many(categories, each):
    values = [f"k{code:03}" for code in range(categories) for _ in range(each)]
    return pl.DataFrame({"c": values, "y": [0, 1] * (len(values) // 2)})


@pytest.mark.parametrize(
    ("settings", "encoding", "name", "kind"),
    [
        ({}, ONEHOT, "target(c)", "target mean"),
        ({"high_cardinality": "frequency"}, ONEHOT, "frequency(c)", "share"),
        ({"high_cardinality": "codes"}, ONEHOT, "c", "code"),
        ({"onehot_max": 12}, ONEHOT, "c=k000", "one-hot"),
        ({"high_cardinality": "codes"}, SHARES, "frequency(c)", "share"),
        ({}, Encoding("onehot", onehot_max=12), "c=k000", "one-hot"),
        ({}, NATIVE, "c", "code"),
        ({"codes_max": 11}, NATIVE, "target(c)", "target mean"),
        ({"codes_max": 11, "high_cardinality": "codes"}, NATIVE, "c", "code"),
    ],
)
def test_more_categories_than_the_limit(fit, settings, encoding, name, kind):
    recipe, _ = fit(many(12, 100), encoding=encoding, encoding_limits=settings)
    assert recipe.feature_names[0] == name
    assert recipe.describe()[0].kind == kind
    assert recipe.categorical == ((0,) if encoding == NATIVE and kind == "code" else ())


def test_codes_are_capped(fit):
    limits = {"codes_max": 11, "high_cardinality": "codes"}
    recipe, X = fit(many(12, 100), encoding=NATIVE, encoding_limits=limits)
    assert set(X[:, 0]) == set(range(12))
    assert served(recipe, "k000", "k011", "new") == [0.0, 11.0, 11.0]


def test_a_column_whose_categories_are_all_rare_is_no_single_group(fit):
    recipe, _ = fit(many(500, 4), encoding=NATIVE)
    assert recipe.feature_names == ("target(c)",)


def test_texts_seen_once_stay_out_of_the_recipe(fit):
    texts = [f"secret {number}" for number in range(300)] + ["common"] * 300
    frame = pl.DataFrame({"c": texts, "y": [0, 1] * 300})
    for policy in ("target", "frequency"):
        limits = {"high_cardinality": policy}
        recipe, X = fit(frame, encoding=ONEHOT, encoding_limits=limits)
        assert recipe.encoders[0].categories == ("common",)
        assert "secret" not in str(recipe.to_json())
        assert recipe.vector({"c": "secret 7"}) == recipe.vector({"c": "new"})
        assert X.shape == (600, 1)


def test_more_categories_than_a_table_holds(fit, monkeypatch):
    monkeypatch.setattr("ratchet.features.categories._MOST", 3)
    frame = column(a=100, b=90, d=80, c=80, e=70)
    found = Categories.of(frame["c"], Slot("c", "text", "string"))
    assert found.names == ("a", "b", "c")
    assert found.distinct == 5
    recipe, _ = fit(frame, generate={"frequency": ["c"]})
    assert recipe.feature_names[0] == "target(c)"
    shares = recipe.vector({"c": "c"})[0, 1], recipe.vector({"c": "d"})[0, 1]
    assert shares == (np.float32(80 / 420), 0.0)


def test_shares(fit):
    recipe, X = fit(column(a=60, b=30, none=10), generate={"frequency": ["c"]})
    assert recipe.feature_names == ("c", "frequency(c)")
    expected = np.array([0.6] * 60 + [0.3] * 30 + [0.1] * 10, dtype=np.float32)
    np.testing.assert_array_equal(X[:, 1], expected)
    assert recipe.vector({"c": "new"})[0, 1] == 0.0


def test_whole_numbers_and_booleans_can_be_groups(fit):
    frame = pl.DataFrame({"zip": [1, 1, 1, -2], "t": [True, True, False, None], "y": [0, 1, 0, 1]})
    recipe, X = fit(frame, generate={"frequency": ["zip", "t"]})
    assert X[:, 2].tolist() == [0.75, 0.75, 0.75, 0.25]
    assert X[:, 3].tolist() == [0.5, 0.5, 0.25, 0.25]
    assert recipe.vector({"zip": -2.0, "t": False})[0, 2:].tolist() == [0.25, 0.25]


@pytest.mark.parametrize("encoding", [NATIVE, IMPUTE, ONEHOT])
def test_a_column_without_any_value_is_harmless(fit, encoding):
    frame = pl.DataFrame(
        {"c": pl.Series([None] * 20, dtype=pl.String), "x": range(20), "y": [0, 1] * 10}
    )
    recipe, X = fit(frame, encoding=encoding)
    assert len(set(X[:, 0][~np.isnan(X[:, 0])])) <= 1
    assert recipe.vector({"c": "new", "x": 1}).shape == (1, 2)
