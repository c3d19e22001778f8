"""How many threads the work deserves, within the cores that training may use.

Measured: with two OpenMP threads on shared cores one small LightGBM fit took up to a hundred
times the CPU of the same fit on one thread, since idle threads spin. So idle threads are told to
sleep, and a fit gets a second thread only when there is enough work to share.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

CELLS_PER_THREAD = 5_000_000
"""Below this many matrix cells a thread costs more than it brings (LightGBM, 30 columns)."""

CELLS_ONE_BY_ONE = 20_000_000
"""Above this many cells fits follow each other, so that one matrix is in memory at a time."""


@dataclass(frozen=True, slots=True)
class CorePlan:
    """``workers`` fits side by side, each with ``threads`` threads."""

    workers: int
    threads: int


def available_cores() -> int:
    """Cores this process may use: its affinity and its container's quota."""
    from joblib import cpu_count

    return int(cpu_count())


def plan_cores(cells: int, jobs: int, cores: int) -> CorePlan:
    """Share ``cores`` among ``jobs`` fits on matrices of ``cells`` cells (rows x columns).

    ``workers * threads`` never exceeds ``cores``.
    """
    if cells > CELLS_ONE_BY_ONE:
        return CorePlan(workers=1, threads=cores)
    threads = min(cores, max(1, cells // CELLS_PER_THREAD))
    return CorePlan(workers=max(1, min(jobs, cores // threads)), threads=threads)


def calm_openmp() -> None:
    """Let idle OpenMP threads sleep; has an effect only before the library is loaded."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
