from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ratchet.data.settings import SourceSettings
from ratchet.data.sources.open_source import open_source
from ratchet.data.sources.port import Source
from ratchet.errors import ConfigError, ConflictError, DataError

FRAME = pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})


def opened(kind: str, path: str, root: Path, columns: Any = None) -> Source:
    settings = SourceSettings.model_validate({"type": kind, "path": path})
    return open_source(settings, root, columns=columns)


def rows(source: Source) -> list[tuple[Any, ...]]:
    return pl.concat(list(source.batches())).rows()


def test_files_of_a_folder_share_the_widest_kinds(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    FRAME.write_parquet(tmp_path / "p" / "1.parquet")
    FRAME.select("b", a=pl.col("a") + 0.5).write_parquet(tmp_path / "p" / "2.pq")
    FRAME.with_columns(b=pl.lit(None)).write_parquet(tmp_path / "p" / "3.parquet")
    (tmp_path / "p" / "_SUCCESS").write_text("")
    source = opened("parquet", "p", tmp_path)
    assert source.schema().to_json() == [["a", "number"], ["b", "string"]]
    found = rows(source)
    assert [row[0] for row in found] == [1.0, 2.0, 3.0, 1.5, 2.5, 3.5, 1.0, 2.0, 3.0]
    assert "3 files" in source.describe()


def test_partitions_are_columns(tmp_path: Path) -> None:
    for year in (2025, 2024):
        folder = tmp_path / "p" / f"year={year}"
        folder.mkdir(parents=True)
        FRAME.write_parquet(folder / "x.parquet")
    assert rows(opened("parquet", "p", tmp_path))[2:4] == [(3, "z", 2024), (1, "x", 2025)]
    moved = opened("parquet", "p", tmp_path).fingerprint()
    (tmp_path / "p" / "year=2025").rename(tmp_path / "p" / "year=2026")
    assert opened("parquet", "p", tmp_path).fingerprint() != moved


def test_other_columns_and_damaged_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    FRAME.write_parquet(tmp_path / "p" / "1.parquet")
    FRAME.rename({"b": "c"}).write_parquet(tmp_path / "p" / "2.parquet")
    with pytest.raises(DataError, match=r'2.parquet has other columns than 1.parquet: "b", "c"'):
        opened("parquet", "p", tmp_path).schema()
    (tmp_path / "p" / "2.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(DataError) as caught:
        opened("parquet", "p", tmp_path).schema()
    assert caught.value.name == "parquet_damaged"
    whole = (tmp_path / "p" / "1.parquet").read_bytes()
    (tmp_path / "p" / "2.parquet").write_bytes(b"PAR1" + b"\0" * 40 + whole[44:])
    with pytest.raises(DataError, match=r"2\.parquet is no readable Parquet file"):
        rows(opened("parquet", "p", tmp_path))


def test_a_parquet_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "x.parquet")
    source = opened("parquet", "x.parquet", tmp_path)
    batches = source.batches()
    next(batches)
    pl.concat([FRAME, FRAME]).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(ConflictError):
        list(batches)


@pytest.mark.parametrize("kind", ["parquet", "delta"])
def test_nothing_there(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        opened(kind, "nope", tmp_path)
    assert caught.value.name == "source_missing"
    (tmp_path / "x.csv").write_text("a\n1\n")
    with pytest.raises(ConfigError):
        opened(kind, "x.csv", tmp_path)


@pytest.mark.parametrize("partitioned", [False, True])
def test_a_delta_table_of_others(tmp_path: Path, partitioned: bool) -> None:
    from deltalake import write_deltalake

    folder = str(tmp_path / "delta")
    by = ["a"] if partitioned else None
    write_deltalake(folder, FRAME, partition_by=by)
    write_deltalake(folder, FRAME.with_columns(a=pl.col("a") + 10), mode="append")
    source = opened("delta", "delta", tmp_path)
    found = rows(source)
    assert sorted(row[0] for row in found) == [1, 2, 3, 11, 12, 13]
    if not partitioned:
        assert [row[0] for row in found] == [1, 2, 3, 11, 12, 13]
    assert source.describe() == "delta delta version 1"
    assert source.modified() is not None
    before = source.fingerprint()
    write_deltalake(folder, FRAME, mode="append")
    assert rows(source) == found  # the version that was newest when it was opened
    assert opened("delta", "delta", tmp_path).fingerprint() != before


def test_a_delta_table_in_a_folder_with_blanks_that_gained_a_column(tmp_path: Path) -> None:
    from deltalake import write_deltalake

    folder = str(tmp_path / "my data 100%")
    write_deltalake(folder, FRAME)
    write_deltalake(folder, FRAME.with_columns(c=1.5), mode="append", schema_mode="merge")
    source = opened("delta", "my data 100%", tmp_path)
    assert source.schema().names == ("a", "b", "c")
    assert [row[2] for row in rows(source)] == [None, None, None, 1.5, 1.5, 1.5]


def test_a_delta_table_that_lost_a_file(tmp_path: Path) -> None:
    from deltalake import write_deltalake

    write_deltalake(str(tmp_path / "d"), FRAME)
    next((tmp_path / "d").glob("*.parquet")).unlink()
    with pytest.raises(DataError) as caught:
        rows(opened("delta", "d", tmp_path))
    assert caught.value.name == "delta_unreadable"
    (tmp_path / "d" / "_delta_log" / "00000000000000000000.json").write_text("{")
    with pytest.raises(DataError):
        opened("delta", "d", tmp_path)
