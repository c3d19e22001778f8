"""Rows as XGBoost learns from them: binned, and the bins kept for the next fit."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ratchet.training.algorithms.reuse import reuse
from ratchet.training.fitted import TrainingRows
from ratchet.training.matrix_file import MatrixFile
from ratchet.training.targets import Standard

BYTES_PER_CELL = 6
"""What binned rows take in memory (XGBoost 3.2, 256 bins, 2 million rows x 40 columns)."""

SHARE_OF_MEMORY = 0.5
"""Bins that would take more than this stay on disk; a round then takes about 1.6 times as long."""


def bin_rows(
    rows: TrainingRows,
    validation: TrainingRows | None,
    settings: Mapping[str, Any],
    standard: Standard,
) -> tuple[Any, Any]:
    """The rows binned, and those watched (or None) in the same bins."""
    bins = int(settings.get("max_bin", 256))

    def make() -> tuple[Any, Any, TrainingRows | None]:
        import xgboost

        def matrix(part: TrainingRows, reference: Any) -> Any:
            y = part.y if part.classes else standard.standardise(part.y)
            shared = {"max_bin": bins, "nthread": settings["nthread"], "ref": reference}
            if part.file is not None:
                return _from_file(part.file, y, part.weight, shared)
            return xgboost.QuantileDMatrix(part.X, y, weight=part.weight, **shared)

        data = matrix(rows, None)
        return data, None if validation is None else matrix(validation, data), validation

    key = ("xgboost", bins, id(validation), standard, settings.get("device"))
    return reuse(rows, key, make)[:2]


def stays_on_disk(file: MatrixFile | None) -> bool:
    """Whether the bins of these rows are too many for memory."""
    return file is not None and file.cells * BYTES_PER_CELL > SHARE_OF_MEMORY * file.memory


def _from_file(file: MatrixFile, y: Any, weight: Any, shared: Mapping[str, Any]) -> Any:
    """Rows that lie in a file; their bins in memory, or on disk where those are too many."""
    import xgboost

    class Pieces(xgboost.DataIter):  # type: ignore[misc]
        def __init__(self, cache: Path | None) -> None:
            self._at = 0
            super().__init__(cache_prefix=None if cache is None else str(cache / "bins"))

        def reset(self) -> None:
            self._at = 0

        def next(self, input_data: Any) -> bool:
            if self._at >= file.rows:
                return False
            here = slice(self._at, min(file.rows, self._at + file.piece_rows))
            self._at = here.stop
            input_data(
                data=file.read(here.start, here.stop),
                label=y[here],
                weight=None if weight is None else weight[here],
            )
            return True

    if not stays_on_disk(file):
        return xgboost.QuantileDMatrix(Pieces(None), **shared)
    folder = Path(tempfile.mkdtemp(prefix="_bins-", dir=file.folder))
    made = xgboost.ExtMemQuantileDMatrix(Pieces(folder), **shared)
    # Called after XGBoost has let its own files in there go.
    weakref.finalize(made, shutil.rmtree, folder, ignore_errors=True)
    return made
