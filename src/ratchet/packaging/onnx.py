"""A trained model as a file without pickle that scores as training did, or a refusal.

Tried in this order, each verified on real rows before it is taken:

0. What is linear as plain numbers, scored by NumPy (``linear``).
1. ONNX written here (LightGBM, XGBoost, scikit-learn's trees, linear models, support vectors):
   float64 throughout where the library is, the library's own order of float32 sums for
   XGBoost. No converter is imported, and the same model gives the same bytes.
2. The booster's own text (LightGBM) or JSON (XGBoost), scored by the library.
3. For any other scikit-learn estimator ONNX by skl2onnx, in float64, then in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet.errors import DataError, RatchetError, StorageError
from ratchet.packaging import forests, lightgbm, linear, margins, network, skl2onnx, xgboost
from ratchet.packaging.graph import spread_classes
from ratchet.packaging.parity import TOLERANCE, compare_scores
from ratchet.packaging.scorers import Kind, open_scorer
from ratchet.packaging.trees import InexpressibleError

if TYPE_CHECKING:
    from ratchet.training.fitted import Fitted

SUFFIXES: dict[Kind, str] = {
    "onnx": ".onnx",
    "lightgbm": ".txt",
    "xgboost": ".json",
    "numpy": ".linear.json",
}

_SKLEARN: dict[str, Callable[[Any], bytes]] = {
    "RandomForestClassifier": forests.convert_forest,
    "ExtraTreesClassifier": forests.convert_forest,
    "DecisionTreeClassifier": forests.convert_forest,
    "ExtraTreeClassifier": forests.convert_forest,
    "HistGradientBoostingClassifier": forests.convert_histogram_boosting,
    "LogisticRegression": margins.convert_logistic_regression,
    "LinearDiscriminantAnalysis": margins.convert_logistic_regression,
    "CalibratedClassifierCV": margins.convert_calibrated,
    "RandomForestRegressor": forests.convert_forest,
    "ExtraTreesRegressor": forests.convert_forest,
    "DecisionTreeRegressor": forests.convert_forest,
    "ExtraTreeRegressor": forests.convert_forest,
    "HistGradientBoostingRegressor": forests.convert_histogram_boosting,
    "GradientBoostingRegressor": forests.convert_gradient_boosting,
    "SVR": margins.convert_vector_estimate,
    "NuSVR": margins.convert_vector_estimate,
    **dict.fromkeys(
        (
            "Ridge",
            "LinearRegression",
            "Lasso",
            "ElasticNet",
            "BayesianRidge",
            "ARDRegression",
            "HuberRegressor",
            "LinearSVR",
            "SGDRegressor",
        ),
        margins.convert_linear_estimate,
    ),
}
_LINEAR = (margins.convert_logistic_regression, margins.convert_linear_estimate)


@dataclass(frozen=True, slots=True)
class ModelForm:
    """The form a model is shipped in.

    Attributes:
        kind: which runtime reads it.
        file: the written file; its name ends in ``SUFFIXES[kind]``.
        max_difference: the largest difference to training's scores on the verified rows.
        refused: why the forms tried before it were not taken.
    """

    kind: Kind
    file: Path
    max_difference: float
    refused: tuple[str, ...] = ()


def export_model(
    fitted: Fitted, X: npt.NDArray[np.float32], folder: Path, *, stem: str = "model"
) -> ModelForm:
    """Write ``fitted`` into ``folder`` in the first form whose scores on ``X`` are training's.

    Args:
        fitted: the trained model.
        X: encoded rows (n, d) to verify on, best all rows the model is judged by.
        folder: where to write; it exists.
        stem: the file's name without what ends it.

    Raises:
        RatchetError: ``no_exact_form``: no form without pickle scores as the model does.
        StorageError: the file cannot be written.
    """
    expected = fitted.predict(X)
    refused: list[str] = []
    for kind, make in _forms(fitted):
        try:
            content = make()
            parity = compare_scores(expected, open_scorer(kind, content).score(X))
        except (InexpressibleError, DataError) as error:
            refused.append(str(error))
            continue
        if parity.passed:
            file = _write(folder / f"{stem}{SUFFIXES[kind]}", content)
            return ModelForm(kind, file, parity.max_difference, tuple(refused))
        refused.append(
            f"as {kind} its scores differ by up to {parity.max_difference:.1e} and "
            f"{parity.labels_differ} of {parity.rows} labels"
        )
    raise RatchetError(
        f"The model {fitted.algorithm} cannot be shipped: no form without pickle scores as it does",
        why=f"Within {TOLERANCE:g} was asked for; {'; '.join(dict.fromkeys(refused))}",
        fix="leave this algorithm out of training.algorithms, or choose one that exports exactly: "
        "lightgbm, xgboost, random_forest, extra_trees, logistic_regression, ridge, svm",
        code="no_exact_form",
    )


def _forms(fitted: Fitted) -> Iterator[tuple[Kind, Callable[[], bytes]]]:
    """The forms to try, the best first; each makes the file's bytes when called."""
    model, classes = fitted.model, fitted.classes
    name = type(model).__name__
    known = [int(code) for code in getattr(model, "classes_", range(classes))]

    def whole(content: bytes) -> bytes:
        """A class that the rows learned on did not hold scores 0."""
        return spread_classes(content, known, classes) if len(known) < classes else content

    if fitted.form == "lightgbm" or name in ("LGBMClassifier", "LGBMRegressor"):
        text = lightgbm.write_text(model)
        yield "onnx", lambda: whole(lightgbm.convert(text.decode()))
        if len(known) == classes:
            yield "lightgbm", lambda: text
    elif fitted.form == "xgboost" or name in ("XGBClassifier", "XGBRegressor"):
        content = xgboost.write_json(model)
        yield "onnx", lambda: whole(xgboost.convert(content))
        if len(known) == classes:
            yield "xgboost", lambda: content
    elif fitted.form == "torch":
        yield "onnx", lambda: network.convert(model)
    else:
        if _SKLEARN.get(name) in _LINEAR and len(known) == classes:
            yield "numpy", lambda: linear.convert_linear(model)
        if name in _SKLEARN:
            yield "onnx", lambda: whole(_SKLEARN[name](model))
        for wide in (True, False):
            yield "onnx", lambda wide=wide: whole(skl2onnx.convert(model, wide=wide))  # type: ignore[misc]


def _write(path: Path, content: bytes) -> Path:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StorageError(
            f"The model file {path.name} cannot be written",
            why=str(error.strerror or error),
            fix="check the folder's permissions and the free space",
            where=str(path.parent),
        ) from error
    return path
