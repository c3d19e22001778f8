import json
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ratchet.data.roles import Roles
from ratchet.data.schema import Column, TableSchema
from ratchet.data.task import Task
from ratchet.errors import ConfigError, DataError
from ratchet.features.recipe import Encoding, Recipe, fit_recipe
from ratchet.features.settings import FeaturesSettings

LINEAR = Encoding("onehot", "impute", scale=True)
ENCODINGS = [Encoding(), Encoding("codes", "impute"), LINEAR]
RICH = {
    "expressions": {
        "ratio": "amount / (months + 1)",
        "band": "CASE WHEN months < 5 THEN 'new' ELSE 'old' END",
        "high": "plan = 'a' AND amount > median(amount)",
    },
    "generate": {
        "squares": True,
        "logs": True,
        "interactions": {"max": 3},
        "bins": {"months": 3, "amount": [10, 50]},
        "frequency": ["plan"],
        "target": ["plan", "months"],
    },
}


def customers(seed=0, n=400):
    random = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "customer": [f"id{i}" for i in range(n)],
            "plan": random.choice(["a", "b", "c"], n),
            "months": random.integers(0, 40, n),
            "amount": random.gamma(2.0, 20.0, n),
            "auto": random.random(n) < 0.5,
            "note": random.choice(["x", "y"], n),
            "y": random.integers(0, 2, n),
        }
    )
    holes = {"plan": 0.05, "months": 0.03, "amount": 0.1, "auto": 0.02}
    return frame.with_columns(
        pl.when(pl.Series(random.random(n) > share)).then(pl.col(name)).alias(name)
        for name, share in holes.items()
    )


ROLES = Roles(target="y", id="customer", exclude=("note",))


def bits(matrix):
    return np.ascontiguousarray(matrix).view(np.uint32)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("settings", [{}, RICH])
def test_a_table_and_its_rows_give_the_same_bits(fit, encoding, settings):
    frame = customers()
    recipe, _ = fit(frame, frame["y"], roles=ROLES, encoding=encoding, **settings)
    rows = np.vstack([recipe.vector(row) for row in frame.to_dicts()])
    np.testing.assert_array_equal(bits(recipe.matrix(frame)), bits(rows))
    assert rows.dtype == np.float32
    assert rows.shape == (400, len(recipe.feature_names))
    assert len(set(recipe.feature_names)) == len(recipe.feature_names)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_training_rows_differ_only_where_labels_were_used(fit, encoding):
    frame = customers()
    recipe, X = fit(frame, frame["y"], roles=ROLES, encoding=encoding, **RICH)
    matrix = recipe.matrix(frame)
    differ = [
        name
        for place, name in enumerate(recipe.feature_names)
        if not np.array_equal(X[:, place], matrix[:, place], equal_nan=True)
    ]
    assert differ == ["target(plan)", "target(months)"]
    assert np.isnan(X).any() == (encoding.missing == "native")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("settings", [{}, RICH])
def test_json_gives_an_equal_recipe(fit, encoding, settings):
    frame = customers()
    recipe, _ = fit(frame, frame["y"], roles=ROLES, encoding=encoding, **settings)
    text = json.dumps(recipe.to_json(), allow_nan=False)
    again = Recipe.from_json(json.loads(text))
    assert again == recipe
    assert json.dumps(again.to_json()) == text
    assert again.feature_names == recipe.feature_names
    assert again.categorical == recipe.categorical
    np.testing.assert_array_equal(bits(again.matrix(frame)), bits(recipe.matrix(frame)))


def test_only_the_training_rows_are_learned_from(tmp_path):
    frame = customers(0)
    other = pl.concat([frame[:300], customers(1)[300:]])
    for encoding in ENCODINGS:
        recipes = []
        for table in (frame, other):
            train = table[:300]
            recipe, _ = fit_recipe(
                train,
                train["y"].to_numpy(),
                roles=ROLES,
                schema=TableSchema.from_polars(table.schema),
                settings=FeaturesSettings.model_validate(RICH),
                encoding=encoding,
                task=Task("binary", (0, 1)),
                seed=3,
                root=tmp_path,
            )
            recipes.append(recipe)
        assert recipes[0] == recipes[1]
        together = recipes[0].matrix(frame)[:300]
        np.testing.assert_array_equal(bits(together), bits(recipes[0].matrix(frame[:300])))


def test_the_same_seed_gives_the_same_recipe_and_matrix(fit):
    frame = customers()
    first = fit(frame, frame["y"], roles=ROLES, encoding=LINEAR, **RICH)
    second = fit(frame, frame["y"], roles=ROLES, encoding=LINEAR, **RICH)
    assert json.dumps(first[0].to_json()) == json.dumps(second[0].to_json())
    np.testing.assert_array_equal(bits(first[1]), bits(second[1]))
    _, third = fit(frame, frame["y"], roles=ROLES, encoding=LINEAR, seed=8, **RICH)
    assert (third != first[1]).any()


def test_labels_do_not_touch_what_needs_none(fit):
    frame = customers()
    labels = frame["y"].to_numpy()
    for encoding in ENCODINGS:
        first = fit(frame, labels, roles=ROLES, encoding=encoding)
        second = fit(frame, 1 - labels, roles=ROLES, encoding=encoding)
        assert first[0] == second[0]


def test_absent_columns_are_missing_and_others_are_ignored(fit):
    frame = customers()
    recipe, _ = fit(frame, frame["y"], roles=ROLES, encoding=LINEAR, **RICH)
    assert recipe.inputs == (
        Column("plan", "string"),
        Column("months", "integer"),
        Column("amount", "number"),
        Column("auto", "boolean"),
    )
    empty = {column.name: None for column in recipe.inputs}
    expected = recipe.vector(empty)
    np.testing.assert_array_equal(recipe.vector({}), expected)
    np.testing.assert_array_equal(recipe.vector({"other": [1], "y": "?"}), expected)
    bare = pl.DataFrame({"other": [1, 2]})
    np.testing.assert_array_equal(recipe.matrix(bare), np.vstack([expected] * 2))
    shuffled = frame.select(reversed(frame.columns)).with_columns(extra=pl.lit("x"))
    np.testing.assert_array_equal(bits(recipe.matrix(shuffled)), bits(recipe.matrix(frame)))


@pytest.mark.parametrize(
    ("column", "value"), [("amount", "much"), ("months", 1.5), ("plan", 3), ("auto", "yes")]
)
@pytest.mark.parametrize("settings", [{}, RICH])
def test_a_value_of_the_wrong_type_names_its_column(fit, column, value, settings):
    frame = customers()
    recipe, _ = fit(frame, frame["y"], roles=ROLES, **settings)
    row = {"plan": "a", "months": 1, "amount": 2.0, "auto": True} | {column: value}
    with pytest.raises(DataError) as caught:
        recipe.vector(row)
    assert caught.value.where == column
    with pytest.raises(DataError) as caught:
        recipe.matrix(pl.DataFrame({name: [item] for name, item in row.items()}))
    assert caught.value.where == column


def test_no_rows_give_an_empty_matrix(fit):
    frame = customers()
    recipe, _ = fit(frame, frame["y"], roles=ROLES, **RICH)
    assert recipe.matrix(frame.head(0)).shape == (0, len(recipe.feature_names))


def test_more_rows_than_a_block(fit):
    frame = customers(0, 400)
    recipe, _ = fit(frame, frame["y"], roles=ROLES, encoding=LINEAR, **RICH)
    many = pl.concat([frame] * 100)
    expected = np.vstack([recipe.matrix(frame)] * 100)
    np.testing.assert_array_equal(bits(recipe.matrix(many)), bits(expected))


def test_medians_and_most_frequent_values_are_imputed(fit):
    frame = pl.DataFrame(
        {
            "x": [1.0, 2.0, 9.0, None],
            "z": pl.Series([None] * 4, dtype=pl.Float64),
            "t": [True, True, False, None],
            "y": [0, 1, 0, 1],
        }
    )
    recipe, X = fit(frame, encoding=Encoding("codes", "impute"))
    assert recipe.feature_names == ("x", "x is missing", "z", "t", "t is missing")
    assert X.tolist() == [
        [1, 0, 0, 1, 0],
        [2, 0, 0, 1, 0],
        [9, 0, 0, 0, 0],
        [2, 1, 0, 1, 1],
    ]
    rarely = pl.DataFrame({"x": [None] + [1.0] * 199, "y": [0, 1] * 100})
    recipe, _ = fit(rarely, encoding=Encoding("codes", "impute"))
    assert recipe.feature_names == ("x",)
    assert recipe.vector({}).tolist() == [[1.0]]


def test_an_indicator_needs_something_missing_and_a_tie_is_false(fit):
    frame = pl.DataFrame({"x": [1.0, 2.0, 3.0], "t": [True, False, None], "y": [0, 1, 0]})
    limits = {"missing_indicator": 0.0}
    recipe, X = fit(frame, encoding=Encoding("codes", "impute"), encoding_limits=limits)
    assert recipe.feature_names == ("x", "t", "t is missing")
    assert X[2].tolist() == [3.0, 0.0, 1.0]


def test_every_missing_number_is_the_same_nan(fit):
    recipe, _ = fit({"x": [1.0, 2.0], "y": [0, 1]})
    odd = pl.DataFrame({"x": np.array([-np.nan, np.nan, np.inf, 1.0])})
    matrix = recipe.matrix(odd.vstack(pl.DataFrame({"x": [None]}, schema={"x": pl.Float64})))
    assert set(bits(matrix[[0, 1, 2, 4]]).ravel()) == set(bits(recipe.vector({})).ravel())


def test_scaled_columns_have_mean_zero_and_deviation_one(fit):
    frame = customers().with_columns(same=pl.lit(3.3))
    recipe, X = fit(frame, frame["y"], roles=ROLES, encoding=LINEAR)
    for place, note in enumerate(recipe.describe()):
        column = X[:, place]
        if note.name == "same":
            assert not column.any()
        elif note.kind == "number" and note.name != "auto":
            assert abs(column.mean()) < 1e-5
            assert abs(column.std() - 1) < 1e-5
        else:
            assert set(column) <= {0.0, 1.0}


def test_integers_beyond_float32_lose_their_last_digits(fit):
    recipe, X = fit({"x": [2**24 + 1, 2**62 + 1], "y": [0, 1]})
    assert X[:, 0].tolist() == [2**24, 2**62]
    assert recipe.vector({"x": 2**24 + 1})[0, 0] == 2**24


def test_a_recipe_for_no_rows_or_no_features_is_refused(fit):
    with pytest.raises(DataError, match="needs rows"):
        fit(customers().head(0), [], roles=ROLES)
    with pytest.raises(DataError, match="needs rows"):
        fit(customers(), [0, 1], roles=ROLES)
    with pytest.raises(DataError, match="No feature is left"):
        fit({"a": [1, 2], "y": [0, 1]}, roles=Roles(target="y", exclude=("a",)))


def test_an_excluded_column_still_feeds_an_expression(fit):
    roles = Roles(target="y", exclude=("a",))
    recipe, X = fit({"a": [1, 2], "y": [0, 1]}, roles=roles, expressions={"b": "a * 2"})
    assert recipe.feature_names == ("b",)
    assert recipe.inputs == (Column("a", "integer"),)
    assert X.tolist() == [[2.0], [4.0]]


def test_a_recipe_of_another_format_is_refused():
    with pytest.raises(DataError, match="format 2"):
        Recipe.from_json({"format": 2})


def test_the_description_tells_where_a_feature_comes_from(fit):
    frame = customers()
    recipe, _ = fit(frame, frame["y"], roles=ROLES, encoding=LINEAR, **RICH)
    notes = {note.name: note for note in recipe.describe()}
    assert tuple(notes) == recipe.feature_names
    assert notes["ratio"].sources == ("amount", "months")
    assert "amount / (months + 1)" in notes["ratio"].description
    assert "median(amount) = " in notes["high"].description
    assert notes["amount is missing"].kind == "indicator"
    assert notes["band=new"].kind == "one-hot"
    assert notes["target(plan)"].kind == "target mean"
    assert notes["square(amount)"].description.startswith("square of amount")
    json.dumps([note.to_json() for note in notes.values()])


def test_a_name_used_twice_is_numbered(fit):
    frame = pl.DataFrame({"c": ["x", "y"] * 50, "c=x": [1.0, 2.0] * 50, "y": [0, 1] * 50})
    recipe, _ = fit(frame, encoding=LINEAR)
    assert sorted(recipe.feature_names) == ["c=x", "c=x#2", "c=y"]


TELCO = Path(__file__).resolve().parents[3] / "../shared/data/telco_churn/data.parquet"


@pytest.mark.skipif(not TELCO.exists(), reason="shared data is not here")
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_telco_customers(fit, encoding):
    frame = pl.read_parquet(TELCO)
    frame = frame.cast(dict(TableSchema.from_polars(frame.schema).polars()))
    labels = (frame["Churn"].cast(pl.String).is_in(["Yes", "1", "true"])).to_numpy()
    roles = Roles(target="Churn", id="customerID" if "customerID" in frame.columns else None)
    recipe, X = fit(frame, labels.astype(np.int32), roles=roles, encoding=encoding)
    rows = np.vstack([recipe.vector(row) for row in frame.head(200).to_dicts()])
    np.testing.assert_array_equal(bits(X[:200]), bits(rows))
    assert len(recipe.inputs) == 19


def test_settings_that_do_not_fit_are_found_when_fitting(fit):
    with pytest.raises(ConfigError):
        fit(customers(), roles=ROLES, expressions={"x": "nothing + 1"})


def test_a_row_of_nineteen_features_takes_less_than_a_tenth_of_a_millisecond(fit):
    columns = {f"c{i}": ["a", "b", "c", "d"] * 25 for i in range(15)}
    columns |= {f"x{i}": [0.5, 1.5, 2.5, 3.5] * 25 for i in range(4)}
    recipe, _ = fit({**columns, "y": [0, 1] * 50})
    row = {name: values[2] for name, values in columns.items()}

    def seconds():
        start = time.process_time()
        for _ in range(500):
            recipe.vector(row)
        return (time.process_time() - start) / 500

    assert min(seconds() for _ in range(5)) < 100e-6


def test_a_recipe_without_its_constants_is_refused(fit):
    frame = customers()
    recipe, _ = fit(frame, frame["y"], roles=ROLES, **RICH)
    stored = recipe.to_json()
    for feature in stored["derivation"]["features"]:
        feature["constants"] = [["median(other)", 1.0] for _ in feature["constants"]]
    with pytest.raises(DataError, match="holds no value for median"):
        Recipe.from_json(stored)
