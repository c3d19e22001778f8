"""Several workers on one socket: started, watched, replaced when they die, and ended together.

Workers are forks of a process that has loaded the code and nothing else: they share its memory,
and all of them read the very same settings, also one that takes the place of another days later.
The socket belongs to all of them, so a connection that one worker had no time to take is taken by
another. A worker notices the end of this process at a pipe, whatever ended it.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from ratchet import clock
from ratchet.errors import RatchetError
from ratchet.serving.board import Board
from ratchet.serving.lifeline import fault_of, say, watch_parent
from ratchet.serving.listener import LAST_CALL
from ratchet.serving.worker import Up, Work, work

_TICK = 0.5
_LIVED = 30.0
"""Seconds after which a worker's end is no sequel of its start."""
_LONGEST_WAIT = 10.0
_IN_A_ROW = 5
"""Short lives in a row before somebody is told."""
_GRACE = 5.0

MakeWork = Callable[[tuple[signal.Signals, ...], Callable[[Up], None]], Work]


@dataclass(slots=True)
class _Slot:
    """A worker's place.

    Attributes:
        pid: the process that has it; 0 while there is none.
        said: what it has said so far, at the pipe ``ear``.
        lives: short lives in a row.
        due: when the next one is started.
    """

    pid: int = 0
    ear: int = -1
    said: bytes = b""
    up: Up | None = None
    started: float = 0.0
    lives: int = 0
    due: float = 0.0


class Supervisor:
    """Keeps so many workers running.

    Args:
        make_work: what a worker does, given the signals that end it and how it tells that it is up.
        announce: is called once, when all of them answer.
        tell: writes a line for people.
        alert: tells somebody who is not looking.
        tend: called twice a second.
        close: stops listening; called when the end begins.
        forget: is told of a worker that is no more.
        timeout: seconds that a worker may take to end.
    """

    def __init__(
        self,
        workers: int,
        make_work: MakeWork,
        *,
        announce: Callable[[Sequence[Up]], None],
        tell: Callable[[str], None],
        alert: Callable[[str], None],
        tend: Callable[[], None],
        close: Callable[[], None],
        forget: Callable[[int], None],
        board: Board,
        timeout: float,
    ) -> None:
        self._make_work, self._announce, self._tell = make_work, announce, tell
        self._alert, self._tend, self._board = alert, tend, board
        self._close_door, self._forget, self._timeout = close, forget, timeout
        self._slots = [_Slot() for _ in range(workers)]
        self._announced = False
        self._signals = 0
        self._fault: RatchetError | None = None
        self._life, self._alive = os.pipe()
        self._selector = selectors.DefaultSelector()
        self._bell, self._ring = socket.socketpair()

    def run(self) -> int:
        """Run until SIGTERM or SIGINT.

        Raises:
            RatchetError: a worker could not start at all.
        """
        for end in (self._bell, self._ring):
            end.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ)
        before = signal.set_wakeup_fd(self._ring.fileno(), warn_on_full_buffer=False)
        handled = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        handlers = {number: signal.signal(number, self._hear) for number in handled}
        try:
            while not self._signals and self._fault is None:
                self._fill()
                self._wait(_TICK)
                self._tend()
            self._end()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before)
            self._close()
        if self._fault is not None:
            raise self._fault
        return 0

    def _hear(self, number: int, frame: object) -> None:
        if number != signal.SIGCHLD:
            self._signals += 1

    def _fill(self) -> None:
        """Start the workers that are due."""
        for slot in self._slots:
            if not slot.pid and clock.monotonic() >= slot.due:
                self._start(slot)

    def _start(self, slot: _Slot) -> None:
        ear, mouth = os.pipe()
        # A signal for the group must not reach the child while it still has our handlers.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
        try:
            pid = os.fork()
            if pid == 0:
                os.close(ear)
                self._be_worker(mouth)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(mouth)
        os.set_blocking(ear, False)
        self._selector.register(ear, selectors.EVENT_READ, slot)
        slot.pid, slot.ear, slot.said, slot.up = pid, ear, b"", None
        slot.started = clock.monotonic()

    def _be_worker(self, mouth: int) -> NoReturn:
        """The child's whole life; it never returns into the code of its parent."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            # Ctrl-C reaches the whole group: it is the parent that ends its workers.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
            self._let_go()
            watch_parent(self._life, self._timeout + LAST_CALL + _GRACE)

            def announce(up: Up) -> None:
                say(mouth, {"version": up.version, "why": up.why})

            code = work(self._make_work((signal.SIGTERM,), announce))
        except RatchetError as error:
            code = error.exit_code
            say(mouth, {"error": error.to_json()})
        except BaseException as error:  # noqa: BLE001 - the process's edge
            if os.environ.get("RATCHET_DEBUG"):
                traceback.print_exc()
            place = traceback.extract_tb(error.__traceback__)[-1]
            bug = RatchetError(
                "This is a bug in Ratchet",
                why=f"{type(error).__name__} in {os.path.basename(place.filename)}:{place.lineno}",  # noqa: PTH119
                fix="run it again with RATCHET_DEBUG=1 and report what it prints",
            )
            say(mouth, {"error": bug.to_json()})
        finally:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _let_go(self) -> None:
        """In the child: close what is the parent's."""
        os.close(self._alive)
        self._selector.close()
        self._bell.close()
        self._ring.close()
        for slot in self._slots:
            if slot.ear >= 0:
                os.close(slot.ear)

    def _wait(self, seconds: float) -> None:
        """Hear what happens: signals, what workers say, and their ends."""
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                with suppress(BlockingIOError):
                    self._bell.recv(4096)
            else:
                self._listen(key.data)
        self._reap()

    def _listen(self, slot: _Slot) -> None:
        try:
            heard = os.read(slot.ear, 65536)
        except BlockingIOError:
            return
        if not heard:
            self._hang_up(slot)
            return
        slot.said += heard
        line, ended, _ = slot.said.partition(b"\n")
        if ended and slot.up is None:
            said = json.loads(line)
            if "error" in said:
                return
            slot.up = Up(slot.pid, said["version"], said["why"])
            up = [each.up for each in self._slots if each.up is not None]
            if not self._announced and len(up) == len(self._slots):
                self._announced = True
                self._announce(up)

    def _hang_up(self, slot: _Slot) -> None:
        if slot.ear >= 0:
            self._selector.unregister(slot.ear)
            os.close(slot.ear)
            slot.ear = -1

    def _reap(self) -> None:
        for slot in self._slots:
            if not slot.pid:
                continue
            pid, status = os.waitpid(slot.pid, os.WNOHANG)
            if pid:
                if slot.ear >= 0:
                    self._listen(slot)
                self._hang_up(slot)
                self._note_end(slot, os.waitstatus_to_exitcode(status))

    def _note_end(self, slot: _Slot, code: int) -> None:
        pid, slot.pid, slot.up = slot.pid, 0, None
        self._forget(pid)
        if self._signals or self._fault is not None:
            return
        error = fault_of(slot.said, code)
        if not self._announced:
            self._fault = error
            return
        lived = clock.monotonic() - slot.started
        slot.lives = 0 if lived >= _LIVED else slot.lives + 1
        wait = 0.0 if slot.lives <= 1 else min(0.1 * 2**slot.lives, _LONGEST_WAIT)
        slot.due = clock.monotonic() + wait
        self._board["worker_restarts"] += 1
        why = f"{error.what}{f' ({error.why})' if error.why else ''}"
        self._tell(f"Worker {pid} ended: {why}. Another one takes its place")
        if slot.lives == _IN_A_ROW:
            self._alert(f"A worker of the server ended {_IN_A_ROW} times in a row: {why}")

    def _end(self) -> None:
        """End all workers: gracefully, at once on a second signal, by force when they are late."""
        seen = self._signals
        # The last worker that lets go of the socket serves who still waits at it.
        self._close_door()
        self._send(signal.SIGTERM)
        ends = clock.monotonic() + self._timeout + LAST_CALL + _GRACE
        while any(slot.pid for slot in self._slots):
            if clock.monotonic() > ends or self._signals > seen:
                self._send(signal.SIGKILL)
            self._wait(0.1)

    def _send(self, number: signal.Signals) -> None:
        for slot in self._slots:
            if slot.pid:
                os.kill(slot.pid, number)

    def _close(self) -> None:
        for slot in self._slots:
            self._hang_up(slot)
        self._selector.close()
        self._bell.close()
        self._ring.close()
        os.close(self._life)
        os.close(self._alive)
