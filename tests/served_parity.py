"""One model's scores: in training, from `ratchet predict`, and served in every protocol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl

from bare_server import served
from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.features.recipe import fit_recipe
from ratchet.features.settings import FeaturesSettings
from ratchet.ledger.results import GateRecord
from ratchet.ledger.store import open_ledger
from ratchet.packaging.bundle import BundleContent, write_bundle
from ratchet.packaging.composite import join_inputs, open_exported
from ratchet.packaging.decision import make_decision
from ratchet.packaging.export import export_blend
from ratchet.packaging.metadata import Metadata, runtime_requirements
from ratchet.packaging.model import Model
from ratchet.packaging.signature import make_signature
from ratchet.serving.protocols.tensors import DATATYPES
from ratchet.training.algorithms.catalogue import resolve_candidates
from ratchet.training.blend import Blend, Member
from ratchet.training.calibrate import Calibration
from ratchet.training.fitted import TrainingRows

PROJECT = """\
project: parity
data:
  source: {{type: parquet, path: rows.parquet}}
  target: {target}
"""
THRESHOLD = 0.37
CHUNK = 5000

Command = Callable[..., Any]
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class DataSet:
    """A table of the shared data; ``classes`` are the negative one and the positive one."""

    name: str
    target: str
    classes: tuple[str, str]
    drop: tuple[str, ...] = ()

    def read(self, data: Path) -> pl.DataFrame:
        """All of it, in the kinds that training reads."""
        frame = pl.read_parquet(data / self.name / "data.parquet").drop(self.drop)
        return frame.cast(dict(TableSchema.from_polars(frame.schema).polars()))


SETS = (
    DataSet("telco_churn", "Churn", ("No", "Yes"), ("customerID",)),
    DataSet("german_credit", "class", ("good", "bad")),
    DataSet("adult_income", "income", ("<=50K", ">50K")),
    DataSet("bank_marketing", "y", ("no", "yes")),
)


def apart(
    item: DataSet, table: pl.DataFrame, trained_on: int, folder: Path, command: Command
) -> dict[str, float]:
    """The largest difference from the scores in training, over all rows, by who gave them.

    Args:
        table: the rows that are scored; a blend of two kinds is trained on the first of them.
        folder: becomes the project.
        command: runs ``ratchet`` with its words.
    """
    folder.mkdir(parents=True, exist_ok=True)
    blend = _train(item, table.head(trained_on))
    _ship(item, blend, table.head(trained_on), folder)
    rows = table.drop(item.target)
    expected = blend.score(table)
    found = {"ratchet predict": _predicted(item, rows, folder, command)}
    serve = ("-m", "ratchet", "serve", "--json", "--port", 0, "--project", folder)
    with (
        served(serve, folder / "errors.txt") as server,
        httpx.Client(base_url=server.url, timeout=120) as client,
    ):
        kinds = {
            each["name"]: each["kind"]
            for each in client.get("/v1/models").json()["models"][0]["inputs"]
        }
        written = _written(rows.select(*kinds))
        for name, ask in PROTOCOLS.items():
            scores: list[list[float]] = []
            for begin in range(0, len(written), CHUNK):
                scores += ask(client, written[begin : begin + CHUNK], kinds)
            found[name] = np.array(scores)
        assert server.stop(within=120) == 0
    return {name: float(np.abs(scores - expected).max()) for name, scores in found.items()}


def _train(item: DataSet, rows: pl.DataFrame) -> Blend:
    task = Task("binary", item.classes)
    members = tuple(
        _member(item, task, rows, name, weight, params)
        for name, weight, params in (
            ("lightgbm", 0.6, {"n_estimators": 60}),
            ("logistic_regression", 0.4, {}),
        )
    )
    return Blend(task, members, Calibration("sigmoid", (0.9, -0.3)), THRESHOLD)


def _member(
    item: DataSet, task: Task, rows: pl.DataFrame, name: str, weight: float, params: dict[str, Any]
) -> Member:
    (candidate,) = resolve_candidates({name: params})
    kind = candidate.algorithm
    y = task.encode(rows[item.target])
    recipe, matrix = fit_recipe(
        rows,
        y,
        roles=Roles(target=item.target),
        schema=TableSchema.from_polars(rows.schema),
        settings=FeaturesSettings(),
        encoding=kind.encoding(task, rows.height, rows.width - 1),
        task=task,
        seed=1,
        root=Path(),
    )
    data = TrainingRows(matrix, y, None, recipe.categorical, recipe.feature_names, 2)
    wanted = kind.defaults(task, rows.height, matrix.shape[1]) | candidate.params
    fitted = kind.fit(data, params=wanted, seed=1, threads=2, validation=None)
    return Member(name, name, recipe, fitted, weight)


def _ship(item: DataSet, blend: Blend, rows: pl.DataFrame, folder: Path) -> None:
    """Make a project whose champion is this model."""
    (folder / "ratchet.yaml").write_text(PROJECT.format(target=item.target))
    exported, state = folder / "exported", folder / ".ratchet"
    exported.mkdir()
    state.mkdir()
    opened = open_exported(export_blend(blend, rows.head(1000), exported).folder)
    content = BundleContent(
        model=exported,
        signature=make_signature(join_inputs(opened.recipes), rows, blend.task),
        decision=make_decision(blend.task, THRESHOLD),
        metrics={},
        metadata=Metadata("parity", blend.algorithm, {}, 1, {"version": 0}, "c", "0", {}),
        requirements=runtime_requirements(opened.composition.kinds, derives=opened.derives),
        card="# parity\n",
    )
    model = Model.load(write_bundle(state / "bundle", content).path)
    with open_ledger(f"sqlite:///{state / 'ledger.db'}", project="parity") as ledger:
        ledger.start_run("r1", trigger="manual")
        ledger.record_gates("r1", [GateRecord("minimum.roc_auc", True)])
        made = ledger.add_version(
            "r1",
            model.digest,
            "bundle",
            threshold=model.threshold,
            schema_digest=model.signature.inputs_digest,
        )
        ledger.deploy(made.version, expected_previous=None, by="test", reason="parity")


def _predicted(item: DataSet, rows: pl.DataFrame, folder: Path, command: Command) -> np.ndarray:
    rows.write_parquet(folder / "rows.parquet")
    files = ("--data", folder / "rows.parquet", "--out", folder / "scores.parquet")
    done = command("predict", *files, "--project", folder, "--json")
    assert done.data["rows"] == rows.height
    scores = pl.read_parquet(folder / "scores.parquet")
    return scores.select(f"probability_{label}" for label in item.classes).to_numpy()


def _written(rows: pl.DataFrame) -> Rows:
    """The rows as they travel in JSON."""
    times = [name for name, dtype in rows.schema.items() if dtype.is_temporal()]
    return rows.with_columns(pl.col(times).dt.to_string("iso:strict")).to_dicts()


def _through_predict(client: httpx.Client, rows: Rows, kinds: dict[str, str]) -> Any:
    told = client.post("/v1/predict", json={"records": rows}).raise_for_status().json()
    return [[*row["probabilities"].values()] for row in told["predictions"]]


def _through_invocations(client: httpx.Client, rows: Rows, kinds: dict[str, str]) -> Any:
    split = {"columns": [*kinds], "data": [[row[name] for name in kinds] for row in rows]}
    told = client.post("/invocations", json={"dataframe_split": split}).raise_for_status().json()
    return [[*row.values()][1:] for row in told["predictions"]]


def _through_infer(client: httpx.Client, rows: Rows, kinds: dict[str, str]) -> Any:
    inputs = [
        {
            "name": name,
            "datatype": DATATYPES[kind],
            "shape": [len(rows)],
            "data": [row[name] for row in rows],
        }
        for name, kind in kinds.items()
    ]
    answer = client.post("/v2/models/parity/infer", json={"inputs": inputs})
    scores = answer.raise_for_status().json()["outputs"][1]
    return np.reshape(scores["data"], scores["shape"]).tolist()


PROTOCOLS = {
    "/v1/predict": _through_predict,
    "/invocations": _through_invocations,
    "/v2 infer": _through_infer,
}
