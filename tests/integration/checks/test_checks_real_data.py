"""The built-in checks and a suggested suite on real tables: no false alarm, real faults found."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from ratchet.checks.builtin import run_builtin
from ratchet.checks.expectations import parse_suite
from ratchet.checks.profile import profile_table
from ratchet.checks.report import CheckReport
from ratchet.checks.run import run_suite
from ratchet.checks.settings import ChecksSettings
from ratchet.checks.suggest import suggest_suite
from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.settings import DataSettings

DATA = Path(__file__).resolve().parents[3] / "../shared/data"
SETS = {
    "telco_churn": {"target": "Churn", "id": "customerID"},
    "adult_income": {"target": "income"},
    "bank_marketing": {"target": "y", "time": "contact_date"},
    "german_credit": {"target": "class"},
    "elec2": {"target": "class", "time": "timestamp"},
}
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def load(name: str) -> pl.DataFrame:
    path = DATA / name / "data.parquet"
    if not path.exists():
        pytest.skip(f"{path.name} of {name} is not here")
    frame = pl.read_parquet(path)
    return frame.cast(dict(TableSchema.from_polars(frame.schema).polars()))


def settings_of(name: str) -> DataSettings:
    return DataSettings.model_validate({"source": {"type": "csv", "path": "x"}, **SETS[name]})


def builtin(frame: pl.DataFrame, data: DataSettings) -> CheckReport:
    return CheckReport(run_builtin(frame.lazy(), data=data, settings=ChecksSettings(), now=NOW))


@pytest.mark.parametrize("name", list(SETS))
def test_no_false_alarm(name: str) -> None:
    frame, data = load(name), settings_of(name)
    report = builtin(frame, data)
    assert report.passed, report.lines()
    assert {result.name for result in report.warnings} <= {"duplicates"}, report.lines()


@pytest.mark.parametrize("name", list(SETS))
def test_the_other_half_of_the_rows_passes_the_suite_of_the_first(name: str) -> None:
    frame, roles = load(name), Roles.of(settings_of(name))
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=1)
    half = frame.height // 2
    schema = TableSchema.from_polars(frame.schema)
    suite = parse_suite(suggest_suite(profile_table(shuffled[:half].lazy(), schema, roles), roles))
    report = CheckReport(run_suite(shuffled[half:].lazy(), suite))
    assert report.lines() == (f"{len(suite)} of {len(suite)} checks passed",)


def test_a_leak_put_into_telco_is_found() -> None:
    frame, data = load("telco_churn"), settings_of("telco_churn")
    leaky = frame.with_columns(
        refund=pl.when(pl.col("Churn") == "Yes").then(pl.col("MonthlyCharges"))
    )
    report = builtin(leaky, data)
    assert [(r.name, r.column) for r in report.errors] == [("leakage", "refund")]
