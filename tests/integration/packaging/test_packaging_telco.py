"""Real data: the Telco customers, packaged and scored again."""

from functools import cache
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
from ratchet.training.calibrate import Calibration
from ratchet.training.fitted import TrainingRows
from unit.packaging.packaging_models import Trained, blend_of, bundle_of, bundle_of_blend

DATA = Path(__file__).resolve().parents[3] / "../shared/data/telco_churn/data.parquet"
TRAINED_ON = 3000

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the shared data sets are not here")


@pytest.fixture(scope="module")
def frame():
    frame = pl.read_parquet(DATA)
    return frame.cast(dict(TableSchema.from_polars(frame.schema).polars()))


ALGORITHMS = ("lightgbm", "xgboost", "random_forest", "logistic_regression")


@pytest.fixture(scope="module")
def train(frame):
    """Trains an algorithm on a target, once."""

    @cache
    def of(algorithm, target):
        if target == "Churn":
            return _train(frame, algorithm, Task("binary", ("No", "Yes")), target)
        classes = tuple(frame[target].unique().sort())
        return _train(frame, algorithm, Task("multiclass", classes), target)

    return of


def _train(frame, algorithm, task, target):
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
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_row_scores_as_in_training(tmp_path, frame, train, algorithm, target):
    trained = train(algorithm, target)
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


@pytest.mark.parametrize(
    ("target", "calibration"),
    [
        ("Churn", Calibration("sigmoid", (0.9, -0.3))),
        ("Churn", Calibration("isotonic", (-4, -1, 0, 2, -3.0, -1.5, 0.4, 1.1))),
        ("PaymentMethod", Calibration("temperature", (0.8,))),
    ],
    ids=["sigmoid", "isotonic", "temperature"],
)
def test_an_ensemble_scores_every_row_as_in_training(tmp_path, frame, train, target, calibration):
    members = [train(algorithm, target) for algorithm in ALGORITHMS]
    blend = blend_of(*members, weights=(0.4, 0.3, 0.2, 0.1), calibration=calibration)
    model = Model.load(bundle_of_blend(blend, members[0], tmp_path, threshold=0.31).path)
    expected = blend.score(frame)
    predicted = model.predict(frame)
    assert np.abs(predicted.scores - expected).max() < 1e-6
    codes = (expected[:, 1] >= 0.31) if target == "Churn" else expected.argmax(axis=1)
    assert predicted.labels == [model.classes[code] for code in codes.astype(int)]
    records = frame.head(100).to_dicts()
    singly = np.array([model.score_one(record) for record in records])
    assert np.abs(singly - predicted.scores[:100]).max() < 1e-12
