"""Ratchet's checks against Great Expectations on pandas, and against one hand-written select.

A suite of 20 expectations on a messy table of 1,000,000 x 20, in CPU seconds of the validation
alone (import and set-up are not counted). Verdicts and failing counts must be equal::

    python benchmarks/checks.py [--gx-python PATH] [--rows N] [--write-golden]

Great Expectations runs in an environment of its own; without ``--gx-python`` one is made below
the user's cache folder (about 400 MB). ``--write-golden`` stores the verdicts of the real thing
on the contract's cases for the unit tests.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from checks_contract import GX_VERSION, cases, differences, frames, judge_with_gx  # noqa: E402
from ratchet.checks.builtin import run_builtin  # noqa: E402
from ratchet.checks.expectations import parse_suite  # noqa: E402
from ratchet.checks.report import CheckResult  # noqa: E402
from ratchet.checks.run import run_suite  # noqa: E402
from ratchet.checks.settings import ChecksSettings  # noqa: E402
from ratchet.data.settings import DataSettings  # noqa: E402

FIVE = ["alpha", "beta", "gamma", "delta", "epsilon"]
TARGETS = {"SUMMARY": 3.0, "COMPLETE": 10.0}
HAND_WRITTEN = 1.5
GOLDEN = ROOT / "tests" / "unit" / "checks" / "great_expectations.json"


def messy_table(rows: int) -> pl.DataFrame:
    """20 columns of four kinds, with missing, wrong and repeated values."""
    dice = np.random.default_rng(7)

    def holes(values: Any, share: float) -> pl.Series:
        series = pl.Series(values)
        there = pl.Series(dice.random(rows) >= share)
        return pl.select(pl.when(there).then(series)).to_series()

    data: dict[str, Any] = {"id": pl.Series(np.arange(rows)).cast(pl.String).str.zfill(10)}
    repeated = dice.integers(0, rows, 50)
    data["id"] = data["id"].scatter(repeated, ["0000000000"] * repeated.size)
    for i in range(8):
        data[f"f{i}"] = holes(dice.normal(50 + i, 10, rows), 0.03 * (i % 2))
    for i in range(4):
        data[f"i{i}"] = dice.integers(0, 100 * (i + 1), rows)
    for i in range(5):
        words = np.array([*FIVE, "Alpha "])[dice.choice(6, rows, p=[0.2] * 4 + [0.199, 0.001])]
        data[f"s{i}"] = holes(words, 0.01 * i)
    codes = pl.Series(dice.integers(9_990, 99_999, rows)).cast(pl.String)
    data["code"] = "AB-" + codes
    data["flag"] = dice.random(rows) < 0.3
    return pl.DataFrame(data)


def suite(table: pl.DataFrame) -> list[dict[str, Any]]:
    """The twenty expectations, in the long form that both sides read."""

    def item(name: str, **kwargs: Any) -> dict[str, Any]:
        return {"type": f"expect_{name}", "kwargs": kwargs}

    return [
        item("table_row_count_to_be_between", min_value=1_000),
        item("table_columns_to_match_set", column_set=table.columns),
        item("column_values_to_not_be_null", column="id"),
        item("column_values_to_not_be_null", column="f1", mostly=0.95),
        item("column_values_to_be_unique", column="id"),
        item("column_values_to_be_between", column="i0", min_value=0, max_value=95),
        item("column_values_to_be_between", column="f0", min_value=0, max_value=100, mostly=0.99),
        item("column_values_to_be_in_set", column="s0", value_set=FIVE),
        item("column_values_to_be_in_set", column="s1", value_set=FIVE, mostly=0.5),
        item("column_values_to_match_regex", column="code", regex=r"^[A-Z]{2}-\d{5}$"),
        item("column_value_lengths_to_be_between", column="code", min_value=7, max_value=8),
        item("column_values_to_be_of_type", column="f2", type_="float64"),
        item("column_mean_to_be_between", column="f3", min_value=40, max_value=60),
        item("column_median_to_be_between", column="f4", min_value=40, max_value=60),
        item("column_stdev_to_be_between", column="f5", min_value=5, max_value=15),
        item("column_min_to_be_between", column="i1", min_value=0),
        item("column_max_to_be_between", column="i2", max_value=290),
        item("column_pair_values_a_to_be_greater_than_b", column_A="f7", column_B="f0", mostly=0.5),
        item("multicolumn_sum_to_equal", column_list=["i0", "i1"], sum_total=100, mostly=0.001),
        item("column_proportion_of_unique_values_to_be_between", column="i3", max_value=0.1),
    ]


def hand_written(frame: pl.LazyFrame) -> pl.DataFrame:
    """What somebody who knows Polars would write for the same suite, without examples."""
    c = pl.col
    return frame.select(
        rows=pl.len(),
        null_id=c("id").null_count(),
        null_f1=c("f1").null_count(),
        repeated=c("id").is_duplicated().sum(),
        i0=(~c("i0").is_between(0, 95)).sum(),
        f0=(~c("f0").is_between(0, 100)).sum(),
        s0=(~c("s0").is_in(FIVE)).sum(),
        s1=(~c("s1").is_in(FIVE)).sum(),
        code=(~c("code").str.contains(r"^[A-Z]{2}-\d{5}$")).sum(),
        length=(~c("code").str.len_chars().is_between(7, 8)).sum(),
        mean=c("f3").mean(),
        median=c("f4").median(),
        std=c("f5").std(),
        low=c("i1").min(),
        high=c("i2").max(),
        pair=(~(c("f7") > c("f0")).fill_null(False)).sum(),
        total=(c("i0") + c("i1") != 100).sum(),
        share=c("i3").n_unique() / c("i3").count(),
    ).collect(engine="streaming")


def cpu_seconds(work: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """The least CPU seconds of several runs, all threads together, and the last answer."""
    best, answer = float("inf"), None
    for _ in range(repeats):
        before = time.process_time()
        answer = work()
        best = min(best, time.process_time() - before)
    return best, answer


def gx_python(given: str | None) -> str:
    """A Python that has Great Expectations; made with pip where none is given."""
    if given:
        return given
    home = Path.home() / ".cache" / "ratchet-benchmarks" / f"great-expectations-{GX_VERSION}"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        wanted = [f"great-expectations=={GX_VERSION}", "pandas>=3.1,<3.2", "pyarrow"]
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
    return str(python)


def wide_table(rows: int) -> pl.DataFrame:
    """1 id, 14 numbers, 6 integers, 8 texts and a target: what the built-in checks run on."""
    dice = np.random.default_rng(1)
    label = dice.integers(0, 2, rows)
    data: dict[str, Any] = {"id": np.arange(rows)}
    data |= {f"f{i}": dice.normal(size=rows) + label * dice.random() for i in range(14)}
    data |= {f"i{i}": dice.integers(0, 1000, rows) for i in range(6)}
    words = np.array(FIVE)
    data |= {f"s{i}": words[dice.integers(0, 5, rows)] for i in range(8)}
    return pl.DataFrame(data | {"y": np.where(label, "yes", "no")})


def measure_builtin(rows: int, repeats: int) -> tuple[float, tuple[CheckResult, ...]]:
    """CPU seconds of all built-in checks on 30 columns."""
    table = wide_table(rows).lazy()
    data = DataSettings.model_validate(
        {"source": {"type": "parquet", "path": "x"}, "target": "y", "id": "id"}
    )

    def work() -> tuple[CheckResult, ...]:
        return run_builtin(table, data=data, settings=ChecksSettings(), now=datetime(2026, 11, 21))

    return cpu_seconds(work, repeats)


def write_golden(python: str) -> None:
    """Store the verdicts of the real Great Expectations on the contract's cases."""
    found = {
        name: [[item["success"], item["unexpected_count"]] for item in judge_with_gx(python, frame)]
        for name, frame in frames().items()
    }
    lines = [f'  "{name}": {json.dumps(verdicts)}' for name, verdicts in found.items()]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"wrote {len(cases())} verdicts on {len(found)} frames to {GOLDEN.name}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gx-python", help="a Python that has great_expectations and pandas")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write-golden", action="store_true")
    options = parser.parse_args()
    python = gx_python(options.gx_python)
    if options.write_golden:
        write_golden(python)
        return 0
    table = messy_table(options.rows)
    items = suite(table)
    parsed = parse_suite(items)
    ours, results = cpu_seconds(
        lambda: run_suite(table.lazy(), parsed, id_column="id"), options.repeats
    )
    hand, _ = cpu_seconds(lambda: hand_written(table.lazy()), options.repeats)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        table.write_parquet(path)
        scan, _ = cpu_seconds(
            lambda: run_suite(pl.scan_parquet(path), parsed, id_column="id"), options.repeats
        )
        job = {
            "parquet": str(path), "suite": items, "repeats": 3,
            "formats": ["BOOLEAN_ONLY", "SUMMARY", "COMPLETE"],
        }  # fmt: skip
        worker = [python, str(ROOT / "benchmarks" / "checks_gx.py")]
        told = subprocess.run(
            worker, input=json.dumps(job), capture_output=True, text=True, check=True
        )
    gx = json.loads(told.stdout)
    verdicts = sorted(gx["results"]["SUMMARY"], key=lambda verdict: verdict["index"])
    wrong = differences(items, results, verdicts)
    print(f"\n{len(items)} expectations on {table.height:,} x {table.width}, CPU seconds")
    print(f"{'':34}{'seconds':>9}{'x ratchet':>11}{'target':>11}")
    rows: list[tuple[str, float, str, bool]] = [
        ("ratchet, table in memory", ours, "", True),
        ("ratchet, streamed from Parquet", scan, "", True),
        ("hand-written Polars select", hand, f">= 1/{HAND_WRITTEN}", hand * HAND_WRITTEN >= ours),
    ]
    for form, seconds in gx["seconds"].items():
        least = TARGETS.get(form)
        good = least is None or seconds >= least * ours
        rows.append((f"Great Expectations, {form}", seconds, f">= {least}" if least else "", good))
    for name, seconds, target, good in rows:
        mark = "" if not target else " ok" if good else " MISSED"
        print(f"{name:34}{seconds:9.3f}{seconds / ours:11.2f}{target:>11}{mark}")
    print(f"(Great Expectations also needs {gx['import']:.1f} s to import, not counted)")
    failed = sum(not result.passed for result in results)
    print(f"verdicts and failing counts: {failed} of {len(items)} fail on both sides", end="")
    print(f"; {len(wrong)} differ" if wrong else "; all equal")
    for line in wrong:
        print("  " + line)
    builtin, found = measure_builtin(options.rows, options.repeats)
    print(f"\nall built-in checks on {options.rows:,} x 30: {builtin:.3f} CPU-s", end="")
    print(f", {len(found)} results (target below 1)")
    return 0 if not wrong and builtin < 1 and all(good for *_, good in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
