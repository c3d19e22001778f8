"""``ratchet serve`` and ``ratchet keys`` as their users run them."""

from __future__ import annotations

import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from bare_server import Served, served, wait_until
from forked_ratchet import Driver
from ratchet_cli import Result, ratchet
from served_site import ROW, ServedSite, score_of

PROJECT = """\
project: churn
data:
  source: {type: csv, path: data.csv}
  target: Churn
  positive: "Yes"
  id: customer
serving: {poll: 50ms}
"""


@pytest.fixture
def site(tmp_path: Path) -> ServedSite:
    """A project with two versions, of which none serves."""
    (tmp_path / "ratchet.yaml").write_text(PROJECT)
    made = ServedSite(tmp_path)
    for _ in range(2):
        made.add()
    return made


def serve(site: ServedSite, *words: object) -> Any:
    command = ("-m", "ratchet", "serve", "--json", "--port", 0, "--project", site.root, *words)
    return served(command, site.root / "errors.txt")


def keys(driver: Driver, site: ServedSite, *words: object) -> Result:
    return driver.ratchet("keys", *words, "--project", site.root, "--json")


def predict(server: Served, **more: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/predict", json={"record": ROW}, **more)


def in_lake(site: ServedSite) -> list[str]:
    table = site.root / ".ratchet" / "lake" / "predictions"
    return sorted(pl.read_delta(str(table))["prediction_id"])


def test_from_no_model_to_promotions_and_every_answer_in_the_lake(site: ServedSite) -> None:
    with serve(site, "--access-log") as server:
        assert (server.ready["version"], server.ready["project"]) == (None, "churn")
        assert server.ready["why"] == "No model serves yet"
        ready = httpx.get(f"{server.url}/readyz")
        assert (ready.status_code, ready.json()["code"]) == (503, "no_model")
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        assert predict(server).status_code == 503
        answered = []
        for version in (1, 2):
            site.promote(version)
            wait_until(lambda: predict(server).json().get("model_version") == version)  # noqa: B023
            assert httpx.get(f"{server.url}/readyz").json()["model_version"] == version
            answered += [predict(server).json() for _ in range(5)]
        for answer in answered:
            assert answer["probabilities"]["Yes"] == pytest.approx(
                score_of(answer["model_version"])
            )
        mapped = Path(f"/proc/{server.process.pid}/maps").read_text()
        for library in ("polars", "sklearn", "pandas", "scipy", "deltalake", "lightgbm", "pyarrow"):
            assert f"/{library}/" not in mapped, library
        for path in ("/docs", "/openapi.json", "/metrics", "/v2", "/ping", "/v1/models"):
            assert httpx.get(f"{server.url}{path}").status_code == 200, path
        assert server.stop() == 0
    ids = [answer["prediction_id"] for answer in answered]
    kept = in_lake(site)
    assert len(set(kept)) == len(kept)
    assert set(ids) <= set(kept)
    lines = [json.loads(line) for line in (site.root / "errors.txt").read_text().splitlines()]
    told = [line for line in lines if line["path"] == "/v1/predict" and line["status"] == 200]
    assert len(told) == len(kept)
    assert {(line["method"], line["rows"], line["key"]) for line in told} == {("POST", 1, None)}
    assert str(ROW["charges"]) not in (site.root / "errors.txt").read_text()


def test_it_loads_what_it_needs_to_answer_and_no_more(site: ServedSite) -> None:
    site.promote(1)
    told = site.root / "errors.txt"

    def loaded() -> set[str]:
        lines = told.read_text().splitlines()
        return {line.rsplit("|", 1)[1].strip() for line in lines if line.startswith("import time:")}

    command = ("-X", "importtime", "-m", "ratchet", "serve", "--json", "--port", 0)
    with served((*command, "--project", site.root), told) as server:
        assert server.ready["version"] == 1
        first = loaded()
        assert predict(server).status_code == 200
        answering = ("ratchet.serving", "ratchet.packaging", "ratchet.features", "numpy")
        assert not [name for name in loaded() - first if name.startswith(answering)]
        # What only the metrics need comes soon after, and no request waits for it.
        wait_until(lambda: "ratchet.monitoring.telemetry" in loaded())
        assert "ratchet_healthy" in httpx.get(f"{server.url}/metrics").text
        assert server.stop() == 0
    rare = (
        *("ratchet.ledger.store", "ratchet.ledger.reader", "ratchet.ledger.lease"),
        *("ratchet.monitoring.health", "ratchet.pipeline", "ratchet.alerts.messages"),
        *("ratchet.serving.supervisor", "ratchet.training.search", "ratchet.data.lake"),
    )
    heavy = ("polars", "sklearn", "pandas", "scipy", "deltalake", "pyarrow", "lightgbm", "mlflow")
    libraries = (*heavy, "sqlalchemy.orm", "alembic", "rich", "jinja2", "websockets", "onnx")
    assert {"ratchet.ledger.served", "ratchet.packaging.model"} <= first
    assert not first & {*rare, *libraries}
    assert len(first) < 850


def test_it_starts_where_nothing_has_run_and_makes_no_second_ledger(tmp_path: Path) -> None:
    (tmp_path / "ratchet.yaml").write_text(PROJECT)
    command = ("-m", "ratchet", "serve", "--json", "--port", 0, "--project", tmp_path)
    ledger = tmp_path / ".ratchet" / "ledger.db"
    with served((*command, "--workers", 2), tmp_path / "errors.txt") as server:
        assert (server.ready["version"], server.ready["why"]) == (None, "No model serves yet")
        for path in ledger.parent.glob("ledger.db*"):
            path.unlink()
        os.kill(server.ready["workers"][0], signal.SIGKILL)
        told = "There is no ledger"
        wait_until(lambda: told in (tmp_path / "errors.txt").read_text())
        assert not ledger.exists()
        server.stop()


def test_keys_open_their_scopes_until_they_are_revoked(driver: Driver, site: ServedSite) -> None:
    site.promote(1)
    with serve(site, "--access-log") as server:
        assert predict(server).status_code == 200
        made = keys(driver, site, "create", "shop", "--scope", "predict").data
        secret = made["key"]
        wait_until(lambda: predict(server).status_code == 401)
        told = {"authorization": f"Bearer {secret}"}
        assert predict(server, headers=told).status_code == 200
        metrics = httpx.get(f"{server.url}/metrics", headers=told)
        assert (metrics.status_code, metrics.json()["code"]) == (403, "scope_missing")
        (listed,) = keys(driver, site, "list").data["keys"]
        assert (listed["id"], listed["scopes"], listed["revoked"]) == (
            made["id"],
            ["predict"],
            None,
        )
        revoked = keys(driver, site, "revoke", made["id"]).data
        assert revoked["live_keys"] == 0
        wait_until(lambda: predict(server, headers=told).status_code == 401)
        server.stop()
    errors = (site.root / "errors.txt").read_text()
    assert f'"key": "{made["id"]}"' in errors
    assert secret[-64:] not in errors
    assert secret[-64:] not in keys(driver, site, "list").out


def test_keys_speak_to_people_and_refuse_what_is_none(driver: Driver, site: ServedSite) -> None:
    def ask(*words: str) -> Result:
        return driver.ratchet("keys", *words, "--project", site.root)

    made = ask("create", "shop", "--scope", "feedback", "--scope", "predict")
    # The key alone goes to stdout, so that it can be put away without being seen.
    assert len(made.out.split()) == 1
    assert "shop (predict, feedback)" in made.err
    assert "shop" in ask("list").out
    again = ask("create", "shop", "--scope", "read")
    assert (again.code, "named `shop` already" in again.err) == (5, True)
    unknown = ask("create", "other", "--scope", "everything")
    assert (unknown.code, "no scope `everything`" in unknown.err) == (2, True)
    assert ask("create", "other").code == 2
    assert ask("revoke", "nobody").code == 2
    assert "It was the last one" in ask("revoke", "shop").out


def test_two_workers_lose_nothing_when_one_is_killed(site: ServedSite) -> None:
    site.promote(1)
    acknowledged: list[str] = []
    errors: list[str] = []
    ending = threading.Event()
    with serve(site, "--workers", 2) as server:

        def ask() -> None:
            while not ending.is_set():
                try:
                    answer = predict(server)
                except httpx.TransportError:
                    continue  # a killed worker's connections end; what it answered is kept
                if answer.status_code == 200:
                    acknowledged.append(answer.json()["prediction_id"])
                else:
                    errors.append(answer.text)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(acknowledged) > 30)
        os.kill(server.ready["workers"][0], signal.SIGKILL)
        before = len(acknowledged)
        wait_until(lambda: len(acknowledged) > before + 30)

        def counted() -> dict[str, float]:
            text = httpx.get(f"{server.url}/metrics").text
            lines = (line.rpartition(" ") for line in text.splitlines() if line[0] != "#")
            return {name: float(value) for name, _, value in lines}

        wait_until(lambda: counted()["ratchet_worker_restarts_total"] == 1)
        ending.set()
        for thread in threads:
            thread.join(10)
        rows = 'ratchet_predictions_total{arm="champion",version="1"}'
        # Whichever worker is asked tells the rows of all, the dead one's too.
        assert counted()[rows] >= len(acknowledged)
        assert server.stop() == 0
    assert errors == []
    kept = in_lake(site)
    assert len(set(kept)) == len(kept)
    assert set(acknowledged) <= set(kept)


def test_what_it_refuses_to_start_with(site: ServedSite) -> None:
    site.promote(1)
    project = ("--project", site.root, "--json")
    open_to_all = ratchet("serve", "--host", "0.0.0.0", "--port", 0, *project)
    assert (open_to_all.code, open_to_all.error["code"]) == (4, "no_api_key")
    assert "ratchet keys create NAME --scope predict" in open_to_all.error["fix"]
    with serve(site) as server:
        taken = ratchet("serve", "--port", server.port, *project)
        assert (taken.code, taken.error["code"]) == (5, "port_taken")
        # As people read it, it is a line.
        assert server.stop(signal.SIGINT) == 0
    wrong = ratchet("serve", "--workers", 0, *project)
    assert wrong.code == 4
    assert "serving.workers" in wrong.error["where"] + wrong.error["what"]


def test_another_address_with_a_key_and_a_warning(driver: Driver, site: ServedSite) -> None:
    site.promote(1)
    secret = keys(driver, site, "create", "shop", "--scope", "admin").data["key"]
    with serve(site, "--host", "0.0.0.0") as server:
        assert "unencrypted" in server.ready["warning"]
        server.ready["url"] = f"http://127.0.0.1:{server.port}"
        assert predict(server).status_code == 401
        assert predict(server, headers={"x-api-key": secret}).status_code == 200


def test_a_version_that_does_not_load_is_told_and_the_old_one_goes_on(site: ServedSite) -> None:
    heard: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as hook:
        threading.Thread(target=hook.serve_forever, daemon=True).start()
        config = PROJECT + f'alerts: [{{url: "http://127.0.0.1:{hook.server_port}/x"}}]\n'
        (site.root / "ratchet.yaml").write_text(config)
        site.promote(1)
        with serve(site) as server:
            next(site.bundle(2).glob("*.linear.json")).write_text("{}")
            site.promote(2)
            wait_until(lambda: "Version 2 does not load" in (site.root / "errors.txt").read_text())
            assert predict(server).json()["model_version"] == 1
            wait_until(lambda: heard, seconds=30)
            assert "Version 2 does not load" in heard[0]["text"]
            assert server.stop() == 0
        hook.shutdown()
