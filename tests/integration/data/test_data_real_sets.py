"""Well-known data sets, raw and as Parquet: looked at, ingested, split, and looked at again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ratchet.data.duplicates import drop_duplicates
from ratchet.data.lake import Lake
from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.settings import SourceSettings, SplitSettings
from ratchet.data.sources.open_source import open_source
from ratchet.data.sources.sniff import Sniff, sniff_csv
from ratchet.data.split import assign
from ratchet.data.split_report import report_split
from ratchet.data.suggest import suggest_roles

SETS = Path(__file__).resolve().parents[3] / "../shared/data"
pytestmark = pytest.mark.skipif(not SETS.is_dir(), reason="the shared data sets are not here")

RAW = [
    ("telco_churn/raw.csv", "Churn", 7043, 21, {}),
    ("adult_income/raw_train.csv.gz", "column_15", 32561, 15, {"header": False}),
    ("adult_income/raw_*.csv.gz", "column_15", 48842, 15, {"header": False}),
    ("bank_marketing/raw.csv.gz", "y", 45211, 17, {"separator": ";"}),
    ("german_credit/raw.csv", "column_21", 1000, 21, {"header": False}),
    ("elec2/raw.csv.gz", "class", 45312, 9, {}),
]
TYPED = [
    ("telco_churn", "Churn", "Yes", "customerID", None, 7043),
    ("adult_income", "income", ">50K", None, None, 48842),
    ("bank_marketing", "y", "yes", None, "contact_date", 45211),
    ("german_credit", "class", "bad", None, None, 1000),
    ("elec2", "class", "UP", None, "timestamp", 45312),
    ("airlines_2008", "Delay", 1, None, "timestamp", 231913),
]


@pytest.mark.parametrize(("path", "target", "rows", "columns", "form"), RAW)
def test_raw_files(
    path: str, target: str, rows: int, columns: int, form: dict[str, Any], tmp_path: Path
) -> None:
    sniffed = sniff_csv(path, SETS)
    assert (sniffed.rows, len(sniffed.columns)) == (rows, columns)
    source = sniffed.source(path)
    assert {key: source[key] for key in form} == form
    lake = Lake(str(tmp_path / "lake"))
    settings = SourceSettings.model_validate(source)
    made = lake.ingest("data", open_source(settings, SETS, columns=sniffed.kinds()))
    assert made.snapshot.schema == sniffed.columns
    again = lake.ingest("data", open_source(settings, SETS, columns=sniffed.kinds()))
    assert again.change == "unchanged"
    frame = lake.scan(made.snapshot).collect()
    assert frame.height == rows
    guess = suggest_roles(frame, target)
    roles = Roles(target, id=guess.id, time=guess.time, exclude=guess.exclude)
    if path != "adult_income/raw_*.csv.gz":  # whose second file writes the labels with a point
        assert guess.task.kind == "binary"
    kept, _ = drop_duplicates(frame)
    parts = assign(kept, roles, SplitSettings(), guess.task)
    shares = dict(report_split(kept, parts, roles, SplitSettings(), guess.task).rows)
    assert shares["test"] / kept.height == pytest.approx(0.2, abs=0.02)


def sniffed_telco() -> Sniff:
    return sniff_csv("telco_churn/raw.csv", SETS)


def test_telco_raw_is_what_the_typed_file_says() -> None:
    sniffed = sniffed_telco()
    source = open_source(
        SourceSettings.model_validate(sniffed.source("telco_churn/raw.csv")),
        SETS,
        columns=sniffed.kinds(),
    )
    raw = pl.concat(list(source.batches()))
    settings = SourceSettings(type="parquet", path="telco_churn/data.parquet")
    typed = pl.concat(list(open_source(settings, SETS, columns=None).batches()))
    assert raw.equals(typed)
    assert raw["TotalCharges"].null_count() == 11
    assert any("TotalCharges" in note and "11 missing" in note for note in sniffed.notes)


def test_adult_raw_is_what_the_typed_file_says() -> None:
    sniffed = sniff_csv("adult_income/raw_train.csv.gz", SETS)
    settings = SourceSettings.model_validate(sniffed.source("adult_income/raw_train.csv.gz"))
    source = open_source(settings, SETS, columns=sniffed.kinds())
    raw = pl.concat(list(source.batches()))
    typed_settings = SourceSettings(type="parquet", path="adult_income/data.parquet")
    typed = pl.concat(list(open_source(typed_settings, SETS, columns=None).batches()))
    assert sniffed.missing == ("", "?")
    assert raw.rows() == typed.head(raw.height).rows()


def test_telco_with_rows_appended(tmp_path: Path) -> None:
    sniffed = sniffed_telco()
    file = tmp_path / "telco.csv"
    shutil.copyfile(SETS / "telco_churn/raw.csv", file)
    settings = SourceSettings.model_validate(sniffed.source("telco.csv"))
    lake = Lake(str(tmp_path / "lake"))
    lake.ingest("data", open_source(settings, tmp_path, columns=sniffed.kinds()))
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines + [line.replace("-", "_", 1) for line in lines[1:101]]))
    grown = lake.ingest("data", open_source(settings, tmp_path, columns=sniffed.kinds()))
    assert (grown.change, grown.snapshot.rows) == ("appended", 7143)
    roles, task = Roles("Churn", id="customerID"), suggest_roles(_rows(lake, 0), "Churn").task
    before, after = (
        assign(_rows(lake, version), roles, SplitSettings(), task) for version in (0, 1)
    )
    assert after.head(7043).equals(before)
    lines[3000] = lines[3000].replace("-", "*", 1)
    file.write_text("".join(lines))
    changed = lake.ingest("data", open_source(settings, tmp_path, columns=sniffed.kinds()))
    assert changed.change == "replaced"


def _rows(lake: Lake, version: int) -> pl.DataFrame:
    return lake.scan(lake.snapshot("data", version)).collect()


@pytest.mark.parametrize(("name", "target", "positive", "id_", "time", "rows"), TYPED)
def test_typed_files(
    name: str,
    target: str,
    positive: Any,
    id_: str | None,
    time: str | None,
    rows: int,
    tmp_path: Path,
) -> None:
    settings = SourceSettings(type="parquet", path=f"{name}/data.parquet")
    lake = Lake(str(tmp_path))
    source = open_source(settings, SETS, columns=None)
    made = lake.ingest("data", source)
    frame = lake.scan(made.snapshot).collect()
    assert frame.height == rows
    assert TableSchema.from_polars(frame.schema) == source.schema()
    assert frame.equals(pl.concat(list(source.batches())))
    guess = suggest_roles(frame, target)
    assert (guess.id, guess.time, guess.positive) == (id_, time, positive)
    roles = Roles(target, id=guess.id, time=guess.time)
    parts = assign(frame, roles, SplitSettings(), guess.task)
    report = report_split(frame, parts, roles, SplitSettings(), guess.task)
    assert report.method == ("time" if time else "hash" if id_ else "stratified")
    assert dict(report.rows)["test"] / rows == pytest.approx(0.2, abs=0.01)
