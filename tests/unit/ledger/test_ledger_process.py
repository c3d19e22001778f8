"""Telling a live process from a dead one, and from another with its number."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ratchet.ledger import process
from ratchet.ledger.process import liveness, process_start, this_process


def test_this_process_is_alive() -> None:
    me = this_process()
    assert me.pid == os.getpid()
    assert liveness(me) == "alive"


def test_the_same_number_started_at_another_time_is_gone() -> None:
    assert liveness(replace(this_process(), started="1")) == "gone"


def test_another_machine_cannot_be_told() -> None:
    assert liveness(replace(this_process(), machine="elsewhere")) == "unknown"
    assert liveness(replace(this_process(), started=None)) == "unknown"


def test_a_killed_process_is_gone_before_its_parent_collects_it() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = process_start(child.pid)
    assert start is not None
    holder = replace(this_process(), pid=child.pid, started=start)
    assert liveness(holder) == "alive"
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert liveness(holder) == "gone"
    child.communicate()
    assert liveness(holder) == "gone"


def test_a_system_without_proc_asks_ps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "ps"
    fake.write_text(
        "#!/bin/sh\n"
        'for last; do :; done\n[ "$last" = 7 ] && echo "Z    Sat Nov 21 02:00:00 2026" && exit 0\n'
        '[ "$last" = 8 ] && echo "S+   Sat Nov 21 02:00:00 2026" && exit 0\nexit 1\n',
        encoding="utf-8",
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(process, "_PROC", tmp_path / "no-proc")
    assert process_start(8) == "Sat Nov 21 02:00:00 2026"
    assert process_start(7) is None
    assert process_start(9) is None
    assert "/" in process.machine_name()
