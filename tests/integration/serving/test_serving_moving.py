"""What moves the log beside a server: it yields the processor, and Ctrl-C is not for it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from ratchet.serving.board import Board
from ratchet.serving.moving import Mover

SAYS = """\
import json, os, pathlib, sys
told = {"nice": os.nice(0), "group": os.getpgrp(), "session": os.getsid(0), "pid": os.getpid()}
pathlib.Path(sys.argv[1]).write_text(json.dumps(told))
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    stream = tmp_path / "log" / "stream"
    stream.mkdir(parents=True)
    (stream / "000000.seg").write_bytes(b"something that waits")
    return stream.parent


def test_it_yields_to_the_server_and_is_no_part_of_its_group(tmp_path: Path, log: Path) -> None:
    said = tmp_path / "said.json"
    board = Board()
    mover = Mover((sys.executable, "-c", SAYS, str(said)), log, 60.0, board)
    mover.tick()
    deadline = time.monotonic() + 60
    while not board["compactions"]:
        assert time.monotonic() < deadline, said.exists()
        assert mover.tick() is None
        time.sleep(0.01)
    told = json.loads(said.read_text(encoding="utf-8"))
    assert told["group"] == told["pid"] != os.getpgrp()
    # Niceness counts inside of a session only, where the system groups tasks by sessions.
    assert told["session"] == os.getsid(0)
    assert told["nice"] > os.nice(0)
