"""A row alone and a row in a table are encoded to the same bits, whatever they hold."""

import json
from datetime import date, datetime
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.features.recipe import Encoding, Recipe, fit_recipe
from ratchet.features.settings import FeaturesSettings

KINDS = {
    "whole": "integer",
    "amount": "number",
    "plan": "string",
    "city": "string",
    "auto": "boolean",
    "joined": "date",
    "seen": "datetime",
}
SCHEMA = TableSchema.of(KINDS)
ENCODINGS = (
    Encoding(),
    Encoding("codes", "impute"),
    Encoding("onehot", "impute", scale=True),
    Encoding("onehot", "native", high_cardinality="frequency"),
)
RULES = {
    "squares": True,
    "logs": ["amount"],
    "interactions": {"max": 5},
    "bins": {"amount": 4, "whole": [0, 10]},
    "dates": True,
    "frequency": ["city", "whole", "auto"],
    "target": ["city"],
}
EXPRESSIONS = {
    "ratio": "amount / whole",
    "root": "sqrt(amount) + ln(whole)",
    "above": "plan = 'a' AND amount > median(amount)",
    "text": "upper(city) || '-' || CAST(whole AS VARCHAR)",
    "late": "seen > TIMESTAMP '2020-06-01 00:00:00'",
    "days": "joined - DATE '2020-01-01'",
    "again": "ratio * 2 + stddev(ratio)",
}


def training_rows():
    random = np.random.default_rng(5)
    n = 300
    frame = pl.DataFrame(
        {
            "whole": random.integers(-5, 50, n),
            "amount": random.gamma(2.0, 30.0, n),
            "plan": random.choice(["a", "b"], n),
            "city": random.choice([f"k{i}" for i in range(25)], n),
            "auto": random.random(n) < 0.4,
            "joined": [date(2020, 1 + i % 12, 1 + i % 28) for i in range(n)],
            "seen": [datetime(2020, 1 + i % 12, 3, i % 24, i % 60) for i in range(n)],
        }
    )
    holes = frame.select(
        pl.when(pl.Series(random.random(n) > 0.05)).then(pl.col(name)).alias(name)
        for name in frame.columns
    )
    return holes.cast(dict(SCHEMA.polars())), random.integers(0, 2, n)


@cache
def recipes():
    frame, labels = training_rows()
    made = []
    for encoding in ENCODINGS:
        for expressions in ({}, EXPRESSIONS):
            section = {"generate": RULES, "expressions": expressions}
            recipe, _ = fit_recipe(
                frame,
                labels,
                roles=Roles(target="y"),
                schema=SCHEMA,
                settings=FeaturesSettings.model_validate(section),
                encoding=encoding,
                task=Task("binary", (0, 1)),
                seed=1,
                root=Path(),
            )
            made.append(recipe)
    return tuple(made)


VALUES = {
    "whole": st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 50),
    "amount": st.floats() | st.floats(-2, 200),
    "plan": st.sampled_from(["a", "b", ""]) | st.text(max_size=5),
    "city": st.sampled_from(["k1", "k2", "K1", ""]) | st.text(max_size=5),
    "auto": st.booleans(),
    "joined": st.dates(),
    "seen": st.datetimes(),
}
# Lone surrogates are no Unicode text and cannot be in a table.
ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()}),
    min_size=1,
    max_size=4,
)


def bits(matrix):
    return np.ascontiguousarray(matrix).view(np.uint32)


def assert_same(recipe, frame, rows):
    alone = np.vstack([recipe.vector(row) for row in rows])
    np.testing.assert_array_equal(bits(recipe.matrix(frame)), bits(alone))


@settings(max_examples=60, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_a_row_alone_has_the_bits_it_has_in_a_table(rows, random):
    frame = pl.DataFrame(rows, schema=SCHEMA.polars())
    order = list(frame.columns)
    random.shuffle(order)
    kept = order[: random.randint(0, len(order))]
    partly = [{name: row[name] for name in kept} | {"extra": object()} for row in rows]
    for recipe in recipes():
        assert_same(recipe, frame.select(order), rows)
        assert_same(recipe, frame.with_columns(extra=pl.lit(1)).select(*kept, "extra"), partly)


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_the_matrix_never_holds_infinity_and_imputed_never_nan(rows):
    frame = pl.DataFrame(rows, schema=SCHEMA.polars())
    for recipe in recipes():
        matrix = recipe.matrix(frame)
        assert not np.isinf(matrix).any()
        if recipe.encoding.missing == "impute":
            assert not np.isnan(matrix).any()


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_a_recipe_read_from_json_gives_the_same_bits(rows):
    frame = pl.DataFrame(rows, schema=SCHEMA.polars())
    for recipe in recipes():
        again = Recipe.from_json(json.loads(json.dumps(recipe.to_json(), allow_nan=False)))
        np.testing.assert_array_equal(bits(again.matrix(frame)), bits(recipe.matrix(frame)))


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(st.integers(-(2**70), 2**70), st.floats()),
    st.sampled_from([pl.Float64, pl.Float32, pl.Int64, pl.UInt64, pl.Int8]),
)
def test_a_narrower_number_in_a_table_is_the_number_alone(value, dtype):
    series = pl.Series("amount", [value], dtype=dtype, strict=False)
    held = series[0]
    recipe = recipes()[0]
    frame = series.to_frame()
    np.testing.assert_array_equal(bits(recipe.matrix(frame)), bits(recipe.vector({"amount": held})))
