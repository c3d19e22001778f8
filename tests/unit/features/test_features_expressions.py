import re
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.errors import ConfigError
from ratchet.features.derive import Engine
from ratchet.features.derived import Derivation, DerivedFeature
from ratchet.features.expressions import parse_expression
from ratchet.features.planning import check_features
from ratchet.features.settings import FeaturesSettings
from ratchet.features.sql_words import FUNCTIONS

SCHEMA = TableSchema.of(
    {
        "a": "integer",
        "f": "number",
        "c": "string",
        "t": "boolean",
        "d": "date",
        "m": "datetime",
        "Monthly Charges": "number",
        "y": "string",
    }
)
ROWS = pl.DataFrame(
    {
        "a": [7, 0, None, -5],
        "f": [1.5, float("nan"), float("inf"), None],
        "c": ["x y", "", "7", None],
        "t": [True, False, None, True],
        "d": [date(2024, 1, 31), None, date(2020, 2, 29), date(1969, 12, 31)],
        "m": [datetime(2024, 1, 31, 13, 5, 7), None, datetime(1900, 1, 1), datetime(2024, 2, 1)],
        "Monthly Charges": [1.0, 2.0, 3.0, 4.0],
        "y": ["no", "yes", "no", "yes"],
    },
    schema=SCHEMA.polars(),
)
KINDS = {column.name: column.kind for column in SCHEMA.columns}


def engine_of(text, /, **more):
    features = []
    for key, value in {"new": text, **more}.items():
        _, reads = parse_expression(key, value)
        features.append(DerivedFeature(key, "expression", value, reads))
    return Engine(Derivation(tuple(features)), KINDS)


def check(**section):
    settings = FeaturesSettings.model_validate(section)
    return check_features(settings, schema=SCHEMA, roles=Roles(target="y"), root=Path())


CALLS = """abs(a)|atan(f)|atan2(f, a)|bit_length(c)|cast(a AS VARCHAR)|cbrt(a)|ceil(f)|ceiling(f)
|char_length(c)|character_length(c)|coalesce(f, a)|concat(c, 'z')|concat_ws('-', c, 'z')|cos(f)
|cot(f)|date_part('year', d)|day(d)|dayofweek(d)|degrees(f)|div(a, 2)|ends_with(c, 'y')|exp(f)
|extract(quarter FROM d)|floor(f)|greatest(a, f)|hour(m)|if(a > 1, 1, 0)|ifnull(a, 0)|initcap(c)
|least(a, f)|left(c, 1)|length(c)|ln(a)|log10(a)|log1p(a)|log2(a)|lower(c)|lpad(c, 5, '-')
|ltrim(c)|minute(m)|mod(a, 2)|month(d)|nullif(a, 0)|octet_length(c)|a * pi()|position('y' IN c)
|pow(f, 2)|power(a, 2)|quarter(d)|radians(f)|regexp_like(c, '^x')|replace(c, 'x', 'z')|reverse(c)
|right(c, 1)|round(f, 1)|rpad(c, 5, '-')|rtrim(c)|sign(a)|sin(f)|split_part(c, ' ', 1)|sqrt(f)
|starts_with(c, 'x')|strftime(d, '%Y')|strpos(c, 'y')|substr(c, 1, 2)|substring(c, 2)|tan(f)
|trim(c)|try_cast(c AS DOUBLE)|upper(c)|week(d)|year(m)""".replace("\n", "").split("|")


@pytest.mark.parametrize("text", CALLS)
def test_a_function_gives_a_row_alone_what_it_gives_it_among_others(text):
    engine = engine_of(text)
    together = engine.apply(ROWS)["new"].to_list()
    rows = ROWS.with_columns(
        pl.when(pl.col("f").is_finite()).then(pl.col("f")).alias("f")
    ).to_dicts()
    assert [engine.apply_row(row)["new"] for row in rows] == together
    assert any(value is not None for value in together)


def test_the_list_above_holds_every_function():
    tried = {name.lower() for text in CALLS for name in re.findall(r"(\w+)\(", text)}
    assert tried >= FUNCTIONS


def test_results_have_the_kinds_of_a_table():
    kinds = engine_of(
        "a + 1",
        half="f / 2",
        text="upper(c)",
        flag="a > 1",
        day="d",
        days="d - DATE '2024-01-01'",
        size="length(c)",
        money="CAST(a AS DECIMAL(10, 2))",
    ).kinds
    assert kinds == {
        "new": "number",
        "half": "number",
        "text": "string",
        "flag": "boolean",
        "day": "date",
        "days": "number",
        "size": "integer",
        "money": "number",
    }


def test_nan_and_infinity_are_missing_before_and_after():
    assert engine_of("f > 0").apply(ROWS)["new"].to_list() == [True, None, None, None]
    assert engine_of("exp(a * 1000)").apply(ROWS)["new"].to_list() == [None, 1.0, None, 0.0]
    days = engine_of("d - DATE '2024-01-01'").apply(ROWS)["new"].to_list()
    assert days == [30.0, None, -1402.0, -19724.0]


def test_features_read_features_whatever_their_order(fit):
    recipe, X = fit(
        {"a": [1.0, 2.0, 3.0, 4.0], "y": [0, 1, 0, 1]},
        expressions={"last": "middle + 1", "middle": "first * 2", "first": "a + 10"},
    )
    assert recipe.feature_names == ("a", "first", "middle", "last")
    assert X[0].tolist() == [1.0, 11.0, 22.0, 23.0]
    assert recipe.vector({"a": 1}).tolist() == [[1.0, 11.0, 22.0, 23.0]]


CHARGES = {
    "Contract": ["Month-to-month", "Two year", "Month-to-month", "Month-to-month"],
    "MonthlyCharges": [10.0, 20.0, 30.0, 100.0],
    "y": [0, 1, 0, 1],
}
FLAG = "Contract = 'Month-to-month' AND MonthlyCharges > median(MonthlyCharges)"


def test_a_served_row_is_compared_with_the_training_median(fit):
    recipe, X = fit(CHARGES, expressions={"flag": FLAG})
    place = recipe.feature_names.index("flag")
    assert X[:, place].tolist() == [0.0, 0.0, 1.0, 1.0]
    # The median of these rows is 26.5; the training median, 25, decides.
    served = pl.DataFrame({"Contract": ["Month-to-month"] * 2, "MonthlyCharges": [26.0, 27.0]})
    assert recipe.matrix(served)[:, place].tolist() == [1.0, 1.0]
    assert recipe.vector({"Contract": "Month-to-month", "MonthlyCharges": 25.5})[0, place] == 1.0
    (feature,) = recipe.derivation.features
    assert feature.constants == (("median(MonthlyCharges)", 25.0),)


@pytest.mark.parametrize(
    ("aggregate", "value"),
    [
        ("median(x)", 3.0),
        ("mean(x)", 22.0),
        ("avg(x)", 22.0),
        ("min(x)", 1.0),
        ("max(x)", 100.0),
        ("sum(x)", 110.0),
        ("stddev(x)", np.std([1, 2, 3, 4, 100], ddof=1)),
        ("quantile(x, 0.25)", 2.0),
        ("quantile(x, 1)", 100.0),
        ("max(exp(x * 10))", np.exp(40)),
        ("median(x / (x - 1))", np.median([2.0, 1.5, 4 / 3, 100 / 99])),
    ],
)
def test_constants_leave_missing_values_out(fit, aggregate, value):
    x = [1.0, 2.0, 3.0, 4.0, 100.0, None, float("nan"), float("inf")]
    recipe, _ = fit({"x": x, "y": [0] * 8}, expressions={"new": f"x - {aggregate}"})
    assert recipe.derivation.features[0].constants == ((aggregate, pytest.approx(value)),)


def test_a_constant_without_any_value_is_null(fit):
    columns = {"x": pl.Series([None, None], dtype=pl.Float64), "z": [1.0, 2.0], "y": [0, 1]}
    recipe, X = fit(columns, expressions={"new": "z - max(x)"})
    assert recipe.derivation.features[0].constants == (("max(x)", None),)
    assert np.isnan(X[:, recipe.feature_names.index("new")]).all()


@pytest.mark.parametrize(
    ("expressions", "message"),
    [
        ({"n": "tenur + 1"}, "tenur"),
        ({"n": "A + 1"}, 'Did you mean "a"?'),
        ({"n": '"Monthly charges" + 1'}, 'Did you mean "Monthly Charges"?'),
        ({"n": "median(zz) + a"}, "zz"),
        ({"n": "y = 'yes'"}, "target"),
        ({"n": "a > median(y)"}, "target"),
        ({"a": "f + 1"}, "name of a column"),
        ({"n": "m1 + 1", "m1": "n + 1"}, "n → m1 → n"),
        ({"n": "n + 1"}, "n → n"),
        ({"n": "1 + 1"}, "no column"),
        ({"n": "c > 5"}, "compare"),
        ({"n": "a + c"}, "cannot be computed"),
        ({"n": "median(c) > a"}, "needs numbers"),
        ({"n": '"^a.*$"'}, "several columns"),
        ({"n": "a +"}, "ends too early"),
        ({"n": "a b c"}, "no SQL"),
        ({"n": "string_agg(c)"}, "string_agg"),
    ],
)
def test_a_wrong_expression_is_found_before_training(expressions, message):
    with pytest.raises(ConfigError) as caught:
        check(expressions=expressions)
    assert message in str(caught.value)
    assert caught.value.where.startswith("features")


def test_columns_without_a_part_may_be_read_but_not_the_target():
    assert check(expressions={"n": "a + 1"})["n"] == "number"
