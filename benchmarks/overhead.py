"""What Ratchet costs on top of the work itself.

    python benchmarks/overhead.py [--rows N ...] [--rounds N] [--repeats N] [--threads N]

``ratchet run`` with one fixed LightGBM and no search against ``plain_script.py``: whole processes,
CPU seconds (user + system, with their children) and peak memory, in turns, medians. Both read
the same CSV, split off the same share and train with the same parameters and threads; Ratchet
also checks the data, pins a version of it, gates, packages and proves the model.

Goals: at most 1.5x the CPU at 7,000 rows, 1.15x at a million, 1.5x the memory; an unchanged
run again at most 1.5 CPU-s; ``ratchet --help`` at most 0.25 CPU-s.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
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
import yaml

HERE = Path(__file__).resolve().parent
TELCO = HERE.parents[1] / "shared" / "data" / "telco_churn" / "raw.csv"
CACHE = Path(tempfile.gettempdir()) / "ratchet-benchmarks"

SMALL, LARGE = 7_043, 1_000_000
NUMERIC, CATEGORICAL = 20, 10
SKIP_SECONDS, HELP_SECONDS = 1.5, 0.25
MEMORY_GOAL = 1.5


@dataclass(frozen=True)
class Table:
    path: Path
    rows: int
    target: str
    positive: str
    id: str | None = None

    @property
    def cpu_goal(self) -> float:
        return 1.15 if self.rows >= LARGE else 1.5


@dataclass(frozen=True)
class Cost:
    cpu: float
    peak: float
    wall: float
    out: str


def table_of(rows: int) -> Table:
    """Telco for its own number of rows when it is here, else a generated table."""
    if rows == SMALL and TELCO.is_file():
        return Table(TELCO, rows, "Churn", "Yes", "customerID")
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / f"table-{rows}x{NUMERIC + CATEGORICAL}.csv"
    if not path.is_file():
        partial = path.with_suffix(".partial")
        generated(rows).write_csv(partial)
        partial.rename(path)
    return Table(path, rows, "y", "yes")


def generated(rows: int, seed: int = 20261121) -> pl.DataFrame:
    """Numbers and categories, some of them missing, and a target that follows from six."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(NUMERIC, rows)).round(4)
    levels = [int(k) for k in np.geomspace(2, 60, CATEGORICAL)]
    codes = [rng.integers(0, k, rows) for k in levels]
    score = (
        1.2 * numbers[0]
        - 0.9 * numbers[1]
        + 0.6 * numbers[2] * numbers[3]
        + 0.8 * (codes[4] % 3)
        - 0.5 * (codes[8] % 5)
    )
    y = rng.uniform(size=rows) < 1 / (1 + np.exp(1.0 - score))
    columns: dict[str, Any] = {f"number_{i}": column for i, column in enumerate(numbers)}
    for i, (code, k) in enumerate(zip(codes, levels, strict=True)):
        words = pl.Series([f"level_{j}" for j in range(k)])
        columns[f"category_{i}"] = words.gather(code)
    frame = pl.DataFrame(columns)
    for name in ("number_5", "number_9", "category_3"):
        gone = pl.Series(rng.uniform(size=rows) < 0.03)
        frame = frame.with_columns(pl.when(gone).then(None).otherwise(pl.col(name)).alias(name))
    return frame.with_columns(pl.Series("y", np.where(y, "yes", "no")))


def parameters(rounds: int) -> dict[str, Any]:
    """Every parameter that matters, so that no side falls back on defaults of its own."""
    return {
        "num_iterations": rounds,
        "learning_rate": 0.1,
        "num_leaves": 31,
        "min_data_in_leaf": 20,
        "feature_fraction": 1.0,
        "bagging_fraction": 1.0,
        "bagging_freq": 0,
        "lambda_l2": 0.0,
    }


def measure(command: Sequence[object], cwd: Path) -> Cost:
    """Run to the end; CPU seconds and peak memory (MB) of the process and its children."""
    out, err = cwd / "stdout", cwd / "stderr"
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("RATCHET", "MLFLOW"))}
    # Idle threads that spin cost either side up to ten times its CPU and mean nothing here.
    variables |= {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONWARNINGS": "ignore"}
    began = time.monotonic()
    with out.open("wb") as to, err.open("wb") as errors:
        process = subprocess.Popen(
            [str(part) for part in command], cwd=cwd, env=variables, stdout=to, stderr=errors
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command} ended with {process.returncode}\n{out.read_text()}\n{err.read_text()}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * unit / 1e6,
        time.monotonic() - began,
        out.read_text(),
    )


RATCHET = (sys.executable, "-m", "ratchet")


def prepare(table: Table, folder: Path, rounds: int, threads: int) -> Path:
    """A project as ``init`` writes it, with one fixed algorithm in place of its choice."""
    project = folder / "template"
    project.mkdir(parents=True)
    measure([*RATCHET, "init", project, "--data", table.path, "--target", table.target], folder)
    file = project / "ratchet.yaml"
    settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    settings["training"] = {
        "algorithms": {"lightgbm": {**parameters(rounds), "early_stopping_rounds": 0}},
        "tuning": {"folds": 0},
        "cores": threads,
        "seed": 42,
    }
    # The machine may be busy: no gate shall end the run early, all of them are computed.
    settings["gates"] = {
        "minimum": {"roc_auc": 0.6},
        "budget": {"latency_p95": "1s", "size": "500MB", "memory": "16GB"},
    }
    file.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return project


def ratchet_side(template: Path, folder: Path) -> tuple[Cost, Path]:
    project = folder / "project"
    shutil.copytree(template, project)
    cost = measure([*RATCHET, "run", "--json", "--project", project], folder)
    answer = json.loads(cost.out)["data"]
    if answer["outcome"] != "promoted":
        sys.exit(f"ratchet run ended {answer['outcome']}: {answer['reason']}")
    return cost, project


def plain_side(table: Table, folder: Path, rounds: int, threads: int) -> Cost:
    settings = {
        **parameters(rounds),
        "objective": "binary",
        "num_threads": threads,
        "seed": 42,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    dropped = [table.id] if table.id else []
    script = HERE / "plain_script.py"
    command = [sys.executable, script, table.path, table.target, table.positive, folder]
    return measure([*command, json.dumps(settings), *dropped], folder)


def compare(table: Table, repeats: int, rounds: int, threads: int) -> bool:
    ours: list[Cost] = []
    plain: list[Cost] = []
    again: list[Cost] = []
    with tempfile.TemporaryDirectory(prefix="ratchet-overhead-") as name:
        root = Path(name)
        template = prepare(table, root / "init", rounds, threads)
        for turn in range(repeats):
            for side in ("plain", "ratchet")[:: 1 if turn % 2 == 0 else -1]:
                folder = root / f"{side}-{turn}"
                folder.mkdir()
                if side == "plain":
                    plain.append(plain_side(table, folder, rounds, threads))
                else:
                    cost, project = ratchet_side(template, folder)
                    ours.append(cost)
                    again.append(measure([*RATCHET, "run", "--json", "--project", project], folder))
                    skipped = json.loads(again[-1].out)["data"]["outcome"]
                    if skipped != "skipped":
                        sys.exit(f"the second run ended {skipped}")
                shutil.rmtree(folder)
    print(f"\n{table.rows:,} rows, {rounds} rounds, {threads} threads, {repeats} times each")
    for label, costs in (("plain script", plain), ("ratchet run", ours), ("run again", again)):
        show(label, costs)
    check_same_work(plain[0], ours[0])
    verdicts = [
        verdict("CPU", ratio(ours, plain, "cpu"), table.cpu_goal),
        verdict("peak memory", ratio(ours, plain, "peak"), MEMORY_GOAL),
    ]
    if table.rows < LARGE:
        seconds = median(again, "cpu")
        verdicts.append(verdict("unchanged run again, CPU-s", seconds, SKIP_SECONDS, unit=" s"))
    return all(verdicts)


def check_same_work(plain: Cost, ours: Cost) -> None:
    """Both trained a like model on like rows; a benchmark of different work says nothing."""
    theirs = json.loads(plain.out.strip().splitlines()[-1])["metrics"]["roc_auc"]
    mine = json.loads(ours.out)["data"]["metrics"]["roc_auc"]
    print(f"  roc_auc: plain {theirs:.4f}, ratchet {mine:.4f}")
    if abs(theirs - mine) > 0.03:
        sys.exit("the two sides did not train the same model")


def show(label: str, costs: Sequence[Cost]) -> None:
    cpu = [cost.cpu for cost in costs]
    print(
        f"  {label:<13} {median(costs, 'cpu'):7.2f} CPU-s ({min(cpu):.2f} to {max(cpu):.2f})"
        f"  peak {median(costs, 'peak'):7,.0f} MB  wall {median(costs, 'wall'):6.1f} s"
    )


def median(costs: Sequence[Cost], what: str) -> float:
    return statistics.median(getattr(cost, what) for cost in costs)


def ratio(ours: Sequence[Cost], plain: Sequence[Cost], what: str) -> float:
    return median(ours, what) / median(plain, what)


def verdict(what: str, value: float, goal: float, unit: str = "x") -> bool:
    met = value <= goal
    print(f"  {what}: {value:.2f}{unit}, goal {goal:g}{unit}: {'met' if met else 'MISSED'}")
    return met


def help_cost(repeats: int) -> bool:
    with tempfile.TemporaryDirectory(prefix="ratchet-overhead-") as name:
        costs = [measure([*RATCHET, "--help"], Path(name)) for _ in range(repeats)]
    print("\nratchet --help")
    return verdict("CPU-s", median(costs, "cpu"), HELP_SECONDS, unit=" s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[SMALL, LARGE])
    parser.add_argument("--rounds", type=int, default=100, help="LightGBM's trees")
    parser.add_argument("--repeats", type=int, default=5, help="processes of each side")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    met = [help_cost(given.repeats)]
    for rows in given.rows:
        repeats = given.repeats if rows < LARGE else max(1, min(3, given.repeats))
        met.append(compare(table_of(rows), repeats, given.rounds, given.threads))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
