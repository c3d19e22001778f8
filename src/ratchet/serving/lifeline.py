"""What a worker and the process that started it tell each other, also when one of them dies."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from contextlib import suppress

from ratchet.errors import (
    ConfigError,
    ConflictError,
    DataError,
    RatchetError,
    StorageError,
    UsageError,
)


def say(mouth: int, told: object) -> None:
    """Write a line of JSON into a pipe."""
    # The parent may be gone; then there is nobody to tell.
    with suppress(OSError):
        os.write(mouth, json.dumps(told).encode() + b"\n")


def watch_parent(life: int, patience: float) -> None:
    """End this process when its parent is gone, even one that was killed.

    Args:
        life: a pipe whose other end only the parent holds.
        patience: seconds for a graceful end.
    """

    def wait() -> None:
        os.read(life, 1)  # nothing is ever written: it returns when the other end is closed
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(patience)
        os._exit(1)

    threading.Thread(target=wait, name="ratchet-parent", daemon=True).start()


def fault_of(said: bytes, code: int) -> RatchetError:
    """Why a worker ended, from its last words or the way it ended."""
    for line in reversed(said.splitlines()):
        told = json.loads(line)
        if "error" in told:
            found = told["error"]
            kinds = (UsageError, DataError, ConfigError, ConflictError, StorageError)
            kind = next((each for each in kinds if each.exit_code == code), RatchetError)
            return kind(
                found["what"],
                why=found["why"],
                fix=found["fix"],
                where=found["where"],
                code=found["code"],
            )
    if code < 0:
        how = f"signal {signal.Signals(-code).name}"
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        return RatchetError("it was ended from outside", why=how + hint)
    return RatchetError("it ended by itself", why=f"exit code {code}")
