"""Small streams with models that are made in no time, so that policies can be played on them."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from ratchet.backtest.cells import Cells
from ratchet.backtest.drifting import Drifting
from ratchet.backtest.learning import Fit, cut_rows
from ratchet.backtest.matrix import Matrix
from ratchet.backtest.replay import Played, play
from ratchet.backtest.settings import Pace, Policy
from ratchet.backtest.stream import Stream, make_stream
from ratchet.data.settings import DataSettings, SourceSettings, SplitSettings
from ratchet.gates.settings import GatesSettings
from ratchet.monitoring.settings import MonitoringSettings
from ratchet.triggers.settings import TriggersSettings

START = datetime(2026, 1, 1)
DAY = timedelta(days=1)
WINDOW = 1500
SPLIT = SplitSettings(test=0.2)
DATA = DataSettings(
    source=SourceSettings(type="csv", path="-"), target="y", positive="yes", time="at"
)
ALONE = {
    "performance": None, "estimated": None, "drift": None, "new_rows": None, "max_age": None,
    "follow_up": None,
}  # fmt: skip


def make_frame(turns: list[float], rows: int = 200, seed: int = 0) -> pl.DataFrame:
    """A day of ``rows`` rows for each turn: y follows x[0] at 0, and x[1] at pi / 2."""
    rng = np.random.default_rng(seed)
    count = len(turns) * rows
    x = rng.normal(size=(count, 2))
    turn = np.repeat(turns, rows)
    score = 2.5 * (np.cos(turn) * x[:, 0] + np.sin(turn) * x[:, 1])
    y = rng.uniform(size=count) < 1 / (1 + np.exp(-score))
    step = 86_400_000_000 // rows
    at = np.datetime64(START, "us") + np.arange(count) * np.timedelta64(step, "us")
    return pl.DataFrame({"at": at, "a": x[:, 0], "b": x[:, 1], "y": np.where(y, "yes", "no")})


def make_world(frame: pl.DataFrame, *, delay: float = 1, first: float = 0.2) -> Cells:
    """The stream with every model of its past: a line through the newest rows it may learn from."""
    stream = make_stream(frame, DATA, Pace(DAY, timedelta(days=delay), first))
    fits = {point: fit(stream, point) for point in stream.points}
    return Cells(stream, Matrix(fits, len(fits), 1), "roc_auc")


def fit(stream: Stream, point: int) -> Fit:
    known = stream.known(point)
    cut, tested = cut_rows(stream, SPLIT, known)
    x = stream.frame.select("a", "b").to_numpy()
    side = np.where(np.asarray(stream.y) == 1, 1.0, -1.0)
    rows = slice(max(0, cut - WINDOW), cut)
    weights = np.linalg.lstsq(x[rows], side[rows], rcond=None)[0]
    scores = 1 / (1 + np.exp(-4 * x[cut:] @ weights))
    return Fit(known, cut, tested, scores.astype(np.float32), 1.0)


def policy(name: str = "tested", *, margin: float = 0.0, **triggers: object) -> Policy:
    gates = GatesSettings.model_validate({"champion": {"margin": margin}})
    return Policy(name, TriggersSettings.model_validate(ALONE | triggers), gates)


def played(cells: Cells, tested: Policy) -> Played:
    monitoring = MonitoringSettings()
    return play(cells, tested, monitoring, Drifting(cells, monitoring.drift))
