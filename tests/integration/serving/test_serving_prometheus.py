"""``/metrics`` as Prometheus reads it: its own linter, and a real server that scrapes."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bare_server import Served, served, wait_until
from served_site import ROW, ServedSite

PROJECT = """\
project: churn
data:
  source: {type: csv, path: data.csv}
  target: Churn
  id: customer
serving: {poll: 50ms}
"""
ROWS = 7


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A server that has answered, refused, and been told labels. To be looked at, not asked."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "ratchet.yaml").write_text(PROJECT)
    site = ServedSite(folder)
    site.promote(site.add())
    words = ("serve", "--json", "--port", 0, "--workers", request.param, "--project", folder)
    with served(("-m", "ratchet", *words), folder / "errors.txt") as started:
        ask = httpx.Client(base_url=started.url)
        with ask:
            told = [ask.post("/v1/predict", json={"record": ROW}).json() for _ in range(ROWS)]
            label = {"prediction_id": told[0]["prediction_id"], "label": "Yes"}
            assert ask.post("/v1/feedback", json=label).status_code == 200
            assert ask.post("/v1/predict", json={"record": {}}).status_code == 422
            assert ask.post("/invocations", content=b"tenure\n1\n").status_code == 415
            assert ask.get("/nowhere").status_code == 404
        yield started
        assert started.stop() == 0


def test_promtool_accepts_it(server: Served) -> None:
    tool = _installed("promtool")
    text = httpx.get(f"{server.url}/metrics").text
    assert "ratchet_predictions_total" in text
    told = subprocess.run(
        [tool, "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


def test_prometheus_scrapes_it(server: Served, tmp_path: Path) -> None:
    with _prometheus(tmp_path, server.port) as ask:

        def value(query: str) -> float | None:
            found = ask(query)
            return float(found[0]["value"][1]) if found else None

        query = 'sum(ratchet_predictions_total{arm="champion",version="1"})'
        wait_until(lambda: value(query) == ROWS, 30)
        assert value("min(up)") == 1
        assert value("sum(ratchet_feedback_total)") == 1
        named = {each["metric"]["__name__"] for each in ask('{job="ratchet"}')}
        assert not {name for name in named if name.startswith("ratchet_")} - _described(server)


def _described(server: Served) -> set[str]:
    """The names of all series, with the endings that a histogram and a counter have."""
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    return {line.partition("{")[0].partition(" ")[0] for line in lines if line[:1] != "#"}


@contextmanager
def _prometheus(folder: Path, target: int) -> Iterator[Any]:
    """A Prometheus that scrapes this port; gives a function that queries it."""
    program = _installed("prometheus")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    scrapes = [{"job_name": "ratchet", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}]
    settings = {"global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"}}
    # Its configuration is YAML, of which JSON is a part.
    (folder / "prometheus.yml").write_text(json.dumps(settings | {"scrape_configs": scrapes}))
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'series'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (folder / "prometheus.txt").open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
    asking = httpx.Client(base_url=f"http://127.0.0.1:{port}")

    def ask(query: str) -> list[dict[str, Any]]:
        try:
            answer = asking.get("/api/v1/query", params={"query": query})
        except httpx.TransportError:
            assert process.poll() is None, (folder / "prometheus.txt").read_text()
            return []
        return answer.json()["data"]["result"] if answer.status_code == 200 else []

    try:
        with asking:
            yield ask
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _installed(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"no {program} on this machine")
    return found
