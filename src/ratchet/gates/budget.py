"""What a model costs where it serves: time for one row, size on disk, memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from ratchet import clock
from ratchet.errors import StorageError
from ratchet.gates.report import GateResult, Where, default_places
from ratchet.gates.settings import BudgetSettings
from ratchet.packaging.bundle import PROFILE


@dataclass(frozen=True, slots=True)
class Cost:
    """What was measured; None where it was not.

    Attributes:
        latency_p95: seconds for one row that 95 of 100 calls stay within.
        size: bytes of the bundle's files, as `measure_size` counts them.
        memory: bytes of a process that loaded the bundle and scored rows.
        problem: why something was not measured.
    """

    latency_p95: float | None = None
    size: int | None = None
    memory: int | None = None
    problem: str = ""


def measure_latency(
    call: Callable[[], object],
    *,
    rounds: int = 5,
    calls: int = 40,
    warm_up: int = 10,
    timer: Callable[[], float] = clock.monotonic,
) -> float:
    """The 95th percentile of one call's seconds, in the least disturbed of several rounds.

    Whatever else the machine does only adds time, so that the smallest round says most about the
    model, and a busy machine does not fail a good one.

    Args:
        call: scores one row.
        rounds: how often to measure.
        calls: calls in each round.
        warm_up: calls before, not measured.
        timer: seconds of a clock that never goes back.
    """
    for _ in range(warm_up):
        call()
    best = float("inf")
    for _ in range(rounds):
        seconds = []
        for _ in range(calls):
            started = timer()
            call()
            seconds.append(timer() - started)
        best = min(best, sorted(seconds)[ceil(0.95 * calls) - 1])
    return best


def measure_size(folder: Path) -> int:
    """Bytes of a bundle's files, but for the profile: monitoring reads it, no server does.

    Raises:
        StorageError: the folder cannot be read.
    """
    try:
        files = [path for path in folder.rglob("*") if path.is_file() and path.name != PROFILE]
        return sum(path.stat().st_size for path in files)
    except OSError as error:
        raise StorageError(
            f"The bundle {folder} cannot be read", why=error.strerror or str(error)
        ) from None


def judge_budget(
    cost: Cost, settings: BudgetSettings, *, where: Where = default_places
) -> tuple[GateResult, ...]:
    """Each configured limit against what was measured."""
    limits: tuple[tuple[str, str, float | None, float | None, Callable[[float], str]], ...] = (
        ("latency_p95", "one row takes", cost.latency_p95, settings.latency_seconds, show_seconds),
        ("size", "the bundle takes", cost.size, settings.size_bytes, show_bytes),
        ("memory", "serving takes", cost.memory, settings.memory_bytes, show_bytes),
    )
    results = []
    for name, phrase, value, limit, show in limits:
        if limit is None:
            continue
        place = where("gates", "budget", name)
        if value is None:
            reason = f"not measured: {cost.problem or 'no measurement was made'}"
            results.append(GateResult(name, "budget", None, limit, False, reason, place))
            continue
        passed = value <= limit
        reason = f"{phrase} {show(value)}, {'at most' if passed else 'more than'} {show(limit)}"
        results.append(GateResult(name, "budget", float(value), limit, passed, reason, place))
    return tuple(results)


def show_seconds(value: float) -> str:
    """``0.0021`` as ``2.1 ms``."""
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"


def show_bytes(value: float) -> str:
    """``50_000_000`` as ``50 MB``."""
    for size, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} B"
