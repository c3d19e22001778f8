"""A few numbers that the processes of one server share, so that each can tell them as metrics."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

Entry = Literal[
    "compactions",
    "compaction_failures",
    "compaction_failures_in_a_row",
    "compaction_seconds",
    "compacted_at",
    "worker_restarts",
]


class Board:
    """Numbers in memory that forked processes share; one process writes each of them.

    - ``compactions``: passes that moved the prediction log into the lake.
    - ``compaction_failures``, ``compaction_failures_in_a_row``: passes that did not.
    - ``compaction_seconds``: how long the last pass took.
    - ``compacted_at``: when the last good one ended, in seconds since 1970; 0 before the first.
    - ``worker_restarts``: workers that ended by themselves and were started anew.
    """

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        self._numbers = memoryview(mmap.mmap(-1, 8 * len(get_args(Entry)))).cast("d")

    def __getitem__(self, entry: Entry) -> float:
        return self._numbers[_PLACES[entry]]

    def __setitem__(self, entry: Entry, value: float) -> None:
        self._numbers[_PLACES[entry]] = value

    def collect(self) -> Iterator[Metric]:
        """The numbers for Prometheus."""
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        for entry, name, told in _COUNTERS:
            yield CounterMetricFamily(f"ratchet_{name}", told, value=self[entry])
        for entry, name, told in _GAUGES:
            yield GaugeMetricFamily(f"ratchet_{name}", told, value=self[entry])

    describe = collect


_PLACES: dict[str, int] = {name: place for place, name in enumerate(get_args(Entry))}

_Told = tuple[Entry, str, str]
_COUNTERS: tuple[_Told, ...] = (
    ("compactions", "compactions", "Passes that moved the prediction log into the lake."),
    ("compaction_failures", "compaction_failures", "Passes that did not."),
    ("worker_restarts", "worker_restarts", "Workers that ended by themselves."),
)
_GAUGES: tuple[_Told, ...] = (
    ("compaction_seconds", "compaction_seconds", "How long the last pass took."),
    ("compacted_at", "compaction_success_timestamp_seconds", "When the last good one ended."),
)
