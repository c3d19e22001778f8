import pytest

from ratchet.data.task import Task
from ratchet.errors import ConfigError, DataError
from ratchet.training.results import NO_TIME, CandidateResult
from ratchet.training.select import choose_best, search_metric, selection_metric
from ratchet.training.settings import TrainingSettings


def result(name, algorithm=None, status="ok", seconds=1.0, error="", **cv):
    return CandidateResult(
        name=name,
        algorithm=algorithm or name,
        params={},
        status=status,
        error=error,
        cv={metric: (mean, 0.01) for metric, mean in cv.items()},
        folds=({}, {}),
        seconds=seconds,
    )


def test_the_best_mean_wins_whatever_the_order():
    trained = [
        result("svm", roc_auc=0.8),
        result("lightgbm", roc_auc=0.9),
        result("x", roc_auc=0.7),
    ]
    for order in (trained, trained[::-1]):
        choice = choose_best(order, "roc_auc")
        assert choice.best.name == "lightgbm"
        assert choice.ranking == ("lightgbm", "svm", "x")
        assert "0.9000 ± 0.0100" in choice.reason


def test_log_loss_is_best_when_lowest():
    trained = [result("svm", log_loss=0.4), result("lightgbm", log_loss=0.3)]
    assert choose_best(trained, "log_loss").best.name == "lightgbm"


def test_a_tie_goes_to_the_simpler_not_to_the_quicker_this_time():
    trained = [
        result("random_forest", roc_auc=0.8, seconds=0.1),
        result("mine", "sklearn.ensemble.ExtraTreesClassifier", roc_auc=0.8, seconds=0.1),
        result("logistic_regression", roc_auc=0.8 - 1e-9, seconds=9.0),
    ]
    choice = choose_best(trained, "roc_auc")
    assert choice.ranking == ("logistic_regression", "random_forest", "mine")


def test_a_failed_candidate_is_no_choice():
    trained = [result("svm", status="failed", roc_auc=0.9), result("lightgbm", roc_auc=0.6)]
    assert choose_best(trained, "roc_auc").best.name == "lightgbm"


def test_a_metric_that_no_fold_has_is_refused():
    with pytest.raises(DataError, match="No fold can be scored by roc_auc"):
        choose_best([result("svm", log_loss=0.3), result("lightgbm", log_loss=0.2)], "roc_auc")


def test_the_metric_fits_the_task():
    binary, many = Task("binary", (0, 1)), Task("multiclass", (0, 1, 2))
    auto = TrainingSettings()
    assert selection_metric(auto, binary) == "roc_auc"
    assert selection_metric(auto, many) == "log_loss"
    assert selection_metric(TrainingSettings(metric="f1"), many) == "f1"


def test_numbers_have_metrics_of_their_own():
    numbers = Task("regression", ())
    assert selection_metric(TrainingSettings(), numbers) == "rmse"
    assert selection_metric(TrainingSettings(metric="r2"), numbers) == "r2"
    trained = [result("ridge", rmse=2.0), result("lightgbm", rmse=1.0)]
    assert choose_best(trained, "rmse").best.name == "lightgbm"
    for metric, task in (("roc_auc", numbers), ("mae", Task("binary", (0, 1)))):
        with pytest.raises(ConfigError, match=f"{metric} is no metric") as caught:
            selection_metric(TrainingSettings(metric=metric), task)
        assert caught.value.where == "training.metric"


def test_a_search_may_follow_another_metric():
    binary = Task("binary", (0, 1))
    assert search_metric(TrainingSettings(tuning="off", metric="f1"), binary) == "f1"
    assert search_metric(TrainingSettings(tuning={"metric": "log_loss"}), binary) == "log_loss"
    with pytest.raises(ConfigError) as caught:
        search_metric(TrainingSettings(tuning={"metric": "rmse"}), binary)
    assert caught.value.where == "training.tuning.metric"


def test_an_ensemble_that_is_there_is_the_choice():
    trained = [result("lightgbm", roc_auc=0.9), result("ensemble", roc_auc=0.899)]
    choice = choose_best(trained, "roc_auc", "better on folds that chose neither")
    assert choice.best.name == "ensemble"
    assert choice.ranking == ("ensemble", "lightgbm")
    assert choice.reason.endswith("; better on folds that chose neither")


def late(*names):
    return [result(name, status="dropped", error=NO_TIME) for name in names]


def test_what_was_compared_with_nothing_says_so():
    asked = [*late("lightgbm", "xgboost"), result("logistic_regression"), *late("svm", "x")]
    choice = choose_best(asked, "roc_auc")
    assert choice.reason == "1 of 5 candidates; the time was up for the others"
    assert choice.alone
    some = [result("svm"), result("x", status="failed", error="it broke"), *late("lightgbm")]
    choice = choose_best(some, "roc_auc")
    assert choice.reason == "1 of 3 candidates; the time was up for 1 of the others"
    only = choose_best([result("svm")], "roc_auc")
    assert (only.reason, only.alone) == ("the only candidate", False)


def test_the_only_one_that_was_scored_was_compared_with_nothing():
    scored = [result("svm", roc_auc=0.8)]
    choice = choose_best(scored, "roc_auc", asked=[*scored, *late("lightgbm", "x")])
    assert choice.reason.endswith(
        "0.8000 ± 0.0100; 1 of 3 candidates; the time was up for the others"
    )
    assert choice.alone


def test_one_that_was_far_behind_was_compared():
    scored = [result("svm", roc_auc=0.8)]
    behind = result("x", status="dropped", error="given up after 1 folds: far behind, and dear")
    choice = choose_best(scored, "roc_auc", asked=[*scored, behind, *late("lightgbm")])
    assert not choice.alone
    both = [*scored, result("x", roc_auc=0.7)]
    assert not choose_best(both, "roc_auc", asked=[*both, *late("lightgbm")]).alone
