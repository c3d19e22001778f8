"""The world outside of Ratchet: customers who ask a server, and what becomes of them later.

It runs in a thread of its own beside the test, by the test's clock (``RATCHET_CLOCK``): as long as
it is told nothing else, it goes on in the same way.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
import numpy as np

from ratchet import clock

Drawn = tuple[list[dict[str, Any]], list[str]]
"""Records to ask about, and the labels that will be true of them."""
Draw = Callable[[np.random.Generator, int, int], Drawn]
"""Draws so many customers; the last number is that of the first one."""


@dataclass(frozen=True)
class Habit:
    """How customers come: in each round some alone, and some together in one request."""

    draw: Draw
    single: int = 2
    together: int = 4


@dataclass(frozen=True)
class Answered:
    """An answer, and whom it was about."""

    prediction: str
    entity: str
    version: int
    arm: str
    at: datetime


@dataclass
class Outside:
    """Asks, remembers every answer, and says later what was true.

    Args:
        habit: how customers come; may be changed at any time.
        id: the column of their id.
        label_after: from an answer to its label.
        pause: seconds from one round to the next; a slow machine takes longer.

    Attributes:
        answers: every answer, in their order.
        refused: what was not answered as it should be.
        labels: how many were accepted.
    """

    url: str
    habit: Habit
    id: str
    label_after: timedelta
    seed: int = 1
    pause: float = 0.04
    answers: list[Answered] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    labels: int = 0

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        self._ending = threading.Event()
        self._waiting: deque[tuple[datetime, str, str]] = deque()
        self._drawn = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="outside")
        self._life: Future[None] = Future()

    def __enter__(self) -> Outside:
        self._life = self._pool.submit(self._live)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ask no more; raises what went wrong."""
        self._ending.set()
        self._pool.shutdown()
        self._life.result()

    def check(self) -> bool:
        """Whether it goes on, and every answer so far was a good one; raises what went wrong."""
        if self._life.done():
            self._life.result()
        assert not self.refused, self.refused[:3]
        return True

    def versions_since(self, place: int) -> set[int]:
        """The versions that answered from the answer of this number on."""
        return {each.version for each in self.answers[place:]}

    def _live(self) -> None:
        with httpx.Client(base_url=self.url, timeout=60) as client:
            while not self._ending.wait(self.pause):
                self._round(client, self.habit)
                self._tell(client)

    def _round(self, client: httpx.Client, habit: Habit) -> None:
        count = habit.single + habit.together
        records, labels = habit.draw(self._rng, count, self._drawn)
        self._drawn += count
        given: list[dict[str, Any]] = []
        for record in records[: habit.single]:
            said = self._post(client, "/v1/predict", {"record": record})
            if said is None:
                return
            given.append(said)
        if habit.together:
            said = self._post(client, "/v1/predict", {"records": records[habit.single :]})
            if said is None:
                return
            given += said["predictions"]
        at = clock.now()
        for record, label, answer in zip(records, labels, given, strict=True):
            self.answers.append(
                Answered(
                    answer["prediction_id"],
                    str(record[self.id]),
                    answer["model_version"],
                    answer["arm"],
                    at,
                )
            )
            self._waiting.append((at + self.label_after, answer["prediction_id"], label))

    def _tell(self, client: httpx.Client) -> None:
        """Say what became of those whose time has come, as observed at that time."""
        now, told = clock.now(), []
        while self._waiting and self._waiting[0][0] <= now:
            at, prediction, label = self._waiting.popleft()
            told.append(
                {"prediction_id": prediction, "label": label, "observed_at": at.isoformat()}
            )
        for start in range(0, len(told), 500):
            part = told[start : start + 500]
            if self._post(client, "/v1/feedback", {"feedback": part}) is not None:
                self.labels += len(part)

    def _post(self, client: httpx.Client, path: str, body: Any) -> dict[str, Any] | None:
        answer = client.post(path, json=body)
        if not answer.is_success:
            self.refused.append(f"{answer.status_code}: {answer.text}")
            return None
        found: dict[str, Any] = answer.json()
        return found
