"""Rows that stay in the lake are the rows that would be kept in memory, and are split alike."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest

from ratchet.data import kept as module
from ratchet.data.duplicates import repeated_keys, repeated_rows, row_keys
from ratchet.data.kept import UNUSED, KeptScan, gather, keep_in_lake, keep_in_memory, read_rows
from ratchet.data.roles import Roles
from ratchet.data.settings import DataSettings
from ratchet.data.split import assign, assign_rows
from ratchet.data.task import Task
from ratchet.errors import DataError

TASK = Task("binary", ("No", "Yes"))
SOURCE = {"type": "parquet", "path": "rows.parquet"}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(module, "rows_at_once", lambda scan: 97)


def table(n: int = 1000) -> pl.DataFrame:
    """Rows of which some repeat others, near and far, with what is hard to compare among them."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=n).round(1)
    x[:4] = [0.0, -0.0, math.nan, math.inf]
    frame = pl.DataFrame(
        {
            "id": [f"c{i}" for i in range(n)],
            "x": x,
            "word": rng.choice(["a", "b", "a rather long text"], n),
            "count": rng.integers(0, 3, n),
            "day": [
                dt.date(2026, 1, 1) + dt.timedelta(days=int(d)) for d in rng.integers(0, 90, n)
            ],
            "team": rng.choice([f"t{i}" for i in range(40)], n),
            "part": rng.choice(["train", "test"], n),
            "y": rng.choice(["No", "Yes"], n),
        }
    )
    holes = frame.with_columns(
        x=pl.when(pl.int_range(n) % 11 == 0).then(None).otherwise("x"),
        word=pl.when(pl.int_range(n) % 7 == 0).then(None).otherwise("word"),
    )
    return pl.concat([holes, holes[::5], holes[:50]])


def scan(frame: pl.DataFrame, tmp_path) -> pl.LazyFrame:
    frame.write_parquet(tmp_path / "rows.parquet", row_group_size=150)
    return pl.scan_parquet(tmp_path / "rows.parquet")


def settings(**given) -> DataSettings:
    return DataSettings(source=SOURCE, target="y", **given)


@pytest.mark.parametrize("sample", [None, 0.6])
@pytest.mark.parametrize("duplicates", ["drop", "keep"])
@pytest.mark.parametrize("name", [None, "id"])
def test_the_same_rows_are_kept(tmp_path, sample, duplicates, name) -> None:
    frame = table()
    data = settings(sample=sample, duplicates=duplicates, id=name)
    here = keep_in_memory(frame.lazy(), data)
    there = keep_in_lake(scan(frame, tmp_path), data)
    counts = (here.rows, here.duplicates, here.left_out)
    assert (there.rows, there.duplicates, there.left_out) == counts
    assert here.rows + here.duplicates + here.left_out == frame.height
    assert (here.duplicates > 0) == (duplicates == "drop")
    assert pl.concat(there.chunks()).equals(here.frame)
    assert there.select(["y", "x"]).equals(here.select(["y", "x"]))
    assert there.columns == here.columns == tuple(frame.columns)
    parts = np.arange(here.rows).astype(np.uint8) % 3
    assert np.array_equal(here.spread(parts), there.spread(parts))
    assert (there.spread(parts) == UNUSED).sum() == frame.height - here.rows
    rows, aligned = there.aligned(parts)
    own = rows.collect().filter(aligned == 1)
    assert own.equals(here.aligned(parts)[0].collect().filter(here.aligned(parts)[1] == 1))


@pytest.mark.parametrize(
    "given",
    [
        {"id": "id"},
        {"group": "team", "id": "id"},
        {"time": "day", "id": "id"},
        {"time": "day", "split": {"validation": 0.1}},
        {"exclude": ("id",), "split": {"by": "stratified", "validation": 0.2, "seed": 3}},
        {"split": {"column": "part"}},
    ],
)
def test_they_are_split_alike(tmp_path, given) -> None:
    frame, data = table(), settings(**given)
    roles, here = Roles.of(data), keep_in_memory(frame.lazy(), data)
    there = keep_in_lake(scan(frame, tmp_path), data)
    expected = assign(here.frame, roles, data.split, TASK)
    for rows in (here, there):
        found = assign_rows(rows, rows.select(["y"])["y"], roles, data.split, TASK)
        assert found.to_list() == expected.to_list()


def test_ids_that_are_missing_go_by_the_whole_row(tmp_path) -> None:
    frame = table().with_columns(
        id=pl.when(pl.int_range(pl.len()) % 3 == 0).then(None).otherwise("id")
    )
    data = settings(id="id")
    there = keep_in_lake(scan(frame, tmp_path), data)
    here = keep_in_memory(frame.lazy(), data)
    parts = assign_rows(there, there.select(["y"])["y"], Roles.of(data), data.split, TASK)
    assert parts.to_list() == assign(here.frame, Roles.of(data), data.split, TASK).to_list()


@pytest.mark.parametrize(("column", "role"), [("day", "time"), ("team", "group")])
def test_what_is_missing_is_counted_in_all_rows(tmp_path, column, role) -> None:
    frame = table().with_columns(
        pl.when(pl.int_range(pl.len()) % 10 == 0).then(None).otherwise(column).alias(column)
    )
    data = settings(**{role: column}, duplicates="keep")
    there = keep_in_lake(scan(frame, tmp_path), data)
    with pytest.raises(
        DataError, match=f"missing in {frame[column].null_count()} of {frame.height} rows"
    ):
        assign_rows(there, there.select(["y"])["y"], Roles.of(data), data.split, TASK)


def test_strange_parts_are_counted_in_all_rows(tmp_path) -> None:
    frame = table().with_columns(
        part=pl.when(pl.int_range(pl.len()) % 10 == 0).then(pl.lit("dev")).otherwise("part")
    )
    data = settings(split={"column": "part"}, duplicates="keep")
    there = keep_in_lake(scan(frame, tmp_path), data)
    count = (frame["part"] == "dev").sum()
    with pytest.raises(DataError, match=f'in {count} rows: "dev"'):
        assign_rows(there, there.select(["y"])["y"], Roles.of(data), data.split, TASK)


def test_keys_find_what_a_comparison_of_all_values_finds() -> None:
    frame = table().drop("id")
    chunks = [frame.slice(start, 97) for start in range(0, frame.height, 97)]
    keys = np.concatenate([row_keys(chunk) for chunk in chunks], axis=1)
    assert repeated_keys(keys).tolist() == repeated_rows(frame).to_list()


def test_keys_that_share_one_half_are_not_equal() -> None:
    keys = np.array([[1, 1, 2, 1, 2], [5, 6, 7, 5, 8]], dtype=np.uint64)
    assert repeated_keys(keys).tolist() == [False, False, False, True, False]
    assert not repeated_keys(keys[:, :3] + np.arange(3, dtype=np.uint64)).any()


def test_reading_passes_over_pieces_without_wanted_rows(tmp_path) -> None:
    rows = scan(pl.DataFrame({"i": range(1000)}), tmp_path)
    wanted = np.zeros(1000, dtype=bool)
    wanted[[3, 500, 501]] = True
    pieces = [chunk["i"].to_list() for chunk in read_rows(rows, wanted)]
    assert all(pieces)
    assert [row for piece in pieces for row in piece] == [3, 500, 501]
    nothing = gather(rows, np.zeros(1000, dtype=bool), ["i"])
    assert nothing.shape == (0, 1)
    assert isinstance(keep_in_lake(rows, settings(duplicates="keep")), KeptScan)
