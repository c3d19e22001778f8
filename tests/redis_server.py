"""A real Redis server in a temporary folder, for tests that need one."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

_DEADLINE = 10.0


class RedisServer:
    """A server on a free loopback port, which can be stopped, started again, and frozen.

    It keeps nothing: started again, it is empty, or as it was at the last ``save``.
    """

    def __init__(self, folder: Path, *, password: str | None = None) -> None:
        self._binary = shutil.which("redis-server")
        if self._binary is None:
            pytest.skip("no Redis on this machine")
        pytest.importorskip("redis", reason="redis-py is not installed")
        self._folder, self._password = folder, password
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self.start()

    @property
    def url(self) -> str:
        """Its first database."""
        login = "" if self._password is None else f":{self._password}@"
        return f"redis://{login}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, on the port it had before; it answers when this returns."""
        options = [
            "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder),
            "--save", "", "--appendonly", "no", "--loglevel", "warning",
        ]  # fmt: skip
        if self._password is not None:
            options += ["--requirepass", self._password]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        end = time.monotonic() + _DEADLINE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError((self._folder / "redis.log").read_text()[-2000:])
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop it; its connections are closed when this returns."""
        if self._process is not None:
            self.thaw()
            self._process.terminate()
            self._process.wait(_DEADLINE)
            self._process = None

    def freeze(self) -> None:
        """Let it take connections and answer nothing, as a machine in trouble does."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def empty(self) -> None:
        """Forget everything."""
        self._say(b"FLUSHALL\r\n")

    def save(self) -> None:
        """Write what it holds to the disk."""
        assert self._say(b"SAVE\r\n")[:3] == b"+OK"

    def _answers(self) -> bool:
        try:
            return self._say(b"PING\r\n")[:1] in (b"+", b"-")  # - when it wants a password
        except OSError:
            return False

    def _say(self, command: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=_DEADLINE) as link:
            if self._password is not None:
                link.sendall(f"AUTH {self._password}\r\n".encode())
                link.recv(100)
            link.sendall(command)
            return link.recv(100)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
