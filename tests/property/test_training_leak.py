"""Noise stays noise: what is learned of random labels is worth nothing on new rows.

From raw rows to shipped scores, for every built-in algorithm and every encoding of categories, for
the ensemble, the calibration and the threshold. Cross-validation must know it, too.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.features.recipe import Encoding, fit_recipe
from ratchet.features.settings import FeaturesSettings
from ratchet.training.algorithms.catalogue import BUILT_IN, resolve_candidates
from ratchet.training.calibrate import fit_calibration
from ratchet.training.candidates import fit_candidates
from ratchet.training.combine import combine
from ratchet.training.cores import calm_openmp
from ratchet.training.ensemble import select_weights
from ratchet.training.fitted import TrainingRows
from ratchet.training.folds import cut_validation, make_folds
from ratchet.training.scoring import log_loss, roc_auc, score_all
from ratchet.training.settings import ThresholdSettings, TrainingSettings
from ratchet.training.threshold import choose_threshold

calm_openmp()

ROWS, FRESH = 1_000, 2_500
BOUNDS = (0.45, 0.55)
TASK = Task("binary", ("no", "yes"))
ROLES = Roles(target="target")
SMALL = {
    "lightgbm": {"num_iterations": 60, "early_stopping_rounds": 10},
    "xgboost": {"num_boost_round": 60, "early_stopping_rounds": 10},
    "random_forest": {"n_estimators": 40},
    "extra_trees": {"n_estimators": 40},
    "torch": {"members": 4, "width": 16, "epochs": 6, "device": "cpu"},
}
ENCODINGS = ("codes", "onehot", "target", "frequency")


def noise(rows, seed):
    """Random labels, and columns that know nothing of them: names of all sizes among them."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "number": rng.normal(size=rows),
            "few": rng.choice(["a", "b", "c"], rows),
            "many": [f"m{code}" for code in rng.integers(0, 150, rows)],
            "nearly_each_its_own": [f"u{code}" for code in rng.integers(0, 4 * rows, rows)],
            "holes": pl.Series(rng.normal(size=rows)).set(pl.Series(rng.random(rows) < 0.3), None),
            "target": rng.choice(["no", "yes"], rows),
        }
    )


def features(encoding):
    """Settings under which the columns with many names are encoded in this way."""
    return FeaturesSettings.model_validate(
        {
            "encoding": {
                "high_cardinality": "codes" if encoding == "onehot" else encoding,
                "codes_max": 1_000 if encoding in ("codes", "onehot") else 20,
                "onehot_max": 200 if encoding == "onehot" else 10,
                "rare": 1,
            },
            "generate": {"target": ["few", "many", "nearly_each_its_own"]}
            if encoding == "target"
            else {},
        }
    )


class Learner:
    """One algorithm on the noise, encoded as it asks for, by recipes learned on its rows alone."""

    def __init__(self, name, encoding):
        (candidate,) = resolve_candidates({name: SMALL.get(name, {})})
        self.algorithm = candidate.algorithm
        self.features = features(encoding)
        wanted = self.algorithm.encoding(TASK, ROWS, 5)
        categories = "onehot" if encoding == "onehot" else wanted.categories
        self.encoding = Encoding(categories, wanted.missing, wanted.scale)
        self.params = {**self.algorithm.defaults(TASK, ROWS, 5), **candidate.params}

    def scores(self, frame, y, new, seed):
        """Scores of new rows by a model that learned from ``frame``."""
        recipe, X = fit_recipe(
            frame,
            y,
            roles=ROLES,
            schema=TableSchema.from_polars(frame.schema),
            settings=self.features,
            encoding=self.encoding,
            task=TASK,
            seed=seed,
            root=Path.cwd(),
        )
        rows = TrainingRows(X, y, None, recipe.categorical, recipe.feature_names, 2)
        cut = cut_validation(y, 0.15, seed=seed)
        fitted = self.algorithm.fit(
            rows.take(cut.train),
            params=self.params,
            seed=seed,
            threads=1,
            validation=rows.take(cut.score),
        )
        return fitted.predict(recipe.matrix(new))


@cache
def learned(name, encoding, seed):
    """Out-of-fold scores of the noise, and scores of new noise."""
    frame, new = noise(ROWS, seed), noise(FRESH, seed + 1_000)
    y = TASK.encode(frame["target"])
    learner = Learner(name, encoding)
    oof = np.empty((ROWS, 2))
    for fold in make_folds(y, 3, seed=seed):
        train, held_out = frame[fold.train], frame[fold.score]
        oof[fold.score] = learner.scores(train, y[fold.train], held_out, seed)
    return oof, learner.scores(frame, y, new, seed)


def labels(seed):
    return TASK.encode(noise(ROWS, seed)["target"]), TASK.encode(
        noise(FRESH, seed + 1_000)["target"]
    )


def algorithms():
    absent = {
        name
        for name, library in (("xgboost", "xgboost"), ("torch", "torch"))
        if not find_spec(library)
    }
    return [name for name in BUILT_IN if name not in absent | {"ridge", "torch"}]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", algorithms())
def test_no_algorithm_learns_noise(name, encoding):
    check_noise(name, encoding)


@pytest.mark.parametrize(
    "encoding", ["codes", pytest.param("target", marks=pytest.mark.exhaustive)]
)
def test_no_network_learns_noise(encoding):
    pytest.importorskip("torch")
    check_noise("torch", encoding)


def check_noise(name, encoding):
    """Neither out-of-fold scores nor those of new rows are worth anything."""
    cross_validated, fresh = [], []
    for seed in (1, 2):
        y, y_fresh = labels(seed)
        oof, scores = learned(name, encoding, seed)
        folds = make_folds(y, 3, seed=seed)
        cross_validated += [roc_auc(y[f.score] == 1, oof[f.score, 1]) for f in folds]
        fresh.append(roc_auc(y_fresh == 1, scores[:, 1]))
    assert BOUNDS[0] < np.mean(cross_validated) < BOUNDS[1]
    assert BOUNDS[0] < np.mean(fresh) < BOUNDS[1]


@pytest.mark.parametrize("seed", [1, 2])
def test_no_ensemble_calibration_or_threshold_makes_something_of_noise(seed):
    y, y_fresh = labels(seed)
    folds = make_folds(y, 3, seed=seed)
    made = [learned(name, kind, seed) for name in algorithms() for kind in ENCODINGS]
    oof, fresh = [part[0] for part in made], [part[1] for part in made]
    for metric in ("roc_auc", "log_loss", "accuracy"):
        ensemble = select_weights(oof, y, folds, metric)
        if metric != "log_loss":
            assert BOUNDS[0] < np.mean(ensemble.scores) < BOUNDS[1]
        used = [place for place, weight in enumerate(ensemble.weights) if weight]
        weights = [ensemble.weights[place] for place in used]
        blended = combine([oof[place] for place in used], weights, None)
        calibration = fit_calibration(blended, y, folds, TASK, method="isotonic")
        shipped = combine([fresh[place] for place in used], weights, calibration)
        assert BOUNDS[0] < score_all(y_fresh, shipped)["roc_auc"] < BOUNDS[1]
        # Nothing is known, and the scores say so: about the loss of saying one half.
        assert log_loss(y_fresh, shipped) < np.log(2) + 0.05
        chosen = choose_threshold(
            calibration.apply(blended), y, ThresholdSettings(maximize="balanced_accuracy")
        )
        decided = shipped[:, 1] >= chosen.value
        recall, false = decided[y_fresh == 1].mean(), decided[y_fresh == 0].mean()
        assert BOUNDS[0] < (recall + 1 - false) / 2 < BOUNDS[1]


def test_no_search_finds_anything_in_noise():
    """The whole of training: trials, ensemble, calibration and threshold, then every blend."""
    frame, new = noise(ROWS, 5), noise(4_000, 1_005)
    trained = fit_candidates(
        frame,
        TASK.encode(frame["target"]),
        settings=TrainingSettings(
            algorithms={"lightgbm": {}, "extra_trees": SMALL["extra_trees"]},
            tuning={"trials": 8, "folds": 3},
            threshold={"maximize": "f1"},
        ),
        features=features("target"),
        task=TASK,
        roles=ROLES,
        schema=TableSchema.from_polars(frame.schema),
        root=Path.cwd(),
    )
    for candidate in trained.candidates:
        assert BOUNDS[0] < candidate.cv["roc_auc"][0] < BOUNDS[1], candidate.name
    y = TASK.encode(new["target"])
    for blend in trained.blends:
        assert BOUNDS[0] < roc_auc(y == 1, blend.score(new)[:, 1]) < BOUNDS[1]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_row_is_not_encoded_by_its_own_label(data):
    """Whatever the categories and labels: another label of a row leaves its own encoding alone.

    The folds are held: which they are may depend on how many labels there are of each kind.
    """
    rows = data.draw(st.integers(8, 40))
    categories = data.draw(st.lists(st.integers(0, 6), min_size=rows, max_size=rows))
    y = np.array(data.draw(st.lists(st.integers(0, 1), min_size=rows, max_size=rows)), np.int32)
    row = data.draw(st.integers(0, rows - 1))
    frame = pl.DataFrame({"name": [f"c{code}" for code in categories]})
    groups = np.arange(rows, dtype=np.int64) % 4
    other = y.copy()
    other[row] = 1 - other[row]
    before, after = (encoded(frame, label, groups) for label in (y, other))
    assert before[row] == after[row]


def encoded(frame, y, groups):
    """The cross-fitted encoding (n,) of the one column, folds by group."""
    from ratchet.features.encoders.target import cross_fit

    codes = frame["name"].cast(pl.Categorical).to_physical().to_numpy().astype(np.int64)
    return cross_fit(codes, y.astype(np.float64), int(codes.max()) + 1, groups)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 400), st.integers(0, 10_000))
def test_target_encoded_noise_ranks_no_training_row(categories, seed):
    """The encoding of training rows, as a model sees it, ranks random labels like a coin.

    A row's own label in it would rank them: with as many categories as rows, perfectly.
    """
    rng = np.random.default_rng(seed)
    rows = 1_200
    y = rng.integers(0, 2, rows).astype(np.int32)
    frame = pl.DataFrame(
        {
            "name": [f"c{code}" for code in rng.integers(0, categories, rows)],
            "target": np.where(y == 1, "yes", "no"),
        }
    )
    _, X = fit_recipe(
        frame,
        y,
        roles=ROLES,
        schema=TableSchema.from_polars(frame.schema),
        settings=FeaturesSettings.model_validate(
            {"encoding": {"codes_max": 2, "onehot_max": 1, "rare": 1}}
        ),
        encoding=Encoding("onehot", "impute", scale=False, high_cardinality="target"),
        task=TASK,
        seed=seed,
        root=Path.cwd(),
    )
    for column in X.T:
        if len(np.unique(column)) > 1:
            # Above one half would be a leak; cross-fitting errs below it.
            assert roc_auc(y == 1, column.astype(np.float64)) < 0.58
