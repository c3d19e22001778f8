"""``ratchet demo``: what it shows, it does; nothing it started is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import polars as pl
import pytest

from bare_server import wait_until
from forked_ratchet import Driver
from html_reader import Page
from ratchet_cli import environment

ACTS = ["first", "quiet", "drift", "labels", "canary", "broken", "backup", "after"]


@pytest.mark.parametrize(
    "task", ["classification", pytest.param("regression", marks=pytest.mark.exhaustive)]
)
def test_the_whole_story(driver: Driver, tmp_path: Path, task: str) -> None:
    root = tmp_path / "demo"
    options = ("--rows", 1000, "--budget", "1s", "--task", task)
    played = driver.ratchet("demo", root, *options, "--json")
    assert played.code == 0, played.err
    acts = {act["key"]: act for act in played.data["acts"]}
    assert list(acts) == ACTS
    assert [act["key"] for act in acts.values() if not act["expected"]] == [], played.err
    _check_runs(acts)
    _check_canaries(acts)

    # Everything that was answered is in the lake, once; the file holds the first month alone.
    told = played.data["serving"]
    asked = [days["asked"] for act in acts.values() for days in act["days"]]
    rows = sum(sum(by.values()) for by in asked)
    assert told["answered"] == told["in_lake"] == rows > 5000
    assert rows - 500 < told["labelled"] <= rows
    assert 1000 <= pl.read_csv(root / "customers.csv", infer_schema=False).height < 1025
    assert played.data["champion"] == 2

    _check_told(root, played.data["alerts"])
    _check_page(Path(played.data["story"]), root)
    assert driver.ratchet("audit", "verify", "--project", root, "--json").code == 0
    # It goes on in the time of everybody: the demo's clock went with it.
    after = driver.ratchet("rollout", "--project", root, "--json")
    assert after.code == 0, after.err
    port = urlsplit(told["url"]).port
    wait_until(lambda: not _listens(port))


def _check_runs(acts: dict[str, Any]) -> None:
    """One run each, by the triggers and with the outcomes of the story."""
    runs = {key: [(run["trigger"], run["outcome"]) for run in acts[key]["runs"]] for key in ACTS}
    assert runs == {
        "first": [("manual", "promoted")],
        "quiet": [("manual", "skipped")],
        "drift": [],
        "labels": [("performance", "candidate")],
        "canary": [],
        "broken": [("manual", "rejected")],
        "backup": [("manual", "candidate")],
        "after": [],
    }
    assert "tenure" in acts["broken"]["runs"][0]["reason"]
    # Drift was seen before a label of the new world could be there.
    (days,) = acts["drift"]["days"]
    assert days["from"] == "2025-04-01"
    assert days["until"] <= "2025-04-07"


def _check_canaries(acts: dict[str, Any]) -> None:
    """One version earned the customers, the other one was taken back."""
    good, bad = acts["canary"]["rollout"], acts["backup"]["rollout"]
    assert (good["version"], good["status"], good["watch"]) == (2, "promoted", "clean")
    steps = [each for each in acts["canary"]["happened"] if each["part"] == "rollout"]
    assert [each["says"].split(":")[0] for each in steps] == [
        "version 2 widened",
        "version 2 promoted",
        "version 2 clean",
    ]
    assert (bad["version"], bad["status"], bad["previous"]) == (3, "rolled_back", 2)
    assert "labels" in bad["reason"]
    saw = acts["backup"]["days"][-1]["asked"]
    assert 0 < saw["3"] < saw["2"]
    assert acts["after"]["days"][0]["asked"].keys() == {"2"}


def _check_told(root: Path, occasions: list[str]) -> None:
    """The team heard of it: over HTTP, and not from the demo's own memory."""
    lines = (root / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    heard = [json.loads(line)["occasion"] for line in lines]
    assert sorted(heard) == sorted(occasions)
    wanted = {"promoted", "drift", "performance", "candidate", "rejected", "rolled_back"}
    assert wanted <= set(heard)
    # What the address was is nobody's business afterwards.
    assert "127.0.0.1" not in (root / "ratchet.yaml").read_text(encoding="utf-8")


def _check_page(page: Path, root: Path) -> None:
    assert page == root / "reports" / "story.html"
    text = page.read_text(encoding="utf-8")
    Page(text)
    for key in ("quality", "traffic", "drift", "coverage", "lag"):
        assert f'id="{key}-t"' in text, key
    for words in ("Rolled back", "Promoted", "Rejected", "Look closer", "50 %", "No worse"):
        assert words in text, words
    assert "http" not in text.replace("http-equiv", "")
    assert text.count("<h1") == 1


def test_ctrl_c_ends_the_server_and_leaves_the_folder_usable(
    driver: Driver, tmp_path: Path
) -> None:
    root = tmp_path / "demo"
    command = ("-m", "ratchet", "demo", str(root), "--rows", "500", "--budget", "1s")
    process = subprocess.Popen(
        [sys.executable, *command], env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        url = ""
        for line in process.stdout:
            if "answers at" in line:
                url = line.split("answers at ")[1].strip()
                break
        os.kill(process.pid, signal.SIGINT)
        process.stdout.read()
    assert process.wait(120) == 130
    port = urlsplit(url).port
    wait_until(lambda: not _listens(port))
    models = driver.ratchet("models", "--project", root, "--json")
    assert models.code == 0, models.err
    assert driver.ratchet("run", "--project", root, "--json").data["outcome"] == "skipped"


def test_a_folder_with_something_in_it_is_left_alone(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    refused = driver.ratchet("demo", tmp_path, "--json")
    assert (refused.code, "is not empty" in refused.error["what"]) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def _listens(port: int | None) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=1)
    except httpx.TransportError:
        return False
    return True
