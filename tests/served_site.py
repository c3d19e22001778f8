"""A site to serve: a ledger with model versions that are real bundles, small and made at once.

A version's scores tell which one it is: all rows of version ``n`` have the same, made of ``n``.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ratchet.alerts.settings import AlertSettings
from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.features.recipe import Encoding, Recipe, fit_recipe
from ratchet.features.settings import FeaturesSettings
from ratchet.ledger.results import GateRecord
from ratchet.ledger.store import Ledger, open_ledger
from ratchet.packaging.bundle import BundleContent, write_bundle
from ratchet.packaging.composite import open_exported
from ratchet.packaging.composition import COMPOSITION, Composition, Part
from ratchet.packaging.decision import make_decision
from ratchet.packaging.linear import write_linear
from ratchet.packaging.metadata import Metadata
from ratchet.packaging.rehearsal import make_rehearsal
from ratchet.packaging.signature import make_signature
from ratchet.serving.settings import ServingSettings
from ratchet.serving.site import Site

TASK = Task("binary", ("No", "Yes"))
ROW = {"tenure": 12, "charges": 70.5, "contract": "month"}


@cache
def trained() -> tuple[pl.DataFrame, Recipe]:
    """Rows and the recipe fitted on them."""
    rng = np.random.default_rng(5)
    frame = pl.DataFrame(
        {
            "tenure": rng.integers(0, 72, 200),
            "charges": np.round(rng.uniform(20, 120, 200), 2),
            "contract": rng.choice(["month", "year"], 200),
            "Churn": rng.choice(["No", "Yes"], 200),
        }
    ).with_columns(charges=pl.when(pl.int_range(200) % 9 == 0).then(None).otherwise("charges"))
    recipe, _ = fit_recipe(
        frame,
        TASK.encode(frame["Churn"]),
        roles=Roles(target="Churn", id="customer"),
        schema=TableSchema.from_polars(frame.schema),
        settings=FeaturesSettings(),
        encoding=Encoding(missing="impute"),
        task=TASK,
        seed=1,
        root=Path(),
    )
    return frame, recipe


def score_of(version: int) -> float:
    """The positive class's score of every row of a version."""
    return 1.0 / (1.0 + float(np.exp(-(version - 3) / 4)))


@dataclass
class ServedSite:
    """A project as the server sees it, in a folder of its own."""

    root: Path
    url: str = ""
    alerts: tuple[AlertSettings, ...] = (AlertSettings(url="https://example.org/x", name="ops"),)
    settings: ServingSettings = field(default_factory=lambda: ServingSettings(poll="0.05s"))

    def __post_init__(self) -> None:
        self.state = self.root / ".ratchet"
        self.state.mkdir(parents=True, exist_ok=True)
        self.url = self.url or f"sqlite:///{self.state / 'ledger.db'}"
        self.ledger = self.open_ledger()

    def open_ledger(self) -> Ledger:
        return open_ledger(self.url, project="churn", busy_seconds=0.2)

    def site(self) -> Site:
        def nothing() -> Any:
            raise AssertionError("not a part of this test")

        return Site(
            project="churn",
            root=self.root,
            state=self.state,
            settings=self.settings,
            id="customer",
            time=None,
            target="Churn",
            alerts=self.alerts,
            open_ledger=self.open_ledger,
            open_lake=nothing,
            open_features=nothing,
        )

    def add(self, *, passed: bool = True, rehearsal: bool = True) -> int:
        """A new version."""
        number = 1 + len(self.ledger.versions())
        run_id = f"r{number}"
        self.ledger.start_run(run_id, trigger="manual")
        self.ledger.record_gates(run_id, [GateRecord("minimum.roc_auc", passed)])
        bundle = self.write(number, rehearsal=rehearsal)
        return self.ledger.add_version(
            run_id,
            bundle.digest,
            bundle.path.relative_to(self.state).as_posix(),
            threshold=0.5,
            schema_digest=make_signature(trained()[1].inputs, trained()[0], TASK).inputs_digest,
        ).version

    def write(self, number: int, *, rehearsal: bool = True) -> Any:
        """The bundle of a version."""
        frame, recipe = trained()
        model = self.root / f"exported-{number}"
        shutil.rmtree(model, ignore_errors=True)
        model.mkdir()
        part = Part("lr", "lr", "numpy", "model.linear.json", "recipe.json", 1.0)
        weights = np.zeros(len(recipe.feature_names))
        (model / part.file).write_bytes(write_linear(weights, (number - 3) / 4, "sigmoid"))
        (model / part.recipe).write_text(json.dumps(recipe.to_json()))
        (model / COMPOSITION).write_text(json.dumps(Composition((part,)).to_json()))
        opened = open_exported(model)
        content = BundleContent(
            model=model,
            signature=make_signature(recipe.inputs, frame, TASK),
            decision=make_decision(TASK, 0.5),
            metrics={"estimates": {}},
            metadata=Metadata("churn", "lr", {}, 1, {"version": 0}, "c", "0", {"n": str(number)}),
            requirements=("numpy==2",),
            card="# A model\n",
            rehearsal=make_rehearsal(opened, frame) if rehearsal else None,
        )
        return write_bundle(self.state / "bundles" / f"v{number}", content)

    def bundle(self, number: int) -> Path:
        return self.state / self.ledger.version(number).bundle_path

    def promote(self, number: int) -> None:
        champion = self.ledger.champion()
        self.ledger.deploy(
            number,
            expected_previous=None if champion is None else champion.version,
            by="test",
            reason=f"version {number}",
        )
