"""Models that are a margin and a link, written as ONNX: linear models and support vectors.

The common converters use float32 operators for the SVM: measured on Telco, differences of 9e-7
(RBF) to 2e-5 (linear) where 1e-6 is allowed. Here everything is float64, as in scikit-learn.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.packaging.graph import OUTPUT, Graph
from ratchet.packaging.trees import InexpressibleError

Floats = npt.NDArray[np.float64]


def convert_logistic_regression(model: Any) -> bytes:
    """A linear model whose link is a sigmoid for two classes, a softmax for more, as ONNX."""
    classes, features = len(model.classes_), int(model.n_features_in_)
    graph = Graph()
    margin = _add_linear(graph, graph.wide_input(), "margin", model.coef_, model.intercept_)
    if classes == 2:
        graph.two_classes(graph.add("Sigmoid", [margin], "positive"))
    else:
        graph.add("Softmax", [margin], OUTPUT, axis=1)
    return graph.finish(features=features, classes=classes)


def convert_linear_estimate(model: Any) -> bytes:
    """A linear regression of any kind, such as ``Ridge``, ``Lasso`` or ``LinearSVR``, as ONNX.

    Raises:
        InexpressibleError: it estimates several targets at once.
    """
    weights = np.atleast_2d(np.asarray(model.coef_, np.float64))
    if len(weights) != 1:
        raise InexpressibleError("a linear model with several targets")
    graph = Graph()
    _add_linear(graph, graph.wide_input(), OUTPUT, weights, model.intercept_)
    return graph.finish(features=int(model.n_features_in_), classes=1)


def convert_vector_estimate(model: Any) -> bytes:
    """``SVR`` or ``NuSVR`` with an RBF or linear kernel as ONNX.

    Raises:
        InexpressibleError: another kernel.
    """
    if model.kernel not in ("rbf", "linear"):
        raise InexpressibleError(f"support vectors with the kernel {model.kernel}")
    graph = Graph()
    kernel = _add_kernel(graph, graph.wide_input(), "kernel", model)
    _add_linear(graph, kernel, OUTPUT, model.dual_coef_, model.intercept_)
    return graph.finish(features=int(model.n_features_in_), classes=1)


def convert_calibrated(model: Any) -> bytes:
    """``CalibratedClassifierCV`` with sigmoids over ``SVC`` or ``LinearSVC`` as ONNX.

    Raises:
        InexpressibleError: another calibration, estimator or kernel.
    """
    classes, features = len(model.classes_), int(model.n_features_in_)
    graph = Graph()
    values = graph.wide_input()
    parts = [
        _add_calibrated(graph, values, f"part{i}", part, classes)
        for i, part in enumerate(model.calibrated_classifiers_)
    ]
    total = parts[0] if len(parts) == 1 else graph.add("Sum", parts, "total")
    mean = graph.add("Div", [total, graph.constant("parts", [float(len(parts))])], "mean")
    if classes == 2:
        graph.two_classes(mean)
    else:
        graph.add("Identity", [mean], OUTPUT)
    return graph.finish(features=features, classes=classes)


def _add_calibrated(graph: Graph, values: str, name: str, part: Any, classes: int) -> str:
    """Probabilities: of the positive class (n, 1) of two, else of every class (n, k)."""
    if part.method != "sigmoid" or len(part.estimator.classes_) != classes:
        raise InexpressibleError(f"a calibration by {part.method}, or of some classes only")
    margin = _add_margin(graph, values, f"{name}_margin", part.estimator, classes)
    slope = graph.constant(f"{name}_a", [-float(one.a_) for one in part.calibrators])
    offset = graph.constant(f"{name}_b", [float(one.b_) for one in part.calibrators])
    scaled = graph.add("Mul", [margin, slope], f"{name}_scaled")
    shifted = graph.add("Sub", [scaled, offset], f"{name}_shifted")
    proba = graph.add("Sigmoid", [shifted], f"{name}_sigmoid")
    if classes == 2:
        return proba
    axis = graph.constant("axis", np.array([1]))
    total = graph.add("ReduceSum", [proba, axis], f"{name}_total", keepdims=1)
    nothing = graph.add("Equal", [total, graph.constant("zero", [0.0])], f"{name}_nothing")
    even = graph.constant("even", [1.0 / classes])
    return graph.add(
        "Where", [nothing, even, graph.add("Div", [proba, total], f"{name}_share")], f"{name}_proba"
    )


def _add_margin(graph: Graph, values: str, name: str, machine: Any, classes: int) -> str:
    kind = type(machine).__name__
    if kind == "LinearSVC":
        return _add_linear(graph, values, name, machine.coef_, machine.intercept_)
    if kind != "SVC" or machine.kernel not in ("rbf", "linear"):
        raise InexpressibleError(f"a calibrated {kind}")
    if classes > 2 and machine.decision_function_shape != "ovr":
        raise InexpressibleError("an SVM with a margin per pair of classes")
    kernel = _add_kernel(graph, values, f"{name}_kernel", machine)
    pairs = _add_linear(
        graph, kernel, f"{name}_pairs", _pair_weights(machine, classes), machine.intercept_
    )
    return pairs if classes == 2 else _add_votes(graph, pairs, name, classes)


def _add_linear(graph: Graph, values: str, name: str, weights: Any, intercept: Any) -> str:
    """``values @ weights.T + intercept``; ``weights`` (k, d)."""
    matrix = graph.constant(f"{name}_weights", np.asarray(weights, np.float64).T.copy())
    offset = graph.constant(f"{name}_intercept", np.ravel(intercept).astype(np.float64))
    return graph.add("Add", [graph.add("MatMul", [values, matrix], f"{name}_sum"), offset], name)


def _add_kernel(graph: Graph, values: str, name: str, machine: Any) -> str:
    """The kernel of each row with each support vector (n, m)."""
    support = np.asarray(machine.support_vectors_, np.float64)
    product = graph.add(
        "MatMul", [values, graph.constant(f"{name}_support", support.T.copy())], f"{name}_product"
    )
    if machine.kernel == "linear":
        return product
    # |x - s|^2 as |x|^2 + |s|^2 - 2 x s: one matrix product instead of n x m x d differences.
    axis = graph.constant("axis", np.array([1]))
    row = graph.add("ReduceSumSquare", [values, axis], f"{name}_row", keepdims=1)
    twice = graph.add("Mul", [product, graph.constant("two", [2.0])], f"{name}_twice")
    norms = graph.constant(f"{name}_norms", (support**2).sum(axis=1))
    both = graph.add("Add", [row, norms], f"{name}_both")
    squared = graph.add("Sub", [both, twice], f"{name}_squared")
    gamma = graph.constant(f"{name}_gamma", [-float(machine._gamma)])
    return graph.add("Exp", [graph.add("Mul", [squared, gamma], f"{name}_exponent")], name)


def _pair_weights(machine: Any, classes: int) -> Floats:
    """One row of weights over the support vectors per pair of classes (pairs, m).

    libsvm stores, for a vector of class i, its weight against class j > i in row j - 1, and
    against j < i in row j. Source: scikit-learn user guide, 1.4.1.1, "dual_coef_".
    """
    dual = np.asarray(machine.dual_coef_, np.float64)
    if classes == 2:
        return dual
    ends = np.cumsum(machine.n_support_)
    starts = ends - machine.n_support_
    weights = np.zeros((classes * (classes - 1) // 2, dual.shape[1]))
    for row, (i, j) in zip(weights, combinations(range(classes), 2), strict=True):
        row[starts[i] : ends[i]] = dual[j - 1, starts[i] : ends[i]]
        row[starts[j] : ends[j]] = dual[i, starts[j] : ends[j]]
    return weights


def _add_votes(graph: Graph, pairs: str, name: str, classes: int) -> str:
    """A margin per class from one per pair: votes, and the summed margins within a vote.

    Source: ``sklearn.utils.multiclass._ovr_decision_function``.
    """
    first, second = np.zeros((2, classes * (classes - 1) // 2, classes))
    for row, (i, j) in enumerate(combinations(range(classes), 2)):
        first[row, i] = second[row, j] = 1.0
    zero, one = graph.constant("zero", [0.0]), graph.constant("one", [1.0])
    lost = graph.add("Less", [pairs, zero], f"{name}_lost")
    chosen = graph.add("Where", [lost, zero, one], f"{name}_chosen")
    net = graph.constant("first_less_second", first - second)
    won = graph.add("MatMul", [chosen, net], f"{name}_won")
    votes = graph.add("Add", [won, graph.constant("seconds", second.sum(axis=0))], f"{name}_votes")
    total = graph.add("MatMul", [pairs, net], f"{name}_total")
    size = graph.add("Add", [graph.add("Abs", [total], f"{name}_abs"), one], f"{name}_size")
    limit = graph.add("Mul", [size, graph.constant("three", [3.0])], f"{name}_limit")
    return graph.add("Add", [votes, graph.add("Div", [total, limit], f"{name}_part")], name)
