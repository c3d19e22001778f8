"""A table larger than memory may be: the same split, nearly the same model, and nothing left."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ratchet.data.kept import UNUSED
from ratchet.pipeline import workspace
from ratchet.pipeline.request import Request
from ratchet.pipeline.run import run
from ratchet.project import load_project
from ratchet_cli import customers, environment

ROWS = 9_000
PROJECT = """\
project: large
data:
  source: {type: parquet, path: rows.parquet}
  target: churn
  positive: "yes"
  split: {validation: 0.1}
training:
  algorithms: {lightgbm: {num_iterations: 40, learning_rate: 0.1}}
  tuning: {folds: 3, trials: 0}
checks: {id_like: "off"}
gates:
  minimum: {roc_auc: 0.6}
  budget: {latency_p95: 500ms, size: 50MB}
"""


def make(folder: Path, rows: int = ROWS) -> Path:
    """A project whose table has some rows twice."""
    folder.mkdir(parents=True)
    table = pl.read_csv(customers(rows).encode())
    pl.concat([table, table.head(100)]).write_parquet(folder / "rows.parquet")
    (folder / "ratchet.yaml").write_text(PROJECT, encoding="utf-8")
    return folder


def go(folder: Path, *assignments: str):
    ended = run(load_project(folder, assignments=assignments, variables={}), Request())
    assert ended.outcome == "promoted", ended.reason
    return ended


def output(folder: Path, ended, step: str) -> Path:
    return folder / ".ratchet" / "runs" / ended.run_id / step


def facts(folder: Path, ended, step: str):
    return json.loads((output(folder, ended, step) / "facts.json").read_text())


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same table in memory, and streamed since nothing fits into a megabyte."""
    root = tmp_path_factory.mktemp("both")
    patch = pytest.MonkeyPatch()
    patch.setattr(workspace, "LEAST_ROWS", 1_500)
    here, there = make(root / "memory"), make(root / "streamed")
    try:
        yield (here, go(here)), (there, go(there, "training.memory=1MB"))
    finally:
        patch.undo()


def test_both_ways_split_alike(both):
    (here, first), (there, second) = both
    parts = [np.load(output(*each, "split") / "parts.npy") for each in both]
    assert np.array_equal(*parts)
    assert (parts[0] == UNUSED).sum() == 100
    one, other = facts(here, first, "split"), facts(there, second, "split")
    assert one.pop("held") is None
    assert other.pop("held") == 1_500
    assert one == other


def test_both_ways_train_nearly_the_same_model(both):
    (here, first), (there, second) = both
    values = [ended.metrics["roc_auc"] for _, ended in both]
    # Judged on other rows: a sample of the test rows, too.
    assert abs(values[0] - values[1]) < 0.04
    known = facts(there, second, "train")
    told = " ".join(known["notes"])
    assert "lightgbm was trained on all 6,300 rows, read in pieces" in told
    scored = facts(there, second, "evaluate")["rows"]["test"]
    assert 1_500 <= scored <= 1_502
    assert f"{scored:,} of 1,800 test rows were scored" in told
    assert facts(here, first, "train")["notes"] == []
    said = {step.name: step.detail for step in second.steps}
    assert f"{scored:,} of 1,800 test rows" in said["evaluate"]


def test_nothing_but_the_steps_outputs_is_left(both):
    left = [
        sorted(
            path.relative_to(output(folder, ended, "").parent).as_posix()
            for path in output(folder, ended, "").rglob("*")
            if path.parent.name in ("train", "split", ended.run_id)
        )
        for folder, ended in both
    ]
    names = [{name.split("/", 1)[1] for name in each if "/" in name} for each in left]
    assert names[0] == names[1]
    assert not [name for each in names for name in each if name.startswith(".")]


def test_another_mode_is_another_training_and_the_same_mode_is_none(both, tmp_path):
    folder, _ = both[1]
    again = run(
        load_project(folder, assignments=["training.memory=1MB"], variables={}), Request(force=True)
    )
    assert {step.name: step.status for step in again.steps}["register"] != "failed"
    done = run(load_project(folder, assignments=["training.memory=8GB"], variables={}), Request())
    steps = {step.name: step.status for step in done.steps}
    assert steps["split"] == "done"
    assert steps["train"] == "done"


KILLED = """
import os, signal, sys
from pathlib import Path
from ratchet.pipeline import workspace
from ratchet.training.search import finals
workspace.LEAST_ROWS = 1_500

def killed(self, *given, **more):
    os.kill(os.getpid(), signal.SIGKILL)

finals.Finals._fit_order = killed
from ratchet.pipeline.request import Request
from ratchet.pipeline.run import run
from ratchet.project import load_project
run(load_project(Path(sys.argv[1]), assignments=["training.memory=1MB"], variables={}), Request())
"""


def test_killed_while_the_rows_lie_in_a_file_the_next_run_ends_it(tmp_path, monkeypatch):
    folder = make(tmp_path / "killed", 6_000)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (left,) = (folder / ".ratchet" / "runs").iterdir()
    assert (left / ".train").is_dir()
    assert list((left / ".train").iterdir()) == []
    monkeypatch.setattr(workspace, "LEAST_ROWS", 1_500)
    ended = go(folder, "training.memory=1MB")
    assert ended.run_id == left.name
    assert not (left / ".train").exists()


PEAK = """
import sys
from pathlib import Path
from ratchet.pipeline.request import Request
from ratchet.pipeline.run import run
from ratchet.project import load_project
project = load_project(
    Path(sys.argv[1]), assignments=[f"training.memory={sys.argv[2]}"], variables={}
)
ended = run(project, Request(until="train"))
# Not getrusage: a process starts with the peak of the one that started it.
status = Path("/proc/self/status").read_text()
print(ended.reason, "|", status.partition("VmHWM:")[2].split()[0])
"""


CHECKS = "checks: {leakage: {severity: warn}, "


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is where the peak is told")
def test_memory_stays_bounded(tmp_path):
    """250,000 rows with a kilobyte of text each are 250 MB; both ways load the same libraries."""
    rows = 250_000
    table = pl.DataFrame({"id": range(rows), "x": np.random.default_rng(0).normal(size=rows)})
    table = table.with_columns(
        text=pl.col("id").cast(pl.String) + "x" * 1_000,
        churn=pl.when(pl.col("x") > 0).then(pl.lit("yes")).otherwise(pl.lit("no")),
    )
    peaks = {}
    for memory in ("8GB", "50MB"):
        folder = make(tmp_path / memory, 10)
        table.write_parquet(folder / "rows.parquet")
        text = (folder / "ratchet.yaml").read_text().replace("iterations: 40", "iterations: 3")
        text = text.replace("  positive", "  id: id\n  exclude: [text]\n  positive")
        text = text.replace("{folds: 3, trials: 0}", '"off"').replace("checks: {", CHECKS)
        (folder / "ratchet.yaml").write_text(text)
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(folder), memory],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.startswith("stopped after train"), done.stdout + done.stderr
        peaks[memory] = int(done.stdout.rpartition("|")[2]) / 1024
    assert peaks["50MB"] < peaks["8GB"] + 20, peaks
