"""Which form a model is shipped in, and when it is not."""

import os
import subprocess
import sys
import warnings
from hashlib import sha256

import numpy as np
import pytest

from ratchet.errors import RatchetError, StorageError
from ratchet.packaging import onnx as exporting
from ratchet.packaging.onnx import SUFFIXES, export_model
from ratchet.packaging.scorers import open_scorer
from ratchet.training.algorithms.estimator import fitted_estimator
from ratchet.training.fitted import Fitted
from unit.packaging.packaging_models import SMALL, train

TRAINED_BY_NAME = ("lightgbm", "xgboost", "random_forest", "logistic_regression", "svm")


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(11)
    X = rng.normal(size=(300, 4)).astype(np.float32)
    y = np.digitize(X @ np.array([1.0, -1.0, 0.5, 0.0]), [-0.7, 0.7]).astype(np.int32)
    return X, y


def fit(model, rows, *, classes=2, keep=None):
    X, y = rows
    y = (y > 0).astype(np.int32) if classes == 2 else y
    if keep is not None:
        X, y = X[np.isin(y, keep)], y[np.isin(y, keep)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fitted_estimator(type(model).__name__, model.fit(X, y), {}, classes)


def scores_of(form):
    return open_scorer(form.kind, form.file.read_bytes())


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", SMALL)
def test_every_algorithm_ships_as_onnx_or_as_plain_numbers(tmp_path, name, classes):
    trained = train(name, classes)
    form = export_model(trained.fitted, trained.X, tmp_path, stem="model.1")
    linear = name == "logistic_regression"
    kind, file = ("numpy", "model.1.linear.json") if linear else ("onnx", "model.1.onnx")
    assert (form.kind, form.file) == (kind, tmp_path / file)
    assert form.max_difference <= (1e-6 if "sklearn" in name else 2e-7)
    if name in TRAINED_BY_NAME:
        assert form.refused == ()
    expected = trained.fitted.predict(trained.X)
    got = scores_of(form).score(trained.X)
    assert np.abs(got - expected).max() == form.max_difference
    assert got.dtype == np.float64


@pytest.mark.parametrize("name", SMALL)
def test_the_same_model_gives_the_same_bytes(tmp_path, name):
    trained = train(name, 3)
    one = export_model(trained.fitted, trained.X, tmp_path).file.read_bytes()
    two = export_model(trained.fitted, trained.X[:7], tmp_path).file.read_bytes()
    assert one == two


def test_bytes_do_not_depend_on_the_process(tmp_path):
    """skl2onnx names things by counters and walks sets: order of hashes, what came before."""
    code = (
        "import numpy as np\n"
        "from hashlib import sha256\n"
        "from sklearn.neighbors import KNeighborsClassifier\n"
        "from ratchet.packaging.skl2onnx import convert\n"
        "X = np.arange(40, dtype=np.float32).reshape(20, 2) % 7\n"
        "model = KNeighborsClassifier(3).fit(X, np.arange(20) % 2)\n"
        "for _ in range(times): content = convert(model, wide=True)\n"
        "print(sha256(content).hexdigest())\n"
    )
    digests = set()
    for seed, times in (("1", 1), ("2", 3)):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", f"times = {times}\n{code}"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1
    assert len(digests.pop()) == len(sha256().hexdigest())


def test_estimators_by_dotted_path(tmp_path, rows):
    from lightgbm import LGBMClassifier
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier
    from xgboost import XGBClassifier

    for model in (
        LGBMClassifier(n_estimators=10, n_jobs=1, verbose=-1),
        XGBClassifier(n_estimators=10, n_jobs=1),
        LinearDiscriminantAnalysis(),
        DecisionTreeClassifier(random_state=0),
        AdaBoostClassifier(n_estimators=5, random_state=0),
        BaggingClassifier(n_estimators=3, random_state=0),
        KNeighborsClassifier(5),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ):
        for classes in (2, 3):
            form = export_model(fit(model, rows, classes=classes), rows[0], tmp_path)
            linear = isinstance(model, LinearDiscriminantAnalysis)
            assert form.kind == ("numpy" if linear else "onnx"), model


def test_calibrated_machines(tmp_path, rows):
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.svm import SVC, LinearSVC

    for machine in (SVC(), SVC(kernel="linear", C=3.0), LinearSVC()):
        for classes in (2, 3):
            for ensemble in (True, False):
                model = CalibratedClassifierCV(machine, cv=2, ensemble=ensemble)
                form = export_model(fit(model, rows, classes=classes), rows[0], tmp_path)
                assert form.max_difference < 1e-12, (machine, classes, ensemble)
                assert form.refused == ()


def test_a_class_without_rows_scores_zero(tmp_path, rows):
    from lightgbm import LGBMClassifier
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB

    models = (
        RandomForestClassifier(5, random_state=0),
        LogisticRegression(),
        LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1),
        GaussianNB(),
    )
    for model in models:
        fitted = fit(model, rows, classes=3, keep=[0, 2])
        X = rows[0][:20].round(1)
        if isinstance(model, GaussianNB):  # scikit-learn's own is only exact to 1e-6 in float32
            fitted = with_scores(fitted, model.predict_proba(X.astype(float)), [0, 2])
        scorer = scores_of(export_model(fitted, X, tmp_path))
        got = scorer.score(X)
        assert scorer.classes == 3
        assert (got[:, 1] == 0).all()
        assert np.allclose(got.sum(axis=1), 1)


def with_scores(fitted, some, known):
    every = np.zeros((len(some), fitted.classes))
    every[:, known] = some
    return Fitted("given", fitted.form, fitted.model, {}, fitted.classes, lambda X: every[: len(X)])


def scoring(fitted, change):
    """The same model, but training scores differently from what its form can."""
    return Fitted(
        fitted.algorithm,
        fitted.form,
        fitted.model,
        {},
        fitted.classes,
        lambda X: change(np.asarray(fitted.predict(X))),
    )


def test_the_boosters_own_form_takes_over(tmp_path, rows):
    import lightgbm
    import xgboost

    X, y = rows
    settings = {"objective": "multiclassova", "num_class": 3, "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(X, y), 5)
    form = export_model(Fitted("own", "lightgbm", booster, {}, 3, booster.predict), X, tmp_path)
    assert (form.kind, form.file.name, form.max_difference) == ("lightgbm", "model.txt", 0.0)
    assert "multiclassova" in form.refused[0]

    settings = {"objective": "binary:logistic", "booster": "dart", "nthread": 1}
    dart = xgboost.train(settings, xgboost.DMatrix(X, y > 0), 5)
    fitted = Fitted("own", "xgboost", dart, {}, 2, lambda X: dart.predict(xgboost.DMatrix(X)))
    form = export_model(fitted, X, tmp_path)
    assert (form.kind, form.file.name, form.max_difference) == ("xgboost", "model.json", 0.0)
    assert "dart" in form.refused[0]


@pytest.mark.parametrize("name", ["lightgbm", "random_forest"])
def test_scores_that_differ_are_not_shipped(tmp_path, name):
    trained = train(name)
    shifted = scoring(trained.fitted, lambda scores: np.add(scores, [2e-6, -2e-6]))
    with pytest.raises(RatchetError) as caught:
        export_model(shifted, trained.X, tmp_path)
    assert caught.value.name == "no_exact_form"
    assert "2.0e-06" in caught.value.why
    assert list(tmp_path.iterdir()) == []
    near = scoring(trained.fitted, lambda scores: np.add(scores, [4e-7, -4e-7]))
    assert 3e-7 < export_model(near, trained.X, tmp_path).max_difference < 1e-6


def test_one_row_out_of_many_is_enough_to_refuse(tmp_path):
    trained = train("logistic_regression")

    def swap_last(scores):
        scores[-1] = scores[-1, ::-1]
        return scores

    with pytest.raises(RatchetError, match="cannot be shipped"):
        export_model(scoring(trained.fitted, swap_last), trained.X, tmp_path)


def test_an_estimator_nobody_can_convert_says_so(tmp_path, rows):
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.naive_bayes import GaussianNB

    fitted = fit(CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=2), rows)
    with pytest.raises(RatchetError) as caught:
        export_model(fitted, rows[0], tmp_path)
    assert caught.value.name == "no_exact_form"
    assert "isotonic" in caught.value.why
    assert "lightgbm" in caught.value.fix


def test_a_folder_that_cannot_be_written(tmp_path):
    trained = train("logistic_regression")
    with pytest.raises(StorageError, match=r"model\.linear\.json"):
        export_model(trained.fitted, trained.X, tmp_path / "not there")


def test_a_row_scores_the_same_alone_and_among_many():
    for name in TRAINED_BY_NAME:
        trained = train(name, 3)
        kind, make = next(exporting._forms(trained.fitted))
        scorer = open_scorer(kind, make())
        many = np.tile(trained.X, (5, 1))
        whole = scorer.score(many)
        assert np.abs(whole[:500] - whole[500:1000]).max() < 1e-15
        alone = np.vstack([scorer.score(trained.X[i : i + 1]) for i in range(50)])
        assert np.abs(alone - whole[:50]).max() < 1e-15


def test_the_names_of_files_tell_the_form():
    assert SUFFIXES == {
        "onnx": ".onnx",
        "lightgbm": ".txt",
        "xgboost": ".json",
        "numpy": ".linear.json",
    }
