"""How training time and memory grow with the rows.

    python benchmarks/scale.py [--rows N ...] [--memory 6GB] [--time 60s]

``ratchet run`` on generated tables of 30 columns (24 numbers, 6 categories, some values missing,
a known truth) read from Parquet, with ``training.memory`` set: wall and CPU seconds of the whole
run and of its train step, the peak memory of the process, and the test ROC-AUC beside the best
that is possible. Goals: near-linear time, and under 6 GiB at 10 million rows.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

CACHE = Path(tempfile.gettempdir()) / "ratchet-scale"
ROWS = (10_000, 100_000, 1_000_000, 10_000_000)
NUMBERS, LEVELS = 24, (2, 5, 12, 40, 200, 3_000)
CHUNK = 500_000


@dataclass(frozen=True)
class Cost:
    wall: float
    cpu: float
    peak_gib: float
    train: float
    auc: float
    best: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", type=int, default=ROWS)
    parser.add_argument("--memory", default="6GB")
    parser.add_argument("--time", default="60s", help="the search's budget; off for the defaults")
    parser.add_argument("--algorithms", nargs="+", default=["lightgbm"])
    asked = parser.parse_args()
    print(
        f"{'rows':>12}{'wall s':>9}{'CPU s':>9}{'train s':>9}{'peak GiB':>10}{'AUC':>9}{'truth':>9}"
    )
    for rows in asked.rows:
        folder, truth = _table(rows)
        cost = _run(folder, asked)
        print(
            f"{rows:12,}{cost.wall:9.1f}{cost.cpu:9.1f}{cost.train:9.1f}{cost.peak_gib:10.2f}"
            f"{cost.auc:9.4f}{truth:9.4f}  {cost.best}",
            flush=True,
        )


def _table(rows: int) -> tuple[Path, float]:
    """A folder of Parquet files, and the ROC-AUC of knowing the true probabilities."""
    folder = CACHE / f"rows-{rows}"
    told = folder.with_suffix(".json")
    if told.exists():
        return folder, json.loads(told.read_text())["auc"]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    odds, labels = [], []
    for number, start in enumerate(range(0, rows, CHUNK)):
        frame, p = _chunk(min(CHUNK, rows - start), np.random.default_rng([20261121, number]))
        frame.write_parquet(folder / f"part-{number:05d}.parquet")
        odds.append(p.astype(np.float32))
        labels.append(frame["y"].to_numpy() == "yes")
    auc = _auc(np.concatenate(labels), np.concatenate(odds))
    told.write_text(json.dumps({"auc": auc}))
    return folder, auc


def _chunk(rows: int, rng: np.random.Generator) -> tuple[pl.DataFrame, np.ndarray]:
    numbers = rng.normal(size=(NUMBERS, rows)).astype(np.float32)
    codes = [rng.integers(0, k, rows) for k in LEVELS]
    effect = [np.random.default_rng(k).normal(size=k) for k in LEVELS]
    odds = (
        -1.0
        + 0.9 * numbers[0]
        - 0.7 * np.abs(numbers[1])
        + 0.6 * numbers[2] * numbers[3]
        + 0.5 * np.sin(2 * numbers[4])
        + 0.6 * effect[2][codes[2]]
        + 0.5 * effect[5][codes[5]]
    )
    p = 1 / (1 + np.exp(-odds))
    columns: dict[str, Any] = {f"number_{i}": column for i, column in enumerate(numbers)}
    for i, (code, k) in enumerate(zip(codes, LEVELS, strict=True)):
        columns[f"category_{i}"] = pl.Series([f"level_{j}" for j in range(k)]).gather(code)
    frame = pl.DataFrame(columns)
    for name in ("number_5", "number_9", "category_3"):
        gone = pl.Series(rng.uniform(size=rows) < 0.03)
        frame = frame.with_columns(pl.when(gone).then(None).otherwise(pl.col(name)).alias(name))
    y = np.where(rng.uniform(size=rows) < p, "yes", "no")
    return frame.with_columns(pl.Series("y", y)), p


def _auc(y: np.ndarray, score: np.ndarray) -> float:
    rank = np.empty(len(y))
    rank[np.argsort(score, kind="stable")] = np.arange(1, len(y) + 1)
    positive = int(y.sum())
    return float((rank[y].sum() - positive * (positive + 1) / 2) / (positive * (len(y) - positive)))


def _run(folder: Path, asked: argparse.Namespace) -> Cost:
    with tempfile.TemporaryDirectory(prefix="ratchet-scale-", dir=CACHE) as name:
        project = Path(name)
        settings = {
            "project": "scale",
            "data": {"source": {"type": "parquet", "path": str(folder)}, "target": "y"},
            "training": {
                "algorithms": {algorithm: {} for algorithm in asked.algorithms},
                "tuning": "off" if asked.time == "off" else {"time": asked.time},
                "memory": asked.memory,
            },
            "gates": {"budget": {"latency_p95": "1s", "size": "1GB", "memory": "16GB"}},
        }
        (project / "ratchet.yaml").write_text(yaml.safe_dump(settings))
        environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
        began = time.monotonic()
        with (project / "out").open("wb") as out, (project / "err").open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "ratchet", "run", "--json", "--project", str(project)],
                stdout=out,
                stderr=err,
                env=environment,
            )
            _, _, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        answer = json.loads((project / "out").read_text() or "{}")
        if not answer.get("ok"):
            sys.exit(f"the run failed: {answer or (project / 'err').read_text()[-2000:]}")
        told = answer["data"]
        train = next(step for step in told["steps"] if step["name"] == "train")
        return Cost(
            wall=wall,
            cpu=usage.ru_utime + usage.ru_stime,
            peak_gib=usage.ru_maxrss / 2**20,
            train=train["seconds"],
            auc=told["metrics"]["roc_auc"],
            best=f"{told['best']}, {told['outcome']}",
        )


if __name__ == "__main__":
    main()
