import subprocess
import sys

import pytest

from ratchet.errors import ConfigError, MissingExtraError
from ratchet.training.algorithms import catalogue
from ratchet.training.algorithms.catalogue import (
    BUILT_IN,
    algorithms_for,
    resolve_candidates,
    starting_algorithms,
)


@pytest.fixture(autouse=True)
def everything_is_installed(monkeypatch):
    monkeypatch.setattr(catalogue, "find_spec", lambda name: object())


def refusal(algorithms):
    with pytest.raises(ConfigError) as caught:
        resolve_candidates(algorithms)
    return caught.value


def test_all_built_in_algorithms_are_found_in_the_files_order():
    names = list(reversed(BUILT_IN))
    found = resolve_candidates({name: {} for name in names})
    assert [candidate.name for candidate in found] == names
    assert [candidate.algorithm.name for candidate in found] == names


def test_aliases_become_the_main_name():
    found = resolve_candidates(
        {
            "lightgbm": {"n_estimators": 10, "reg_lambda": 2, "subsample": 0.5},
            "xgboost": {"eta": 0.1, "lambda": 2},
        }
    )
    assert found[0].params == {"num_iterations": 10, "lambda_l2": 2, "bagging_fraction": 0.5}
    assert found[1].params == {"learning_rate": 0.1, "reg_lambda": 2}


@pytest.mark.parametrize(
    ("algorithms", "what", "fix", "where"),
    [
        ({"lightgbn": {}}, "no algorithm `lightgbn`", "`lightgbm`", "training.algorithms.lightgbn"),
        ({"magic": {}}, "no algorithm `magic`", "dotted path", "training.algorithms.magic"),
        (
            {"lightgbm": {"lerning_rate": 0.1}},
            "no parameter `lerning_rate`",
            "`learning_rate`",
            "training.algorithms.lightgbm.lerning_rate",
        ),
        (
            {"random_forest": {"random_state": 1}},
            "not set per algorithm",
            "training.seed",
            "training.algorithms.random_forest.random_state",
        ),
        ({"xgboost": {"scale_pos_weight": 2}}, "not set", "training.class_weight", None),
        ({"sklearn.svm.SVC": {"n_jobs": 2}}, "not set", "training.cores", None),
        ({"lightgbm": {"eta": 0.1, "learning_rate": 0.2}}, "given twice", "", None),
        ({"svm": {"class": "sklearn.svm.SVC"}}, "takes no `class`", "name of its own", None),
        ({"mine": {"class": 7}}, "not a dotted path", "for example", None),
        ({"mine": {"class": "sklearn.nothing.Here"}}, "cannot be loaded", "dotted path", None),
        ({"sklearn.svm.Nothing": {}}, "cannot be loaded", "dotted path", None),
        ({"sklearn.metrics.log_loss": {}}, "is not a class", "dotted path", None),
        ({"datetime.datetime": {}}, "cannot be trained", "dotted path", None),
        ({"sklearn.cluster.KMeans": {}}, "neither classifier nor regressor", "dotted path", None),
        (
            {"extra": {"class": "sklearn.ensemble.ExtraTreesClassifier", "n_estimatorz": 3}},
            "no parameter `n_estimatorz`",
            "`n_estimators`",
            "training.algorithms.extra.n_estimatorz",
        ),
    ],
)
def test_mistakes_are_named_with_what_to_do(algorithms, what, fix, where):
    error = refusal(algorithms)
    assert what in error.what
    assert fix in error.fix
    if where is not None:
        assert error.where == where


@pytest.mark.parametrize(
    ("algorithm", "params"),
    [
        ("lightgbm", {"learning_rate": 0}),
        ("lightgbm", {"learning_rate": "fast"}),
        ("lightgbm", {"num_leaves": 1}),
        ("lightgbm", {"num_leaves": 31.5}),
        ("lightgbm", {"num_leaves": True}),
        ("lightgbm", {"extra_trees": 1}),
        ("lightgbm", {"learning_rate": float("nan")}),
        ("xgboost", {"subsample": 1.5}),
        ("xgboost", {"grow_policy": "sideways"}),
        ("xgboost", {"max_depth": None}),
        ("random_forest", {"max_features": "all"}),
        ("svm", {"kernel": "poly"}),
        ("logistic_regression", {"C": -1}),
    ],
)
def test_values_out_of_range_are_refused(algorithm, params):
    error = refusal({algorithm: params})
    assert error.fix.startswith("give ")
    assert error.where == f"training.algorithms.{algorithm}.{next(iter(params))}"


def test_null_is_allowed_where_it_means_no_limit():
    (found,) = resolve_candidates({"random_forest": {"max_depth": None, "max_features": "log2"}})
    assert found.params == {"max_depth": None, "max_features": "log2"}


def test_a_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setattr(catalogue, "find_spec", lambda name: None if name == "xgboost" else name)
    with pytest.raises(MissingExtraError, match="xgboost") as caught:
        resolve_candidates({"lightgbm": {}, "xgboost": {}})
    assert caught.value.fix == "pip install 'ratchet-ml[xgboost]'"
    assert "xgboost" not in starting_algorithms()


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_project_that_names_no_algorithm_gets_some_that_fit(task):
    found = resolve_candidates(algorithms_for(task), task)
    assert len(found) == 4
    assert starting_algorithms(task)[:2] == ("lightgbm", "xgboost")
    resolve_candidates({name: {} for name in starting_algorithms(task)}, task)


@pytest.mark.parametrize(
    ("name", "task", "instead"),
    [
        ("logistic_regression", "regression", "ridge"),
        ("ridge", "binary", "logistic_regression"),
        ("sklearn.linear_model.Lasso", "multiclass", "extra_trees"),
        ("sklearn.naive_bayes.GaussianNB", "regression", "svm"),
    ],
)
def test_an_algorithm_for_another_task_is_refused(name, task, instead):
    assert resolve_candidates({name: {}})
    with pytest.raises(ConfigError, match="cannot learn") as caught:
        resolve_candidates({"lightgbm": {}, name: {}}, task)
    assert caught.value.where == f"training.algorithms.{name}"
    assert instead in caught.value.fix
    assert name not in caught.value.fix


def test_cuda_is_refused_where_xgboost_has_none(monkeypatch):
    xgboost = pytest.importorskip("xgboost")
    monkeypatch.setattr(xgboost, "build_info", lambda: {"USE_CUDA": False})
    assert "xgboost-cpu" in refusal({"xgboost": {"device": "cuda"}}).fix
    monkeypatch.setattr(xgboost, "build_info", lambda: {"USE_CUDA": True})
    (found,) = resolve_candidates({"xgboost": {"device": "cuda"}})
    assert found.params == {"device": "cuda"}
    assert refusal({"xgboost": {"device": "tpu"}}).fix == "give `cpu` or `cuda`"


class PluginAlgorithm:
    name = "plugged"
    library = "json"
    extra = ""
    rounds_parameter = None

    def check(self, params):
        return dict(params)


def test_plugins_are_looked_up_when_a_name_is_not_built_in(monkeypatch):
    asked = []

    class Point:
        name = "plugged"

        def load(self):
            return PluginAlgorithm

    def points(group):
        asked.append(group)
        return [Point()]

    monkeypatch.setattr(catalogue, "entry_points", points)
    resolve_candidates({"lightgbm": {}})
    assert asked == []
    (found,) = resolve_candidates({"plugged": {"a": 1}})
    assert asked == ["ratchet.algorithms"]
    assert isinstance(found.algorithm, PluginAlgorithm)
    assert "`plugged`" in refusal({"pluged": {}}).fix


def test_checking_a_project_loads_no_training_library():
    script = (
        "import sys\n"
        "from ratchet.training.algorithms.catalogue import BUILT_IN, resolve_candidates\n"
        "resolve_candidates({name: {} for name in BUILT_IN if name != 'xgboost'})\n"
        "loaded = {'lightgbm', 'xgboost', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_is_near_no_algorithm_is_told_all_of_them_in_sentences():
    with pytest.raises(ConfigError) as caught:
        resolve_candidates({"nothing_alike": {}})
    assert ", xgboost. Any scikit-learn" in caught.value.fix
