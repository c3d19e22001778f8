"""What reading a recipe and encoding a row may load, in a process of its own."""

import json
import subprocess
import sys
import textwrap

import pytest

HEAVY = ("polars", "pandas", "sklearn", "scipy", "pydantic", "pyarrow")
ROW = {"a": 1.5, "c": "x", "d": "2024-05-06"}
COLUMNS = {"a": [1.0, 2.0, None] * 10, "c": ["x", "y", None] * 10, "y": [0, 1, 0] * 10}

SCRIPT = """
    import json, sys
    from ratchet.features.recipe import Recipe
    recipe = Recipe.from_json(json.loads(sys.argv[1]))
    matrix = recipe.vector(json.loads(sys.argv[2]))
    loaded = [name for name in json.loads(sys.argv[3]) if name in sys.modules]
    print(json.dumps([matrix.tolist(), loaded, recipe.feature_names]))
"""


def in_a_process(recipe):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent(SCRIPT),
            json.dumps(recipe.to_json()),
            json.dumps(ROW),
            json.dumps(HEAVY),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_reading_a_recipe_and_encoding_a_row_needs_numpy_only(fit):
    recipe, _ = fit(
        COLUMNS,
        generate={"squares": True, "bins": {"a": 2}, "target": ["c"], "frequency": ["c"]},
    )
    matrix, loaded, names = in_a_process(recipe)
    assert loaded == []
    assert tuple(names) == recipe.feature_names
    assert matrix == recipe.vector(ROW).tolist()


def test_computed_features_load_polars_and_nothing_more(fit):
    recipe, _ = fit(COLUMNS, expressions={"b": "a + 1"})
    matrix, loaded, _ = in_a_process(recipe)
    assert loaded == ["polars"]
    assert matrix == recipe.vector(ROW).tolist()


@pytest.mark.parametrize("module", ["ratchet.features", "ratchet.features.settings"])
def test_settings_load_no_numbers(module):
    code = f"import sys, {module}; print([m for m in ('numpy', 'polars') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
