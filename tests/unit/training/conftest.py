from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.features.settings import FeaturesSettings
from ratchet.training.cores import calm_openmp
from ratchet.training.fitted import TrainingRows

calm_openmp()


def make_frame(rows, classes=2, seed=0):
    """Customers whose class depends on a number, a category and a second number."""
    rng = np.random.default_rng(seed)
    amount, age = rng.normal(size=rows), rng.normal(size=rows)
    plan = rng.choice(["a", "b", "c"], size=rows)
    signal = 1.5 * amount + (plan == "a") - 0.5 * age**2 + rng.normal(size=rows)
    cuts = np.quantile(signal, np.arange(1, classes) / classes)
    y = np.searchsorted(cuts, signal).astype(np.int32)
    amount[::17] = np.nan
    frame = pl.DataFrame(
        {
            "amount": amount,
            "age": age,
            "plan": plan,
            "month": np.arange(rows) // 40,
            "household": np.arange(rows) // 3,
            "target": [f"class {code}" for code in y],
        }
    ).with_columns(pl.col("amount").fill_nan(None))
    return frame, y


@pytest.fixture
def problem():
    """Everything ``fit_candidates`` asks for but its settings."""

    def make(rows=300, classes=2, **roles):
        frame, y = make_frame(rows, classes)
        names = tuple(f"class {code}" for code in range(classes))
        return {
            "frame": frame,
            "y": y,
            "features": FeaturesSettings(),
            "task": Task("binary" if classes == 2 else "multiclass", names),
            "roles": Roles(target="target", exclude=("month", "household"), **roles),
            "schema": TableSchema.from_polars(frame.schema),
            "root": Path.cwd(),
        }

    return make


@pytest.fixture
def encoded():
    """Encoded rows: two category columns, four numbers with a clear signal, nothing missing."""

    def make(rows=300, classes=2, seed=0, weight=None):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(rows, 6)).astype(np.float32)
        X[:, :2] = rng.integers(0, 5, size=(rows, 2))
        signal = X[:, 2] + (X[:, 0] == 2) + 0.5 * rng.normal(size=rows)
        cuts = np.quantile(signal, np.arange(1, classes) / classes)
        y = np.searchsorted(cuts, signal).astype(np.int32)
        names = tuple(f"x{i}" for i in range(6))
        return TrainingRows(X, y, weight, (0, 1), names, classes)

    return make
