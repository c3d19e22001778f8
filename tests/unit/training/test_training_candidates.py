import numpy as np
import polars as pl
import pytest

from ratchet.data.task import Task
from ratchet.errors import ConfigError, DataError, RatchetError
from ratchet.features import recipe as recipes
from ratchet.training import table
from ratchet.training.algorithms import catalogue
from ratchet.training.algorithms.logistic_regression import LogisticRegression
from ratchet.training.candidates import fit_candidates
from ratchet.training.scoring import METRICS, REGRESSION_METRICS, score_all
from ratchet.training.search import matrices
from ratchet.training.select import choose_best, selection_metric
from ratchet.training.settings import TrainingSettings

LINEAR = {"logistic_regression": {}}
PAIR = {"lightgbm": {}, "logistic_regression": {}}


def settings(algorithms=LINEAR, **more):
    """Settings without a search."""
    tuning = more.pop("tuning", {})
    tuning = tuning if tuning == "off" else {"trials": 0, **tuning}
    return TrainingSettings(algorithms=algorithms, tuning=tuning, ensemble=False, **more)


def results_of(**given):
    return fit_candidates(**given).candidates


@pytest.fixture
def spy(monkeypatch):
    """What each recipe was learned on."""
    learned = []

    def watch(frame, y, **more):
        learned.append((frame["row"].to_numpy().copy(), more["encoding"]))
        return recipes.fit_recipe(frame.drop("row"), y, **more)

    monkeypatch.setattr(table, "fit_recipe", watch)
    return learned


def numbered(problem):
    problem["frame"] = problem["frame"].with_row_index("row").with_columns(pl.col("row").cast(int))
    return problem


@pytest.mark.parametrize("classes", [2, 3])
def test_candidates_are_cross_validated_and_fitted_on_all_rows(problem, classes):
    given = problem(classes=classes)
    algorithms = {**PAIR, "random_forest": {"n_estimators": 20}}
    results = results_of(settings=settings(algorithms), **given)
    assert [result.name for result in results] == list(algorithms)
    for result in results:
        assert result.status == "ok"
        assert set(result.cv) == set(METRICS)
        assert len(result.folds) == 5
        assert result.cv["roc_auc"][0] > 0.7
        assert np.isfinite(result.oof).all()
        assert result.oof.shape == (300, classes)
        # Each row was scored once, by a model that had not seen it.
        pooled = score_all(given["y"], result.oof)
        assert pooled["accuracy"] == pytest.approx(result.cv["accuracy"][0], abs=1e-9)
        scores = result.fitted.predict(result.recipe.matrix(given["frame"]))
        assert score_all(given["y"], scores)["roc_auc"] > 0.75
    assert results[0].rounds == results[0].params["num_iterations"]
    assert results[0].params["early_stopping_rounds"] == 0
    choice = choose_best(results, selection_metric(settings(), given["task"]))
    assert choice.metric == ("roc_auc" if classes == 2 else "log_loss")


def test_every_fold_learns_its_recipe_on_its_own_training_rows(problem, spy):
    given = numbered(problem())
    (result,) = results_of(settings=settings(cores=1), **given)
    assert len(spy) == 6
    assert [len(rows) for rows, _ in spy] == [240] * 5 + [300]
    left_out = [np.setdiff1d(np.arange(300), rows) for rows, _ in spy[:5]]
    assert np.array_equal(np.sort(np.concatenate(left_out)), np.arange(300))
    assert result.recipe.inputs


def test_candidates_with_the_same_encoding_share_their_matrices(problem, spy):
    given = numbered(problem())
    fit_candidates(settings=settings({**LINEAR, "svm": {"kernel": "linear"}}), **given)
    assert len(spy) == 6
    fit_candidates(settings=settings(PAIR), **given)
    assert len(spy) == 6 + 12


def test_early_stopping_never_sees_the_rows_a_fold_is_scored_on(problem, monkeypatch):
    """The rows shown to it are cut from the fold's training part, and not learned from."""
    seen = []
    real = matrices.cut_validation

    def watch(y, share, **more):
        cut = real(y, share, **more)
        seen.append((len(y), cut))
        return cut

    monkeypatch.setattr(matrices, "cut_validation", watch)
    fit_candidates(settings=settings({"lightgbm": {}}), **problem())
    assert [rows for rows, _ in seen] == [240] * 5
    for rows, cut in seen:
        assert np.array_equal(np.sort(np.concatenate([cut.train, cut.score])), np.arange(rows))


@pytest.mark.parametrize("cores", [1, 2])
def test_two_calls_give_the_same_bits(problem, cores):
    given = problem(rows=200)
    algorithms = {**PAIR, "random_forest": {"n_estimators": 10}}
    wanted = settings(algorithms, tuning={"folds": 3}, cores=cores)
    one, two = (results_of(settings=wanted, **given) for _ in range(2))
    for left, right in zip(one, two, strict=True):
        assert np.array_equal(left.oof, right.oof)
        assert left.cv == right.cv
        assert left.params == right.params
        assert left.recipe.to_json() == right.recipe.to_json()
        X = left.recipe.matrix(given["frame"])
        assert np.array_equal(left.fitted.predict(X), right.fitted.predict(X))


def test_side_by_side_and_one_by_one_give_the_same_bits(problem):
    given = problem(rows=200)
    one, two = (
        results_of(settings=settings(PAIR, tuning={"folds": 3}, cores=cores), **given)
        for cores in (1, 3)
    )
    for left, right in zip(one, two, strict=True):
        assert np.array_equal(left.oof, right.oof)


def test_without_cross_validation_a_single_candidate_is_fitted_once(problem, spy):
    given = numbered(problem())
    for tuning in ({"folds": 0}, "off"):
        spy.clear()
        (result,) = results_of(settings=settings({"lightgbm": {}}, tuning=tuning), **given)
        assert len(spy) == 1
        assert (result.cv, result.folds, result.oof) == ({}, (), None)
        assert result.rounds == 100
        assert choose_best([result], "roc_auc").reason == "the only candidate"


def test_several_cannot_be_compared_without_cross_validation(problem):
    with pytest.raises(ConfigError, match="2 algorithms cannot be compared") as caught:
        fit_candidates(settings=settings(PAIR, tuning={"folds": 0}), **problem())
    assert caught.value.where == "training.tuning.folds"


def test_time_and_group_are_respected(problem, spy):
    given = numbered(problem())
    month, household = given["frame"]["month"].to_numpy(), given["frame"]["household"].to_numpy()
    (by_time,) = results_of(settings=settings(), time=given["frame"]["month"], **given)
    first = np.flatnonzero(np.isnan(by_time.oof[:, 0]))
    assert 0 < len(first) < 100  # the oldest rows are never scored
    assert month[first].max() < np.delete(month, first).min()
    spy.clear()
    fit_candidates(settings=settings(cores=1), groups=given["frame"]["household"], **given)
    for rows, _ in spy[:5]:
        outside = np.setdiff1d(np.arange(300), rows)
        assert not set(household[rows]) & set(household[outside])


class Failing(LogisticRegression):
    """Breaks in its second fit."""

    name = "failing"
    calls = 0

    def fit(self, rows, **more):
        Failing.calls += 1
        if Failing.calls == 2:
            raise FloatingPointError("the matrix\nis singular")
        return super().fit(rows, **more)


@pytest.fixture
def failing(monkeypatch):
    Failing.calls = 0
    monkeypatch.setitem(catalogue.BUILT_IN, "failing", f"{__name__}:Failing")


def test_one_candidate_failing_is_reported_and_ends_nothing(problem, failing):
    events = []
    results = results_of(
        settings=settings({"failing": {}, **PAIR}, cores=1), on_event=events.append, **problem()
    )
    broken, *sound = results
    assert broken.status == "failed"
    assert broken.error == "FloatingPointError: the matrix is singular"
    assert broken.fitted is None
    assert broken.recipe is None
    assert Failing.calls == 2  # and is not tried again
    assert all(result.status == "ok" for result in sound)
    assert choose_best(results, "roc_auc").best in sound
    failed = [event for event in events if event.kind == "failed"]
    assert [(event.candidate, event.error) for event in failed] == [("failing", broken.error)]


def test_all_candidates_failing_names_each(problem, failing):
    Failing.calls = 1
    wide = {"mine": {"class": "sklearn.naive_bayes.MultinomialNB"}, "failing": {}}
    with pytest.raises(RatchetError, match="No candidate could be trained") as caught:
        fit_candidates(settings=settings(wide, cores=1), **problem())
    assert caught.value.name == "no_candidate"
    assert "failing: FloatingPointError: the matrix is singular" in caught.value.why
    assert "mine: ValueError" in caught.value.why


class Absurd(LogisticRegression):
    """Gives scores that are no numbers."""

    name = "absurd"

    def fit(self, rows, **more):
        fitted = super().fit(rows, **more)
        return type(fitted)(
            "absurd", "sklearn", None, {}, 2, lambda X: np.full((len(X), 2), np.nan)
        )


def test_scores_that_are_no_numbers_are_a_failure(problem, monkeypatch):
    monkeypatch.setitem(catalogue.BUILT_IN, "absurd", f"{__name__}:Absurd")
    results = results_of(settings=settings({"absurd": {}, **LINEAR}), **problem())
    assert results[0].error == "ValueError: its scores are not all numbers"


def test_warnings_become_notes_of_their_candidate(problem):
    algorithms = {"mine": {"class": "sklearn.neural_network.MLPClassifier", "max_iter": 2}, **PAIR}
    noisy, *others = results_of(settings=settings(algorithms, cores=2), **problem())
    assert len(noisy.notes) == 1
    assert noisy.notes[0].startswith("ConvergenceWarning: ")
    assert [result.notes for result in others] == [(), ()]


def test_events_tell_every_fit_once(problem):
    events = []
    fit_candidates(settings=settings(PAIR, cores=2), on_event=events.append, **problem())
    for name in PAIR:
        own = [event for event in events if event.candidate == name]
        assert [event.done for event in own] == [1, 2, 3, 4, 5, 6]
        assert [event.kind for event in own] == ["fold"] * 5 + ["fitted"]
        assert all(event.total == 6 for event in own)
        assert all("roc_auc" in event.scores for event in own[:5])


def test_an_error_in_an_event_handler_is_not_swallowed(problem):
    def broken(event):
        raise OSError("no terminal")

    with pytest.raises(OSError, match="no terminal"):
        fit_candidates(settings=settings(), on_event=broken, **problem())


def test_class_weights_reach_the_candidates(problem):
    given = problem()
    weighted = settings(class_weight={"class 1": 8.0})
    (plain,), (heavy,) = (results_of(settings=wanted, **given) for wanted in (settings(), weighted))
    assert np.nanmean(heavy.oof[:, 1]) > np.nanmean(plain.oof[:, 1]) + 0.05


def test_rows_without_two_classes_are_refused(problem):
    given = problem()
    given["y"] = np.zeros(300, np.int32)
    with pytest.raises(DataError, match="cannot be cross-validated"):
        fit_candidates(settings=settings(), **given)


def test_regression_is_trained_and_judged_by_its_own_metrics(problem):
    given = problem()
    given["task"] = Task("regression", ())
    given["y"] = given["frame"]["age"].to_numpy() ** 2
    trained = fit_candidates(settings=settings({"lightgbm": {}, "ridge": {}}), **given)
    assert trained.choice.metric == "rmse"
    assert trained.choice.best.name == "lightgbm"
    for result in trained.candidates:
        assert set(result.cv) == set(REGRESSION_METRICS)
        assert result.oof.shape == (300, 1)
    assert trained.candidates[0].cv["r2"][0] > 0.5
    assert trained.blend.threshold is None
    assert trained.blend.score(given["frame"]).shape == (300, 1)


def test_class_weights_mean_nothing_for_numbers(problem):
    given = problem()
    given["task"] = Task("regression", ())
    given["y"] = given["frame"]["age"].to_numpy()
    wanted = settings({"ridge": {}}, class_weight="balanced")
    with pytest.raises(ConfigError, match="this target is a number") as caught:
        fit_candidates(settings=wanted, **given)
    assert caught.value.where == "training.class_weight"


def test_few_rows_are_enough(problem):
    given = problem(rows=24)
    results = results_of(settings=settings({**PAIR, "svm": {}}), **given)
    assert [result.status for result in results] == ["ok"] * 3


def test_rounds_are_the_usual_ones_where_nothing_can_stop_them(problem):
    """Two moments make one fold, whose training rows are of one moment and cannot be cut."""
    given = problem()
    moments = pl.Series(np.repeat([0, 1], 150))
    (result,) = results_of(settings=settings({"lightgbm": {}}), time=moments, **given)
    assert len(result.folds) == 1
    assert result.rounds == 100
