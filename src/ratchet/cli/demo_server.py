"""The demo's other side: a real server, asked about customers over HTTP, and told their fate."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ratchet import clock
from ratchet.errors import RatchetError, UnreachableError

if TYPE_CHECKING:
    import polars as pl

BATCH = 250
"""Customers in one request."""

_PATIENCE = 120.0
_IDLE = 2.0
_ERRORS = "demo-server.txt"


@dataclass(frozen=True, slots=True)
class Predicted:
    """What the server said about some customers.

    Attributes:
        ids: of the predictions, in the customers' order.
        answered: the version that answered each.
        requests: how many it took.
    """

    ids: tuple[str, ...]
    answered: tuple[int, ...]
    requests: int


class DemoServer:
    """``ratchet serve`` in a process of its own, on a free port of this machine.

    Args:
        root: the project's folder.

    Raises:
        RatchetError: it does not start.
    """

    def __init__(self, root: Path) -> None:
        self._told = root / ".ratchet" / _ERRORS
        command = (sys.executable, "-m", "ratchet", "serve", "--json", "--project", str(root))
        with self._told.open("wb") as errors:
            self._process = subprocess.Popen(
                (*command, "--host", "127.0.0.1", "--port", "0"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        try:
            ready = self._ready()
        except BaseException:
            self.stop()
            raise
        self.url: str = ready["url"]
        self.pid: int = ready["pid"]
        address = urlsplit(self.url)
        self._link = HTTPConnection(
            address.hostname or "127.0.0.1", address.port, timeout=_PATIENCE
        )
        self._asked = clock.monotonic()

    def predict(self, customers: pl.DataFrame, *, batch: int = BATCH) -> Predicted:
        """Ask about customers, in batches.

        Args:
            customers: their columns, without what is asked for.
            batch: customers in one request.
        """
        import polars.selectors as cs

        rows = customers.with_columns(cs.temporal().dt.to_string("iso")).to_dicts()
        answers: list[dict[str, Any]] = []
        for begin in range(0, len(rows), batch):
            body = {"records": rows[begin : begin + batch]}
            answers += self._ask("POST", "/v1/predict", body)["predictions"]
        return Predicted(
            ids=tuple(each["prediction_id"] for each in answers),
            answered=tuple(each["model_version"] for each in answers),
            requests=-(-len(rows) // batch),
        )

    def tell(self, fates: Sequence[tuple[str, Any]]) -> int:
        """Send what became of customers: predictions and labels. How many were accepted."""
        told = [{"prediction_id": each, "label": label} for each, label in fates]
        return sum(
            self._ask("POST", "/v1/feedback", {"feedback": told[begin : begin + BATCH]})["accepted"]
            for begin in range(0, len(told), BATCH)
        )

    def wait_for(self, record: int) -> float:
        """Wait until a record of what serves is in force; the seconds that took."""
        began = clock.monotonic()
        while self._ask("GET", "/v1/models")["deployment"] != record:
            if clock.monotonic() - began > _PATIENCE:
                raise self._fault("What is to serve does not come to serve")
            time.sleep(0.02)
        return clock.monotonic() - began

    def stop(self) -> None:
        """End it; what it answered is in the lake then."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _ready(self) -> dict[str, Any]:
        """What it says when it answers."""
        stdout = self._process.stdout
        if stdout is None or not select.select([stdout], [], [], _PATIENCE)[0]:
            raise self._fault("The server does not start")
        line = stdout.readline()
        if not line:
            raise self._fault("The server does not start")
        said = json.loads(line)
        if not said["ok"]:
            error = said["error"]
            raise RatchetError(
                error["what"], why=error["why"], fix=error["fix"], code=error["code"]
            )
        ready: dict[str, Any] = said["data"]
        return ready

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        sent = None if body is None else json.dumps(body)
        # A link that was idle, while a model was trained, may have been closed on the other side.
        if clock.monotonic() - self._asked > _IDLE:
            self._link.close()
        self._asked = clock.monotonic()
        try:
            self._link.request(method, path, sent, {"content-type": "application/json"})
            answer = self._link.getresponse()
            told: dict[str, Any] = json.loads(answer.read())
        except (OSError, HTTPException) as error:
            raise self._fault("The server does not answer", str(error)) from None
        if answer.status != 200:
            raise self._fault(
                f"The server answered {answer.status}: {told['title']}", told.get("detail", "")
            )
        return told

    def _fault(self, what: str, why: str = "") -> UnreachableError:
        return UnreachableError(what, why=why, fix=f"read what it wrote: {self._told}")
