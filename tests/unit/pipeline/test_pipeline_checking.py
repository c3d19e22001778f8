"""Names in ``data.columns`` that the data does not have."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ratchet import clock
from ratchet.data.schema import TableSchema
from ratchet.errors import ConfigError
from ratchet.pipeline.checking import check_source, check_table
from ratchet.project import Project, load_project

TABLE = "customer,tenure,MonthlyCharges,churn\nC1,3,70.5,yes\nC2,4,20.0,no\n"


def project(folder: Path, kinds: str, more: str = "") -> Project:
    (folder / "data.csv").write_text(TABLE)
    (folder / "ratchet.yaml").write_text(
        "project: p\ndata:\n  source: {type: csv, path: data.csv}\n  target: churn\n"
        f"  id: customer\n  columns:\n{kinds}{more}"
    )
    return load_project(folder, variables={})


def test_a_misspelt_column_is_refused_with_its_line(tmp_path: Path) -> None:
    opened = project(tmp_path, "    tenure: integer\n    MonthlyCharge: number\n")
    with pytest.raises(ConfigError) as caught:
        check_source(opened)
    assert caught.value.what == (
        "data.columns names `MonthlyCharge`, and the data has no such column"
    )
    assert caught.value.fix == "did you mean `MonthlyCharges`?"
    assert caught.value.where == "ratchet.yaml:8"


@pytest.mark.parametrize(
    "kinds",
    [
        "    MonthlyCharges: number\n",
        # Near a column that has its kind already, or near none: the source may have lost it.
        "    MonthlyCharges: number\n    MonthlyCharges2: number\n",
        "    signed_on: date\n",
    ],
)
def test_columns_that_are_there_or_may_have_been_lost_pass(tmp_path: Path, kinds: str) -> None:
    assert check_source(project(tmp_path, kinds)).rows == 2


def test_a_derived_feature_of_a_like_name_is_no_matter(tmp_path: Path) -> None:
    more = "features: {expressions: {MonthlyCharge: MonthlyCharges * 2}}\n"
    assert check_source(project(tmp_path, "    MonthlyCharges: number\n", more)).rows == 2


def test_a_column_that_the_source_lost_is_told_by_the_checks(tmp_path: Path) -> None:
    opened = project(tmp_path, "    MonthlyCharge: number\n")
    frame = pl.read_csv(tmp_path / "data.csv")
    before = TableSchema.from_polars(frame.rename({"MonthlyCharges": "MonthlyCharge"}).schema)
    report = check_table(opened, frame.lazy(), expected=before, modified=None, now=clock.now())
    assert not report.passed
    gone = [
        result.message for result in report.results if "`MonthlyCharge` is gone" in result.message
    ]
    assert gone
