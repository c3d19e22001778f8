"""XGBoost on a GPU, and what becomes of the wish for one where there is none."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from training_algorithms import algorithm_of, explained, make_rows, task_of

from ratchet.errors import ConfigError
from ratchet.training.algorithms.xgboost import XGBoost
from ratchet.training.matrix_file import MatrixFile
from ratchet.training.scoring import score_all

xgboost = pytest.importorskip("xgboost")


def fit(rows, validation=None, start=None, **params):
    """Fitted with ``device: cuda``, unless ``params`` say otherwise."""
    boosting = XGBoost()
    defaults = boosting.defaults(task_of(rows.classes), len(rows.y), 6)
    whole = {**defaults, "n_estimators": 40, "device": "cuda", **params}
    return boosting.fit(rows, params=whole, seed=7, threads=1, validation=validation, start=start)


@cache
def gpu():
    try:
        fit(make_rows(20), n_estimators=1)
    except ConfigError:
        return False
    return True


@pytest.fixture
def on_gpu():
    if not gpu():
        pytest.skip("XGBoost sees no GPU here")


def test_a_gpu_that_is_not_there_is_refused_before_the_first_round():
    if gpu():
        pytest.skip("there is a GPU here")
    rounds = 10**9
    with pytest.raises(ConfigError, match="sees none") as caught:
        fit(make_rows(), n_estimators=rounds)
    assert caught.value.where == "training.algorithms.xgboost.device"


def test_bins_on_disk_are_learned_on_the_processor_and_the_model_says_so(tmp_path):
    rows = make_rows(1_000)
    with MatrixFile(tmp_path, 6, 1_000) as file:
        file.append(rows.X)
        fitted = fit(replace(rows, X=rows.X[:0], file=file))
        assert fitted.params["device"] == "cpu"
        assert score_all(rows.y, fitted.predict(rows.X))["roc_auc"] > 0.9


@pytest.mark.usefixtures("on_gpu")
@pytest.mark.parametrize("classes", [2, 3, 0])
def test_it_learns_there_what_a_processor_learns(classes):
    rows, watch = make_rows(2_000, classes), make_rows(500, classes, seed=1)
    here, there = (fit(rows, watch, device=device) for device in ("cuda", "cpu"))
    assert here.params["device"] == "cuda"
    scores = [fitted.predict(watch.X) for fitted in (here, there)]
    if classes:
        metrics = [score_all(watch.y, proba)["roc_auc"] for proba in scores]
    else:
        metrics = [explained(watch.y, estimates[:, 0]) for estimates in scores]
    assert metrics[0] > 0.8
    assert abs(metrics[0] - metrics[1]) < 0.02


@pytest.mark.usefixtures("on_gpu")
def test_its_model_is_scored_on_the_processor_and_can_be_continued():
    rows = make_rows(1_000)
    fitted = fit(rows)
    device = json.loads(fitted.model.save_config())["learner"]["generic_param"]["device"]
    content = algorithm_of("xgboost").save(fitted)
    loaded = xgboost.Booster()
    loaded.load_model(bytearray(content))
    assert device == "cpu"
    assert np.array_equal(loaded.inplace_predict(rows.X), fitted.model.inplace_predict(rows.X))
    more = fit(rows, start=content)
    assert more.rounds == fitted.rounds + 40


@pytest.mark.usefixtures("on_gpu")
def test_rows_in_a_file_are_learned_there_if_their_bins_fit_in_memory(tmp_path):
    rows = make_rows(1_000)
    with MatrixFile(tmp_path, 6, 1 << 30) as file:
        file.append(rows.X)
        fitted = fit(replace(rows, X=rows.X[:0], file=file))
        assert fitted.params["device"] == "cuda"
    gap = np.abs(fitted.predict(rows.X) - fit(rows).predict(rows.X))
    assert gap.mean() < 0.05
