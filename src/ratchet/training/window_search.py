"""Finds the training window: whether the newest rows alone teach better than all rows.

Quick models of all rows, of the newest half, of the newest quarter and so on are held against each
other on the newest rows of the training part. A shorter window is taken where it is better by more
than chance, unless rows like those in it were there before, went and came back. Test rows have no
say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.features.settings import FeaturesSettings
from ratchet.training.algorithms.catalogue import resolve_candidates
from ratchet.training.cores import available_cores
from ratchet.training.entrant import enter
from ratchet.training.fitted import Targets
from ratchet.training.quick_scores import score_blends
from ratchet.training.scoring import LOWER_IS_BETTER
from ratchet.training.select import selection_metric
from ratchet.training.settings import TrainingSettings
from ratchet.training.table import TrainingTable
from ratchet.training.weights import row_weights
from ratchet.training.window import Floats, Tried, Window, moments, told_moment, whole

Positions = npt.NDArray[np.int64]

SURE: Final = 3.0
"""Standard errors by which a shorter window must be better."""
HALVINGS: Final = 4
"""The shortest window that is tried is the newest sixteenth of the rows."""
LEAST: Final = 300
"""Rows before the block that a window must hold to be tried."""
LEAST_OF_CLASS: Final = 10
BLOCK_SHARE, LEAST_BLOCK, MOST_BLOCK = 0.05, 200, 2_000
"""The newest rows that windows are compared on: a share of all, within these limits."""
MOST_TRIED: Final = 20_000
"""Rows that a quick model learns from at most, evenly spaced in the window."""
QUICK: Final = {"num_iterations": 60, "learning_rate": 0.1}
GROUPS: Final = 20
"""Neighbouring parts of the block that the jackknife leaves out in turn."""

_SHARES: Final = ("all", "half", "quarter", "eighth", "sixteenth")


def find_window(
    frame: pl.DataFrame,
    y: Targets,
    *,
    settings: TrainingSettings,
    features: FeaturesSettings,
    task: Task,
    roles: Roles,
    schema: TableSchema,
    root: Path,
) -> Window:
    """The window that ``auto`` takes of the training rows ``frame`` with labels ``y`` (n,).

    Args:
        settings: metric, class weights, seed and cores.
        features: how columns become features.
        task: what is predicted.
        roles: of the columns; time is one of them.
        schema: of the table.
        root: the project's folder.

    Raises:
        RatchetError: the rows cannot be encoded.
    """
    assert roles.time is not None
    column = frame.get_column(roles.time)
    at = moments(column)
    if at is None or np.isnan(at).any():
        return whole("auto", len(y), "not every row says when it was")
    order = np.argsort(at, kind="stable")
    cuts = _cuts(at[order], np.asarray(y)[order], task)
    if len(cuts.starts) < 2:
        return whole("auto", len(y), "too few rows to compare windows on")
    table = TrainingTable(
        frame=frame,
        y=y,
        weight=row_weights(y, settings.class_weight, task),
        time=None,
        groups=None,
        task=task,
        roles=roles,
        schema=schema,
        features=features,
        root=root,
        seed=settings.seed,
    )
    newest = _Newest(table, order, cuts.block, settings.cores or available_cores())
    metric = selection_metric(settings, task)
    scores = newest.scores([(start, cuts.block) for start in cuts.starts])
    best, tried = _compare(metric, scores, newest.labels, cuts.shares)
    why = _why(metric, tried, best)
    if best and _comes_back(metric, newest, cuts, best, tried, len(y)):
        why = (
            f"the newest {cuts.shares[best]} alone is better on the newest rows ({metric} "
            f"{tried[best].value:.4f}, all rows {tried[0].value:.4f}), but rows like it were there "
            "before, went and came back"
        )
        best = 0
    block = len(y) - cuts.block
    if not best:
        return replace(whole("auto", len(y), why), metric=metric, block=block, tried=tried)
    start = cuts.starts[best]
    since = float(at[order[start]])
    begins = told_moment(since, column)
    return Window("auto", len(y) - start, len(y), since, begins, why, metric, block, tried)


@dataclass(frozen=True, slots=True)
class _Cuts:
    """Where windows begin, and the block that they are compared on, in the order of time."""

    starts: tuple[int, ...]
    shares: tuple[str, ...]
    block: int


def _cuts(at: Floats, y: npt.NDArray[Any], task: Task) -> _Cuts:
    """Rows of one moment stay together; a window with too few rows of a class is not tried."""
    rows = len(at)
    newest = int(np.clip(round(BLOCK_SHARE * rows), LEAST_BLOCK, MOST_BLOCK))
    block = int(np.searchsorted(at, at[max(0, rows - newest)], side="left"))
    starts, shares = [0], ["all"]
    every = _counts(y[:block], task)
    for halving in range(1, HALVINGS + 1):
        start = int(np.searchsorted(at, at[rows - (rows >> halving) - 1], side="right"))
        among = _counts(y[start:block], task)
        if block - start < LEAST or (among < np.minimum(every, LEAST_OF_CLASS)).any():
            break
        if start > starts[-1]:
            starts.append(start)
            shares.append(_SHARES[halving])
    return _Cuts(tuple(starts), tuple(shares), block)


def _counts(y: npt.NDArray[Any], task: Task) -> npt.NDArray[np.int64]:
    if task.kind == "regression":
        return np.array([len(y)])
    return np.bincount(y.astype(np.int64), minlength=len(task.classes))


@dataclass(frozen=True, slots=True, eq=False)
class _Newest:
    """The newest rows, from position ``block`` of the ``order`` in time on, and quick models of
    older ones."""

    table: TrainingTable
    order: Positions
    block: int
    threads: int

    @property
    def labels(self) -> npt.NDArray[Any]:
        """Of the newest rows (block,)."""
        return np.asarray(self.table.y)[self.order[self.block :]]

    def scores(self, spans: Sequence[tuple[int, int]]) -> npt.NDArray[np.float32]:
        """The scores (spans, block, c) of the newest rows by a quick model of each span of rows.

        The encoding is learned once, on all of them.
        """
        table = self.table
        chosen = [_thin(start, stop) for start, stop in spans]
        known = np.unique(np.concatenate(chosen))
        (candidate,) = resolve_candidates({"lightgbm": {}}, table.task.kind)
        algorithm = candidate.algorithm
        encoding = algorithm.encoding(table.task, len(known), table.columns)
        recipe, encoded = table.encode(self.order[known], encoding)
        held_out = table.apply(recipe, self.order[self.block :])
        quick, found = replace(candidate, params=QUICK), []
        for places in chosen:
            entrant = enter(quick, table.task, len(places), table.columns, cross_validated=False)
            fitted = algorithm.fit(
                encoded.take(np.searchsorted(known, places)),
                params=entrant.params,
                seed=table.seed,
                threads=self.threads,
                validation=None,
            )
            scores = fitted.predict(held_out)
            found.append(scores[:, 1:] if table.task.kind == "binary" else scores)
        return np.stack(found).astype(np.float32)


def _comes_back(
    metric: str, newest: _Newest, cuts: _Cuts, best: int, tried: Sequence[Tried], rows: int
) -> bool:
    """Whether rows like the newest were there before, with others in between: a season.

    What was before the window is cut into spans as long as it. One is like the window if its quick
    model has at least half of what the window's has over that of all rows.
    """
    start = cuts.starts[best]
    length = rows - start
    spans = [(end - length, end) for end in range(start, length - 1, -length)]
    y = np.asarray(newest.table.y)[newest.order]
    every = _counts(y[: newest.block], newest.table.task)
    least = np.minimum(every, LEAST_OF_CLASS)
    spans = [
        span for span in spans if (_counts(y[span[0] : span[1]], newest.table.task) >= least).all()
    ]
    if not spans:
        return False
    halfway = (tried[0].value + tried[best].value) / 2.0
    values = score_blends(metric, newest.scores(spans), newest.labels, np.ones(rows - newest.block))
    alike = _sign(metric) * (values - halfway) > 0
    # The first spans may be after the change too: what counts comes before one that is unlike.
    unlike = np.flatnonzero(~alike)
    return bool(len(unlike) and alike[unlike[0] :].any())


def _thin(start: int, stop: int) -> Positions:
    count = min(stop - start, MOST_TRIED)
    return start + np.linspace(0, stop - start - 1, count).astype(np.int64)


def _compare(
    metric: str, scores: npt.NDArray[np.float32], y: npt.NDArray[Any], shares: Sequence[str]
) -> tuple[int, tuple[Tried, ...]]:
    """The best window, and all that were tried: from the longest on, each against the best yet."""
    values, parts = _judged(metric, scores, y)
    sign = _sign(metric)
    best, tried = 0, []
    for place, share in enumerate(shares):
        tried.append(Tried(share, float(sign * values[place]), *_better(values, parts, place, 0)))
        difference, se = _better(values, parts, place, best)
        if difference > SURE * se:
            best = place
    return best, tuple(tried)


def _sign(metric: str) -> float:
    return -1.0 if metric in LOWER_IS_BETTER else 1.0


def _judged(
    metric: str, scores: npt.NDArray[np.float32], y: npt.NDArray[Any]
) -> tuple[Floats, Floats]:
    """The metric (m,) of scores (m, n, c), more is better; and (groups, m) without a group each.

    The groups are a jackknife's, of neighbouring rows (Künsch, Annals of Statistics 1989): rows
    that follow each other are alike, and tell less than as many from everywhere. A metric that is
    not defined on these rows is NaN, and proves nothing.
    """
    sign, edges = _sign(metric), np.linspace(0, len(y), GROUPS + 1).astype(np.int64)
    without = []
    for first, last in pairwise(edges):
        left = np.r_[0:first, last : len(y)]
        without.append(sign * score_blends(metric, scores[:, left], y[left], np.ones(len(left))))
    return sign * score_blends(metric, scores, y, np.ones(len(y))), np.stack(without)


def _better(values: Floats, parts: Floats, place: int, other: int) -> tuple[float, float]:
    """How much better one window is than another, and the standard error of that."""
    spread = parts[:, place] - parts[:, other]
    se = float(np.sqrt((GROUPS - 1) * np.mean((spread - spread.mean()) ** 2)))
    return float(values[place] - values[other]), se


def _why(metric: str, tried: Sequence[Tried], best: int) -> str:
    if best:
        found = tried[best]
        return (
            f"a model of the newest {found.share} has {metric} {found.value:.4f} on the newest of "
            f"them, one of all rows {tried[0].value:.4f} ({found.difference:+.4f} ± {found.se:.4f})"
        )
    nearest = max(tried[1:], key=lambda one: one.difference / one.se if one.se else 0.0)
    return (
        f"no shorter window is better by more than {SURE:g} standard errors ({metric} "
        f"{nearest.difference:+.4f} ± {nearest.se:.4f} with the newest {nearest.share})"
    )
