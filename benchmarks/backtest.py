"""What the recommended retraining policy keeps of training in every period, on two real streams.

    python benchmarks/backtest.py [--set elec2|airlines_2008] [--window all|auto] [--state DIR]
                                 [--out DIR]

elec2 in weeks with labels after a week, airlines_2008 in periods of two days, labels after two
days; LightGBM with its own defaults, calibrated on three folds; the gate judges models by log loss,
monitoring by ROC-AUC. Models learn from all known rows,
unless --window says otherwise. The usual policies are compared; none was fitted to these sets.

Goals, for the recommended policy: at least 98 % of the ROC-AUC and of the log loss of training in
every period (with the gate or without it, whichever is better), at most a third of the trainings,
and more than noise better than never training again. With --state the models of the past are kept
there, and the next call trains nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from ratchet import clock
from ratchet.backtest.outcome import Backtest
from ratchet.backtest.recommend import SURE
from ratchet.backtest.report import render_backtest
from ratchet.backtest.run import EVERY, Question, backtest
from ratchet.backtest.settings import Pace
from ratchet.cli.backtest import show_backtest
from ratchet.cli.output import console
from ratchet.project import load_project

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = {"elec2": ("class", "UP", 7), "airlines_2008": ("Delay", "1", 2)}
PROJECT = """\
project: {name}
data:
  source: {{type: parquet, path: {path}}}
  target: {target}
  positive: {positive}
  time: timestamp
training:
  algorithms: {{lightgbm: {{num_iterations: 100, num_leaves: 31, learning_rate: 0.1}}}}
  tuning: {{trials: 0, folds: 3}}
  window: {window}
gates: {{champion: {{metric: log_loss}}}}
"""
KEEP, MOST_RUNS = 0.98, 1 / 3


def replay(name: str, state: Path, window: str) -> Backtest:
    target, positive, days = SETS[name]
    folder = state / name
    folder.mkdir(parents=True, exist_ok=True)
    path = DATA / name / "data.parquet"
    text = PROJECT.format(name=name, path=path, target=target, positive=positive, window=window)
    (folder / "ratchet.yaml").write_text(text, encoding="utf-8")
    span = timedelta(days=days)
    return backtest(load_project(folder), Question(pace=Pace(span, span)))


def judge(found: Backtest) -> bool:
    chosen = found.line(found.recommendation.policy)
    every = found.line(EVERY)
    share = len(chosen.played.runs) / len(every.played.runs)
    better = min(chosen.against_never.z, chosen.loss_against_never.z)
    goals = {
        f"ROC-AUC kept {chosen.kept_metric:.1%}, goal {KEEP:.0%}": chosen.kept_metric >= KEEP,
        f"log loss kept {chosen.kept_loss:.1%}, goal {KEEP:.0%}": chosen.kept_loss >= KEEP,
        f"trainings {share:.1%}, goal {MOST_RUNS:.1%}": share <= MOST_RUNS,
        f"{better:.1f} standard errors better than never, goal {SURE}": better > SURE,
    }
    for said, met in goals.items():
        print("met   " if met else "MISSED", said)
    return all(goals.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--set", choices=sorted(SETS), action="append")
    parser.add_argument("--window", default="all", help="training.window of the recipe")
    parser.add_argument("--state", type=Path, help="keep the models of the past here")
    parser.add_argument("--out", type=Path, help="write the pages here")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    met = True
    with tempfile.TemporaryDirectory() as scratch:
        for name in asked.set or SETS:
            before = clock.labour()
            found = replay(name, asked.state or Path(scratch), asked.window)
            used = clock.labour() - before
            print(f"\n{name}: {found.seconds:.0f} s, {used:.0f} s of processor time")
            show_backtest(console(), found)
            met &= judge(found)
            if asked.out is not None:
                page = asked.out / f"{name}.html"
                page.write_text(render_backtest(found), encoding="utf-8")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
