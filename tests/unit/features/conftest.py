"""A short way to fit a recipe on a table made in the test."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.features.recipe import Encoding, Recipe, fit_recipe
from ratchet.features.settings import FeaturesSettings

Fit = Callable[..., tuple[Recipe, np.ndarray]]


@pytest.fixture
def fit(tmp_path: Path) -> Fit:
    """``fit(columns, labels, **settings)``; the columns become a table in canonical types."""

    def run(
        columns: Mapping[str, Any],
        y: Any = None,
        *,
        encoding: Encoding | None = None,
        task: Task | None = None,
        roles: Roles | None = None,
        seed: int = 7,
        encoding_limits: dict[str, Any] | None = None,
        **settings: Any,
    ) -> tuple[Recipe, np.ndarray]:
        frame = columns if isinstance(columns, pl.DataFrame) else pl.DataFrame(columns)
        settings |= {"encoding": encoding_limits or {}}
        labels = np.arange(frame.height) % 2 if y is None else np.asarray(y)
        return fit_recipe(
            frame,
            labels,
            roles=roles or Roles(target="y"),
            schema=TableSchema.from_polars(frame.schema),
            settings=FeaturesSettings.model_validate(settings),
            encoding=encoding or Encoding(),
            task=task or Task("binary", ("no", "yes")),
            seed=seed,
            root=tmp_path,
        )

    return run
