import textwrap

import numpy as np
import polars as pl
import pytest

from ratchet.errors import ConfigError, DataError
from ratchet.features.recipe import Recipe

COLUMNS = {
    "a": [4.0, 3.0, None, 1.0],
    "c": ["1", "2", "x", None],
    "Monthly Charges": [1.0, 2.0, 3.0, 4.0],
    "y": [0, 1, 0, 1],
}


def write(tmp_path, text, name="features.py"):
    (tmp_path / name).write_text(textwrap.dedent(text), encoding="utf-8")


def refusal(fit, tmp_path, text, **settings):
    write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        fit(COLUMNS, functions="features.py", **settings)
    return caught.value


GOOD = '''
import math
import polars as pl

SCALE = 2

def _twice(x):
    return x * SCALE

def doubled(a):
    "Twice a."
    return _twice(a)

def ratio(doubled, Monthly_Charges):
    """Doubled a
    per charge."""
    return doubled / Monthly_Charges

def capped(a, limit=2.5):
    return pl.min_horizontal(a, pl.lit(limit))
'''


def test_functions_are_features_of_the_columns_they_name(fit, tmp_path):
    write(tmp_path, GOOD)
    recipe, X = fit(
        COLUMNS, functions="features.py", expressions={"more": "ratio + median(doubled)"}
    )
    table = dict(zip(recipe.feature_names, X.T.tolist(), strict=True))
    assert table["doubled"][:2] == [8.0, 6.0]
    assert table["ratio"][:2] == [8.0, 3.0]
    assert table["more"][:2] == [14.0, 9.0]
    assert table["capped"] == [2.5, 2.5, 2.5, 1.0]
    notes = {note.name: note for note in recipe.describe()}
    assert "Doubled a per charge." in notes["ratio"].description
    assert notes["ratio"].sources == ("a", "Monthly Charges")


def test_the_recipe_carries_the_code_and_needs_the_file_no_more(fit, tmp_path):
    write(tmp_path, GOOD)
    recipe, X = fit(COLUMNS, functions="features.py")
    stored = recipe.to_json()
    (tmp_path / "features.py").unlink()
    again = Recipe.from_json(stored)
    assert again.derivation.source.path == "features.py"
    np.testing.assert_array_equal(again.matrix(pl.DataFrame(COLUMNS)), X)
    row = {"a": 4, "Monthly Charges": 1}
    np.testing.assert_array_equal(again.vector(row), recipe.vector(row))


def test_code_changed_inside_a_recipe_is_refused(fit, tmp_path):
    write(tmp_path, GOOD)
    stored = fit(COLUMNS, functions="features.py")[0].to_json()
    stored["derivation"]["source"]["text"] += "\n# changed"
    with pytest.raises(DataError, match="changed after training"):
        Recipe.from_json(stored)


def test_imported_and_private_names_are_no_features(fit, tmp_path):
    write(
        tmp_path,
        """
        from math import floor
        from textwrap import dedent
        from dataclasses import dataclass

        @dataclass
        class Limit:
            value: "float"

        def _helper(a):
            return a

        def shifted(a):
            return _helper(a) + Limit(1.0).value
        """,
    )
    recipe, _ = fit(COLUMNS, functions="features.py")
    assert [feature.name for feature in recipe.derivation.features] == ["shifted"]


@pytest.mark.parametrize("path", ["../outside.py", "/etc/hostname", "sub/../../outside.py"])
def test_a_file_outside_the_project_is_refused(fit, tmp_path, path):
    write(tmp_path.parent, GOOD, "outside.py")
    with pytest.raises(ConfigError, match="outside the project"):
        fit(COLUMNS, functions=path)


def test_a_link_out_of_the_project_is_refused(fit, tmp_path):
    write(tmp_path.parent, GOOD, "elsewhere.py")
    (tmp_path / "features.py").symlink_to(tmp_path.parent / "elsewhere.py")
    with pytest.raises(ConfigError, match="outside the project"):
        fit(COLUMNS, functions="features.py")


def test_a_missing_or_unreadable_file_is_a_config_error(fit, tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        fit(COLUMNS, functions="features.py")
    (tmp_path / "features.py").write_bytes(b"x = '\xff'")
    with pytest.raises(ConfigError, match="UTF-8"):
        fit(COLUMNS, functions="features.py")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("def f(a):\n    return a +\n", 2, "not valid Python"),
        ("x = 1\nx / 0\ndef f(a):\n    return a\n", 2, "ZeroDivisionError"),
        ("import sys\nsys.exit(3)\n", 2, "SystemExit"),
        ("import settings_of_my_project\n", 1, "not other files of the project"),
        ("x = 1\n", None, "defines no feature"),
        ("def f(a, *rest):\n    return a\n", 1, "parameter *rest"),
        ("\n\ndef f(b):\n    return b\n", 3, "is no column"),
        ("def f(A):\n    return A\n", 1, 'Did you mean "a"?'),
        ("def f(y):\n    return y\n", 1, "is no column"),
        ("def f():\n    return 1\n", 1, "takes no column"),
        ("def f(a):\n    return 3.5\n", 1, "returns float"),
        ("def f(a):\n    pass\n", 1, "returns NoneType"),
        ("async def f(a):\n    return a\n", 1, "async"),
        ("def f(a):\n    b = a + 1\n    return b.nothing()\n", 3, "AttributeError"),
        ("def f(a):\n    if a > 1:\n        return a\n    return -a\n", 2, "TypeError"),
        ("def f(c):\n    return c + 1.5\n", 1, "cannot be computed"),
        ("def f(c):\n    return c.str.split(' ')\n", 1, "is a List"),
        ("def c(a):\n    return a\n", 1, "name of a column"),
        ("import polars as pl\ndef f(a):\n    return pl.all()\n", 2, "cannot be computed"),
    ],
)
def test_a_fault_in_the_file_names_its_line(fit, tmp_path, text, line, message):
    error = refusal(fit, tmp_path, text)
    assert message in str(error)
    assert error.where == (f"features.py:{line}" if line else "features.py")


def test_a_function_and_an_expression_may_not_share_a_name(fit, tmp_path):
    error = refusal(fit, tmp_path, "def f(a):\n    return a\n", expressions={"f": "a + 1"})
    assert "another feature" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        "a - a.mean()",
        "a.rank()",
        "a.shift(1)",
        "a.fill_null(strategy='forward')",
        "a.cum_sum()",
        "a.sum()",
        "a.mean().over(Monthly_Charges > 2)",
        "a.is_null().any()",
        "a.sort()",
        "a.fill_null(a.median())",
    ],
)
def test_a_function_that_looks_at_other_rows_is_refused(fit, tmp_path, body):
    error = refusal(fit, tmp_path, f"def f(a, Monthly_Charges):\n    return {body}\n")
    assert "looks at other rows" in str(error)
    assert error.where == "features.py:1"


def test_a_function_that_fails_on_the_training_rows_is_a_config_error(fit, tmp_path):
    error = refusal(fit, tmp_path, "def f(c):\n    return c.str.to_integer(dtype=None)\n")
    assert "cannot be computed" in str(error)


def test_a_function_that_fails_on_served_rows_is_a_data_error(fit, tmp_path):
    write(tmp_path, "def f(c):\n    return c.str.to_integer()\n")
    recipe, X = fit({"c": ["1", "2"], "y": [0, 1]}, functions="features.py")
    assert X[:, 1].tolist() == [1.0, 2.0]
    with pytest.raises(DataError, match="fails on these rows"):
        recipe.matrix(pl.DataFrame({"c": ["1", "x"]}))
    with pytest.raises(DataError, match="fails on these rows"):
        recipe.vector({"c": "x"})
