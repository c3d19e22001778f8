"""What is counted, for Prometheus.

Several worker processes share their numbers through the files of ``PROMETHEUS_MULTIPROC_DIR``,
which must be set before this module is imported; any worker then answers for all of them.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from ratchet.data.predictions.log import LogStats
    from ratchet.serving.residence import Residence
    from ratchet.serving.trouble import Trouble

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
)  # fmt: skip
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_AGES: Final = (
    _MINUTE, 10 * _MINUTE, _HOUR, 6 * _HOUR, _DAY, 2 * _DAY, 7 * _DAY, 30 * _DAY,
)  # fmt: skip

_SOON: Final = 2.0
_log = logging.getLogger("ratchet.serving")

_Served = tuple[Counter, Histogram]


class Later(Collector):
    """A collector that is made beside the requests, soon after the start or when it is asked."""

    def __init__(self, make: Callable[[], Collector], *, after: float = _SOON) -> None:
        self._make = make
        self._made: Collector | None = None
        self._failed = False
        self._making = threading.Lock()
        self._timer = threading.Timer(after, self.made)
        self._timer.daemon = True

    def start(self) -> None:
        """Have it made in a while, in a thread."""
        self._timer.start()

    def stop(self) -> None:
        """Leave it at that."""
        self._timer.cancel()

    def made(self) -> Collector | None:
        """The collector; None where it cannot be made, which is told once."""
        with self._making:
            if self._made is None and not self._failed:
                try:
                    self._made = self._make()
                except Exception as error:  # noqa: BLE001 - the server's own numbers are told without
                    self._failed = True
                    _log.error("the project's metrics are not told: %s", error)
            return self._made

    def collect(self) -> Iterator[Metric]:
        """What it tells."""
        made = self.made()
        if made is not None:
            yield from made.collect()

    def describe(self) -> Iterator[Metric]:
        """Nothing: a registry asks for it when it takes a collector up."""
        yield from ()


class Metrics:
    """The numbers of one process."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._shared = os.environ.get(FOLDER)
        self._registry = CollectorRegistry()
        if not self._shared:
            ProcessCollector(registry=self._registry)
        self._make_counters()
        self._make_gauges()
        self._requests_of: dict[tuple[str, int, str, str], _Served] = {}
        self._answered_of: dict[tuple[str, str], Counter] = {}
        self._known: tuple[Trouble, ...] = ()
        self._last: LogStats | None = None
        self._more: list[Collector] = []

    def request(self, route: str, status: int, arm: str, version: str, seconds: float) -> None:
        """A request was answered."""
        key = (route, status, arm, version)
        found = self._requests_of.get(key)
        if found is None:
            found = (
                self._requests.labels(route, str(status), arm, version),
                self._latency.labels(route, version),
            )
            self._requests_of[key] = found
        found[0].inc()
        found[1].observe(seconds)

    def refused(self, status: int) -> None:
        """A request was refused before it could be read."""
        self._requests.labels("none", str(status), "", "").inc()

    def answered(self, arm: str, version: str, rows: int) -> None:
        """Rows were answered and logged."""
        found = self._answered_of.get((arm, version))
        if found is None:
            found = self._answered_of[arm, version] = self._predictions.labels(arm, version)
        found.inc(rows)

    def failed(self, arm: str, version: str) -> None:
        """A version could not answer a request."""
        self._failed.labels(arm, version).inc()

    def unlogged(self, rows: int) -> None:
        """The log did not take so many rows."""
        self._unlogged.inc(rows)

    def shadow_dropped(self, rows: int) -> None:
        """So many rows were not shadowed, as too many waited."""
        self._shadow_dropped.inc(rows)

    def feedback(self, count: int) -> None:
        """So many labels were accepted."""
        self._feedback.inc(count)

    def feature_age(self, seconds: float) -> None:
        """Stored features of this age were served."""
        self._feature_age.observe(seconds)

    def crashed(self) -> None:
        """A request ended in an error nobody foresaw."""
        self._crashes.inc()

    def observe(self, residence: Residence, log: LogStats) -> None:
        """Take over how the models and the log stand now."""
        now = residence.now
        self._seq.set(0 if now is None else now.traffic.seq)
        self._loaded.set(0 if now is None else len(now.residents))
        self._ledger_up.set(residence.ledger_up)
        troubles = residence.troubles
        self._troubles.set(len(troubles))
        fresh = [each for each in troubles if each.version is not None and each not in self._known]
        self._swap_failures.inc(len(fresh))
        self._known = troubles
        self._observe_log(log)

    def add(self, more: Collector) -> None:
        """Tell too what somebody else counts, for all processes together."""
        self._more.append(more)
        if not self._shared:
            self._registry.register(more)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The numbers as text, and the text's content type."""
        registry = self._registry
        if self._shared:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, self._shared)  # type: ignore[no-untyped-call]
            for each in self._more:
                registry.register(each)
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type

    def _observe_log(self, log: LogStats) -> None:
        last = self._last
        self._waiting.set(log.waiting)
        self._healthy.set(log.healthy)
        self._sync_seconds.set(log.sync_seconds)
        self._exposure.set(log.exposure)
        self._refused.inc(log.refused - (last.refused if last else 0))
        self._syncs.inc(log.syncs - (last.syncs if last else 0))
        self._faults.inc(log.faults - (last.faults if last else 0))
        self._last = log

    def _make_counters(self) -> None:
        def counter(name: str, told: str, *labels: str) -> Counter:
            return Counter(f"ratchet_{name}", told, labels, registry=self._registry)

        self._requests = counter(
            "requests", "Requests answered.", "route", "status", "arm", "version"
        )
        self._latency = Histogram(
            "ratchet_request_seconds",
            "From a request's head to the end of its answer.",
            ("route", "version"),
            registry=self._registry,
            buckets=_SECONDS,
        )
        self._predictions = counter("predictions", "Rows answered.", "arm", "version")
        self._failed = counter(
            "failed_requests", "Requests that a version could not answer.", "arm", "version"
        )
        self._unlogged = counter("unlogged", "Rows that the prediction log did not take.")
        self._shadow_dropped = counter(
            "shadow_dropped", "Rows that shadows did not answer, as too many waited."
        )
        self._feedback = counter("feedback", "Labels accepted.")
        self._crashes = counter("crashes", "Requests that ended in an unforeseen error.")
        self._refused = counter("log_refused", "Writes that found no room in the log.")
        self._syncs = counter("log_syncs", "Times the log waited for the disk.")
        self._faults = counter("log_faults", "Times the disk failed.")
        self._swap_failures = counter("swap_failures", "Versions that did not load.")
        self._feature_age = Histogram(
            "ratchet_feature_age_seconds",
            "Age of the stored features that were served.",
            registry=self._registry,
            buckets=_AGES,
        )

    def _make_gauges(self) -> None:
        def gauge(name: str, told: str, mode: str) -> Gauge:
            return Gauge(
                f"ratchet_{name}",
                told,
                registry=self._registry,
                multiprocess_mode=mode,  # type: ignore[arg-type]
            )

        self._seq = gauge(
            "deployment_seq", "The record of what serves; of the worker most behind.", "livemin"
        )
        self._loaded = gauge("models_loaded", "Model versions in memory.", "livemax")
        self._ledger_up = gauge("ledger_up", "Whether the ledger could be read.", "livemin")
        self._troubles = gauge("troubles", "What keeps the server from the record.", "livemax")
        # Every worker sees the whole folder.
        self._waiting = gauge("log_waiting_bytes", "Bytes not yet in the lake.", "livemax")
        self._healthy = gauge("log_healthy", "Whether the log takes rows.", "livemin")
        self._sync_seconds = gauge(
            "log_sync_seconds", "How long the last wait for the disk took.", "livemax"
        )
        self._exposure = gauge(
            "log_exposure_seconds", "The longest that a row was not on the disk yet.", "livemax"
        )
