"""Running the command line as its users do, and small projects to run it on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        lines = self.out.strip().splitlines()
        assert len(lines) == 1, f"stdout is not one JSON object:\n{self.out}\n{self.err}"
        return json.loads(lines[0])

    @property
    def data(self) -> dict[str, Any]:
        body = self.json
        assert body["ok"], body
        return body["data"]

    @property
    def error(self) -> dict[str, str]:
        body = self.json
        assert not body["ok"], body
        return body["error"]


def environment(**extra: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RATCHET")}
    return {**clean, "OMP_WAIT_POLICY": "PASSIVE", **extra}


def ratchet(*arguments: object, cwd: Path | None = None, **extra: str) -> Result:
    """``ratchet ARGUMENTS`` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "ratchet", *map(str, arguments)],
        cwd=cwd,
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "Traceback" not in done.stdout, done.stdout
    return Result(done.returncode, done.stdout, done.stderr)


def customers(rows: int, *, seed: int = 0, start: int = 0) -> str:
    """A small churn table as CSV text: two numbers, two categories, an id and the target."""
    rng = np.random.default_rng([seed, start])
    tenure = rng.integers(0, 72, rows)
    charges = np.round(rng.uniform(20, 110, rows), 2)
    contract = rng.choice(["month", "year", "two years"], rows, p=[0.55, 0.25, 0.2])
    support = rng.choice(["yes", "no"], rows)
    score = 0.02 * charges - 0.05 * tenure + 1.2 * (contract == "month") - 0.8 * (support == "yes")
    churn = rng.uniform(size=rows) < 1 / (1 + np.exp(-score))
    lines = ["customer,tenure,charges,contract,support,churn"]
    lines += [
        f"C{start + i:06d},{tenure[i]},{charges[i]},{contract[i]},{support[i]},"
        f"{'yes' if churn[i] else 'no'}"
        for i in range(rows)
    ]
    return "\n".join(lines) + "\n"


def houses(rows: int, *, seed: int = 0, start: int = 0) -> str:
    """A small table of house prices as CSV text: three numbers, a category, an id and the price."""
    rng = np.random.default_rng([seed, start, 1])
    area = np.round(rng.uniform(30, 200, rows), 1)
    rooms = rng.integers(1, 7, rows)
    zone = rng.choice(["centre", "suburb", "country"], rows)
    year = rng.integers(1950, 2024, rows)
    place = 60_000 * (zone == "centre") - 20_000 * (zone == "country")
    noise = rng.normal(0, 15_000, rows)
    price = 1500 * area + 9000 * rooms + place + 300 * (year - 1950) + noise
    lines = ["house,area,rooms,zone,year,price"]
    lines += [
        f"H{start + i:06d},{area[i]},{rooms[i]},{zone[i]},{year[i]},{price[i]:.0f}"
        for i in range(rows)
    ]
    return "\n".join(lines) + "\n"


def signals(rows: int, *, seed: int = 0) -> str:
    """A table with a straight and a crooked signal: no one kind of model finds all of both."""
    rng = np.random.default_rng([seed, 2])
    x = np.round(rng.normal(size=(rows, 8)), 3)
    zone = rng.choice(list("abcd"), rows)
    score = x[:, :4] @ np.array([0.8, -0.7, 0.6, -0.5]) - 1
    score += 2.0 * ((x[:, 4] > 0) ^ (x[:, 5] > 0)) + 1.2 * ((x[:, 6] > 0) & (zone <= "b"))
    y = rng.uniform(size=rows) < 1 / (1 + np.exp(-score))
    lines = ["id," + ",".join(f"x{i}" for i in range(8)) + ",zone,y"]
    lines += [
        f"R{i:05d},{','.join(map(str, x[i]))},{zone[i]},{'yes' if y[i] else 'no'}"
        for i in range(rows)
    ]
    return "\n".join(lines) + "\n"


def add_rows(file: Path, more: str) -> None:
    """Append the rows of a table to a CSV file with the same columns."""
    with file.open("a", encoding="utf-8") as opened:
        opened.write(more.partition("\n")[2])


SMALL = """\
project: small
data:
  source: {type: csv, path: data.csv}
  target: churn
  positive: "yes"
  id: customer
training:
  algorithms: {logistic_regression: {}}
  tuning: {folds: 3, trials: 0}
gates:
  minimum: {roc_auc: 0.6}
  budget: {latency_p95: 500ms, size: 50MB}
"""


def small_project(folder: Path, rows: int = 600, extra: str = "") -> Path:
    """A project that trains in a second or two."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data.csv").write_text(customers(rows), encoding="utf-8")
    (folder / "ratchet.yaml").write_text(SMALL + extra, encoding="utf-8")
    return folder
