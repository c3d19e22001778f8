"""From matrix columns back to raw columns and their values."""

from pathlib import Path

import numpy as np
import polars as pl

from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.evaluation.raw import column_groups, raw_rows
from ratchet.features.encoding import Encoding
from ratchet.features.recipe import fit_recipe
from ratchet.features.settings import FeaturesSettings


def table(rows=60):
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "age": rng.integers(20, 60, rows),
            "city": [("Rome", "Oslo", None)[place] for place in rng.integers(0, 3, rows)],
            "income": rng.normal(3000, 500, rows).round(2),
            "label": rng.choice(["no", "yes"], rows),
        }
    )


def recipe_of(frame, encoding, expressions):
    task = Task("binary", ("no", "yes"))
    recipe, _ = fit_recipe(
        frame,
        task.encode(frame["label"]),
        roles=Roles(target="label"),
        schema=TableSchema.from_polars(frame.schema),
        settings=FeaturesSettings(expressions=expressions),
        encoding=encoding,
        task=task,
        seed=0,
        root=Path(),
    )
    return recipe


def test_all_columns_of_a_raw_column_are_one_feature_in_every_recipe():
    frame = table()
    expressions = {"decade": "floor(age / 10)", "per_year": "income / age"}
    recipes = [
        recipe_of(frame, Encoding("onehot", "impute", scale=True), expressions),
        recipe_of(frame, Encoding(), expressions),
    ]
    widths = [len(recipe.feature_names) for recipe in recipes]
    groups = dict(column_groups(recipes))
    assert set(groups) == {"age", "city", "income", "per_year"}
    placed = sorted(place for places in groups.values() for place in places)
    assert placed == list(range(sum(widths)))
    names = [name for recipe in recipes for name in recipe.feature_names]
    for name, places in groups.items():
        start = {"age": ("age", "decade")}.get(name, (name,))
        assert all(names[place].startswith(start) for place in places), (name, places)
        assert min(places) < widths[0] <= max(places)


def test_values_are_shown_as_they_came():
    frame = pl.DataFrame(
        {
            "age": [30, 41],
            "city": ["Rome", None],
            "income": [3000.5, float("nan")],
            "loyal": [True, None],
            "since": [None, "2024-01-01"],
        }
    ).with_columns(pl.col("since").str.to_date())
    X = np.array([[0.5, 7.0], [np.nan, 8.0]], np.float32)
    groups = (
        ("age", (0,)),
        ("city", (0, 1)),
        ("income", (1,)),
        ("loyal", (0,)),
        ("since", (0,)),
        ("computed", (0,)),
        ("computed_too", (0, 1)),
        ("age × city", (0, 1)),
    )
    assert raw_rows(frame, X, groups) == (
        (30, "Rome", 3000.5, True, None, 0.5, "several", "30, Rome"),
        (41, None, None, None, "2024-01-01", None, "several", "41, missing"),
    )
