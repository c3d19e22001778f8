"""The only place that reads the time.

A demonstration or a test may let time run faster: ``RATCHET_CLOCK=START@REAL*SPEED``, for example
``2026-01-01T00:00:00Z@1795250000*3600``, makes every process that reads it agree that it was START
when the machine's clock said REAL (seconds since 1970), and that time passes SPEED times as fast
since. ``RATCHET_CLOCK=@FILE`` names a file that holds this form instead and is read again whenever
it changed: whoever writes it (``turn``) holds the clock or lets it jump, for all processes at once.
``monotonic``, ``processor`` and ``effort`` are never changed: they measure work, not the calendar.
"""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

VARIABLE = "RATCHET_CLOCK"
_FORM = re.compile(r"(?P<start>[^@]+)@(?P<real>[0-9.]+)\*(?P<speed>[0-9.]+)\Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_made: tuple[str, datetime, float, float] | None = None
_file: tuple[str, tuple[int, int, int], str] | None = None


def now() -> datetime:
    """The current time, in UTC."""
    text = os.environ.get(VARIABLE)
    if text is None:
        return datetime.now(UTC)
    start, real, speed = _read(text)
    return start + timedelta(seconds=(time.time() - real) * speed)


def describe(start: datetime, speed: float) -> str:
    """The value of ``RATCHET_CLOCK`` for a time that starts now at ``start``."""
    return f"{start.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}@{time.time():.3f}*{speed:g}"


def turn(file: Path, start: datetime, speed: float) -> None:
    """Have the processes whose ``RATCHET_CLOCK`` is ``@`` and this file see ``start`` from now on.

    Time that goes back is for tests of what becomes of it: everything else only turns it on.
    """
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_text(describe(start, speed), encoding="ascii")
    # Whoever looks meanwhile sees the old time or the new one, never half a line.
    partial.replace(file)


def speed() -> float:
    """How many times as fast as the machine's clock time runs."""
    text = os.environ.get(VARIABLE)
    return 1.0 if text is None else _read(text)[2]


def micros() -> int:
    """The current time in microseconds since 1970, UTC: ``now`` for those who ask very often."""
    if VARIABLE not in os.environ:
        return time.time_ns() // 1000
    return (now() - _EPOCH) // timedelta(microseconds=1)


def monotonic() -> float:
    """Seconds of a clock that never goes back; only differences mean something."""
    return time.monotonic()


def processor() -> float:
    """Seconds of processor time this process has used, all threads together."""
    return time.process_time()


def effort() -> float:
    """Seconds of processor time that this thread has used."""
    return time.thread_time()


def labour() -> float:
    """Seconds of processor time of this process and the ended ones that it started."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _read(text: str) -> tuple[datetime, float, float]:
    global _made
    if text.startswith("@"):
        text = _told(text[1:])
    if _made is None or _made[0] != text:
        found = _FORM.match(text)
        if found is None:
            raise ValueError(f"{VARIABLE} is START@REAL*SPEED, and not {text!r}")
        start = datetime.fromisoformat(found["start"]).astimezone(UTC)
        _made = (text, start, float(found["real"]), float(found["speed"]))
    return _made[1:]


def _told(path: str) -> str:
    """What the file holds; what it held when it is gone: a clock that stops serves nobody."""
    global _file
    known = _file if _file is not None and _file[0] == path else None
    try:
        found = os.stat(path)  # noqa: PTH116 - each time that the time is read
        mark = (found.st_mtime_ns, found.st_size, found.st_ino)
        if known is None or known[1] != mark:
            known = _file = (path, mark, Path(path).read_text(encoding="ascii").strip())
    except OSError as error:
        if known is None:
            raise ValueError(f"{VARIABLE}: {path} cannot be read: {error.strerror}") from None
    return known[2]
