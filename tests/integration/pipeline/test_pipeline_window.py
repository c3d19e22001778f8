"""After a change of what is to be predicted, a run learns from the rows that came after it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ratchet.errors import ConfigError
from ratchet.pipeline import workspace
from ratchet.pipeline.request import Request
from ratchet.pipeline.run import run
from ratchet.project import load_project

ROWS = 6_000
CHANGE = 3_400
PROJECT = """\
project: changed
data:
  source: {type: parquet, path: rows.parquet}
  target: y
  positive: "yes"
  time: at
training:
  algorithms: {lightgbm: {num_iterations: 30, learning_rate: 0.1}}
  tuning: {folds: 3, trials: 0}
checks: {id_like: "off"}
gates:
  budget: {latency_p95: 500ms, size: 50MB}
"""


def make(folder: Path, change: int = CHANGE, rows: int = ROWS) -> Path:
    """A project whose target follows ``a``, and the opposite of it from row ``change`` on."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 3))
    side = np.where(np.arange(rows) < change, 1.0, -1.0)
    positive = rng.uniform(size=rows) < 1 / (1 + np.exp(-2.5 * side * x[:, 0] - x[:, 1]))
    at = [datetime(2026, 1, 1) + timedelta(minutes=row) for row in range(rows)]
    pl.DataFrame(
        {"at": at, "a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": np.where(positive, "yes", "no")}
    ).write_parquet(folder / "rows.parquet")
    (folder / "ratchet.yaml").write_text(PROJECT, encoding="utf-8")
    return folder


def go(folder: Path, *assignments: str, force: bool = False):
    asked = ("training.window=auto", *assignments)
    project = load_project(folder, assignments=asked, variables={})
    return run(project, Request(force=force))


def output(folder: Path, ended, step: str) -> Path:
    return folder / ".ratchet" / "runs" / ended.run_id / step


def auc(ended) -> float:
    found = ended.metrics["roc_auc"]
    return found["value"] if isinstance(found, dict) else found


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    folder = make(tmp_path_factory.mktemp("changed") / "memory")
    return folder, go(folder)


@pytest.fixture(scope="module")
def of_all(tmp_path_factory):
    folder = make(tmp_path_factory.mktemp("changed") / "all")
    return folder, go(folder, "training.window=all")


def test_the_default_recovers_from_a_change_and_all_rows_do_not(changed, of_all):
    ended, every = changed[1], of_all[1]
    assert ended.outcome == "promoted", ended.reason
    assert auc(ended) > 0.85
    assert every.outcome == "rejected" or auc(every) < 0.6


def test_what_was_chosen_is_told_wherever_the_run_is(changed):
    folder, ended = changed
    window = ended.window
    assert window["setting"] == "auto"
    assert window["of"] == 4_800
    assert window["rows"] < 4_800 - CHANGE + 200
    assert window["tried"][0]["share"] == "all"
    step = next(step for step in ended.steps if step.name == "train")
    assert window["says"] in step.detail
    told = json.loads((folder / ".ratchet" / "runs" / ended.run_id / "run.json").read_text())
    assert told["window"] == json.loads(json.dumps(window))
    page = Path(ended.report).read_text(encoding="utf-8")
    assert "Learned from" in page
    assert "a model of the newest" in page
    (card,) = (folder / ".ratchet" / "bundles").glob("*/card.md")
    assert f"the newest {window['rows']:,} of 4,800 training rows" in card.read_text()


def test_test_rows_stay_as_they_are(changed, of_all):
    folder, ended = changed
    one, other = (np.load(output(*each, "split") / "parts.npy") for each in (changed, of_all))
    assert np.array_equal(one, other)
    learned = np.load(output(folder, ended, "train") / "learned.npy")
    assert np.array_equal(learned == 2, one == 2)
    assert (learned == 0).sum() == ended.window["rows"]
    # The newest of them, without a gap.
    assert (learned[:4_800] == 0).argmax() == 4_800 - ended.window["rows"]
    assert not (output(*of_all, "train") / "learned.npy").exists()


def test_a_table_larger_than_memory_has_the_same_window(changed, tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "LEAST_ROWS", 2_400)
    folder = make(tmp_path / "streamed")
    ended = go(folder, "training.memory=1MB")
    assert ended.outcome == "promoted", ended.reason
    assert json.loads((output(folder, ended, "split") / "facts.json").read_text())["held"] == 2_400
    assert ended.window["of"] == 4_800
    assert ended.window["rows"] < 4_800 - CHANGE + 200
    assert auc(ended) > 0.85


def test_a_stationary_table_is_learned_from_whole(tmp_path):
    ended = go(make(tmp_path, change=ROWS))
    assert ended.outcome == "promoted", ended.reason
    assert (ended.window["rows"], ended.window["of"]) == (4_800, 4_800)
    assert "no shorter window is better" in ended.window["says"]


def test_a_window_set_by_hand_is_another_run(tmp_path):
    folder = make(tmp_path, change=ROWS)
    first = go(folder, "training.window=2000")
    assert (first.window["rows"], first.window["reason"]) == (2_000, "2000, as set")
    assert go(folder, "training.window=2000").outcome == "skipped"
    second = go(folder, "training.window=1d")
    assert second.outcome != "skipped"
    assert second.window["rows"] == 1_441


@pytest.mark.parametrize("update", ["refit", "incremental"])
def test_a_model_that_goes_on_learns_from_the_window_too(update, tmp_path):
    folder = make(tmp_path, change=ROWS, rows=3_000)
    assert go(folder).outcome == "promoted"
    make(tmp_path, change=3_000, rows=6_000)
    ended = go(folder, f"training.update={update}")
    assert ended.update in (update, "refit", "retune")
    if ended.update == "incremental":
        # It learns from the new rows alone, as ever.
        assert "from the new rows alone" in ended.window["says"]
    else:
        assert ended.window["rows"] <= 4_800 - 3_000 + 700
    assert auc(ended) > 0.8


def test_a_window_needs_to_know_when_rows_were(tmp_path):
    folder = make(tmp_path)
    text = PROJECT.replace("  time: at\n", "  exclude: [at]\n")
    (folder / "ratchet.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="nothing says when a row was"):
        go(folder, "training.window=90d")
    ended = go(folder)
    assert ended.window["says"] == "all 4,800 training rows"
