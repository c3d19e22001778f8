"""Rows as LightGBM learns from them: binned, and the bins kept for the next fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ratchet.training.algorithms.reuse import reuse
from ratchet.training.fitted import TrainingRows
from ratchet.training.matrix_file import MatrixFile
from ratchet.training.targets import Standard

BINNING = ("max_bin", "min_data_in_bin")
"""The parameters that decide how a data set is binned, of those that may be set."""


def bin_rows(
    rows: TrainingRows,
    validation: TrainingRows | None,
    settings: Mapping[str, Any],
    standard: Standard,
    *,
    reusable: bool,
) -> tuple[Any, Any]:
    """The rows binned, and those watched (or None) in the same bins.

    Bins are reused only without an earlier model, which needs the raw rows to score them first.
    """

    def make() -> tuple[Any, Any, TrainingRows | None]:
        data = _binned(rows, settings, standard, None)
        watched = None if validation is None else _binned(validation, settings, standard, data)
        if reusable:
            data.construct()
            if watched is not None:
                watched.construct()
        return data, watched, validation  # the rows are held, so that no others get their id

    if not reusable:
        return make()[:2]
    key = ("lightgbm", settings["seed"], id(validation), *(settings.get(name) for name in BINNING))
    return reuse(rows, key, make)[:2]


def _in_pieces(file: MatrixFile) -> Any:
    """Rows in a file as LightGBM reads them: some at random to find its bins, then all in turn."""
    import lightgbm

    class Pieces(lightgbm.Sequence):  # type: ignore[misc]
        batch_size = file.piece_rows

        def __len__(self) -> int:
            return file.rows

        def __getitem__(self, index: Any) -> Any:
            if isinstance(index, slice):
                start, stop, _ = index.indices(file.rows)
                return file.read(start, stop)
            # It wants the rows that it finds its bins by in double precision.
            return file.read(int(index), int(index) + 1)[0].astype(np.float64)

    return Pieces()


def _binned(
    rows: TrainingRows, settings: Mapping[str, Any], standard: Standard, reference: Any
) -> Any:
    import lightgbm

    return lightgbm.Dataset(
        rows.X if rows.file is None else _in_pieces(rows.file),
        rows.y if rows.classes else standard.standardise(rows.y),
        weight=rows.weight,
        categorical_feature=list(rows.categorical),
        params=dict(settings),
        reference=reference,
    )
