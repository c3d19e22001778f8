"""The socket, its certificates, and the HTTP server behind it: from the first byte to the last."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING

from uvicorn.config import Config
from uvicorn.server import ServerState

from ratchet import clock
from ratchet.errors import ConfigError, ConflictError
from ratchet.serving.app import Application
from ratchet.serving.connections import Connection

if TYPE_CHECKING:
    from ratchet.serving.app import App
    from ratchet.serving.limits import ConnectionLimits
    from ratchet.serving.settings import TlsSettings

BACKLOG = 2048
LAST_CALL = 0.5
"""Seconds in which a client of a server that ends may send another request on its connection."""
_TICK = 1.0


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one.

    Raises:
        ConflictError: the port is taken.
        ConfigError: there is no such address, or the port needs more rights.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise _no_address(host, str(error)) from None
    # `localhost` is often both; those who write 127.0.0.1 must find it.
    found.sort(key=lambda each: each[0] != socket.AF_INET)
    family, kind, protocol, _, address = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # `::` is every address, also those of IPv4, whatever the system's default is.
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise _bind_fault(error, host, port) from None
    listening.setblocking(False)
    return listening


def address_of(listening: socket.socket, *, tls: bool) -> str:
    """The address to call: ``http://127.0.0.1:8000``."""
    host, port = listening.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def load_certificate(tls: TlsSettings, root: Path) -> ssl.SSLContext:
    """What speaks TLS 1.2 and 1.3 with a certificate.

    Raises:
        ConfigError: a file is missing, is no certificate or key, or they do not belong together.
    """
    certificate, key = root / tls.certificate, root / tls.key
    for name, path in (("certificate", certificate), ("key", key)):
        if not os.access(path, os.R_OK):
            raise ConfigError(
                f"The TLS {name} {path} cannot be read",
                fix=f"set serving.tls.{name} to a PEM file that the server's user may read",
                where=f"serving.tls.{name}",
            )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Without the callback OpenSSL asks for the password of a locked key on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ConfigError(
            "The TLS certificate and key cannot be used",
            why=getattr(error, "reason", None) or str(error),
            fix="both are PEM files, the key has no password, and they belong together",
            where="serving.tls",
        ) from None
    return context


class HttpServer:
    """Serves an ASGI application on a listening socket, in the running event loop.

    ``stop`` loses nothing that was asked: requests that are being answered are finished, and a
    connection that is kept open is closed with its next answer, or when it is not used for half a
    second.
    """

    def __init__(
        self, app: App, limits: ConnectionLimits, tls: ssl.SSLContext | None = None
    ) -> None:
        self._config = Config(
            app,
            http=Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=int(limits.idle),
        )
        self._config.load()
        # Its messages are about single requests; what matters is in the metrics.
        logging.getLogger("uvicorn.error").disabled = True
        self._state = ServerState()
        self._limits, self._tls = limits, tls
        self._application = app if isinstance(app, Application) else None
        self._listening: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._late: set[asyncio.Task[object]] = set()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._state.connections)

    async def start(self, listening: socket.socket) -> None:
        """Take connections from now on."""
        loop = asyncio.get_running_loop()
        self._note_time()
        self._listening = listening
        self._server = await loop.create_server(
            self._connection,
            sock=listening,
            ssl=self._tls,
            backlog=BACKLOG,
            ssl_handshake_timeout=min(self._limits.arrival, 10.0) if self._tls else None,
        )
        self._ticking = loop.create_task(self._tick())

    async def stop(self, within: float) -> bool:
        """Take no more connections, finish what was asked, and close.

        Args:
            within: seconds after which what is unfinished is dropped.

        Returns:
            Whether everything was answered.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + within
        await self._stop_listening()
        for connection in self._connections():
            connection.drain()
        last_call = loop.time() + min(LAST_CALL, within)
        while self._state.connections and loop.time() < ends:
            if loop.time() >= last_call:
                for connection in self._connections():
                    if connection.idle:
                        connection.transport.close()
            await asyncio.sleep(0.01)
        finished = not self._state.connections
        for connection in self._connections():
            connection.transport.abort()
        while self._state.tasks and loop.time() < ends:
            await asyncio.sleep(0.01)
        if self._ticking is not None:
            self._ticking.cancel()
        return finished and not self._state.tasks

    def reload(self, tls: TlsSettings, root: Path) -> None:
        """Use renewed certificate files for new connections. Raises ConfigError, see above."""
        load_certificate(tls, root)
        if self._tls is not None:
            self._tls.load_cert_chain(root / tls.certificate, root / tls.key)

    async def _stop_listening(self) -> None:
        """Close the door, and serve who has been let in by the kernel already."""
        if self._server is None or self._listening is None:
            return
        loop = asyncio.get_running_loop()
        spare = self._listening.dup()
        self._server.close()
        self._listening.close()
        with spare:
            spare.setblocking(False)
            for _ in range(BACKLOG):
                try:
                    client, _ = spare.accept()
                except OSError:
                    break
                client.setblocking(False)
                late = loop.connect_accepted_socket(self._connection, client, ssl=self._tls)
                self._late.add(loop.create_task(late))
        await asyncio.sleep(0)

    def _connection(self) -> Connection:
        loop = asyncio.get_running_loop()
        return Connection(self._config, self._state, self._limits, loop, self._application)

    def _connections(self) -> list[Connection]:
        return [each for each in self._state.connections if isinstance(each, Connection)]

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TICK)
            self._note_time()
            now = loop.time()
            for connection in self._connections():
                connection.check(now)

    def _note_time(self) -> None:
        told = formatdate(clock.now().timestamp(), usegmt=True).encode()
        self._state.default_headers = [(b"date", told)]


def _no_address(host: str, why: str) -> ConfigError:
    return ConfigError(
        f"There is no address {host} to listen on",
        why=why,
        fix="set serving.host to 127.0.0.1, 0.0.0.0, or an address of this machine",
        where="serving.host",
    )


def _bind_fault(error: OSError, host: str, port: int) -> ConfigError | ConflictError:
    if error.errno == errno.EADDRINUSE:
        return ConflictError(
            f"Port {port} of {host} is taken",
            why="another program listens there",
            fix="stop it, or take another port: ratchet serve --port 0 finds a free one",
            where="serving.port",
            code="port_taken",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return ConfigError(
            f"Port {port} of {host} may not be used",
            why="ports below 1024 belong to the system",
            fix="take a higher one: ratchet serve --port 8000",
            where="serving.port",
        )
    return _no_address(host, error.strerror or str(error))
