"""Whether a bundle scores every row as training did: six data sets, every algorithm, the blend.

    python benchmarks/parity.py [--sets NAME ...] [--rows 20000]

Every algorithm is trained on up to ``--rows`` rows of a set (kernel machines on 2,000), then all
are blended and calibrated. Each is exported, and all rows of the set are scored by what training
holds and by ``Model.load(bundle)``; 500 rows are also scored one by one from records, and some with
missing, unseen and extreme values. Printed: the largest difference of a score, and how many
labels differ. The promise is 1e-6 and none.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from quality import DATA, SETS, DataSet
from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.features.recipe import fit_recipe
from ratchet.features.settings import FeaturesSettings
from ratchet.packaging.bundle import BundleContent, write_bundle
from ratchet.packaging.composite import join_inputs, open_exported
from ratchet.packaging.decision import make_decision
from ratchet.packaging.export import export_blend
from ratchet.packaging.metadata import Metadata, runtime_requirements
from ratchet.packaging.model import Model
from ratchet.packaging.signature import make_signature
from ratchet.training.algorithms.catalogue import resolve_candidates
from ratchet.training.blend import Blend, Member
from ratchet.training.calibrate import Calibration
from ratchet.training.fitted import TrainingRows

ALGORITHMS: dict[str, dict[str, Any]] = {
    "lightgbm": {},
    "xgboost": {},
    "random_forest": {"n_estimators": 60},
    "extra_trees": {"n_estimators": 60},
    "logistic_regression": {},
    "svm": {},
    "torch": {"epochs": 2, "width": 32},
}
SLOW = {"svm": 2_000, "torch": 5_000}
CALIBRATIONS = {
    "sigmoid": Calibration("sigmoid", (0.9, -0.3)),
    "isotonic": Calibration("isotonic", (-4, -1, 0, 2, -3.0, -1.5, 0.4, 1.1)),
}
THRESHOLD = 0.37


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=[item.name for item in SETS])
    parser.add_argument("--rows", type=int, default=20_000)
    asked = parser.parse_args()
    print(f"{'':44}{'rows':>9}{'largest':>10}{'one by one':>12}{'odd rows':>10}{'labels':>8}")
    worst = 0.0
    for item in SETS:
        if item.name in asked.sets:
            worst = max(worst, _check_set(item, asked.rows))
    print(f"largest difference of all: {worst:.2g}")
    sys.exit(worst > 1e-6)


def _check_set(item: DataSet, limit: int) -> float:
    table = pl.read_parquet(DATA / item.name / "data.parquet").drop(item.drop)
    table = table.filter(pl.col(item.target).is_not_null())
    schema = TableSchema.from_polars(table.schema)
    table = table.cast(dict(schema.polars()))
    classes = sorted(
        table[item.target].unique().to_list(), key=lambda label: label == item.positive
    )
    task = Task("binary", tuple(classes))
    members, worst = [], 0.0
    for name, params in ALGORITHMS.items():
        rows = table.sample(min(table.height, SLOW.get(name, limit)), seed=1)
        members.append(_train(item, task, rows, name, params))
        blend = Blend(task, (members[-1],), None, THRESHOLD)
        worst = max(worst, _compare(f"{item.name} {name}", blend, table))
    weights = np.full(len(members), 1 / len(members))
    for how, calibration in CALIBRATIONS.items():
        parts = tuple(
            Member(each.name, each.algorithm, each.recipe, each.fitted, float(weight))
            for each, weight in zip(members, weights, strict=True)
        )
        blend = Blend(task, parts, calibration, THRESHOLD)
        worst = max(worst, _compare(f"{item.name} blend of all, {how}", blend, table))
    return worst


def _train(
    item: DataSet, task: Task, rows: pl.DataFrame, name: str, params: dict[str, Any]
) -> Member:
    (candidate,) = resolve_candidates({name: params})
    kind = candidate.algorithm
    y = task.encode(rows[item.target])
    recipe, matrix = fit_recipe(
        rows,
        y,
        roles=Roles(target=item.target, time=item.time),
        schema=TableSchema.from_polars(rows.schema),
        settings=FeaturesSettings(),
        encoding=kind.encoding(task, rows.height, rows.width - 1),
        task=task,
        seed=1,
        root=Path(),
    )
    wanted = kind.defaults(task, rows.height, matrix.shape[1])
    if kind.rounds_parameter:
        wanted[kind.rounds_parameter] = kind.rounds(task, rows.height, matrix.shape[1])
    fitted = kind.fit(
        TrainingRows(matrix, y, None, recipe.categorical, recipe.feature_names, 2),
        params={**wanted, **candidate.params},
        seed=1,
        threads=2,
        validation=None,
    )
    return Member(name, name, recipe, fitted, 1.0)


def _compare(name: str, blend: Blend, table: pl.DataFrame) -> float:
    with tempfile.TemporaryDirectory() as folder:
        model = _ship(blend, table, Path(folder))
        expected, served = blend.score(table), model.predict(table)
        apart = np.abs(served.scores - expected).max()
        labels = [blend.task.classes[code] for code in (expected[:, 1] >= THRESHOLD).astype(int)]
        wrong = sum(ours != theirs for ours, theirs in zip(served.labels, labels, strict=True))
        some = table.sample(min(500, table.height), seed=2)
        singly = np.array([model.score_one(row) for row in some.to_dicts()])
        alone = np.abs(singly - blend.score(some)).max()
        odd = _odd_rows(some)
        singly = np.array([model.score_one(row) for row in odd.to_dicts()])
        strange = max(
            np.abs(singly - blend.score(odd)).max(), np.abs(model.score(odd) - singly).max()
        )
    print(
        f"{name:44}{table.height:9,}{apart:10.1e}{alone:12.1e}{strange:10.1e}{wrong:8}", flush=True
    )
    return max(float(apart), float(alone), float(strange), float(wrong))


def _odd_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with values missing, unseen and far outside."""
    rng = np.random.default_rng(3)
    columns = []
    for name, dtype in rows.schema.items():
        gone = pl.Series(rng.random(rows.height) < 0.3)
        strange = pl.Series(rng.random(rows.height) < 0.2)
        unusual: Any = {pl.String: "never seen", pl.Float64: 1e30, pl.Int64: -(2**53)}.get(dtype)
        column = pl.col(name)
        if unusual is not None:
            column = pl.when(strange).then(pl.lit(unusual, dtype=dtype)).otherwise(column)
        columns.append(pl.when(gone).then(None).otherwise(column).alias(name))
    return rows.with_columns(columns)


def _ship(blend: Blend, table: pl.DataFrame, folder: Path) -> Model:
    exported = folder / "exported"
    exported.mkdir()
    opened = open_exported(export_blend(blend, table.head(1_000), exported).folder)
    content = BundleContent(
        model=exported,
        signature=make_signature(join_inputs(opened.recipes), table, blend.task),
        decision=make_decision(blend.task, THRESHOLD),
        metrics={},
        metadata=Metadata(
            project="parity",
            algorithm=blend.algorithm,
            params={},
            seed=1,
            snapshot={"table": "data", "version": 0, "rows": table.height, "digest": "d" * 64},
            config_digest="c" * 64,
            code_version="0",
            libraries={},
        ),
        requirements=runtime_requirements(opened.composition.kinds, derives=opened.derives),
        card="# parity\n",
    )
    return Model.load(write_bundle(folder / "bundle", content).path)


if __name__ == "__main__":
    main()
