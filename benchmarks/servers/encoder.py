"""A row of the customers as the vector that the model reads: dictionary look-ups, nothing more."""

import json
from pathlib import Path

import numpy as np


class Encoder:
    def __init__(self, folder: Path) -> None:
        told = json.loads((folder / "encoder.json").read_text())
        self.columns = [(name, codes or None) for name, codes in told]

    def matrix(self, records: list[dict]) -> np.ndarray:
        nan = float("nan")
        rows = []
        for record in records:
            row = []
            for name, codes in self.columns:
                value = record.get(name)
                if codes is not None:
                    row.append(codes.get(value, nan))
                else:
                    row.append(nan if value is None else float(value))
            rows.append(row)
        return np.array(rows, dtype=np.float32)
