"""Which rows a search uses, and what is kept of them: samples, matrices, other processes."""

import threading
import time

import numpy as np
import polars as pl
import pytest

from made_algorithms import Made, Stubborn
from ratchet.features.recipe import Encoding
from ratchet.training.algorithms.sklearn_estimator import SklearnEstimator
from ratchet.training.deadline import NEVER, Deadline
from ratchet.training.entrant import Entrant
from ratchet.training.folds import make_folds
from ratchet.training.search import sampling
from ratchet.training.search.isolation import Isolation
from ratchet.training.search.matrices import Matrices, matrix_limit
from ratchet.training.search.sampling import draw_sample, least_rows, sample_size
from ratchet.training.table import TrainingTable

CODES = Encoding(categories="codes", missing="native", scale=False)
ONEHOT = Encoding(categories="onehot", missing="impute", scale=True)


@pytest.fixture
def table(problem):
    def make(rows=1_000, **more):
        given = problem(rows=rows)
        return TrainingTable(
            weight=None, **{"time": None, "groups": None, "seed": 42, **more}, **given
        )

    return make


def test_a_sample_keeps_the_classes_shares_and_a_larger_one_holds_it(table):
    rare = np.zeros(20_000, np.int32)
    rare[::200] = 1
    full = table(rows=20_000)
    full = TrainingTable(**{**fields(full), "y": rare})
    small, large = draw_sample(full, 2_000), draw_sample(full, 8_000)
    assert len(small) == pytest.approx(2_000, abs=3)
    assert rare[small].sum() == 10
    assert set(small) <= set(large)
    assert np.array_equal(small, np.sort(small))
    assert draw_sample(full, 20_000) is None


def fields(table):
    return {name: getattr(table, name) for name in table.__dataclass_fields__}


def test_every_stretch_of_time_is_thinned_out_alike(table):
    time = np.random.default_rng(0).permutation(5_000)
    chosen = draw_sample(table(rows=5_000, time=time), 1_000)
    per_tenth = np.bincount(time[chosen] * 10 // 5_000)
    assert per_tenth.max() - per_tenth.min() <= 20


def test_groups_are_taken_whole(table):
    groups = np.arange(5_000) // 7
    chosen = draw_sample(table(rows=5_000, groups=groups), 1_000)
    assert 1_000 <= len(chosen) <= 1_020
    inside = np.isin(groups, groups[chosen])
    assert np.array_equal(np.flatnonzero(inside), chosen)


def test_a_rare_class_asks_for_a_larger_sample(monkeypatch):
    rare = np.zeros(1_000_000, np.int32)
    rare[:1_000] = 1
    assert least_rows(rare) == 500_000
    assert least_rows(np.arange(1_000_000) % 2) == sampling.LEAST_ROWS
    assert least_rows(np.linspace(0, 1, 1_000_000)) == sampling.LEAST_ROWS


def test_the_sample_is_as_large_as_the_time_allows(table, monkeypatch):
    monkeypatch.setattr(sampling, "CELLS_ALWAYS", 1_000)
    monkeypatch.setattr(sampling, "LEAST_ROWS", 100)
    full = table(rows=4_000)
    probed = []

    def seconds_for(rows):
        probed.append(rows)
        return rows * 1e-3

    # 25 trials of n rows at 1 ms a row in 25 seconds: 1,000 rows; of a class at least 500 are kept.
    assert sample_size(full, 25.0, seconds_for) == 1_000
    assert probed == [100]
    assert sample_size(full, 1_000.0, seconds_for) is None
    assert sample_size(full, float("inf"), seconds_for) is None
    monkeypatch.setattr(sampling, "CELLS_ALWAYS", 100_000)
    assert sample_size(full, 0.001, seconds_for) is None


def matrices(table, limit, folds=3):
    cut = make_folds(table.y, folds, seed=0)
    return Matrices(table, cut, limit)


def test_a_fold_is_encoded_once_for_all_who_ask_for_it(table):
    made = matrices(table(), 1 << 30)
    found = []
    threads = [threading.Thread(target=lambda: found.append(made.fold(0, CODES))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(item) for item in found}) == 1
    assert made.fold(0, ONEHOT) is not found[0]
    assert made.seconds(CODES) > 0


def test_matrices_that_take_too_much_go_and_come_back_the_same(table):
    made = matrices(table(), 1)
    first = made.fold(0, CODES)
    made.fold(1, CODES)
    again = made.fold(0, CODES)
    assert again is not first
    assert np.array_equal(again.rows.X, first.rows.X, equal_nan=True)
    assert matrix_limit(4_000) == 1_000
    assert matrix_limit(None) > 1 << 20


def test_the_same_rows_are_handed_out_every_time_so_that_algorithms_can_keep_things(table):
    fold = matrices(table(), 1 << 30).fold(0, CODES)
    learn, watch = fold.parts(stops_early=True)
    assert learn is fold.parts(stops_early=True)[0]
    assert learn.cache == {}
    assert len(learn.y) + len(watch.y) == len(fold.rows.y)
    assert fold.parts(stops_early=False) == (fold.rows, None)


@pytest.fixture
def isolation():
    made = Isolation()
    yield made
    made.close()


def entrant(algorithm, **params):
    return Entrant(algorithm.name, algorithm, params, ONEHOT, None)


def test_another_process_gives_the_same_scores(table, isolation):
    fold = matrices(table(rows=300), 1 << 30).fold(0, ONEHOT)
    path = "sklearn.naive_bayes.GaussianNB"
    candidate = entrant(SklearnEstimator("mine", path), var_smoothing=1e-3)
    score = (fold.X, fold.y)
    attempt = isolation.fit(candidate, fold.rows, score, seed=1, threads=1, deadline=NEVER)
    here = candidate.algorithm.fit(
        fold.rows, params=candidate.params, seed=1, threads=1, validation=None
    )
    assert np.array_equal(attempt.proba, here.predict(fold.X))
    assert attempt.scores["roc_auc"] > 0.7
    again = isolation.fit(candidate, fold.rows, score, seed=1, threads=1, deadline=NEVER)
    assert again.seconds < attempt.seconds  # the process is still there


def test_a_fault_there_is_a_failure_here_and_a_late_one_is_ended(table, isolation):
    fold = matrices(table(rows=300), 1 << 30).fold(0, ONEHOT)
    score = (fold.X, fold.y)
    broken = entrant(SklearnEstimator("mine", "sklearn.naive_bayes.MultinomialNB"))
    attempt = isolation.fit(broken, fold.rows, score, seed=1, threads=1, deadline=NEVER)
    assert "Negative values" in attempt.error
    started = time.monotonic()
    late = isolation.fit(
        entrant(Stubborn(), level=0.3),
        fold.rows,
        score,
        seed=1,
        threads=1,
        deadline=Deadline.after(0.5),
    )
    assert time.monotonic() - started < 6.0
    assert (late.stopped, late.error) == (True, "")
    over = isolation.fit(
        entrant(Made(), level=0.3), fold.rows, score, seed=1, threads=1, deadline=Deadline(0.0)
    )
    assert over.stopped


def test_codes_of_time_stay_in_order_in_a_part(table):
    time = pl.Series(np.arange(1_000)[::-1].copy()).to_numpy()
    part = table(time=time).take(np.array([5, 10, 900]))
    assert part.time.tolist() == [994, 989, 99]
    assert part.frame.height == 3
