"""What memory serving a model costs, for the budget gate.

It differs from machine to machine, so it is no part of a bundle.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ratchet.errors import DataError

_PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of resident memory of a fresh process that loads the model and scores a row.

    Attributes:
        growth: the peak above what the bare interpreter has; runtime and libraries included.
        peak: the peak.
    """

    growth: int
    peak: int


def measure_memory(path: Path) -> Memory:
    """Load a model in a fresh process, score a row, and read the peak.

    ``path`` is a bundle, or a folder that ``export_blend`` wrote.

    Costs 0.4 CPU-s: an interpreter, NumPy and the runtime start from nothing.

    Raises:
        DataError: the model cannot be loaded on its own.
    """
    # The package may be imported from a place that a bare interpreter does not look at.
    places = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    answer = subprocess.run(
        [sys.executable, "-m", "ratchet.packaging.probe", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
    )
    if answer.returncode != 0:
        said = answer.stderr.strip().splitlines()
        raise DataError(
            "The bundle cannot be loaded by a process of its own",
            why=said[-1][:300] if said else f"it ended with code {answer.returncode}",
            where=str(path),
            code="bundle_unloadable",
        )
    return Memory(**json.loads(answer.stdout))
