import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.errors import DataError
from ratchet.training.folds import make_folds

CASES = st.tuples(
    st.integers(6, 300), st.integers(2, 8), st.integers(2, 4), st.integers(0, 2**31 - 1)
)


@settings(max_examples=60, deadline=None)
@given(CASES)
def test_stratified_folds_score_every_row_once_and_share_out_the_classes(case):
    rows, k, classes, seed = case
    y = np.random.default_rng(seed).integers(0, classes, rows).astype(np.int32)
    try:
        folds = make_folds(y, k, seed=seed)
    except DataError:
        assert np.unique(y).size < 2 or rows < 2 * k
        return
    for fold in folds:
        assert np.array_equal(np.sort(np.concatenate([fold.train, fold.score])), np.arange(rows))
    if len(folds) == k:
        counts = np.array([np.bincount(y[f.score], minlength=classes) for f in folds])
        assert (counts.max(axis=0) - counts.min(axis=0) <= 1).all()
        sizes = counts.sum(axis=1)
        assert sizes.max() - sizes.min() <= 1
    again = make_folds(y, k, seed=seed)
    assert all(np.array_equal(a.score, b.score) for a, b in zip(folds, again, strict=True))


@settings(max_examples=60, deadline=None)
@given(CASES, st.integers(2, 60))
def test_a_group_is_never_on_both_sides(case, count):
    rows, k, classes, seed = case
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, rows).astype(np.int32)
    groups = rng.integers(0, count, rows)
    try:
        folds = make_folds(y, k, seed=seed, groups=groups)
    except DataError:
        return
    for fold in folds:
        assert not np.intersect1d(groups[fold.train], groups[fold.score]).size
        assert len(fold.train) + len(fold.score) == rows


@settings(max_examples=60, deadline=None)
@given(CASES, st.integers(1, 60))
def test_time_never_runs_backwards(case, moments):
    rows, k, classes, seed = case
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, rows).astype(np.int32)
    time = rng.integers(0, moments, rows)
    try:
        folds = make_folds(y, k, seed=seed, time=time)
    except DataError:
        return
    assert len(folds) <= k
    for fold in folds:
        assert time[fold.train].max() < time[fold.score].min()
        # Nothing in between is thrown away.
        before = (time < time[fold.score].min()).sum()
        assert len(fold.train) == before
