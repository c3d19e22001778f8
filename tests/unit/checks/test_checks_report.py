from __future__ import annotations

import json
from datetime import date, datetime

import pytest

from ratchet.checks.report import (
    CheckReport,
    CheckResult,
    counted,
    number,
    percent,
    plain,
    row_name,
    shorten,
)


def result(
    name: str = "rows", *, passed: bool = True, severity: str = "error", column: str | None = None
) -> CheckResult:
    return CheckResult(name, column, severity, passed, 0.5, "more", 3, 10, ("a", 7), f"{name} said")  # type: ignore[arg-type]  # fmt: skip


def test_only_failed_errors_stop() -> None:
    warned = CheckReport((result(), result("ids", passed=False, severity="warn")))
    assert warned.passed
    assert [r.name for r in warned.warnings] == ["ids"]
    stopped = CheckReport((*warned.results, result("target", passed=False)))
    assert not stopped.passed
    assert [r.name for r in stopped.errors] == ["target"]


def test_json_round_trip() -> None:
    report = CheckReport((result(), result("ids", passed=False, severity="warn", column="id")))
    text = json.dumps(report.to_json(), allow_nan=False)
    assert CheckReport.from_json(json.loads(text)) == report
    assert json.loads(text)["warnings"] == 1


def test_lines_put_errors_first_and_count_what_passed() -> None:
    report = CheckReport(
        (
            result(),
            result("ids", passed=False, severity="warn"),
            result("target", passed=False),
        )
    )
    assert report.lines() == (
        "error  target: target said",
        "warn  ids: ids said",
        "1 of 3 checks passed",
    )


def test_three_hundred_alike_failures_are_one_line() -> None:
    many = tuple(
        result("missing", passed=False, severity="warn", column=f"c{i}") for i in range(300)
    )
    lines = CheckReport(many).lines()
    assert len(lines) == 2
    assert lines[0] == (
        "warn  missing: 300 failures (`c0`, `c1`, `c2` and 297 more); the first: missing said"
    )


def test_values_become_json() -> None:
    assert plain(float("inf")) == "inf"
    assert plain(float("nan")) == "nan"
    assert plain(datetime(2024, 1, 2, 3)) == "2024-01-02T03:00:00"
    assert plain(date(2024, 1, 2)) == "2024-01-02"
    assert plain(True) is True
    assert plain("x" * 10_000_000) == "x" * 59 + "…"


def test_a_row_without_an_id_is_named_by_its_number() -> None:
    assert row_name(None, 3) == 3
    assert row_name("c1", 3) == "c1"
    assert row_name(17, 3) == 17
    assert row_name(True, 3) == "True"
    assert row_name(1.5, 3) == "1.5"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"), (1.0, "100 %"), (0.5, "50 %"), (0.1234, "12.34 %"),
        (1e-9, "less than 0.01 %"), (1 - 1e-9, "more than 99.99 %"),
    ],
)  # fmt: skip
def test_percent_never_hides_a_rest(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234567, "1,234,567"), (2.0, "2"), (0.123456789, "0.123457"), (float("inf"), "inf"),
     (float("-inf"), "-inf"), (1e300, "1e+300")],
)  # fmt: skip
def test_numbers_for_people(value: float, text: str) -> None:
    assert number(value) == text


def test_words() -> None:
    assert counted(1, "row") == "1 row"
    assert counted(1000, "row") == "1,000 rows"
    assert shorten("a\nb\r") == "a b "
