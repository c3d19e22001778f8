"""A project with real bundles, made-up traffic and a clock of its own, for things that go wrong.

Version 1 is champion; versions 2 and 3 passed their gates. ``tick`` is one look of the loop. MLflow
and the web address that takes alerts are servers of the test, which can be taken away.
"""

from __future__ import annotations

import json
import os
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import forked_ratchet
from ratchet import clock
from ratchet.ledger.store import Ledger
from ratchet.loop.tick import TickReport, tick
from ratchet.project import Project, load_project
from ratchet.serving.router import Router
from rollout_world import World
from served_site import ServedSite

FILE = """\
project: churn
data:
  source: {{type: csv, path: data.csv}}
  target: Churn
  positive: "Yes"
  id: customer
serving: {{poll: 50ms}}
rollout: {{strategy: canary}}
{triggers}
storage: {{{storage}}}
alerts: [{alerts}]
"""
TOLD = "promoted, rolled_back, unhealthy, recovered"
QUIET = "triggers: {first: false, new_rows: null, max_age: null}"


class Away:
    """A web server of the test on a port that it keeps, there or not."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self.handler, self.port = handler, 0
        self.got: list[Any] = []
        self.shown: dict[str, str] = {}
        self._server: ThreadingHTTPServer | None = None
        self.come()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def come(self) -> None:
        self._server = server = ThreadingHTTPServer(("127.0.0.1", self.port), self.handler)
        self.port = server.server_port
        server.around = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def go(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None


class _Handler(BaseHTTPRequestHandler):
    def read(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")

    def say(self, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


class Hook(_Handler):
    """Takes alerts; ``got`` holds each one's key and body."""

    def do_POST(self) -> None:
        body = self.read()
        self.server.around.got.append((self.headers["Idempotency-Key"], body))  # type: ignore[attr-defined]
        self.say({})


class Aliases(_Handler):
    """As much of MLflow's REST interface as its aliases need; ``shown`` holds them."""

    def do_GET(self) -> None:
        if "registered-models/search" not in self.path:
            self.say({"experiments": []})
            return
        shown = self.server.around.shown  # type: ignore[attr-defined]
        listed = [{"alias": alias, "version": number} for alias, number in shown.items()]
        self.say({"registered_models": [{"name": "churn", "aliases": listed}]})

    def do_POST(self) -> None:
        asked = self.read()
        if self.path.endswith("/alias"):
            self.server.around.shown[asked["alias"]] = asked["version"]  # type: ignore[attr-defined]
        self.say({"experiments": []})

    def do_DELETE(self) -> None:
        asked = self.read() or {
            name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()
        }
        self.server.around.shown.pop(asked["alias"], None)  # type: ignore[attr-defined]
        self.say({})


class Faulted:
    """The project, the servers around it, and the traffic of its world."""

    def __init__(self, root: Path, *, ledger: str = "sqlite", triggers: str = QUIET) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root, self.state = root, root / ".ratchet"
        self.mlflow, self.hook = Away(Aliases), Away(Hook)
        storage = f'ledger: "{ledger}", tracking: "{self.mlflow.url}"'
        alerts = f'{{url: "{self.hook.url}/x", name: team, on: [{TOLD}]}}'
        text = FILE.format(triggers=triggers, storage=storage, alerts=alerts)
        (root / "ratchet.yaml").write_text(text, encoding="utf-8")
        (root / "data.csv").write_text("customer,tenure,charges,contract,Churn\n", encoding="utf-8")
        url = "" if ledger == "sqlite" else ledger
        self.site = ServedSite(root, url)
        for number in (1, 2, 3):
            self.site.add()
            self.site.ledger.link_version(number, str(number))
            outcome = "promoted" if number == 1 else "candidate"
            self.site.ledger.finish_run(f"r{number}", outcome, "its gates passed")
        self.site.ledger.deploy(1, expected_previous=None, by="run", reason="first", run_id="r1")
        self.site.ledger.close()
        self.world = World(self.state, url=url, project="churn")

    @property
    def ledger(self) -> Ledger:
        return self.world.ledger

    @property
    def project(self) -> Project:
        return load_project(self.root, variables={})

    def tick(self) -> TickReport:
        """One look of the loop, at the world's time."""
        os.environ[clock.VARIABLE] = at(self.world.at)
        return look(self.root)

    def answering(self) -> set[int]:
        """The versions that answer, and the champion is one of them."""
        traffic = self.ledger.traffic()
        assert traffic is not None
        router = Router(traffic)
        found = {router.pick(f"e{number}").version for number in range(500)}
        assert self.world.champion() in found
        places = [self.ledger.version(number).bundle_path for number in found]
        assert all((self.state / place).is_dir() for place in places)
        return found

    def told(self, occasion: str) -> int:
        """How many messages about something arrived."""
        return sum(body["occasion"] == occasion for _, body in self.hook.got)

    def close(self) -> None:
        self.mlflow.go()
        self.hook.go()
        self.ledger.close()


def at(moment: datetime) -> str:
    """``RATCHET_CLOCK`` for a time that stands still."""
    return f"{moment.isoformat()}@0*0"


def look(root: Path) -> TickReport:
    return tick(load_project(root, variables={}), clock.now())


def look_alone(root: str) -> dict[str, Any]:
    """One look in a process of its own; for ``forked_ratchet.Driver.call``."""
    return look(Path(root)).to_json()


def hold_lease(root: str) -> None:
    """Hold the project's lease, and die with it."""
    with load_project(Path(root), variables={}).open_ledger() as ledger, ledger.lease():
        forked_ratchet.die()
