"""Processes that the loop started, or that a loop before it left: looked at, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from ratchet import clock
from ratchet.ledger.process import ProcessIdentity, liveness, machine_name, process_start

_PROC = Path("/proc")


class Child:
    """A process with a group of its own: Ctrl-C on the terminal is for the loop.

    The session stays the loop's: Linux shares a processor out between sessions first, and only
    inside of one does niceness count (``sched(7)``, autogroup).

    Attributes:
        started: seconds of the monotonic clock; of an adopted one, when it was found.
    """

    def __init__(self, process: subprocess.Popen[bytes] | ProcessIdentity) -> None:
        self._process = process
        self.pid = process.pid
        self.started = clock.monotonic()

    @classmethod
    def start(cls, command: Sequence[str], out: Path, err: Path | None = None) -> Child:
        """Start a program whose words go into files: nobody need read while it runs.

        Args:
            err: where its errors go; to ours if left out.

        Raises:
            OSError: it cannot be started, or the files cannot be written.
        """
        with ExitStack() as files:
            said = files.enter_context(out.open("wb"))
            told = None if err is None else files.enter_context(err.open("wb"))
            return cls(
                subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=told,
                    process_group=0,
                )
            )

    @property
    def adopted(self) -> bool:
        """Whether another process started it; its exit code will not be known."""
        return isinstance(self._process, ProcessIdentity)

    @property
    def seconds(self) -> float:
        """How long it has been there."""
        return clock.monotonic() - self.started

    def ended(self) -> bool:
        """Whether it is over."""
        if isinstance(self._process, ProcessIdentity):
            return liveness(self._process) == "gone"
        return self._process.poll() is not None

    @property
    def code(self) -> int | None:
        """The exit code of one that ended; minus the signal; None where nobody knows."""
        if isinstance(self._process, ProcessIdentity):
            return None
        return self._process.returncode

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it and its own children."""
        if self.ended() and not self.adopted:
            # Its children may have outlived it, and its number is still ours.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)
            return
        if not self.ended():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def ask(self, number: signal.Signals) -> None:
        """Send a signal to it alone: it sees to its own children."""
        if not self.ended():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)

    def memory(self) -> int:
        """Bytes that it and its children take, shared ones once; 0 where nobody can tell."""
        return sum(map(_own_share, group(self.pid)))


def named(machine: str, host: str, pid: int, started: str | None) -> ProcessIdentity | None:
    """A process that still runs on this machine, by what was written of it; else None."""
    found = ProcessIdentity(machine, host, pid, started)
    here = machine == machine_name() and started is not None
    return found if here and process_start(pid) == started else None


def group(leader: int) -> Iterator[int]:
    """The processes of a group, its leader among them."""
    with suppress(OSError):
        for name in os.listdir(_PROC):  # noqa: PTH208 - names are all that is needed
            if not name.isdecimal():
                continue
            with suppress(OSError, IndexError):
                text = (_PROC / name / "stat").read_text(encoding="utf-8", errors="replace")
                if int(text.rpartition(")")[2].split()[2]) == leader:
                    yield int(name)


def _own_share(pid: int) -> int:
    """Proportional set size: pages that several processes share are split between them."""
    with suppress(OSError, ValueError, IndexError):
        for line in (_PROC / str(pid) / "smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
