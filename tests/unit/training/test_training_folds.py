import numpy as np
import polars as pl
import pytest

from ratchet.errors import DataError
from ratchet.training.folds import cut_validation, make_folds
from ratchet.training.table import group_codes, order_codes


def labels(rows=100, share=0.2, seed=0):
    return (np.random.default_rng(seed).random(rows) < share).astype(np.int32)


def test_time_folds_train_on_the_past_only():
    time = np.random.default_rng(1).permutation(np.repeat(np.arange(20), 6))
    y = labels(120, 0.5)
    folds = make_folds(y, 5, seed=0, time=time)
    assert len(folds) == 5
    for fold in folds:
        assert time[fold.train].max() < time[fold.score].min()
    scored = np.concatenate([fold.score for fold in folds])
    assert len(np.unique(scored)) == len(scored)
    assert time[folds[-1].score].max() == 19


def test_few_moments_give_fewer_folds():
    folds = make_folds(labels(60, 0.5), 5, seed=0, time=np.repeat([0, 1, 2], 20))
    assert [len(fold.score) for fold in folds] == [20, 20]


def test_one_moment_cannot_be_cut():
    with pytest.raises(DataError, match="cannot be cross-validated"):
        make_folds(labels(60, 0.5), 5, seed=0, time=np.zeros(60, dtype=np.int64))


def test_one_row_of_a_class_is_not_enough():
    y = np.zeros(20, np.int32)
    y[3] = 1
    folds = make_folds(y, 5, seed=0)
    assert all(3 in fold.train for fold in folds)  # where it is scored, nothing could be learned
    y[3] = 0
    with pytest.raises(DataError):
        make_folds(y, 5, seed=0)


def test_groups_spread_classes_and_sizes():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(400), rng.integers(1, 9, 400))
    y = (rng.random(400) < 0.3).astype(np.int32)[groups]
    folds = make_folds(y, 5, seed=0, groups=groups)
    sizes = [len(fold.score) for fold in folds]
    assert max(sizes) < 1.05 * min(sizes)
    rates = [y[fold.score].mean() for fold in folds]
    assert max(rates) - min(rates) < 0.05


def test_validation_follows_the_kind_of_fold():
    y = labels(300, 0.4)
    plain = cut_validation(y, 0.15, seed=1)
    assert len(plain.score) == pytest.approx(0.15 * 300, abs=3)
    time = np.arange(300)[::-1]
    late = cut_validation(y, 0.15, seed=1, time=time)
    assert time[late.train].max() < time[late.score].min()
    assert len(late.score) == 45
    groups = np.arange(300) // 10
    apart = cut_validation(y, 0.15, seed=1, groups=groups)
    assert not set(groups[apart.train]) & set(groups[apart.score])


def test_no_validation_from_what_cannot_be_cut():
    assert cut_validation(labels(50, 0.5), 0.15, seed=1, time=np.zeros(50)) is None
    assert cut_validation(labels(50, 0.5), 0.15, seed=1, groups=np.zeros(50)) is None


def test_codes_keep_order_and_missing_values_apart():
    time = pl.Series(["2024-02", None, "2024-01", "2024-02"])
    assert order_codes(time).tolist() == [2, 0, 1, 2]
    groups = group_codes(pl.Series(["x", None, "x", None]))
    assert groups[0] == groups[2]
    assert len(set(groups.tolist())) == 3


def test_high_and_low_numbers_are_spread_over_the_folds():
    y = np.random.default_rng(0).lognormal(size=500)
    folds = make_folds(y, 5, seed=3)
    means = [np.log(y[fold.score]).mean() for fold in folds]
    assert max(means) - min(means) < 0.1
    scored = np.sort(np.concatenate([fold.score for fold in folds]))
    assert np.array_equal(scored, np.arange(500))
    groups = np.arange(500) // 5
    for fold in make_folds(y, 5, seed=3, groups=groups):
        assert not set(groups[fold.train]) & set(groups[fold.score])
    with pytest.raises(DataError, match="single class or value"):
        make_folds(np.full(50, 3.5), 5, seed=0)
