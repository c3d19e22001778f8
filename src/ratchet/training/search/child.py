"""The process in which configurations that cannot be interrupted are trained: see isolation.py.

``python -m ratchet.training.search.child`` answers each line of JSON with one. It ends when its
input does, even in the middle of a fit: then there is nobody left to answer.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import uuid
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ratchet.training.attempt import Attempt, try_fit
from ratchet.training.cores import calm_openmp
from ratchet.training.entrant import Entrant
from ratchet.training.fitted import TrainingRows
from ratchet.training.warned import WarningNotes


def main() -> None:
    """Answer until the input ends."""
    calm_openmp()
    # Libraries print what they like; only answers may reach whoever reads ours.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    requests: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin, requests), daemon=True).start()
    import sklearn.base  # noqa: F401 - while nobody waits yet

    notes = WarningNotes()
    with notes.collect():
        while True:
            request = json.loads(requests.get())
            answers.write(json.dumps(_answer(request, notes)) + "\n")
            answers.flush()


def _listen(source: TextIO, requests: queue.Queue[str]) -> None:
    for line in source:
        requests.put(line)
    os._exit(0)


def _answer(request: dict[str, Any], notes: WarningNotes) -> dict[str, Any]:
    folder = Path(request["folder"])
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=request["threads"], user_api="blas"):
        attempt = _fit(request, folder, notes)
    answer: dict[str, Any] = {
        "error": attempt.error,
        "notes": list(attempt.notes),
        "rounds": attempt.rounds,
    }
    if attempt.proba is not None:
        path = folder / f"proba-{uuid.uuid4().hex}.npy"
        np.save(path, attempt.proba)
        answer["proba"] = str(path)
    return answer


def _fit(request: dict[str, Any], folder: Path, notes: WarningNotes) -> Attempt:
    kind = import_module(request["module"])
    for part in request["class"].split("."):
        kind = getattr(kind, part)
    algorithm = kind(*request["arguments"])  # type: ignore[operator]
    rows = TrainingRows(
        np.load(folder / "X.npy"),
        np.load(folder / "y.npy"),
        np.load(folder / "weight.npy") if request["weighted"] else None,
        tuple(request["categorical"]),
        tuple(request["names"]),
        request["classes"],
    )
    score = np.load(folder / "score.npy")
    entrant = Entrant(algorithm.name, algorithm, request["params"], None, None)  # type: ignore[arg-type]
    return try_fit(
        entrant,
        rows,
        None,
        seed=request["seed"],
        threads=request["threads"],
        notes=notes,
        score=(score, np.zeros(len(score), dtype=rows.y.dtype)),
    )


if __name__ == "__main__":
    main()
