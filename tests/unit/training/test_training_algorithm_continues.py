"""Going on from an earlier model, and what is used again between fits."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from ratchet.packaging.onnx import export_model
from ratchet.packaging.scorers import open_scorer
from ratchet.training.deadline import Deadline, StoppedError
from unit.training.training_algorithms import ALL, HERE, QUICK, algorithm_of, fit, make_rows

BOOSTED = [name for name in ("lightgbm", "xgboost") if name in HERE]
CONTINUING = [(name, classes) for name, classes in ALL if algorithm_of(name).continues]


def test_who_continues():
    names = {name for name, _ in CONTINUING}
    assert names | {"xgboost"} == {"lightgbm", "xgboost", "logistic_regression", "ridge"}
    for name, classes in ALL:
        saved = algorithm_of(name).save(fit(name, make_rows(80, classes)))
        assert (saved is not None) == (name in names)
        if saved is not None:
            assert isinstance(saved, bytes)
            saved.decode()  # text, not pickle


@pytest.mark.parametrize(("name", "classes"), CONTINUING)
def test_a_continued_model_knows_both_and_ships_exactly(name, classes, tmp_path):
    rows, fresh = make_rows(300, classes), make_rows(200, classes, seed=5)
    earlier = fit(name, rows)
    saved = algorithm_of(name).save(earlier)
    later = fit(name, fresh, start=saved)
    again = fit(name, fresh, start=saved)
    X = make_rows(200, classes, seed=9).X
    assert not np.array_equal(later.predict(X), earlier.predict(X))
    assert np.array_equal(later.predict(X), again.predict(X))
    assert np.corrcoef(later.predict(X)[:, -1], earlier.predict(X)[:, -1])[0, 1] > 0.9
    if earlier.rounds is not None:
        assert later.rounds == earlier.rounds + next(iter(QUICK[name].values()))
    form = export_model(later, X, tmp_path)
    scorer = open_scorer(form.kind, form.file.read_bytes())
    size = max(1.0, np.abs(later.predict(X)).max())
    assert np.abs(scorer.score(X) - later.predict(X)).max() <= 1e-6 * size


@pytest.mark.parametrize("name", BOOSTED)
@pytest.mark.parametrize("classes", [2, 0])
def test_the_first_rounds_of_a_continued_model_are_the_earlier_ones(name, classes):
    earlier = fit(name, make_rows(300, classes, center=50.0, scale=9.0))
    saved = algorithm_of(name).save(earlier)
    later = fit(name, make_rows(200, classes, seed=5, center=70.0, scale=2.0), start=saved)
    X = make_rows(50, classes, seed=9).X
    if name == "lightgbm":
        first = later.model.predict(X, num_iteration=earlier.rounds)
        assert np.allclose(first, earlier.model.predict(X), rtol=1e-12)
    else:
        first = later.model[: earlier.rounds].inplace_predict(X)
        assert np.array_equal(first, earlier.model.inplace_predict(X))


def test_validation_rows_stop_a_continued_model_too():
    rows = make_rows(300)
    saved = algorithm_of("lightgbm").save(fit("lightgbm", rows))
    later = fit("lightgbm", rows, params={"learning_rate": 0.2}, start=saved,
                validation=make_rows(200, seed=1))  # fmt: skip
    assert 40 <= later.rounds < 300
    assert later.model.num_trees() == later.rounds


def test_ridge_continued_is_ridge_on_all_rows():
    rows = make_rows(300, 0, center=1e5, scale=40)
    first, rest = rows.take(np.arange(180)), rows.take(np.arange(180, 300))
    saved = algorithm_of("ridge").save(fit("ridge", first))
    both = fit("ridge", rest, start=saved).predict(rows.X)
    assert np.allclose(both, fit("ridge", rows).predict(rows.X), rtol=1e-9)


def test_sums_that_were_cut_short_are_not_used_again(monkeypatch):
    monkeypatch.setattr("ratchet.training.algorithms.ridge.BLOCK", 50)
    rows = replace(make_rows(300, 0), cache={})
    short = fit("ridge", rows, deadline=Deadline.after(-1, keep=True))
    assert short.model.sums_.products[-1, -1] == 50  # rows seen
    whole = fit("ridge", make_rows(300, 0))
    assert np.array_equal(fit("ridge", rows).predict(rows.X), whole.predict(rows.X))
    with pytest.raises(StoppedError):
        fit("ridge", rows, deadline=Deadline.after(-1))


def test_few_new_rows_move_logistic_regression_little():
    rows = make_rows(2_000)
    saved = algorithm_of("logistic_regression").save(fit("logistic_regression", rows))
    flipped = replace(make_rows(20, seed=4), y=1 - make_rows(20, seed=4).y)
    later = fit("logistic_regression", flipped, start=saved)
    before = fit("logistic_regression", rows).predict(rows.X)
    assert np.abs(later.predict(rows.X) - before).mean() < 0.05
    assert np.abs(fit("logistic_regression", flipped).predict(rows.X) - before).mean() > 0.3
    # What is known grows with the rows.
    precision = np.array(json.loads(saved)["precision"])
    assert (np.array(later.model.belief_.precision) > precision).all()


@pytest.mark.parametrize(("name", "classes"), CONTINUING)
def test_an_earlier_model_of_other_columns_is_refused(name, classes):
    rows = make_rows(100, classes)
    saved = algorithm_of(name).save(fit(name, rows))
    narrow = replace(rows, X=np.ascontiguousarray(rows.X[:, :4]), names=tuple("abcd"))
    with pytest.raises(ValueError, match="earlier model"):
        fit(name, narrow, start=saved)


@pytest.mark.parametrize(("name", "classes"), [each for each in ALL if each[0] != "svm"])
def test_a_cache_changes_no_bit(name, classes):
    rows, watch = make_rows(200, classes), make_rows(100, classes, seed=1)
    cached = replace(rows, cache={})
    changes = {
        "lightgbm": [{"learning_rate": 0.2}, {"num_leaves": 4}, {"max_bin": 31}],
        "xgboost": [{"learning_rate": 0.3}, {"max_depth": 2}, {"max_bin": 31}],
        "ridge": [{"alpha": 0.1}, {"alpha": 50.0}],
    }.get(name, [{}])
    for change in [*changes, *changes]:
        params = {**QUICK.get(name, {}), **change}
        for validation in (watch, None):
            one = fit(name, cached, params=params, validation=validation)
            other = fit(name, rows, params=params, validation=validation)
            assert np.array_equal(one.predict(watch.X), other.predict(watch.X))
    assert bool(cached.cache) == (name in ("lightgbm", "xgboost", "ridge"))
    assert len(cached.cache) <= 8


@pytest.mark.parametrize("name", BOOSTED)
def test_threads_may_share_a_cache(name):
    rows = replace(make_rows(400), cache={})
    rates = [0.02, 0.05, 0.1, 0.2] * 3
    alone = [
        fit(name, make_rows(400), params={**QUICK[name], "learning_rate": rate}).predict(rows.X)
        for rate in rates[:4]
    ]
    with ThreadPoolExecutor(2) as pool:
        together = list(
            pool.map(
                lambda rate: fit(name, rows, params={**QUICK[name], "learning_rate": rate}), rates
            )
        )
    for place, fitted in enumerate(together):
        assert np.array_equal(fitted.predict(rows.X), alone[place % 4])
