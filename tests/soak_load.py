"""Clients that ask a server all it answers, in the three protocols, and keep what it promised."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from ratchet.serving.protocols.tensors import DATATYPES
from served_site import score_of

CUSTOMERS = [f"C{number:04d}" for number in range(200)]
"""Those whose rows are in the feature store."""

KINDS = {"tenure": "integer", "charges": "number", "contract": "string"}


@dataclass
class Told:
    """What one client was promised.

    Attributes:
        scores: of every acknowledged prediction, by its id.
        labels: every label that was accepted, by the prediction that it is of.
        doubtful: rows of requests whose answer did not arrive; they may be in the lake, or not.
        doubtful_labels: labels likewise, by prediction.
        statuses: how many answers there were by what was asked and the status.
        wrong: answers that nobody should give.
        seconds: how long the answers took.
    """

    scores: dict[str, float] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    doubtful: int = 0
    doubtful_labels: dict[str, str] = field(default_factory=dict)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Load:
    """Clients in threads, until they are told to stop.

    Args:
        url: the server's.
        clients: how many.
        pause: seconds between two requests of a client.
        seed: of what they ask.

    Attributes:
        store_away: set while ids may be refused, because the feature store is.
        server_away: set while connections may end, because the server was killed.
    """

    def __init__(self, url: str, clients: int, pause: float, seed: int) -> None:
        self.url, self.pause = url, pause
        self.store_away, self.server_away = threading.Event(), threading.Event()
        self.ending = threading.Event()
        self._clients = [_Client(self, number, seed) for number in range(clients)]
        self._threads = [threading.Thread(target=client.run) for client in self._clients]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> Told:
        """What all of them were promised."""
        self.ending.set()
        for thread in self._threads:
            thread.join(60)
        whole = Told()
        for client in self._clients:
            told = client.told
            assert not whole.scores.keys() & told.scores.keys(), "an id was given twice"
            whole.scores |= told.scores
            whole.labels |= told.labels
            whole.doubtful += told.doubtful
            whole.doubtful_labels |= told.doubtful_labels
            whole.statuses += told.statuses
            whole.wrong += told.wrong
            whole.seconds += told.seconds
        return whole

    @property
    def answered(self) -> int:
        """Requests so far."""
        return sum(len(client.told.seconds) for client in self._clients)


Rows = list[dict[str, Any]]
Answered = list[tuple[str, float]]
"""Prediction id and the positive class's score, row by row."""


class _Client:
    def __init__(self, load: Load, number: int, seed: int) -> None:
        self.load, self.number = load, number
        self.told = Told()
        self.dice = random.Random(f"{seed}:{number}")
        self.link: HTTPConnection | None = None
        self.unlabelled: list[str] = []
        self.entities = 0
        self.asks: Sequence[Callable[[], None]] = (
            self.one, self.one, self.several, self.by_id, self.by_id, self.by_id_and_more,
            self.invocations, self.csv, self.tensors, self.label, self.labels, self.entity,
        )  # fmt: skip

    def run(self) -> None:
        while not self.load.ending.is_set():
            try:
                self.dice.choice(self.asks)()
            except (OSError, HTTPException) as error:
                if not self.load.server_away.is_set():
                    self.told.wrong.append(f"no answer: {error!r}")
                self.hang_up()
                time.sleep(0.05)
            time.sleep(self.load.pause)
        self.hang_up()

    def hang_up(self) -> None:
        if self.link is not None:
            self.link.close()
            self.link = None

    # -- what is asked ---------------------------------------------------------------------

    def one(self) -> None:
        (row,) = self.rows(1)
        told = self.post("one", "/v1/predict", {"record": row}, 1)
        if told is not None:
            self.keep([_ratchet(told)], 1)

    def several(self) -> None:
        rows = self.rows(self.dice.randint(2, 200 if self.dice.random() < 0.1 else 12))
        told = self.post("several", "/v1/predict", {"records": rows}, len(rows))
        if told is not None:
            self.keep([_ratchet(each) for each in told["predictions"]], len(rows))

    def by_id(self) -> None:
        ids = self.dice.choices(CUSTOMERS, k=self.dice.randint(1, 8))
        told = self.post("ids", "/v1/predict", {"ids": ids}, len(ids))
        if told is not None:
            self.keep([_ratchet(each) for each in told["predictions"]], len(ids))

    def by_id_and_more(self) -> None:
        body = {"id": self.dice.choice(CUSTOMERS), "record": {"charges": 20.5}}
        told = self.post("ids", "/v1/predict", body, 1)
        if told is not None:
            self.keep([_ratchet(told)], 1)

    def invocations(self) -> None:
        rows = self.rows(self.dice.randint(1, 6))
        body: dict[str, Any] = {"dataframe_records": rows}
        if self.dice.random() < 0.5:
            table = [[row[name] for name in KINDS] for row in rows]
            body = {"dataframe_split": {"columns": [*KINDS], "data": table}}
        self.invoke("invocations", json.dumps(body), "application/json", len(rows))

    def csv(self) -> None:
        rows = self.rows(self.dice.randint(1, 6))
        lines = [",".join(KINDS), *(",".join(str(row[name]) for name in KINDS) for row in rows)]
        self.invoke("csv", "\n".join(lines), "text/csv", len(rows))

    def invoke(self, what: str, body: str, content_type: str, rows: int) -> None:
        told = self.post(what, "/invocations", body, rows, content_type)
        if told is not None:
            scores = [row["probability_Yes"] for row in told["predictions"]]
            ids = self.headers["x-prediction-id"].split(",")
            self.keep(list(zip(ids, scores, strict=True)), rows)

    def tensors(self) -> None:
        rows = self.rows(self.dice.randint(1, 6))
        inputs = [
            {
                "name": name,
                "datatype": DATATYPES[kind],
                "shape": [len(rows)],
                "data": [row[name] for row in rows],
            }
            for name, kind in KINDS.items()
        ]
        told = self.post("tensors", "/v2/models/churn/infer", {"inputs": inputs}, len(rows))
        if told is not None:
            found = {output["name"]: output["data"] for output in told["outputs"]}
            scores = found["probabilities"][1::2]
            self.keep(list(zip(found["prediction_id"], scores, strict=True)), len(rows))

    def label(self) -> None:
        if self.unlabelled:
            self.send_labels({self.unlabelled.pop(): self.dice.choice(("No", "Yes"))}, single=True)

    def labels(self) -> None:
        some = [self.unlabelled.pop() for _ in range(min(20, len(self.unlabelled)))]
        if some:
            self.send_labels({each: self.dice.choice(("No", "Yes")) for each in some})

    def entity(self) -> None:
        """A customer nobody else asks about, and what became of him."""
        self.entities += 1
        entity = f"F-{self.number}-{self.load.url[-5:]}-{self.entities}"
        (row,) = self.rows(1)
        told = self.post("one", "/v1/predict", {"record": {**row, "customer": entity}}, 1)
        if told is None:
            return
        self.keep([_ratchet(told)], 1, labelled=True)
        label = self.dice.choice(("No", "Yes"))
        at = datetime.now(UTC).isoformat()
        self.feed({"entity": entity, "time": at, "label": label}, {told["prediction_id"]: label})

    def send_labels(self, labels: dict[str, str], *, single: bool = False) -> None:
        items = [{"prediction_id": each, "label": label} for each, label in labels.items()]
        body: dict[str, Any] = items[0] if single else {"feedback": items}
        self.feed(body, labels)
        if self.dice.random() < 0.1:
            self.feed(body, labels)  # sent twice, it counts once

    def feed(self, body: dict[str, Any], labels: dict[str, str]) -> None:
        self.told.doubtful_labels |= labels
        told = self.post("feedback", "/v1/feedback", body, 0)
        for each in labels:
            self.told.doubtful_labels.pop(each)
        self.told.labels |= labels
        if told != {"accepted": len(labels)}:
            self.told.wrong.append(f"feedback: {told}")

    # -- how it is asked -------------------------------------------------------------------

    def rows(self, count: int) -> Rows:
        dice = self.dice
        return [
            {
                "tenure": dice.randint(0, 72),
                "charges": round(dice.uniform(20, 120), 2),
                "contract": dice.choice(("month", "year", "never seen")),
            }
            for _ in range(count)
        ]

    def post(
        self, what: str, path: str, body: Any, rows: int, content_type: str = "application/json"
    ) -> Any:
        """The answer; None where it was refused as it may be."""
        if self.link is None:
            address = urlsplit(self.load.url)
            self.link = HTTPConnection(address.hostname or "", address.port, timeout=30)
            self.link.connect()  # what did not get so far is in nobody's log
        content = body if isinstance(body, str) else json.dumps(body)
        away = self.load.store_away.is_set()
        began = time.perf_counter()
        self.told.doubtful += rows
        self.link.request("POST", path, content, {"content-type": content_type})
        answer = self.link.getresponse()
        told = json.loads(answer.read())
        self.told.doubtful -= rows
        self.told.seconds.append(time.perf_counter() - began)
        self.told.statuses[what, answer.status] += 1
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        if answer.status == 200:
            return told
        refused = (what, answer.status, told.get("code")) == ("ids", 503, "features_unavailable")
        if not (refused and (away or self.load.store_away.is_set())):
            self.told.wrong.append(f"{what}: {answer.status} {told}")
        elif "retry-after" not in self.headers:
            self.told.wrong.append(f"{what}: 503 without Retry-After")
        return None

    def keep(self, answered: Answered, rows: int, *, labelled: bool = False) -> None:
        if len(answered) != rows:
            self.told.wrong.append(f"{rows} rows, {len(answered)} answers")
        for own, score in answered:
            if own in self.told.scores:
                self.told.wrong.append(f"the id {own} was given twice")
            self.told.scores[own] = score
            if not labelled and self.dice.random() < 0.3:
                self.unlabelled.append(own)


def _ratchet(told: dict[str, Any]) -> tuple[str, float]:
    """The id and the score of an answer that says which version gave it."""
    score = told["probabilities"]["Yes"]
    expected = score_of(told["model_version"])
    assert abs(score - expected) < 1e-6, f"version {told['model_version']} does not say {score}"
    return told["prediction_id"], score
