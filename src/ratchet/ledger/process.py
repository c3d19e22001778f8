"""Who this process is, and whether another one still lives."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Liveness = Literal["alive", "gone", "unknown"]

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process, named so that no later one is taken for it.

    Attributes:
        machine: where its number means something: this boot and this container. Two containers
            may share a host name, and a number means nothing after a reboot.
        host: the host's name, for people.
        pid: its number.
        started: when it started, in whatever form the system tells; None when it does not.
    """

    machine: str
    host: str
    pid: int
    started: str | None


def this_process() -> ProcessIdentity:
    """The identity of the running process."""
    pid = os.getpid()
    return ProcessIdentity(machine_name(), socket.gethostname(), pid, process_start(pid))


def operator() -> str:
    """Who runs this process, for the record; in a container a user may have no name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def machine_name() -> str:
    """A name of this boot and process namespace; host name and network card where unknown."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return f"{socket.gethostname()}/{uuid.getnode():012x}"


def process_start(pid: int) -> str | None:
    """When process ``pid`` of this machine started; None when it is gone or cannot be told.

    A process that ended but was not collected by its parent (a zombie) is gone.
    """
    if (_PROC / "self/stat").exists():
        return _start_from_proc(pid)
    if sys.platform == "win32":
        return None
    return _start_from_ps(pid)


def liveness(holder: ProcessIdentity) -> Liveness:
    """Whether ``holder`` still runs; ``unknown`` on another machine, where only time tells."""
    if holder.machine != machine_name() or holder.started is None:
        return "unknown"
    return "alive" if process_start(holder.pid) == holder.started else "gone"


def _start_from_proc(pid: int) -> str | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field is the command in parentheses, and may hold blanks and parentheses itself.
    fields = text.rpartition(")")[2].split()
    state, start = fields[0], fields[19]
    return None if state in ("Z", "X") else start


def _start_from_ps(pid: int) -> str | None:
    try:
        answer = subprocess.run(
            ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    state, _, start = answer.stdout.strip().partition(" ")
    return None if not start or state.startswith("Z") else start.strip()
