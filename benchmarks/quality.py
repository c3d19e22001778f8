"""How good the models are that a budget buys, against the AutoML libraries and plain LightGBM.

    python benchmarks/quality.py [--budget 60 180] [--sets NAME ...] [--contenders NAME ...]

Every contender gets the same training rows, the same wall-clock budget and the same cores, one
after the other, in a process and an environment of its own (made here, under the cache folder).
All are scored on the same held-out rows: 20 % stratified (seed 42), or the last 20 % by time.
Printed per set: ROC-AUC, log loss, accuracy, seconds, milliseconds for one row; then the mean
rank on ROC-AUC, the paired bootstrap of the difference to the best, and to default LightGBM.

A finished fit is kept in the cache folder and not made again; ``--again`` forgets it.
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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[1] / "shared" / "data"
CACHE = Path(tempfile.gettempdir()) / "ratchet-quality"
SEED = 42
RESAMPLES = 1_000


@dataclass(frozen=True)
class DataSet:
    """A table, its target, and the column that orders it where the split is by time.

    ``drop`` are columns that no contender may see: ids, and what tells the answer.
    """

    name: str
    target: str
    positive: str | int
    time: str | None = None
    drop: tuple[str, ...] = ()


SETS = (
    DataSet("telco_churn", "Churn", "Yes", drop=("customerID",)),
    DataSet("adult_income", "income", ">50K"),
    DataSet("bank_marketing", "y", "yes", drop=("contact_date",)),
    DataSet("german_credit", "class", "bad"),
    DataSet("elec2", "class", "UP", time="timestamp"),
    DataSet("airlines_2008", "Delay", 1, time="timestamp"),
)


@dataclass(frozen=True)
class Contender:
    """A script of ``contenders/`` and what its environment needs; none for this project's own."""

    name: str
    script: str
    packages: tuple[tuple[str, ...], ...] = ()


LIBRARY = (("flaml[automl]", "optuna", "pyarrow"),)
CONTENDERS = (
    Contender("ratchet", "with_ratchet.py"),
    Contender("lightgbm", "with_lightgbm.py", LIBRARY),
    Contender("optuna", "with_optuna.py", LIBRARY),
    Contender("flaml", "with_flaml.py", LIBRARY),
    Contender(
        "autogluon",
        "with_autogluon.py",
        # The CPU build first, where an index has one: AutoGluon would take CUDA's.
        (("torch==2.13.0",), ("autogluon.tabular[lightgbm,xgboost,catboost,fastai]", "pyarrow")),
    ),
)


def main() -> None:
    asked = _arguments()
    sets = [item for item in SETS if item.name in asked.sets]
    contenders = [item for item in CONTENDERS if item.name in asked.contenders]
    results: dict[tuple[float, str], dict[str, dict[str, Any]]] = {}
    for budget in asked.budget:
        for item in sets:
            folder = _prepare(item, asked.cache)
            for contender in contenders:
                made = _fit(contender, item, folder, budget, asked)
                results.setdefault((budget, item.name), {})[contender.name] = made
            _show_set(item, budget, folder, results[budget, item.name])
        _show_ranks(budget, [item.name for item in sets], results, asked.cache)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", nargs="+", type=float, default=[60.0, 180.0])
    parser.add_argument("--sets", nargs="+", default=[item.name for item in SETS])
    parser.add_argument("--contenders", nargs="+", default=[item.name for item in CONTENDERS])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--again", nargs="*", default=[], help="contenders to fit anew")
    return parser.parse_args()


# -- the rows -------------------------------------------------------------------------------


def _prepare(item: DataSet, cache: Path) -> Path:
    """The folder with ``train.parquet``, ``test.parquet`` and ``meta.json`` of a set."""
    folder = cache / item.name
    if (folder / "meta.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    table = pl.read_parquet(DATA / item.name / "data.parquet").drop(item.drop)
    table = table.filter(pl.col(item.target).is_not_null())
    positive = (table[item.target] == item.positive).cast(pl.Int8)
    table = table.with_columns(positive.alias(item.target))
    test = _held_out(item, table)
    table.filter(~test).write_parquet(folder / "train.parquet")
    table.filter(test).write_parquet(folder / "test.parquet")
    meta = {"target": item.target, "time": item.time, "name": item.name}
    (folder / "meta.json").write_text(json.dumps(meta))
    return folder


def _held_out(item: DataSet, table: pl.DataFrame) -> pl.Series:
    rows = table.height
    if item.time is not None:
        cut = table[item.time].sort()[int(rows * 0.8)]
        return table[item.time] >= cut
    rng = np.random.default_rng(SEED)
    held = np.zeros(rows, dtype=bool)
    y = table[item.target].to_numpy()
    for label in (0, 1):
        of_class = rng.permutation(np.flatnonzero(y == label))
        held[of_class[: round(len(of_class) * 0.2)]] = True
    return pl.Series(held)


# -- the fits -------------------------------------------------------------------------------


def _fit(
    contender: Contender, item: DataSet, folder: Path, budget: float, asked: argparse.Namespace
) -> dict[str, Any]:
    out = asked.cache / "fits" / f"{item.name}.{contender.name}.{budget:g}"
    if contender.name in asked.again:
        shutil.rmtree(out, ignore_errors=True)
    if (out / "result.json").exists():
        return _read(out)
    python = _environment(contender, asked.cache)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    began, load = time.monotonic(), os.getloadavg()[0]
    command = [python, HERE / "contenders" / contender.script, folder, out, budget, asked.cores]
    cores = ",".join(map(str, range(asked.cores)))
    if shutil.which("taskset"):
        command = ["taskset", "-c", cores, *command]
    with (out / "log.txt").open("w") as log:
        done = subprocess.run(
            [str(part) for part in command],
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=budget * 5 + 600,
            check=False,
            cwd=out,
            # Threads that wait must not spin on cores that others use: it costs all alike.
            env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
        )
    if done.returncode or not (out / "proba.npy").exists():
        tail = (out / "log.txt").read_text()[-600:]
        result: dict[str, Any] = {"failed": tail}
    else:
        result = json.loads((out / "told.json").read_text())
    result |= {"wall": time.monotonic() - began, "load": load}
    (out / "result.json").write_text(json.dumps(result))
    return _read(out)


def _read(out: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((out / "result.json").read_text())
    if "failed" not in result:
        result["proba"] = np.load(out / "proba.npy")
    return result


def _environment(contender: Contender, cache: Path) -> str:
    """The Python with a contender's packages; contenders with the same packages share it."""
    if not contender.packages:
        return sys.executable
    name = "-".join(part[0].partition("[")[0].partition("=")[0] for part in contender.packages)
    folder = cache / "environments" / name
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        print(f"installing {contender.packages} (minutes)", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        for group in contender.packages:
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", *group], check=True)
        (folder / ".ready").touch()
    return str(python)


# -- the scores -----------------------------------------------------------------------------


def auc(y: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve by rank sums; ties count half."""
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    positive = int(y.sum())
    negative = len(y) - positive
    return float((rank[y == 1].sum() - positive * (positive + 1) / 2) / (positive * negative))


def _show_set(
    item: DataSet, budget: float, folder: Path, results: dict[str, dict[str, Any]]
) -> None:
    test = pl.read_parquet(folder / "test.parquet", columns=[item.target])
    y = test[item.target].to_numpy()
    print(f"\n{item.name}, {budget:g} s, {len(y):,} test rows")
    print(
        f"{'':12}{'ROC-AUC':>9}{'log loss':>10}{'accuracy':>10}{'fit s':>8}{'row ms':>8}{'load':>7}"
    )
    for name, made in results.items():
        if "failed" in made:
            print(f"{name:12} failed: {made['failed'][-200:]!r}")
            continue
        p = np.clip(made["proba"], 1e-15, 1 - 1e-15)
        loss = -np.mean(np.where(y == 1, np.log(p), np.log(1 - p)))
        right = np.mean((p >= 0.5) == (y == 1))
        print(
            f"{name:12}{auc(y, p):9.4f}{loss:10.4f}{right:10.4f}{made['seconds']:8.1f}"
            f"{made['row_ms']:8.2f}{made['load']:7.1f}"
        )


def _show_ranks(
    budget: float,
    sets: Sequence[str],
    results: dict[tuple[float, str], dict[str, dict[str, Any]]],
    cache: Path,
) -> None:
    """Mean ranks, and how they and the differences in AUC vary over resampled test rows."""
    names = [
        name
        for name in results[budget, sets[0]]
        if all("failed" not in results[budget, item][name] for item in sets)
    ]
    table = np.empty((RESAMPLES + 1, len(sets), len(names)))
    for row, item in enumerate(sets):
        meta = json.loads((cache / item / "meta.json").read_text())
        y = pl.read_parquet(cache / item / "test.parquet")[meta["target"]].to_numpy()
        rng = np.random.default_rng(SEED)
        for draw in range(RESAMPLES + 1):
            chosen = np.arange(len(y)) if draw == 0 else rng.integers(0, len(y), len(y))
            for column, name in enumerate(names):
                proba = results[budget, item][name]["proba"]
                table[draw, row, column] = auc(y[chosen], proba[chosen])
    ranks = (-table).argsort(axis=2).argsort(axis=2) + 1.0
    means = ranks.mean(axis=1)
    print(f"\nmean rank on ROC-AUC over {len(sets)} sets, {budget:g} s (95 % of resamplings)")
    best = int(means[0].argmin())
    for column in np.argsort(means[0]):
        low, high = np.quantile(means[1:, column], [0.025, 0.975])
        behind = means[1:, column] - means[1:, best]
        share = float((behind <= 0).mean())
        print(
            f"{names[column]:12}{means[0, column]:6.2f}  ({low:.2f} to {high:.2f})  "
            f"at or before the best in {share:.0%} of resamplings"
        )
    for reference in ("lightgbm",):
        if reference in names and "ratchet" in names:
            _show_against(table, sets, names, reference)


def _show_against(
    table: np.ndarray, sets: Sequence[str], names: Sequence[str], reference: str
) -> None:
    ours, theirs = names.index("ratchet"), names.index(reference)
    print(f"ratchet minus {reference}, ROC-AUC (95 % interval, paired bootstrap)")
    for row, item in enumerate(sets):
        gain = table[:, row, ours] - table[:, row, theirs]
        low, high = np.quantile(gain[1:], [0.025, 0.975])
        print(f"  {item:16}{gain[0]:+.4f}  ({low:+.4f} to {high:+.4f})")


if __name__ == "__main__":
    main()
