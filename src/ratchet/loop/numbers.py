"""The loop's own numbers for Prometheus: in a file of its folder, and on a port if one is set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest, start_http_server

from ratchet import clock
from ratchet.errors import ConfigError

_EVERY = 10.0


class Numbers:
    """Counts what the loop does.

    Args:
        file: gets all of them, for a collector of text files.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._written = file, -_EVERY
        self.registry = all_ = CollectorRegistry()
        self.ticks = Counter("ratchet_loop_ticks", "Ticks", registry=all_)
        self.ticked = Gauge(
            "ratchet_loop_ticked_seconds", "When it ticked last (Unix)", registry=all_
        )
        self.seconds = Gauge(
            "ratchet_loop_tick_seconds", "How long the last tick took", registry=all_
        )
        self.cpu = Gauge(
            "ratchet_loop_cpu_seconds", "Processor time of the loop itself", registry=all_
        )
        self.states = Gauge("ratchet_loop_projects", "Projects by state", ["state"], registry=all_)
        self.looks = Counter(
            "ratchet_loop_looks", "Looks by how they went", ["outcome"], registry=all_
        )
        self.look_seconds = Counter("ratchet_loop_look_seconds", "Time of looks", registry=all_)
        self.lookers = Gauge("ratchet_loop_looker_starts", "Starts of what looks", registry=all_)
        self.fired = Counter("ratchet_loop_fired", "Runs ordered", ["project"], registry=all_)
        self.runs = Counter(
            "ratchet_loop_runs", "Runs by outcome", ["project", "outcome"], registry=all_
        )
        self.run_seconds = Counter(
            "ratchet_loop_run_seconds", "Time of runs", ["project"], registry=all_
        )
        self.working = Gauge("ratchet_loop_runs_working", "Runs at work", registry=all_)
        self.waiting = Gauge("ratchet_loop_runs_waiting", "Runs that wait", registry=all_)
        self.faults = Gauge(
            "ratchet_loop_project_faults",
            "Failed looks in a row",
            ["project"],
            registry=all_,
        )
        self.looked = Gauge(
            "ratchet_loop_looked_seconds",
            "When a project was looked at last",
            ["project"],
            registry=all_,
        )
        self.away = Gauge("ratchet_loop_ledgers_away", "Ledger servers out of reach", registry=all_)
        self.jumps = Counter("ratchet_loop_clock_jumps", "Times the clock was set", registry=all_)
        self._close: Callable[[], None] | None = None

    def listen(self, port: int) -> None:
        """Answer Prometheus on a loopback port.

        Raises:
            ConfigError: the port is taken.
        """
        try:
            server, thread = start_http_server(port, "127.0.0.1", self.registry)
        except OSError as error:
            raise ConfigError(
                f"The port {port} for the loop's metrics cannot be used",
                why=error.strerror or str(error),
                fix="choose another one with loop.metrics_port",
                where="loop.metrics_port",
            ) from None

        def close() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        self._close = close

    def count_states(self, states: Mapping[str, int]) -> None:
        """Note how many projects are in which state."""
        self.states.clear()
        for state, number in states.items():
            self.states.labels(state).set(number)

    def forget(self, project: str) -> None:
        """Drop what was said of a project that is gone."""
        for one in (self.faults, self.looked):
            one.remove_by_labels({"project": project})

    def write(self, *, now: bool = False) -> None:
        """Write the file, if it is old enough."""
        if not now and clock.monotonic() - self._written < _EVERY:
            return
        self._written = clock.monotonic()
        try:
            partial = self._file.with_name(f".{self._file.name}")
            partial.write_bytes(generate_latest(self.registry))
            partial.rename(self._file)
        except OSError:
            return  # the numbers are told again, and the loop has its work

    def close(self) -> None:
        """Write a last time, and stop listening."""
        self.write(now=True)
        if self._close is not None:
            self._close()
