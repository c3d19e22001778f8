import subprocess
import sys

import polars as pl
import pytest

from ratchet.data.roles import Roles
from ratchet.data.schema import KINDS, TableSchema, kind_of, polars_type, widest
from ratchet.data.settings import DataSettings, SourceSettings
from ratchet.errors import DataError

OLD = TableSchema.of({"id": "string", "age": "integer", "y": "string"})


def test_json_round_trip() -> None:
    assert TableSchema.from_json(OLD.to_json()) == OLD
    assert OLD.to_json()[1] == ["age", "integer"]


def test_an_unknown_stored_kind_is_explained() -> None:
    with pytest.raises(DataError, match='unknown kind "decimal"'):
        TableSchema.from_json([["a", "decimal"]])


def test_every_kind_survives_the_way_through_polars() -> None:
    schema = TableSchema.of({kind: kind for kind in KINDS})
    assert TableSchema.from_polars(schema.polars()) == schema
    assert [kind_of(polars_type(kind)) for kind in KINDS] == list(KINDS)


def test_lookup() -> None:
    assert OLD.kind("age") == "integer"
    assert "age" in OLD
    assert "Age" not in OLD
    assert len(OLD) == 3
    with pytest.raises(KeyError):
        OLD.kind("nope")


@pytest.mark.parametrize(
    ("new", "says"),
    [
        ({"id": "string", "age": "integer", "y": "string"}, ()),
        (
            {"id": "string", "age": "number", "y": "string"},
            ('column "age" was integer and is now number',),
        ),
        (
            {"id": "string", "y": "string", "sex": "string"},
            ('column "age" (integer) is gone', 'column "sex" (string) is new'),
        ),
        (
            {"age": "integer", "id": "string", "y": "string"},
            ("the columns are in another order",),
        ),
    ],
)
def test_changes_are_sentences(new: dict[str, str], says: tuple[str, ...]) -> None:
    assert TableSchema.of(new).changes_from(OLD) == says  # type: ignore[arg-type]


def test_widest_kind() -> None:
    assert widest(["integer", "number"]) == "number"
    assert widest(["date", "datetime", "date"]) == "datetime"
    assert widest(["integer", "date"]) == "string"
    assert widest(["boolean"]) == "boolean"


def test_features_are_what_has_no_role() -> None:
    roles = Roles("y", id="id", exclude=("note",))
    schema = TableSchema.of({"id": "string", "a": "integer", "note": "string", "y": "string"})
    assert roles.features(schema) == ("a",)
    settings = DataSettings(
        source=SourceSettings(type="csv", path="x.csv"), target="y", id="id", exclude=("note",)
    )
    assert Roles.of(settings) == roles


@pytest.mark.parametrize(
    ("names", "fix"),
    [
        (["id", "churn"], 'Set data.target to "churn"'),
        (["id", "Churned"], 'Set data.target to "Churned"'),
        (["id", "zzz"], "Set data.target to one of them"),
        (["id;a;Churn"], "Set data.source.separator"),
    ],
)
def test_a_missing_target_names_the_likely_one(names: list[str], fix: str) -> None:
    with pytest.raises(DataError) as caught:
        Roles("Churn").require(names)
    assert caught.value.name == "column_missing"
    assert fix in caught.value.fix


def test_excluded_columns_may_be_absent() -> None:
    Roles("y", exclude=("gone",)).require(["y"])


def test_settings_load_no_heavy_library() -> None:
    code = (
        "import sys; import ratchet.data.settings, ratchet.data.schema;"
        "print([m for m in ('polars', 'numpy', 'deltalake') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_polars_types_that_are_no_kind_become_text() -> None:
    assert kind_of(pl.List(pl.Int64())) == "string"
    assert kind_of(pl.Categorical()) == "string"
    assert kind_of(pl.Decimal(10, 2)) == "number"
    assert kind_of(pl.Duration("ms")) == "number"
    assert kind_of(pl.UInt8()) == "integer"
