"""Drift of one table against another: Ratchet beside Evidently and NannyML, and its promises.

    python benchmarks/drift.py [--rows 1000000] [--contenders NAME ...] [--simulate RUNS]

Two tables of 20 numeric and 10 categorical columns (normal, lognormal, heavy-tailed, discrete,
mostly zero and partly missing ones). Printed are CPU seconds without reading the files: building
the profile (once for each model), counting the current table in it and scoring (all statistics),
scoring alone, all values of both tables (``exact``), and its two sorts; then Evidently's
DataDriftPreset and NannyML's univariate calculator, each in an environment of its own, made below
the cache folder (about 2.5 GB). The peers get categories as dictionary codes, Ratchet as text.

``--simulate`` prints false alarms and power of the default rule on quiet and shifted windows.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ratchet.data.schema import Kind, kind_of
from ratchet.monitoring.drift import (
    DriftReport,
    DriftRules,
    calibrate,
    compare_frames,
    score_window,
)
from ratchet.monitoring.exact import measure_exactly
from ratchet.monitoring.profile import Profile, Window, build_profile

HERE = Path(__file__).resolve().parent
CACHE = Path(tempfile.gettempdir()) / "ratchet-drift"
ROUNDS = 5
TARGETS = {"evidently": 150.0, "nannyml": 25.0, "nannyml, all": 25.0}


@dataclass(frozen=True)
class Contender:
    """A script of ``contenders/``, its arguments, and what its environment needs."""

    name: str
    script: str
    packages: tuple[str, ...]
    arguments: tuple[str, ...] = ()


NANNYML = ("nannyml==0.13.1", "statsmodels", "setuptools<81")
CONTENDERS = (
    Contender("evidently", "drift_evidently.py", ("evidently==0.7.23", "pandas<3")),
    Contender("nannyml", "drift_nannyml.py", NANNYML, ("default",)),
    Contender("nannyml, all", "drift_nannyml.py", NANNYML, ("all",)),
)


def main() -> None:
    asked = _arguments()
    if asked.simulate:
        _simulate(asked.simulate)
        return
    before, after = make_table(asked.rows, 0, 0.0), make_table(asked.rows, 1, 0.1)
    print(f"{asked.rows:,} rows x {before.width} columns, load {os.getloadavg()[0]:.1f}")
    ours = _ratchet(before, after)
    _agreement(before, after)
    if asked.contenders:
        _peers(asked, before, after, ours)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    names = [item.name for item in CONTENDERS]
    parser.add_argument("--contenders", nargs="*", default=names, choices=names)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--simulate", type=int, default=0, metavar="RUNS")
    return parser.parse_args()


def make_table(rows: int, seed: int, shift: float) -> pl.DataFrame:
    """20 columns of numbers and 10 of text; every third column moves by ``shift`` deviations."""
    rng = np.random.default_rng(seed)
    move = [shift * (place % 3 == 0) for place in range(30)]
    data: dict[str, Any] = {}
    for place in range(8):
        data[f"n{place}"] = rng.normal(place + move[place], 1, rows)
    for place in range(4):
        data[f"l{place}"] = np.exp(rng.normal(move[place], place + 0.5, rows))
    for place in range(4):
        data[f"i{place}"] = rng.integers(0, 10 ** (place + 1), rows) + round(10 * move[place])
    for place in range(2):
        data[f"z{place}"] = np.where(
            rng.random(rows) < 0.5, 0.0, rng.gamma(2, 2 + move[place], rows)
        )
    for place in range(2):
        gone = rng.integers(0, rows, rows // 10)
        data[f"m{place}"] = pl.Series(rng.normal(size=rows)).scatter(gone, None)
    for place, levels in enumerate((2, 3, 5, 8, 12, 20, 50, 100, 500, 2_000)):
        chosen = (rng.zipf(1.5 - 0.2 * move[place], rows) % levels).astype(str)
        data[f"c{place}"] = "level " + pl.Series(chosen)
    return pl.DataFrame(data)


def cpu(work: Callable[[], Any], rounds: int = ROUNDS) -> tuple[float, Any]:
    """The least CPU seconds of some rounds, with those of all threads, and the result."""
    best, found = float("inf"), None
    for _ in range(rounds):
        began = time.process_time()
        found = work()
        best = min(best, time.process_time() - began)
    return best, found


# -- Ratchet --------------------------------------------------------------------------------


def _ratchet(before: pl.DataFrame, after: pl.DataFrame) -> float:
    kinds: dict[str, Kind] = {name: kind_of(dtype) for name, dtype in before.schema.items()}
    built, profile = cpu(lambda: build_profile(before, kinds), 1)
    raw = profile.to_bytes()
    print(f"{'profile, once per model':34}{built:9.3f} s, {len(raw) / 1000:,.0f} KB")

    def check() -> tuple[Window, DriftReport]:
        # From its bytes: what a first look costs, with nothing prepared.
        window = Profile.from_bytes(raw).window()
        window.fold(after)
        return window, score_window(window.profile, window)

    whole, (window, report) = cpu(check)
    print(f"{'profile mode: count and score':34}{whole:9.3f} s, {report.reason[:60]} ...")
    scored, _ = cpu(lambda: score_window(window.profile, window))
    print(f"{'score a counted window':34}{scored * 1000:9.2f} ms")
    exact, _ = cpu(lambda: compare_frames(before, after), 3)
    print(f"{'all values of both':34}{exact:9.3f} s")
    numbers = [name for name, kind in kinds.items() if kind != "string"]
    pairs = [(before[name], after[name], kinds[name]) for name in numbers]
    measured, _ = cpu(lambda: [measure_exactly(*pair) for pair in pairs], 3)
    sorts, _ = cpu(lambda: [(a.sort(), b.sort()) for a, b, _ in pairs], 3)
    filled = [(a.fill_null(0).to_numpy(), b.fill_null(0).to_numpy()) for a, b, _ in pairs]
    others, _ = cpu(lambda: [(np.sort(a), np.sort(b)) for a, b in filled], 3)
    print(f"{'  its numeric columns':34}{measured:9.3f} s")
    print(f"{'  their two sorts, Polars':34}{sorts:9.3f} s: {measured / sorts:.2f} x")
    print(f"{'  their two sorts, NumPy':34}{others:9.3f} s: {measured / others:.2f} x")
    return whole


def _agreement(before: pl.DataFrame, after: pl.DataFrame) -> None:
    """The largest differences of the profile from all values."""
    kinds: dict[str, Kind] = {name: kind_of(dtype) for name, dtype in before.schema.items()}
    profile = build_profile(before, kinds)
    window = profile.window()
    window.fold(after)
    ours, exact = score_window(profile, window), compare_frames(before, after)
    worst = dict.fromkeys(("ks", "wasserstein", "psi", "js"), 0.0)
    inside, widest = 0, 0.0
    for column in ours.columns:
        other = exact[column.column]
        if column.ks is not None and other.ks is not None:
            worst["ks"] = max(worst["ks"], abs(column.ks.value - other.ks.value))
            inside += column.ks.low - 1e-12 <= other.ks.value <= column.ks.high + 1e-12
            widest = max(widest, column.ks.high - column.ks.low)
        for name in ("wasserstein", "psi", "js"):
            if (own := getattr(column, name)) is not None:
                worst[name] = max(worst[name], abs(own - getattr(other, name)))
    told = ", ".join(f"{name} {value:.1e}" for name, value in worst.items())
    print(f"largest differences of the profile from all values: {told}")
    print(f"exact KS inside the certified interval: {inside} of 20, the widest {widest:.4f}")


# -- the others -----------------------------------------------------------------------------


def _peers(
    asked: argparse.Namespace, before: pl.DataFrame, after: pl.DataFrame, ours: float
) -> None:
    asked.cache.mkdir(parents=True, exist_ok=True)
    files = [asked.cache / "before.parquet", asked.cache / "after.parquet"]
    for table, file in zip((before, after), files, strict=True):
        table.write_parquet(file)
    for contender in CONTENDERS:
        if contender.name not in asked.contenders:
            continue
        python = _environment(contender, asked.cache)
        script = HERE / "contenders" / contender.script
        command = [python, str(script), *map(str, files), *contender.arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{contender.name:34} failed: {done.stderr.strip()[-300:]}")
            continue
        told = json.loads(done.stdout.strip().splitlines()[-1])
        times, target = told["cpu"] / ours, TARGETS[contender.name]
        verdict = "as promised" if times >= target else "LESS THAN PROMISED"
        print(f"{contender.name:34}{told['cpu']:9.1f} s: {times:,.0f} x ({target:g}: {verdict})")


def _environment(contender: Contender, cache: Path) -> str:
    """The Python with a contender's packages."""
    folder = cache / "environments" / contender.packages[0].partition("=")[0]
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        print(f"installing {contender.packages} (minutes)", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        command = [str(python), "-m", "pip", "install", "-qq", *contender.packages, "pyarrow"]
        subprocess.run(command, check=True)
        (folder / ".ready").touch()
    return str(python)


# -- the default rule -----------------------------------------------------------------------

COLUMNS, WINDOW, PAST = 30, 2_000, 10


def _simulate(runs: int) -> None:
    """False alarms of quiet windows and what is found, as ``docs/explanation/drift.md`` tells."""
    print(f"{COLUMNS} columns, {PAST} past windows of {WINDOW:,} rows, {runs} runs")
    print(f"{'rows':14}{'shift':>7}{'false alarms':>14}{'without past':>14}{'found':>8}")
    cases = [("independent", 0.2), ("groups", 0.5), ("days", 1.0), ("days", 2.0), ("days", 3.0)]
    for kind, shift in cases:
        alarms, general, found = _rates(kind, shift, runs)
        print(f"{kind:14}{shift:7.1f}{alarms:14.3f}{general:14.3f}{found:8.2f}")


def _rates(kind: str, shift: float, runs: int) -> tuple[float, float, float]:
    alarms = general = found = 0
    for seed in range(runs):
        rng = np.random.default_rng([seed, len(kind)])
        past = [_quiet(rng, kind) for _ in range(PAST)]
        kinds: dict[str, Kind] = dict.fromkeys(past[0].columns, "number")
        profile = build_profile(pl.concat(past), kinds)
        windows = [_folded(profile, frame) for frame in past]
        rules = DriftRules(thresholds=calibrate(windows, profile, within=True))
        new = _quiet(rng, kind)
        moved = new.with_columns(pl.col("c0") + shift)
        quiet = _folded(profile, new)
        alarms += score_window(profile, quiet, rules).drifted
        general += score_window(profile, quiet).drifted
        found += score_window(profile, _folded(profile, moved), rules)["c0"].drifted
    return alarms / runs, general / runs, found / runs


def _quiet(rng: np.random.Generator, kind: str) -> pl.DataFrame:
    """Independent rows; rows in groups of twenty that are alike; or a day of its own."""
    size = (WINDOW, COLUMNS)
    if kind == "groups":
        groups = rng.normal(size=(WINDOW // 20, COLUMNS)).repeat(20, axis=0)
        values = np.sqrt(0.5) * (groups + rng.normal(size=size))
    else:
        values = rng.normal(size=size) + (rng.normal(0, 0.3, COLUMNS) if kind == "days" else 0)
    return pl.DataFrame(values, schema=[f"c{place}" for place in range(COLUMNS)], orient="row")


def _folded(profile: Profile, frame: pl.DataFrame) -> Window:
    window = profile.window()
    window.fold(frame)
    return window


if __name__ == "__main__":
    main()
