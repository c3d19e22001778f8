from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from ratchet.data.settings import SourceSettings
from ratchet.pipeline.arrivals import count_rows, look
from ratchet.project import load_project

TABLE = pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})


def source(**given: object) -> SourceSettings:
    return SourceSettings.model_validate(given)


@pytest.mark.parametrize("end", ["", "\n"])
def test_lines_of_csv_files(tmp_path: Path, end: str) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,x\n2,y" + end)
    assert count_rows(source(type="csv", path="a.csv"), tmp_path) == 2
    assert count_rows(source(type="csv", path="a.csv", header=False), tmp_path) == 3
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"a,b\n1,x\n2,y\n3,z\n"))
    assert count_rows(source(type="csv", path="b.csv.gz"), tmp_path) == 3


def test_footers_of_parquet_and_the_log_of_delta(tmp_path: Path) -> None:
    import deltalake

    folder = tmp_path / "parts"
    folder.mkdir()
    for name in ("1.parquet", "2.parquet"):
        TABLE.write_parquet(folder / name)
    assert count_rows(source(type="parquet", path="parts"), tmp_path) == 6
    deltalake.write_deltalake(str(tmp_path / "d"), TABLE.to_arrow())
    deltalake.write_deltalake(str(tmp_path / "d"), TABLE.to_arrow(), mode="append")
    assert count_rows(source(type="delta", path="d"), tmp_path) == 6


def test_a_database_is_not_counted(tmp_path: Path) -> None:
    settings = source(type="postgres", url="postgresql://h/d", table="t")
    assert count_rows(settings, tmp_path) is None


def test_before_the_first_training_nothing_is_new(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,x\n2,y\n")
    text = "project: p\ndata: {source: {type: csv, path: a.csv}, target: b}\n"
    (tmp_path / "ratchet.yaml").write_text(text)
    project = load_project(tmp_path, variables={})
    with project.open_ledger() as ledger:
        seen = look(project, ledger)
    assert (seen.rows, seen.new, seen.changed) == (None, None, True)
    assert seen.fingerprint
