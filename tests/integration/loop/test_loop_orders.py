"""What of a decision makes the loop begin a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from loop_project import Driven, make_project
from ratchet.loop.runs import Order
from ratchet.triggers.verdicts import Fire

RUN = Fire("a challenger", "case:drift:1:2026-11-21", "investigate:drift", {"training.seed": 3})


@pytest.fixture
def driven(tmp_path: Path) -> Iterator[Driven]:
    made = Driven(tmp_path / "all")
    make_project(tmp_path / "all" / "a")
    made.tick()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("verdict", "run", "ordered"),
    [("investigate", RUN, True), ("investigate", None, False), ("fire", RUN, True)],
)
def test_a_run_is_begun_where_the_decision_holds_one(
    verdict: str,
    run: Fire | None,
    ordered: bool,
    driven: Driven,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    orders: list[Any] = []
    monkeypatch.setattr(driven.daemon.runs, "order", lambda watched, order: orders.append(order))
    decision = {"verdict": verdict, "reason": "tenure moved", "trigger": "drift", "key": "k"}
    driven.daemon._hear(driven.ward("a"), {**decision, "run": None if run is None else asdict(run)})
    wanted = Order(RUN.key, RUN.trigger, RUN.reason, {"training.seed": 3})
    assert orders == ([wanted] if ordered else [])
    assert [told["verdict"] for told in driven.heard("decided", "a")][-1] == verdict
