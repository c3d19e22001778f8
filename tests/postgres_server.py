"""A real PostgreSQL server in a temporary folder, for tests that need one."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "s3cret/pass word"


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server: a superuser's ``url`` (password quoted in it) and ``stop()``.

    ``halt()`` and ``start()`` take it away and bring it back, with what it holds.
    """

    url: str
    password: str
    stop: Callable[[], None]
    halt: Callable[[], None]
    start: Callable[[], None]

    @property
    def base(self) -> str:
        """The URL without its database."""
        return self.url.rsplit("/", 1)[0]


def postgres_binaries() -> Path | None:
    """The folder of the server's programs, None when PostgreSQL is not installed."""
    for name in ("pg_config", "postgres"):
        found = shutil.which(name)
        if found is None:
            continue
        if name == "postgres":
            return Path(found).parent
        out = subprocess.run([found, "--bindir"], capture_output=True, text=True, check=True)
        folder = Path(out.stdout.strip())
        if (folder / "initdb").exists():
            return folder
    return None


def start_postgres(folder: Path) -> PostgresServer:
    """Start a server, with a log in ``folder``; skips the test where there is none.

    It listens on a free loopback port, with password login. As root, another user runs it,
    because PostgreSQL refuses to run as root.
    """
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL on this machine")
    account = _account()
    home = folder / "postgres"
    if account is not None:
        # Another account cannot walk into pytest's folders: pytest closes them at every start.
        home = Path(tempfile.mkdtemp(prefix="ratchet-postgres-"))
        home.chmod(0o755)
    home.mkdir(parents=True, exist_ok=True)
    secret = home / "password"
    secret.write_text(PASSWORD + "\n")
    if account is not None:
        shutil.chown(home, account)
        shutil.chown(secret, account)
    data = home / "data"
    run = _Runner(account, home, folder / "postgres-commands.log")
    run(
        str(binaries / "initdb"), "-D", str(data), "-U", "ratchet", "-A", "scram-sha-256",
        f"--pwfile={secret}", "-E", "UTF8", "--locale=C", "--no-sync",
    )  # fmt: skip
    port = _free_port()
    options = (
        f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' "
        "-c fsync=off -c shared_buffers=16MB -c max_connections=20"
    )
    control = (str(binaries / "pg_ctl"), "-D", str(data))

    def start() -> None:
        run(*control, "-l", str(home / "log"), "-w", "-t", "60", "-o", options, "start")

    def halt() -> None:
        run(*control, "-m", "immediate", "-w", "stop")

    def stop() -> None:
        if (data / "postmaster.pid").exists():
            halt()
        shutil.rmtree(home)

    start()

    quoted = PASSWORD.replace("/", "%2F").replace(" ", "%20")
    url = f"postgresql://ratchet:{quoted}@127.0.0.1:{port}/postgres"
    return PostgresServer(url, PASSWORD, stop, halt, start)


class _Runner:
    """Runs a program as ``account``, without the tests' environment."""

    def __init__(self, account: str | None, home: Path, log: Path) -> None:
        self.account = account
        self.home = home
        self.log = log

    def __call__(self, *command: str) -> None:
        with self.log.open("a") as log:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.home,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
                user=self.account,
                group=None if self.account is None else pwd.getpwnam(self.account).pw_gid,
                extra_groups=None if self.account is None else [],
                check=False,
            )
        if done.returncode:
            shown = self.log.read_text()[-2000:]
            raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{shown}")


def _account() -> str | None:
    """Who runs the server when we are root: postgres where there is one, else nobody."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    pytest.skip("no account that PostgreSQL could run as")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
