"""What every contender's script shares: reading the rows, timing one row, telling the result."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


class Contest:
    """One fit: the folder of the rows, the budget in seconds, the cores, where to write."""

    def __init__(self) -> None:
        folder, out, budget, cores = sys.argv[1:5]
        self.folder, self.out = Path(folder), Path(out)
        self.budget, self.cores = float(budget), int(cores)
        self.meta = json.loads((self.folder / "meta.json").read_text())
        self.target = self.meta["target"]

    def frames(self) -> tuple[Any, Any, Any, Any]:
        """Training columns and labels, test columns and labels, as pandas with categories."""
        import pandas as pd

        train = pd.read_parquet(self.folder / "train.parquet")
        test = pd.read_parquet(self.folder / "test.parquet")
        if self.meta["time"]:
            train = train.sort_values(self.meta["time"], kind="stable").drop(
                columns=self.meta["time"]
            )
            test = test.drop(columns=self.meta["time"])
        for name in train.columns:
            if name != self.target and not pd.api.types.is_numeric_dtype(train[name]):
                kind = pd.CategoricalDtype(sorted(train[name].dropna().unique()))
                train[name] = train[name].astype(kind)
                test[name] = test[name].astype(kind)
        y, y_test = train.pop(self.target), test.pop(self.target)
        return train.reset_index(drop=True), y.reset_index(drop=True), test, y_test

    def tell(self, proba: Any, seconds: float, row: Any, **more: Any) -> None:
        """Write the scores; ``row`` scores one row when called."""
        times = []
        for _ in range(20):
            began = time.perf_counter()
            row()
            times.append(time.perf_counter() - began)
        np.save(self.out / "proba.npy", np.asarray(proba, dtype=np.float64))
        told = {"seconds": seconds, "row_ms": float(np.median(times)) * 1e3, **more}
        (self.out / "told.json").write_text(json.dumps(told))
