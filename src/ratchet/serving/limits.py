"""How much one caller, and all callers together, may ask of a server process."""

from __future__ import annotations

import ipaddress
import mmap
import resource
from collections.abc import Callable
from dataclasses import dataclass

from ratchet import clock

_SLOTS = 1 << 18
_MOST_CONNECTIONS = 4096
_KEPT_FILES = 128


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a connection may do.

    Attributes:
        arrival: seconds in which a request must have arrived, and an answer be taken.
        idle: seconds that a connection may wait for its next request. Longer than the usual 60
            of load balancers: whoever waits longer closes first, and a request that crosses the
            closing of its connection is lost.
        head: bytes of a request's first line and headers.
        headers: how many headers.
        connections: how many connections at once.
    """

    arrival: float
    idle: float = 75.0
    head: int = 32 * 1024
    headers: int = 100
    connections: int = _MOST_CONNECTIONS


class RateLimit:
    """So many requests per second for each caller, with bursts of twice as many.

    The generic cell rate algorithm (ITU-T I.371; a token bucket that keeps one number, the time
    at which the bucket will be full again). The numbers are in memory that forked workers share,
    in as many slots as there are: it never grows, and nobody has to clean up. Two callers share a
    slot with a chance of 1 in 260,000; two workers that look at the same instant may both let a
    request pass.

    Args:
        rate: requests per second.
        now: seconds of a clock that never goes back and is the same in every worker.
    """

    __slots__ = ("_burst", "_gap", "_now", "_times")

    def __init__(
        self, rate: float, *, slots: int = _SLOTS, now: Callable[[], float] = clock.monotonic
    ) -> None:
        self._gap = 1.0 / rate
        self._burst = max(0.0, (2.0 * rate - 1.0) * self._gap)
        self._now = now
        self._times = memoryview(mmap.mmap(-1, slots * 8)).cast("d")

    def take(self, caller: str) -> float:
        """Count a request; 0.0 when it may pass, else the seconds until the next one may."""
        slot = hash(caller) % len(self._times)
        now = self._now()
        full = max(self._times[slot], now)
        wait = full - now - self._burst
        # A hair of tolerance: sums of 1/rate are not exact.
        if wait > 1e-9:
            return wait
        self._times[slot] = full + self._gap
        return 0.0


def address_group(address: str) -> str:
    """The address that is counted: of IPv6 its network, which one subscriber has whole."""
    if ":" not in address:
        return address
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(found) >> 64 << 64))


def allow_connections(wanted: int = _MOST_CONNECTIONS) -> int:
    """How many connections this process may hold: the limit of open files, raised if it can be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _KEPT_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        return max(16, allowed - _KEPT_FILES)
    return wanted
