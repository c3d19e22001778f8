import pytest
from pydantic import ValidationError

from ratchet.data.roles import Roles
from ratchet.data.schema import Column, TableSchema
from ratchet.data.settings import DataSettings, HistorySettings, SourceSettings, SplitSettings

CSV = {"type": "csv", "path": "a.csv"}


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"type": "csv"}, "a csv source needs path"),
        ({"type": "parquet", "path": ""}, "a parquet source needs path"),
        ({"type": "delta", "path": "d", "url": "postgresql://h/d"}, "a delta source has no url"),
        ({"type": "parquet", "path": "d", "separator": ";"}, "has no separator"),
        ({"type": "postgres", "table": "t"}, "needs url"),
        ({"type": "postgres", "url": "postgresql://h/d"}, "exactly one of table and query"),
        (
            {"type": "postgres", "url": "postgresql://h/d", "table": "t", "query": "select 1"},
            "exactly one of table and query",
        ),
        ({"type": "postgres", "url": "postgresql://h/d", "table": "t", "path": "x"}, "has no path"),
        ({**CSV, "separator": ";;"}, "one ASCII character"),
        ({**CSV, "separator": ""}, "one ASCII character"),
        ({**CSV, "quote": "€"}, "one ASCII character"),
        ({**CSV, "separator": ",", "decimal": ","}, "different characters"),
        ({**CSV, "encoding": "ebcdic"}, "encoding"),
        ({"type": "excel", "path": "x"}, "type"),
        ({**CSV, "seperator": ";"}, "seperator"),
        ({**CSV, "base": CSV}, "a csv source has no base"),
        ({**CSV, "wait": "30d"}, "a csv source has no wait"),
        ({"type": "production", "separator": ";"}, "a production source has no separator"),
        ({"type": "production", "url": "postgresql://h/d"}, "a production source has no url"),
        ({"type": "production", "base": {"type": "csv"}}, "a csv source needs path"),
        ({"type": "production", "base": {"type": "production"}}, "base.type"),
        ({"type": "production", "base": {**CSV, "base": CSV}}, "base.base"),
        ({"type": "production", "wait": "soon"}, "no duration"),
        ({"type": "production", "unlabelled": "no"}, "unlabelled needs wait"),
    ],
)
def test_source_fields_must_fit_the_type(raw: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        SourceSettings.model_validate(raw)


def test_a_minimal_source_of_each_type() -> None:
    assert SourceSettings(type="csv", path="a.csv").separator == ","
    assert SourceSettings(type="csv", path="a.csv", quote=None).quote is None
    assert SourceSettings(type="parquet", path="a").path == "a"
    assert SourceSettings(type="delta", path="a").path == "a"
    assert SourceSettings(type="postgres", url="postgresql://h/d", query="select 1").table is None
    assert SourceSettings(type="production").base is None
    given = {"type": "production", "base": {**CSV, "separator": ";"}, "wait": "30d"}
    base = SourceSettings.model_validate(given | {"unlabelled": "no"}).base
    assert base is not None
    assert base.source() == SourceSettings(type="csv", path="a.csv", separator=";")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"target": "y", "id": "y"}, "id and target name the same column"),
        ({"target": "y", "exclude": ["y"]}, "target cannot be excluded"),
        ({"target": "y", "split": {"by": "time"}}, "needs data.time"),
        ({"target": "y", "split": {"by": "group"}}, "needs data.group"),
        ({"target": "y", "split": {"by": "hash"}}, "needs data.id"),
        ({"target": "y", "columns": {"a": "text"}}, "columns.a"),
        ({"target": "y", "sample": 0}, "sample"),
        ({"target": "y", "sample": 1.5}, "sample"),
        ({"target": ""}, "target"),
    ],
)
def test_data_refuses_what_cannot_work(raw: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        DataSettings.model_validate({"source": CSV, **raw})


def test_positive_keeps_its_type() -> None:
    for value in ("Yes", 1, 1.5, True, None):
        settings = DataSettings.model_validate({"source": CSV, "target": "y", "positive": value})
        assert settings.positive == value
        assert type(settings.positive) is type(value)


@pytest.mark.parametrize("raw", [{"test": 0}, {"test": 1}, {"test": 0.6, "validation": 0.4}])
def test_split_leaves_something_to_train(raw: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        SplitSettings.model_validate(raw)


def test_every_setting_is_described() -> None:
    for section in (SourceSettings, HistorySettings, SplitSettings, DataSettings):
        assert all(field.description for field in section.model_fields.values())


def test_a_split_column_needs_its_name_and_no_other_method():
    assert SplitSettings(column="part").by == "auto"
    with pytest.raises(ValidationError, match=r"split\.column"):
        SplitSettings(by="column")
    with pytest.raises(ValidationError, match="by: time"):
        SplitSettings(by="time", column="part")


def test_a_split_column_is_no_feature():
    settings = DataSettings(
        source=SourceSettings(type="csv", path="a.csv"), target="y", split={"column": "part"}
    )
    schema = TableSchema((Column("a", "number"), Column("part", "string"), Column("y", "string")))
    assert Roles.of(settings).features(schema) == ("a",)
