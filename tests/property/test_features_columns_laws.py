"""Checked values by row and by column are encoded to the bits of the recipe's other ways."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from property.test_features_parity import KINDS, ROWS, bits, recipes
from ratchet.data.coded import Coded
from ratchet.features.columns import ColumnPath
from ratchet.features.encoders.lookup import LookupEncoder
from ratchet.features.encoders.slots import Slot


def as_json(value):
    """A value as it stands in a JSON document."""
    return value.isoformat() if isinstance(value, date) else value


@settings(max_examples=30, deadline=None)
@given(ROWS, st.permutations(list(KINDS)), st.integers(0, len(KINDS)))
def test_rows_and_columns_have_the_bits_of_the_recipe(rows, order, kept):
    names = [*order[:kept], "extra"]
    values = [(*(as_json(row[name]) for name in names[:-1]), "x") for row in rows]
    for recipe in recipes():
        if recipe.derivation.features:
            continue  # computed features are asked of the recipe itself
        path = ColumnPath(recipe.encoders, names)
        records = [{name: row[name] for name in names[:-1]} for row in rows]
        wanted = np.vstack([recipe.vector(record) for record in records])
        alone = np.vstack([path.row(each) for each in values])
        table = path.table(list(zip(*values, strict=True)), len(values))
        np.testing.assert_array_equal(bits(alone), bits(wanted))
        np.testing.assert_array_equal(bits(table), bits(wanted))


def test_no_rows():
    recipe = recipes()[0]
    names = list(KINDS)
    path = ColumnPath(recipe.encoders, names)
    assert path.table([()] * len(names), 0).shape == (0, path.width)


@pytest.mark.parametrize("known", [1, 253, 254, 255, 400])
@pytest.mark.parametrize("others", [(), (None, ""), (None, "", "never seen")])
def test_categories_of_any_number_are_found(known, others):
    names = tuple(f"c{place}" for place in range(known))
    rows = tuple((float(place),) for place in range(known))
    slot = Slot("x", "text", "string")
    path = ColumnPath([LookupEncoder(("x",), slot, names, rows, (-1.0,), (-2.0,))], ["x"])
    values = [*names, *others]
    wanted = [float(place) for place in range(known)]
    wanted += [-1.0 if other else -2.0 for other in others]
    assert path.table([values], len(values)).ravel().tolist() == wanted
    assert [path.row([value]).item() for value in values] == wanted


@pytest.mark.parametrize("known", [1, 253, 254, 400])
def test_codes_are_encoded_as_the_values_they_stand_for(known):
    names = tuple(f"c{place}" for place in range(known))
    rows = tuple((float(place), -float(place)) for place in range(known))
    slot = Slot("x", "text", "string")
    encoder = LookupEncoder(("x", "y"), slot, names, rows, (-1.0, 1.0), (-2.0, 2.0))
    path = ColumnPath([encoder], ["x"])
    for of in ((None, *names[:200], "", "never seen"), ("", "other", names[0])):
        values = [of[place % len(of)] for place in range(500)]
        coded = Coded(of, bytes(place % len(of) for place in range(500)))
        for _ in range(2):
            np.testing.assert_array_equal(path.table([coded], 500), path.table([values], 500))
