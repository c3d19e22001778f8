"""A search in a process of its own: URL, folder, seconds or trials, seed of what it prefers.

Prints a line of JSON for every trial as soon as it is told of, and one at the end.
"""

import json
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.features.settings import FeaturesSettings
from ratchet.training.algorithms import catalogue
from ratchet.training.candidates import fit_candidates
from ratchet.training.deadline import Deadline
from ratchet.training.search.store import OptunaStore, store_digest
from ratchet.training.settings import TrainingSettings

ROWS = 300


def table():
    rng = np.random.default_rng(0)
    amount, age = rng.normal(size=ROWS), rng.normal(size=ROWS)
    y = (amount + rng.normal(size=ROWS) > 0).astype(np.int32)
    target = ["yes" if code else "no" for code in y]
    return pl.DataFrame({"amount": amount, "age": age, "target": target}), y


def train(store, *, seconds=None, trials=None, on_event=None, seed=42):
    """The search of these tests, kept in ``store``."""
    made = {name: f"made_algorithms:{name.title()}" for name in ("steady", "made")}
    with mock.patch.dict(catalogue.BUILT_IN, made):
        return _train(store, seconds, trials, on_event, seed)


def _train(store, seconds, trials, on_event, seed):
    frame, y = table()
    tuning = {} if trials is None else {"trials": trials}
    return fit_candidates(
        frame,
        y,
        settings=TrainingSettings(
            algorithms={"steady": {}, "made": {}}, tuning=tuning, cores=1, seed=seed, ensemble=False
        ),
        features=FeaturesSettings(),
        task=Task("binary", ("no", "yes")),
        roles=Roles(target="target"),
        schema=TableSchema.from_polars(frame.schema),
        root=Path.cwd(),
        store=store,
        on_event=on_event,
        **({} if seconds is None else {"deadline": Deadline.after(seconds)}),
    )


def tell(event):
    if event.kind == "trial":
        print(json.dumps({"trial": event.trial, "status": event.status}), flush=True)


if __name__ == "__main__":
    url, folder, kind, amount = sys.argv[1:5]
    store = OptunaStore(url, Path(folder), store_digest(folder))
    print(json.dumps({"ready": True}), flush=True)
    trained = train(store, **{kind: float(amount) if kind == "seconds" else int(amount)},
                    on_event=tell)  # fmt: skip
    print(json.dumps({"trials": [item.to_json() for item in trained.trials]}), flush=True)
    store.close()
