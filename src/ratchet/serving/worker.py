"""One process that answers requests, from its first model to its last answer."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import uvloop

from ratchet import clock
from ratchet.config.durations import parse_duration
from ratchet.errors import ConfigError
from ratchet.serving.limits import ConnectionLimits, allow_connections
from ratchet.serving.listener import HttpServer

if TYPE_CHECKING:
    from ratchet.serving.app import App
    from ratchet.serving.site import Site

_CHORES = 0.25
_CERTIFICATES = 60.0


class Assembly(Protocol):
    """What answers: the application and everything behind it (``wiring.assemble`` makes one)."""

    @property
    def app(self) -> App:
        """The application."""

    @property
    def serves(self) -> tuple[int | None, str]:
        """The champion's version; or None, and why nothing serves."""

    def start(self) -> None:
        """Begin what runs beside the requests; called in the event loop."""

    def drain(self) -> None:
        """Tell who asks that the end is near."""

    async def stop(self) -> None:
        """End it, with everything that was answered on disk."""


@dataclass(frozen=True, slots=True)
class Up:
    """A worker that answers.

    Attributes:
        version: the champion's; None before the first promotion.
        why: why nothing serves.
    """

    pid: int
    version: int | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker does.

    Attributes:
        assemble: makes what answers; called once, in the worker's own process.
        announce: is told when requests are answered.
        chore: called four times a second, for whatever else there is to do.
        tell: writes a line for people.
        signals: what ends it gracefully; a second one ends it at once.
    """

    site: Site
    listening: socket.socket
    tls: ssl.SSLContext | None
    assemble: Callable[[], Assembly]
    announce: Callable[[Up], None]
    tell: Callable[[str], None]
    chore: Callable[[], None] = lambda: None
    signals: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGINT)


SWITCH_SECONDS = 0.0005
"""How long a thread may keep the interpreter from another; Python allows ten times that."""


def work(task: Work) -> int:
    """Answer requests until a signal comes.

    Returns:
        The exit code: 0, whether everything could be finished in time or not.
    """
    # The threads that watch the ledger give the interpreter back sooner: requests wait less.
    sys.setswitchinterval(SWITCH_SECONDS)
    loop = uvloop.new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(_work(task, loop))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return 0


async def _work(task: Work, loop: asyncio.AbstractEventLoop) -> None:
    settings = task.site.settings
    timeout = parse_duration(settings.timeout).total_seconds()
    loop.set_exception_handler(partial(_tell_fault, task.tell))
    assembly = task.assemble()
    ending, hurry = asyncio.Event(), asyncio.Event()

    def end() -> None:
        (hurry if ending.is_set() else ending).set()

    for number in task.signals:
        loop.add_signal_handler(number, end)
    limits = ConnectionLimits(timeout, connections=allow_connections())
    server = HttpServer(assembly.app, limits, task.tls)
    assembly.start()
    try:
        await server.start(task.listening)
        # What is loaded by now stays: the collector only looks at what comes after it.
        gc.freeze()
        gc.enable()
        task.announce(Up(os.getpid(), *assembly.serves))
        await _tend(task, server, ending)
        assembly.drain()
        stopping = loop.create_task(server.stop(timeout))
        waiting = loop.create_task(hurry.wait())
        await asyncio.wait((stopping, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not stopping.done() or not stopping.result():
            task.tell("Some requests were not finished in time")
            stopping.cancel()
    finally:
        await assembly.stop()


async def _tend(task: Work, server: HttpServer, ending: asyncio.Event) -> None:
    """Do the chores until the end."""
    files = _certificates(task.site)
    looked = clock.monotonic()
    while not ending.is_set():
        task.chore()
        if clock.monotonic() - looked >= _CERTIFICATES:
            looked = clock.monotonic()
            found = _certificates(task.site)
            if found != files and task.site.settings.tls is not None:
                files = found
                _renew(task, server)
        try:
            await asyncio.wait_for(ending.wait(), _CHORES)
        except TimeoutError:
            continue


def _renew(task: Work, server: HttpServer) -> None:
    if task.site.settings.tls is None:
        return
    try:
        server.reload(task.site.settings.tls, task.site.root)
    except ConfigError as error:
        task.tell(f"The renewed certificate is not used: {error}")


def _tell_fault(
    tell: Callable[[str], None], loop: asyncio.AbstractEventLoop, context: dict[str, Any]
) -> None:
    """A line about what went wrong beside any request; its values are nobody's business."""
    error = context.get("exception")
    tell(f"{context.get('message', '')}{f' ({type(error).__name__})' if error else ''}")


def _certificates(site: Site) -> tuple[float, ...]:
    """When the certificate's files were last changed."""
    tls = site.settings.tls
    if tls is None:
        return ()
    paths = (site.root / tls.certificate, site.root / tls.key)
    return tuple(path.stat().st_mtime if path.exists() else 0.0 for path in paths)
