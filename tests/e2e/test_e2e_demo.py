"""``ratchet demo``: what it shows, it does; nothing it started is left behind."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import httpx
import polars as pl
import pytest

from bare_server import wait_until
from forked_ratchet import Driver

SLOW = pytest.mark.slow


@pytest.mark.parametrize("task", ["classification", pytest.param("regression", marks=SLOW)])
def test_seven_months_with_a_server(driver: Driver, tmp_path: Path, task: str) -> None:
    root = tmp_path / "demo"
    options = ("--rows", 700, "--budget", "1s", "--task", task)
    played = driver.ratchet("demo", root, *options, "--json")
    acts = played.data["acts"]
    # March's model has little to prove: whether it does hangs on how far its search came.
    outcomes = [act["outcome"] for act in acts]
    assert [*outcomes[:2], *outcomes[3:]] == ["promoted", "skipped", "promoted", "rejected"]
    assert outcomes[2] in ("promoted", "rejected"), played.err
    assert [act["months"] for act in acts] == [2, 2, 3, 6, 7]
    assert [act["served"] is not None for act in acts] == [False, False, True, True, True]
    assert "tenure" in acts[-1]["reason"]

    # The customers were answered by the champion of their time; a swap takes no restart.
    march, spring, july = (act["served"] for act in acts[2:])
    before = [[act["champion_before"]] for act in acts[2:]]
    assert [act["versions"] for act in (march, spring, july)] == before
    assert before[0] == [1] != before[2]
    worse = march["value"] - spring["value"] if task == "classification" else spring["value"]
    assert worse > (0.2 if task == "classification" else 1.5 * march["value"])

    # What came true was trained on: the file holds the first two months and no more.
    told = played.data["serving"]
    rows = sum(act["served"]["rows"] for act in acts[2:])
    assert told["answered"] == told["in_lake"] == told["labelled"] == rows
    first = pl.read_csv(root / "customers.csv", infer_schema=False).height
    assert 1400 <= first <= 1450
    assert [act["collected"]["rows"] for act in acts[2:]] == [
        march["rows"],
        march["rows"] + spring["rows"],
        rows,
    ]
    shown = driver.ratchet("show", acts[3]["run_id"], "--project", root, "--json").data
    assert shown["summary"]["snapshot"]["rows"] == first + march["rows"] + spring["rows"]

    port = urlsplit(told["url"]).port
    wait_until(lambda: not _listens(port))


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
