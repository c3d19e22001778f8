"""Real data: the Telco customers, packaged and scored again."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.features.recipe import fit_recipe
from ratchet.features.settings import FeaturesSettings
from ratchet.packaging.model import Model
from ratchet.training.algorithms.catalogue import resolve_candidates
from ratchet.training.fitted import TrainingRows
from unit.packaging.packaging_models import Trained, bundle_of

DATA = Path(__file__).resolve().parents[3] / "../shared/data/telco_churn/data.parquet"
TRAINED_ON = 3000

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the shared data sets are not here")


@pytest.fixture(scope="module")
def frame():
    frame = pl.read_parquet(DATA)
    return frame.cast(dict(TableSchema.from_polars(frame.schema).polars()))


def train(frame, algorithm, task, target):
    (candidate,) = resolve_candidates({algorithm: {}})
    kind, rows = candidate.algorithm, frame.head(TRAINED_ON)
    y = task.encode(rows[target])
    recipe, X = fit_recipe(
        rows,
        y,
        roles=Roles(target=target, id="customerID"),
        schema=TableSchema.from_polars(frame.schema),
        settings=FeaturesSettings(),
        encoding=kind.encoding(task, rows.height, 19),
        task=task,
        seed=1,
        root=Path(),
    )
    params = kind.defaults(task, rows.height, X.shape[1])
    if kind.rounds_parameter:
        params[kind.rounds_parameter] = kind.rounds(task, rows.height, X.shape[1])
    fitted = kind.fit(
        TrainingRows(X, y, None, recipe.categorical, recipe.feature_names, len(task.classes)),
        params=params,
        seed=1,
        threads=1,
        validation=None,
    )
    return Trained(task, rows, recipe, fitted, X)


@pytest.mark.parametrize("target", ["Churn", "PaymentMethod"])
@pytest.mark.parametrize(
    "algorithm", ["lightgbm", "xgboost", "random_forest", "logistic_regression"]
)
def test_every_row_scores_as_in_training(tmp_path, frame, algorithm, target):
    classes = ("No", "Yes") if target == "Churn" else tuple(frame[target].unique().sort())
    trained = train(
        frame, algorithm, Task("binary" if target == "Churn" else "multiclass", classes), target
    )
    bundle = bundle_of(trained, tmp_path / "one")
    model = Model.load(bundle.path)
    unseen = frame.slice(TRAINED_ON)
    expected = trained.fitted.predict(trained.recipe.matrix(unseen))
    scores = model.score(unseen)
    assert np.abs(scores - expected).max() < 2e-7
    assert np.array_equal(scores.argmax(axis=1), expected.argmax(axis=1))
    records = unseen.head(200).to_dicts()
    singly = np.array([model.score_one(record) for record in records])
    assert np.abs(singly - scores[:200]).max() < 1e-15
    assert bundle_of(trained, tmp_path / "two").digest == bundle.digest
