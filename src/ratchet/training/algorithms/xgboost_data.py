"""Rows as XGBoost learns from them: binned, and the bins kept for the next fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratchet.training.algorithms.reuse import reuse
from ratchet.training.fitted import TrainingRows
from ratchet.training.targets import Standard


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
            return xgboost.QuantileDMatrix(
                part.X,
                part.y if part.classes else standard.standardise(part.y),
                weight=part.weight,
                max_bin=bins,
                nthread=settings["nthread"],
                ref=reference,
            )

        data = matrix(rows, None)
        return data, None if validation is None else matrix(validation, data), validation

    key = ("xgboost", bins, id(validation), standard, settings.get("device"))
    return reuse(rows, key, make)[:2]
