"""``python -m ratchet.loop.confined LIMITS ARGUMENTS...``: ``ratchet ARGUMENTS`` within limits.

The limits hold from inside, so they also hold when the loop that set them is dead: the kernel
ends the process after its time. Memory that is asked for beyond the limit is refused, which the
run can still tell of; the loop watches besides what the run and its own children really take.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ratchet.ledger.process import this_process

_LATE = 30.0
"""Seconds after which the kernel does what the loop should have done."""
_FIRST_TO_GO = 500
_ROOM = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may take.

    Attributes:
        memory: bytes, of the run and its children together.
        seconds: of the calendar, from its start.
        note: the file in which it writes who it is, for a loop that comes after this one.
    """

    memory: int
    seconds: float
    nice: int
    note: str

    def word(self) -> str:
        """All of it as one word of a command line."""
        return json.dumps(asdict(self))


def confine(limits: Limits) -> None:
    """Put this process under the limits."""
    with suppress(OSError):
        os.nice(limits.nice)
    with suppress(OSError):
        # When memory runs out after all, this is what goes, and not the server.
        Path("/proc/self/oom_score_adj").write_text(str(_FIRST_TO_GO), encoding="ascii")
    import resource

    with suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        # Libraries map more than they use: room for that, as the loop sees what is used.
        most = limits.memory + max(_ROOM, limits.memory // 4)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    signal.setitimer(signal.ITIMER_REAL, limits.seconds + _LATE)


def note(limits: Limits) -> None:
    """Write down who this is, before anything that could take long."""
    me = asdict(this_process())
    place = Path(limits.note)
    with suppress(OSError):
        partial = place.with_name(f".{place.name}.{os.getpid()}")
        partial.write_text(json.dumps(me), encoding="utf-8")
        partial.rename(place)


def main() -> None:
    """Read the limits, and be ``ratchet``."""
    limits = Limits(**json.loads(sys.argv[1]))
    note(limits)
    confine(limits)
    sys.argv = ["ratchet", *sys.argv[2:]]
    runpy.run_module("ratchet", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
