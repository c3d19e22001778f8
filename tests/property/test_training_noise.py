"""Noise cannot be learned: if cross-validation says otherwise, something leaked."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.features.settings import FeaturesSettings
from ratchet.training.candidates import fit_candidates
from ratchet.training.cores import calm_openmp
from ratchet.training.scoring import score_all
from ratchet.training.settings import TrainingSettings

calm_openmp()

ROWS = 1_500
TASK = Task("binary", ("no", "yes"))
ALGORITHMS = {
    "lightgbm": {},
    **({"xgboost": {}} if find_spec("xgboost") else {}),
    "random_forest": {"n_estimators": 40},
    "logistic_regression": {},
    "svm": {},
    "sklearn.naive_bayes.GaussianNB": {},
}


def noise(seed):
    """Random labels, and columns that know nothing of them: names of all sizes among them."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "number": rng.normal(size=ROWS),
            "few": rng.choice(["a", "b", "c"], ROWS),
            "many": [f"m{code}" for code in rng.integers(0, 150, ROWS)],
            "nearly_each_its_own": [f"u{code}" for code in rng.integers(0, 4 * ROWS, ROWS)],
            "holes": pl.Series(rng.normal(size=ROWS)).set(pl.Series(rng.random(ROWS) < 0.3), None),
            "target": rng.choice(["no", "yes"], ROWS),
        }
    )


def train(seed, features, **settings):
    frame = noise(seed)
    return fit_candidates(
        frame,
        TASK.encode(frame["target"]),
        settings=TrainingSettings(seed=seed, **settings),
        features=FeaturesSettings.model_validate(features),
        task=TASK,
        roles=Roles(target="target"),
        schema=TableSchema.from_polars(frame.schema),
        root=Path.cwd(),
    )


# The other encodings, algorithm by algorithm, are those of `test_no_algorithm_learns_noise`.
@pytest.mark.parametrize(
    "high_cardinality",
    [
        "target",
        *(pytest.param(kind, marks=pytest.mark.exhaustive) for kind in ("frequency", "codes")),
    ],
)
def test_noise_scores_like_noise(high_cardinality):
    features = {
        "encoding": {"high_cardinality": high_cardinality, "codes_max": 20, "rare": 1},
        "generate": {"target": ["few", "many", "nearly_each_its_own"]},
    }
    means: dict[str, list[float]] = {name: [] for name in ALGORITHMS}
    for seed in (1, 2):
        trained = train(
            seed, features, algorithms=ALGORITHMS, tuning={"folds": 4, "trials": 0}, ensemble=False
        )
        for result in trained.candidates:
            assert result.status == "ok", result.error
            means[result.name].append(result.cv["roc_auc"][0])
    for name, values in means.items():
        assert 0.45 < np.mean(values) < 0.55, (name, values)


def test_a_search_ends_near_chance_too():
    """The best of many looks a little better than it is, and so does a blend: not more."""
    fresh = noise(99)
    y = TASK.encode(fresh["target"])
    found, kept = [], []
    for seed in (1, 2):
        trained = train(
            seed,
            {"encoding": {"high_cardinality": "target", "codes_max": 20, "rare": 1}},
            algorithms={"lightgbm": {"num_iterations": 40}, "logistic_regression": {}},
            tuning={"trials": 24},
        )
        assert len(trained.trials) == 24
        found += [result.cv["roc_auc"][0] for result in trained.candidates]
        kept.append(score_all(y, trained.blend.score(fresh))["roc_auc"])
    assert 0.45 < np.mean(found) < 0.55, found
    assert 0.45 < np.mean(kept) < 0.55, kept
