"""What serving a model costs: time for one row, bytes on disk, memory.

Plain numbers, for the budget gate. They differ from machine to machine, so they are no part of a
bundle.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.clock import monotonic
from ratchet.errors import DataError

if TYPE_CHECKING:
    from ratchet.packaging.model import Model
    from ratchet.packaging.tables import Record

ROUNDS = 3
_WARM_UP = 20
_PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from a raw row to its scores, in one process and one thread."""

    p50: float
    p95: float
    calls: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of resident memory of a fresh process that loads the model and scores a row.

    Attributes:
        growth: the peak above what the bare interpreter has; runtime and libraries included.
        peak: the peak.
    """

    growth: int
    peak: int


def measure_single_row_latency(model: Model, records: Sequence[Record], n: int = 1000) -> Latency:
    """Time ``n`` calls of ``score_one`` over ``records``, three times, and keep the calmest.

    Whatever else runs on the machine only ever adds time, so the round with the lowest p95 is
    the nearest to the model's own.
    """
    if not records or n < 1:
        raise ValueError("latency needs a record and a call")
    score = model.score_one
    for i in range(_WARM_UP):
        score(records[i % len(records)])
    rounds = []
    for _ in range(ROUNDS):
        times = []
        for i in range(n):
            record = records[i % len(records)]
            start = monotonic()
            score(record)
            times.append(monotonic() - start)
        times.sort()
        rounds.append((_at(times, 0.95), _at(times, 0.50)))
    p95, p50 = min(rounds)
    return Latency(p50 * 1e3, p95 * 1e3, ROUNDS * n)


def measure_memory(path: Path) -> Memory:
    """Load the bundle at ``path`` in a fresh process, score its example, and read the peak.

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


def _at(times: Sequence[float], share: float) -> float:
    """The smallest time that ``share`` of the sorted ``times`` do not exceed."""
    return times[max(0, -(-int(share * 1000) * len(times) // 1000) - 1)]
