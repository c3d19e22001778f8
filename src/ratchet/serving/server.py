"""The server: what it needs before it may start, one worker or several, and its end."""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import signal
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet import clock
from ratchet.config.durations import parse_duration
from ratchet.data.predictions.streams import held
from ratchet.errors import RatchetError
from ratchet.serving.auth import is_loopback, require_keys
from ratchet.serving.board import Board
from ratchet.serving.listener import address_of, bind, load_certificate
from ratchet.serving.moving import Mover
from ratchet.serving.worker import Assembly, Up, Work, work

if TYPE_CHECKING:
    from ratchet.serving.site import Site


@dataclass(frozen=True, slots=True)
class Ready:
    """A server that answers.

    Attributes:
        url: where.
        pid: the process to signal.
        workers: the processes that answer; the server itself, if it is the only one.
        version: the champion's; None before the first promotion.
        why: why nothing serves.
        warning: what its operator should know.
    """

    url: str
    pid: int
    workers: tuple[int, ...]
    version: int | None
    why: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a site is to be served.

    Attributes:
        assemble: makes what answers, in each worker's own process; gets the shared numbers.
        on_ready: is called once, when every worker answers.
        tell: writes a line for people.
        compact: the command that moves the prediction log into the lake; None: nothing does.
    """

    site: Site
    assemble: Callable[[Board], Assembly]
    on_ready: Callable[[Ready], None]
    tell: Callable[[str], None] = field(default=lambda told: None)
    compact: Sequence[str] | None = None


def serve(plan: Plan) -> int:
    """Serve until SIGTERM or SIGINT, then finish what was asked, and what waits in the log.

    Returns:
        The exit code: 0.

    Raises:
        ConfigError: keys are needed and there are none; certificates or address cannot be used.
        ConflictError: the port is taken.
        EnvironmentFault: the ledger or the log's folder cannot be used.
    """
    settings = plan.site.settings
    with plan.site.open_ledger() as ledger:
        require_keys(settings, ledger.api_keys())
    tls = None if settings.tls is None else load_certificate(settings.tls, plan.site.root)
    listening = bind(settings.host, settings.port)
    with listening:
        return _Server(plan, listening, tls).run()


class _Server:
    def __init__(self, plan: Plan, listening: socket.socket, tls: ssl.SSLContext | None) -> None:
        self._plan, self._listening, self._tls = plan, listening, tls
        self._site = plan.site
        self._board = Board()
        self._url = address_of(listening, tls=tls is not None)
        self._mover: Mover | None = None
        if plan.compact is not None:
            every = parse_duration(self._site.settings.log.compact).total_seconds()
            self._mover = Mover(plan.compact, self._site.log_folder, every, self._board)
        self._ready = False

    def run(self) -> int:
        workers = self._site.settings.workers
        code = self._run_alone() if workers == 1 else self._run_several(workers)
        if self._mover is not None:
            # Whoever is in a hurry sends a second signal; what waits is moved by the next start.
            timeout = parse_duration(self._site.settings.timeout).total_seconds()
            with _interruptible():
                self._alert(self._mover.finish(timeout))
        return code

    def _run_alone(self) -> int:
        return work(
            Work(
                self._site,
                self._listening,
                self._tls,
                lambda: self._plan.assemble(self._board),
                lambda up: self._announce([up]),
                self._plan.tell,
                self._tend_beside,
            )
        )

    def _run_several(self, workers: int) -> int:
        # The workers' metrics are added up in files of this folder, by whichever is asked.
        with _metrics_folder(self._site.folder / "metrics") as folder:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
            # The code is loaded once and shared; what makes threads is left to the workers.
            importlib.import_module("ratchet.serving.wiring")
            gc.freeze()
            gc.enable()
            return self._supervise(workers, folder)

    def _supervise(self, workers: int, metrics: str) -> int:
        from prometheus_client.multiprocess import mark_process_dead

        from ratchet.serving.supervisor import Supervisor

        supervisor = Supervisor(
            workers,
            lambda work_signals, announce: Work(
                self._site,
                self._listening,
                self._tls,
                lambda: self._plan.assemble(self._board),
                announce,
                self._plan.tell,
                signals=work_signals,
            ),
            announce=self._announce,
            tell=self._plan.tell,
            alert=self._alert,
            tend=self._tend,
            close=self._listening.close,
            # Its counts stay, and what it said of the moment goes.
            forget=lambda pid: mark_process_dead(pid, metrics),  # type: ignore[no-untyped-call]
            board=self._board,
            timeout=parse_duration(self._site.settings.timeout).total_seconds(),
        )
        return supervisor.run()

    def _announce(self, up: Sequence[Up]) -> None:
        self._ready = True
        host = self._site.settings.host
        warning = ""
        if self._tls is None and not is_loopback(host):
            warning = "Keys and data travel unencrypted: set serving.tls, or put a proxy in front."
        self._plan.on_ready(
            Ready(
                self._url,
                os.getpid(),
                tuple(each.pid for each in up),
                up[0].version,
                up[0].why,
                warning,
            )
        )

    def _tend(self) -> None:
        if self._mover is not None and self._ready:
            self._alert(self._mover.tick())

    def _tend_beside(self) -> None:
        """The same where requests are answered too: the ledger must not hold them up."""
        news = self._mover.tick() if self._mover is not None and self._ready else None
        if news is not None:
            threading.Thread(target=self._alert, args=(news,), daemon=True).start()

    def _alert(self, news: str | None) -> None:
        """Tell people, and keep an alert until it is delivered."""
        if news is None:
            return
        from ratchet.alerts.messages import compose

        self._plan.tell(news)
        messages = compose(
            self._site.alerts,
            "unhealthy",
            project=self._site.project,
            reason=news,
            at=clock.now(),
        )
        try:
            with self._site.open_ledger() as ledger:
                ledger.enqueue(messages)
        except RatchetError as error:
            self._plan.tell(f"An alert could not be kept: {error.what}")


@contextmanager
def _metrics_folder(root: Path) -> Iterator[str]:
    """A folder for the workers' numbers; what servers that were killed left is cleared away."""
    root.mkdir(parents=True, exist_ok=True)
    for old in root.iterdir():
        with suppress(OSError), held(old / "lock") as free:
            if free:
                shutil.rmtree(old)
    folder = Path(tempfile.mkdtemp(dir=root))
    with held(folder / "lock"):
        try:
            yield str(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let a signal end the body, and nothing else."""

    def stop(number: int, frame: object) -> None:
        raise InterruptedError

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except InterruptedError:
        return
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
