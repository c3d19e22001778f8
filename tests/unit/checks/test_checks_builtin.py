"""The built-in checks B1, B2, B6 to B10, each with what passes and what does not."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from ratchet.checks.builtin import run_builtin
from ratchet.checks.report import CheckReport, CheckResult
from ratchet.checks.settings import ChecksSettings
from ratchet.data.schema import TableSchema
from ratchet.data.settings import DataSettings

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def table(rows: int = 200, **columns: Any) -> pl.DataFrame:
    """A table that passes everything, with columns replaced or added; None takes one away."""
    dice = random.Random(4)
    plain: dict[str, Any] = {
        "id": [f"c{i}" for i in range(rows)],
        "age": [dice.randrange(18, 90) for _ in range(rows)],
        "income": [dice.random() * 1000 for _ in range(rows)],
        "plan": [dice.choice(["basic", "gold", "free"]) for _ in range(rows)],
        "churn": [dice.choice(["yes", "no"]) for _ in range(rows)],
    }
    return pl.DataFrame({k: v for k, v in {**plain, **columns}.items() if v is not None})


def run(
    frame: pl.DataFrame,
    *,
    data: Mapping[str, Any] | None = None,
    checks: Mapping[str, Any] | None = None,
    expected: TableSchema | None = None,
    modified: datetime | None = None,
) -> CheckReport:
    source = {"type": "csv", "path": "x.csv"}
    wishes = {"source": source, "target": "churn", "id": "id", **(data or {})}
    results = run_builtin(
        frame.lazy(),
        data=DataSettings.model_validate(wishes),
        settings=ChecksSettings.model_validate(checks or {}),
        now=NOW,
        expected=expected,
        modified=modified,
    )
    report = CheckReport(results)
    assert CheckReport.from_json(json.loads(json.dumps(report.to_json()))) == report
    return report


def failed(report: CheckReport, name: str) -> CheckResult:
    found = [result for result in report.results if result.name == name and not result.passed]
    assert len(found) == 1, report.lines()
    return found[0]


def names(report: CheckReport) -> set[str]:
    return {result.name for result in report.results if not result.passed}


def test_a_sound_table_passes() -> None:
    report = run(table(), expected=TableSchema.from_polars(table().schema))
    assert report.passed
    assert report.warnings == ()
    assert report.lines() == ("17 of 17 checks passed",)


# --- B1: columns


def test_columns_gone_new_and_changed_stop() -> None:
    before = TableSchema.from_polars(table().schema)
    now = table(age=["old"] * 100 + ["young"] * 100, income=None, extra=range(0, 400, 2))
    result = failed(run(now, expected=before), "columns")
    assert result.severity == "error"
    assert "`income` is gone; `age` was integer and is now string; `extra` is new" in result.message
    assert result.failing == 3
    assert run(now, expected=before, checks={"columns": "warn"}).passed
    assert "columns" not in names(run(now, expected=before, checks={"columns": "off"}))


def test_another_order_only_warns() -> None:
    before = TableSchema.from_polars(table().schema)
    moved = table().select("age", "id", "churn", "plan", "income")
    report = run(moved, expected=before)
    assert report.passed
    assert failed(report, "column_order").severity == "warn"
    strict = {"columns": {"order": "error"}}
    assert not run(moved, expected=before, checks=strict).passed


def test_excluded_columns_may_change() -> None:
    before = TableSchema.from_polars(table(note=["a", "b"] * 100).schema)
    assert run(table(), expected=before, data={"exclude": ["note"]}).passed


# --- B2: completeness


def test_key_columns_are_never_missing() -> None:
    ids = [None, "c1", None, *(f"c{i}" for i in range(3, 200))]
    result = failed(run(table(id=ids)), "keys")
    assert (result.severity, result.failing, result.examples) == ("error", 2, (1, 3))
    times = [None] + [datetime(2026, 1, 1)] * 199
    assert failed(run(table(at=times), data={"time": "at"}), "keys").column == "at"


def test_a_column_that_is_mostly_missing_warns() -> None:
    report = run(table(age=[1, 2] * 49 + [None] * 102))
    assert report.passed
    result = failed(report, "missing")
    assert (result.column, result.failing, result.observed) == ("age", 102, 0.51)
    assert "missing" not in names(run(table(age=[1, 2] * 50 + [None] * 100)))
    loose = {"missing": {"share": 0.6}}
    assert "missing" not in names(run(table(age=[1, 2] * 49 + [None] * 102), checks=loose))


def test_three_hundred_mostly_missing_columns_stop_in_one_line() -> None:
    sparse = {f"s{i}": [1.0, 2.0] + [None] * 198 for i in range(290)}
    report = run(table(**sparse))
    assert not report.passed
    assert len([r for r in report.results if r.name == "missing"]) == 290
    result = failed(report, "missing_columns")
    assert "290 of 293 features are mostly missing" in result.message
    assert len(result.message) < 400
    assert len(report.lines()) <= 4


# --- B6: repetition


def test_repeated_rows_warn_above_a_tenth() -> None:
    frame = table(100, id=None)
    few = pl.concat([frame, frame[:10]])
    assert "duplicates" not in names(run(few, data={"id": None}))
    report = run(pl.concat([frame, frame[:20]]), data={"id": None})
    result = failed(report, "duplicates")
    assert report.passed
    assert (result.failing, result.observed) == (20, 20 / 120)
    assert result.examples == tuple(range(1, 21))


def test_repeated_ids_warn_and_name_them() -> None:
    ids = ["c7", "c7", *(f"c{i}" for i in range(3, 201))]
    report = run(table(id=ids))
    result = failed(report, "ids")
    assert report.passed
    assert (result.failing, result.examples) == (3, ("c7",))
    assert not run(table(id=ids), checks={"ids": "error"}).passed
    nulls = [None, None, *(f"c{i}" for i in range(2, 200))]
    assert "ids" not in names(run(table(id=nulls)))


# --- B7: freshness


def at(moment: datetime) -> pl.DataFrame:
    return table(at=[moment - timedelta(hours=i) for i in range(200)])


def test_old_data_stops() -> None:
    timed, limit = {"time": "at"}, {"max_age": "2d"}
    old = at(datetime(2026, 11, 19, 11, 59))
    report = run(old, data=timed, checks=limit)
    result = failed(report, "freshness")
    assert not report.passed
    assert "`at` is 2 days old, more than checks.max_age (2d)" in result.message
    assert result.observed == "2026-11-19T11:59:00"
    assert run(at(datetime(2026, 11, 19, 12)), data=timed, checks=limit).passed
    assert run(old, data=timed).passed


def test_without_a_time_column_the_file_counts() -> None:
    limit = {"max_age": "6h"}
    assert run(table(), checks=limit, modified=NOW - timedelta(hours=5)).passed
    result = failed(run(table(), checks=limit, modified=NOW - timedelta(hours=7)), "freshness")
    assert "newest file is 7 hours old" in result.message
    unknown = failed(run(table(), checks=limit), "freshness")
    assert "cannot be told" in unknown.message


def test_a_date_lasts_until_its_end() -> None:
    days = table(day=[date(2026, 11, 20)] * 200)
    assert run(days, data={"time": "day"}, checks={"max_age": "13h"}).passed
    assert not run(days, data={"time": "day"}, checks={"max_age": "11h"}).passed


def test_a_time_column_of_nulls_or_texts_cannot_tell() -> None:
    nothing = table(at=pl.Series([None] * 200, dtype=pl.Datetime("us")))
    assert not run(nothing, data={"time": "at"}, checks={"max_age": "1d"}).passed
    texts = table(at=["2026"] * 200)
    assert not run(texts, data={"time": "at"}, checks={"max_age": "1d"}).passed


def test_times_to_come_warn() -> None:
    report = run(at(datetime(2027, 1, 1)), data={"time": "at"})
    result = failed(report, "future")
    assert report.passed
    assert result.examples[:2] == ("c0", "c1")
    assert "future" not in names(run(at(datetime(2026, 11, 22, 11)), data={"time": "at"}))
    wide = {"future": {"tolerance": "60d"}}
    assert "future" not in names(run(at(datetime(2027, 1, 1)), data={"time": "at"}, checks=wide))
    ahead = table(day=[date(2026, 11, 25)] + [date(2026, 11, 1)] * 199)
    assert failed(run(ahead, data={"time": "day"}), "future").examples == ("c0",)


# --- B8: target


def test_a_missing_target_column_says_what_is_near() -> None:
    result = failed(run(table().rename({"churn": "Churn"})), "target")
    assert (result.severity, result.column) == ("error", "churn")
    assert "did you mean `Churn`?" in result.message


def test_missing_target_values_stop_and_are_named() -> None:
    result = failed(run(table(churn=[None, None, *["yes", "no"] * 99])), "target")
    assert (result.severity, result.failing, result.examples) == ("error", 2, ("c0", "c1"))
    assert "2 of 200 rows (1 %)" in result.message


@pytest.mark.parametrize(
    ("churn", "data", "said"),
    [
        (["yes"] * 200, {}, "only one class"),
        ([None] * 200, {}, "no value in any row"),
        (["yes", "no"] * 100, {"positive": "maybe"}, "data.positive is"),
        ([f"n{i}" for i in range(200)], {}, "200 distinct values"),
        (["yes", "no", "so"] * 66 + ["yes", "no"], {"task": "binary"}, "3 distinct values"),
        ([1.5] * 200, {"task": "regression"}, "nothing can be learned"),
        (["yes"] * 9 + ["no"] * 191, {}, "too few rows of a class to learn and test it: yes (9)"),
    ],
)
def test_targets_that_cannot_be_learned(churn: list[Any], data: dict[str, Any], said: str) -> None:
    frame = table(churn=pl.Series(churn, dtype=pl.String) if churn[0] is None else churn)
    report = run(frame, data=data)
    assert not report.passed
    result = failed(report, "classes")
    assert said in result.message


def test_targets_that_can() -> None:
    assert run(table(churn=[i * 0.37 for i in range(200)])).passed
    assert run(table(churn=[i % 4 for i in range(200)])).passed
    assert run(table(churn=[True, False] * 100)).passed
    rare = table(churn=["yes"] * 9 + ["no"] * 191)
    assert run(rare, checks={"target": {"class_rows": 9}}).passed
    assert run(rare, checks={"target": "warn"}).passed


# --- B9 and B10: rows and features


def test_three_rows_fail_and_two_hundred_do_not() -> None:
    report = run(table(3))
    assert not report.passed
    result = failed(report, "rows")
    assert result.message == (
        "the table has 3 rows, too few to learn from (checks.rows.min is 50): get more data"
    )


def test_no_rows_at_all() -> None:
    report = run(table()[:0])
    assert names(report) == {"rows"}
    assert not report.passed


def test_constant_features_warn_and_without_others_stop() -> None:
    one = run(table(age=[5] * 200, plan=pl.Series([None] * 200, dtype=pl.String)))
    assert one.passed
    assert {r.column for r in one.warnings if r.name == "constant"} == {"age", "plan"}
    none = table(age=[5] * 200, income=[float("nan")] * 199 + [1.0], plan=["x"] * 199 + [None])
    report = run(none)
    assert not report.passed
    assert "nothing can be learned" in failed(report, "features").message
    no_column = run(table().select("id", "churn"))
    assert "there is no feature" in failed(no_column, "features").message


def test_a_value_that_is_rare_keeps_a_column_from_being_constant() -> None:
    frame = table(3000, age=[5] * 2999 + [6])
    report = run(frame, checks={"leakage": {"rows": 100}})
    assert "constant" not in names(report)


def test_infinite_numbers_stop() -> None:
    result = failed(run(table(income=[float("inf"), float("-inf")] + [1.0, 2.0] * 99)), "infinite")
    assert (result.severity, result.failing, result.examples) == ("error", 2, ("c0", "c1"))
    target = table(churn=[float("inf")] + [i * 0.37 for i in range(199)])
    assert failed(run(target), "infinite").column == "churn"
    assert run(table(income=[float("nan"), 1.0] * 100)).passed


def test_a_file_in_a_cell_stops() -> None:
    plans = ["basic", "gold"] * 99 + ["basic", "x" * 10_000_000]
    report = run(table(plan=plans))
    result = failed(report, "long_text")
    assert not report.passed
    assert (result.column, result.observed, result.examples) == ("plan", 10_000_000, ("c199",))
    assert len(json.dumps(report.to_json())) < 20_000
    assert run(table(plan=plans), data={"exclude": ["plan"]}).passed
    assert run(table(plan=plans), checks={"long_text": {"longest": 10_000_000}}).passed


# --- leaks, ids, mixed text


def test_a_copy_of_the_target_is_a_leak() -> None:
    report = run(
        table().with_columns(reason=pl.when(pl.col("churn") == "yes").then(pl.lit("left")))
    )
    assert not report.passed
    result = failed(report, "leakage")
    assert (result.column, result.observed) == ("reason", 1.0)
    assert "data.exclude" in result.message


def test_leakage_can_warn_or_be_off() -> None:
    leak = table().with_columns(code=pl.col("churn") == "yes")
    assert run(leak, checks={"leakage": "warn"}).passed
    assert "leakage" in names(run(leak, checks={"leakage": "warn"}))
    assert "leakage" not in names(run(leak, checks={"leakage": "off"}))
    assert run(leak, data={"exclude": ["code"]}).passed


def test_a_text_that_names_the_row_warns() -> None:
    report = run(table(name=[f"Mr {i}" for i in range(200)]))
    assert report.passed
    assert failed(report, "id_like").column == "name"
    counter = failed(run(table(number=range(1000, 1200))), "id_like")
    assert counter.column == "number"
    spread = run(table(number=[i * i for i in range(200)]))
    assert "id_like" not in names(spread)


def test_numbers_with_words_among_them_warn() -> None:
    mixed = [*(str(i % 17) for i in range(185)), *["n.a."] * 15]
    result = failed(run(table(age=mixed)), "mixed")
    assert "92.5 %" in result.message
    assert "'n.a.'" in result.message
    assert "mixed" not in names(run(table(age=[str(i % 17) for i in range(200)])))
    assert "mixed" not in names(run(table(age=["a", "5"] * 100)))


def test_everything_can_be_switched_off() -> None:
    off = {
        name: "off"
        for name, field in ChecksSettings.model_fields.items()
        if name not in ("expectations", "max_age")
    } | {"columns": {"severity": "off", "order": "off"}}
    assert run(table(3), checks=off, expected=TableSchema.of({"x": "date"})).results == ()


def test_samples_are_drawn_across_the_table() -> None:
    from ratchet.checks.subject import draw_sample

    frame = pl.DataFrame({"i": range(20_000), "y": [0, 1] * 10_000})
    sample = draw_sample(frame.lazy(), 20_000, 1_000)
    assert 900 < sample.height < 1_100
    assert sample["i"].is_sorted()
    assert abs(sample["i"].mean() - 10_000) < 600  # type: ignore[operator]
    assert abs(sample["y"].mean() - 0.5) < 0.06  # type: ignore[operator]
    assert draw_sample(frame.lazy(), 20_000, 20_000).height == 20_000
