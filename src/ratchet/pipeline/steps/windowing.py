"""Which of a run's training rows are learned from, by ``training.window``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratchet.pipeline.steps.rows import LEARNED

if TYPE_CHECKING:
    from ratchet.pipeline.step import StepContext
    from ratchet.pipeline.steps.rows import Rows
    from ratchet.training.window import Window


def narrow(context: StepContext, rows: Rows) -> tuple[Rows, Window]:
    """The rows as training is to see them, and why; leaves which these are for later steps.

    Raises:
        DataError: the window leaves too little to learn from.
    """
    import numpy as np

    from ratchet.training.window import fixed_window, whole

    setting = context.settings.training.window
    count = rows.count("train")
    if setting == "all" or rows.roles.time is None:
        return rows, whole(setting, count)
    times = rows.train_times
    window = _find(context, rows) if setting == "auto" else fixed_window(setting, times)
    kept = window.keeps(times)
    window = window.applied(kept)
    if not window.shorter:
        return rows, window
    narrower = rows.within(kept)
    np.save(context.folder / LEARNED, narrower.taught, allow_pickle=False)
    return narrower, window


def _find(context: StepContext, rows: Rows) -> Window:
    from ratchet.training.window import whole
    from ratchet.training.window_search import find_window

    count = rows.count("train")
    if context.update == "incremental":
        return whole("auto", count, "going on, the serving model learns from the new rows alone")
    method = context.outputs["split"].facts["method"]
    if method not in ("time", "column"):
        return whole("auto", count, f"the split is by {method}, and not by time")
    context.reporter.progress("looking for the training window")
    frame = rows.train
    return find_window(
        frame,
        rows.task.encode(frame[rows.roles.target]),
        settings=context.settings.training,
        features=context.settings.features,
        task=rows.task,
        roles=rows.roles,
        schema=rows.schema,
        root=context.project.root,
    )
