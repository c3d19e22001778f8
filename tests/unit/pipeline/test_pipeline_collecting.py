from datetime import timedelta
from pathlib import Path

import pytest

from ratchet.data.lake import Lake
from ratchet.data.schema import TableSchema
from ratchet.data.settings import SourceSettings
from ratchet.data.sources.open_source import open_source
from ratchet.errors import ConfigError, DataError
from ratchet.pipeline.collecting import collecting_rules
from ratchet.project import Project, load_project

HISTORY = "customer,tenure,city,churn\nC1,3,Ulm,yes\nC2,4,Bonn,no\n"


def project(folder: Path, source: str, more: str = "", **variables: str) -> Project:
    (folder / "history.csv").write_text(HISTORY)
    text = f"project: p\ndata:\n  source: {source}\n  target: churn\n  id: customer\n{more}"
    (folder / "ratchet.yaml").write_text(text)
    return load_project(folder, variables=variables)


def test_the_columns_are_those_of_the_file_before(tmp_path: Path) -> None:
    source = "{type: production, base: {type: csv, path: history.csv}}"
    rules = collecting_rules(project(tmp_path, source, "  columns: {tenure: number}\n"))
    assert rules.schema == TableSchema.of(
        {"customer": "string", "tenure": "number", "city": "string", "churn": "string"}
    )
    assert (rules.target, rules.id, rules.time, rules.unlabelled) == (
        "churn", "customer", None, None,
    )  # fmt: skip
    assert rules.wait == timedelta(0)


def test_the_columns_of_the_last_run_come_first(tmp_path: Path) -> None:
    opened = project(tmp_path, "{type: csv, path: history.csv}")
    (tmp_path / "other.csv").write_text("customer,churn\nC1,yes\n")
    other = SourceSettings(type="csv", path="other.csv")
    opened.open_lake().ingest("data", open_source(other, tmp_path, columns=None))
    assert collecting_rules(opened).schema.names == ("customer", "churn")


def test_the_rules_are_the_settings(tmp_path: Path) -> None:
    source = "{type: production, base: {type: csv, path: history.csv}, wait: 30d, unlabelled: 'no'}"
    more = "  exclude: [city]\nserving: {log: {hash: [customer]}}\n"
    rules = collecting_rules(project(tmp_path, source, more))
    assert (rules.wait, rules.unlabelled) == (timedelta(days=30), "no")
    assert (rules.hashed, rules.unneeded) == (("customer",), ("city",))


def test_columns_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        collecting_rules(project(tmp_path, "{type: production}"))
    assert caught.value.name == "schema_unknown"
    with pytest.raises(DataError) as missing:
        collecting_rules(project(tmp_path, "{type: production}", "  columns: {customer: string}\n"))
    assert missing.value.name == "column_missing"


def test_the_source_knows_its_lake_and_its_secrets(tmp_path: Path) -> None:
    base = "{type: postgres, table: t, url: 'postgresql://u:${PW}@h/d'}"
    opened = project(tmp_path, f"{{type: production, base: {base}}}", PW="s3cret")
    settings = opened.source_settings()
    assert settings.path == str(tmp_path / ".ratchet" / "lake")
    assert settings.base is not None
    assert settings.base.source().url == "postgresql://u:s3cret@h/d"
    assert "s3cret" not in str(opened.dump())
    elsewhere = project(tmp_path, "{type: production, path: 's3://bucket/${WHERE}'}", WHERE="lake")
    assert elsewhere.source_settings().path == "s3://bucket/lake"
    near = project(tmp_path, "{type: production, path: ../other/lake}")
    assert Path(near.source_settings().path or "") == tmp_path / ".." / "other" / "lake"


def test_a_file_is_read_as_the_table_before_is(tmp_path: Path) -> None:
    source = "{type: production, base: {type: csv, path: history.csv, separator: ';'}}"
    given = project(tmp_path, source).source_settings(tmp_path / "more.csv")
    assert given == SourceSettings(type="csv", path=str(tmp_path / "more.csv"), separator=";")


def test_an_empty_lake_has_nothing_collected(tmp_path: Path) -> None:
    settings = SourceSettings(type="production", path=str(tmp_path / "none"))
    source = open_source(settings, tmp_path, columns=None)
    assert source.describe() == "production (0 collected)"
    assert source.modified() is None
    with pytest.raises(DataError):
        Lake(str(tmp_path / "lake")).ingest("data", source)
