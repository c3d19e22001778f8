"""The demo's team: a web address of this machine that alerts are sent to, kept line by line."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CHANNEL = "team"
_HEARS = (
    "failed", "rejected", "candidate", "promoted", "widened", "inconclusive", "rolled_back",
    "drift", "performance", "unhealthy",
)  # fmt: skip


class Inbox:
    """Takes alerts as a team's chat would, from when it is made until it is closed.

    Args:
        file: each alert becomes a line of it, as it came.

    Attributes:
        received: the alerts, in the order they came.
    """

    def __init__(self, file: Path) -> None:
        self.received: list[dict[str, Any]] = []
        keep = self._keep

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                keep(body)
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """The demo's screen is for the story."""

        self._file = file
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def setting(self) -> str:
        """The channel, as ``--set`` takes it: no address of an hour belongs in a project file."""
        port = self._server.server_address[1]
        url = f"http://127.0.0.1:{port}/"
        return f"alerts=[{{url: '{url}', name: {CHANNEL}, on: [{', '.join(_HEARS)}]}}]"

    def close(self) -> None:
        """Take no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _keep(self, body: bytes) -> None:
        alert = json.loads(body)
        self.received.append(alert)
        with self._file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(alert, ensure_ascii=False) + "\n")
