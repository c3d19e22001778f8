"""One training of the past: the project's recipe on what was known then."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet import clock
from ratchet.backtest.stream import Stream
from ratchet.data.split import TEST, TRAIN, assign

if TYPE_CHECKING:
    import polars as pl

    from ratchet.data.settings import SplitSettings
    from ratchet.features.settings import FeaturesSettings
    from ratchet.project import ProjectSettings
    from ratchet.training.settings import TrainingSettings

Scores = npt.NDArray[np.float32]

_TRIED = 20_000
"""Newest rows on which several algorithms are compared, once."""


@dataclass(frozen=True, slots=True)
class Learning:
    """How models are made.

    Attributes:
        training: one algorithm, without a search.
        split: how the known rows are cut; always by time.
        root: the project's folder, for its own feature functions.
    """

    training: TrainingSettings
    features: FeaturesSettings
    split: SplitSettings
    root: Path

    @property
    def algorithm(self) -> str:
        """The candidate that is trained."""
        return next(iter(self.training.algorithms))


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A model of the past, as its scores of every row that it never saw.

    Attributes:
        known: rows whose label was known.
        cut: rows it learned from; the others up to ``known`` were held out.
        tested: where its test rows begin.
        scores: of the rows from ``cut`` on, float32: of the positive class (n - cut,) with two
            classes, of each class (n - cut, k) with more, estimates (n - cut,) of a number.
        cpu: seconds of processor time that the fit took.
        threshold: from which score on the positive class is decided; two classes only.
        start: the first row it learned from, by the training window.
    """

    known: int
    cut: int
    tested: int
    scores: Scores
    cpu: float
    threshold: float = 0.5
    start: int = 0


def cut_rows(stream: Stream, split: SplitSettings, known: int) -> tuple[int, int]:
    """How many of the first ``known`` rows are learned from, and where the test rows begin.

    Raises:
        DataError: nothing is left to learn from or to test on.
    """
    names = [name for name in (stream.roles.time, stream.roles.target) if name is not None]
    parts = assign(
        stream.frame.head(known).select(names), stream.roles, split, stream.task
    ).to_numpy()
    return int((parts == TRAIN).sum()), known - int((parts == TEST).sum())


def fit_at(stream: Stream, learning: Learning, point: int, *, cores: int = 1) -> Fit:
    """Train on what was known at the end of a period.

    Raises:
        RatchetError: the rows cannot be learned from.
    """
    known = stream.known(point)
    cut, tested = cut_rows(stream, learning.split, known)
    began = clock.processor()
    start = _window_start(stream, learning, cut, cores)
    blend = _train(stream, learning.training, learning, start, cut, cores).blend
    used = clock.processor() - began
    proba = blend.score(stream.frame.slice(cut))
    if stream.task.kind == "binary":
        proba = proba[:, 1]
    elif stream.task.kind == "regression":
        proba = proba[:, 0]
    threshold = 0.5 if blend.threshold is None else float(blend.threshold.value)
    scores = np.ascontiguousarray(proba, dtype=np.float32)
    return Fit(known, cut, tested, scores, used, threshold, start)


def _window_start(stream: Stream, learning: Learning, cut: int, cores: int) -> int:
    """Where the training window of the first ``cut`` rows begins; as a run would find it."""
    from ratchet.training.window import fixed_window
    from ratchet.training.window_search import find_window

    setting = learning.training.window
    if setting == "all" or not stream.timed:
        return 0
    assert stream.roles.time is not None
    frame = _readable(stream, 0, cut)
    if setting == "auto":
        window = find_window(
            frame,
            stream.y[:cut],
            settings=learning.training.model_copy(update={"cores": cores}),
            features=learning.features,
            task=stream.task,
            roles=stream.roles,
            schema=stream.schema,
            root=learning.root,
        )
    else:
        window = fixed_window(setting, frame.get_column(stream.roles.time))
    return cut - window.rows


def choose_learning(stream: Stream, settings: ProjectSettings, root: Path) -> Learning:
    """The project's candidates without a search; of several the best one at the first training.

    A later choice would know the future.

    Raises:
        ConfigError: the training window needs ``data.time``.
    """
    from ratchet.training.consistency import check_window
    from ratchet.training.settings import ThresholdSettings

    training = settings.training
    check_window(training, settings.data.time)
    tuning, value = training.tuning, training.threshold.value
    folded = tuning != "off" and tuning.folds > 0
    changes: dict[str, Any] = {"ensemble": False, "update": "retune"}
    if folded and tuning != "off":
        # No trial but the defaults; folds remain, for what is learned on scores of unseen rows.
        changes["tuning"] = tuning.model_copy(update={"trials": 0, "time": None})
    else:
        threshold = ThresholdSettings(value=0.5 if value is None else value)
        changes |= {"tuning": "off", "calibration": "none", "threshold": threshold}
    plain = training.model_copy(update=changes)
    split = settings.data.split.model_copy(update={"by": "time", "column": None})
    made = Learning(plain, settings.features, split, root)
    if len(plain.algorithms) == 1:
        return made
    cut, _ = cut_rows(stream, split, stream.known(stream.first))
    trained = _train(stream, plain, made, max(0, cut - _TRIED), cut, plain.cores)
    name = trained.choice.best.name
    algorithms = {name: plain.algorithms.get(name, {})}
    return Learning(
        plain.model_copy(update={"algorithms": algorithms}), settings.features, split, root
    )


def _readable(stream: Stream, start: int, stop: int) -> pl.DataFrame:
    """Rows with the columns that training reads."""
    special = {stream.roles.target, stream.roles.id, stream.roles.time, stream.roles.group}
    wanted = special | set(stream.roles.features(stream.schema))
    columns = [name for name in stream.schema.names if name in wanted]
    return stream.frame.slice(start, stop - start).select(columns)


def _train(
    stream: Stream,
    training: TrainingSettings,
    learning: Learning,
    start: int,
    stop: int,
    cores: int | None,
) -> Any:
    from ratchet.training.candidates import fit_candidates

    frame = _readable(stream, start, stop)
    assert stream.roles.time is not None
    return fit_candidates(
        frame,
        stream.y[start:stop],
        settings=training.model_copy(update={"cores": cores}),
        features=learning.features,
        task=stream.task,
        roles=stream.roles,
        schema=stream.schema,
        root=learning.root,
        time=frame.get_column(stream.roles.time),
    )
