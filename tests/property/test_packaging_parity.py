"""Whatever the values: the shipped form scores as training did, one row as many."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ratchet.data.schema import polars_type
from ratchet.packaging.model import Model
from ratchet.packaging.onnx import export_model
from ratchet.packaging.parity import compare_scores
from ratchet.packaging.scorers import open_scorer
from ratchet.training.algorithms.catalogue import BUILT_IN
from ratchet.training.blend import Blend
from ratchet.training.calibrate import Calibration
from unit.packaging.packaging_models import (
    BOOSTED,
    CITIES,
    DOTTED,
    ESTIMATORS,
    HISTOGRAM,
    NETWORK,
    PLANS,
    SMALL,
    blend_of,
    bundle_of,
    bundle_of_blend,
    expected_scores,
    train,
)

ODD = (1e30, -1e30, 1e-42, -1e-42, 0.0, -0.0, 1e-35, 16_777_217.0, 1.0, -1.0)
TREES = ("lightgbm", "xgboost", "random_forest", DOTTED, BOOSTED, HISTOGRAM)
KINDS = [(name, classes) for name in SMALL for classes in (2, 3)]
KINDS += [(name, 0) for name in ESTIMATORS]
CALIBRATIONS: dict[str, tuple[int, Calibration | None]] = {
    "plain": (2, None),
    "sigmoid": (2, Calibration("sigmoid", (1.8, -0.4))),
    "isotonic": (2, Calibration("isotonic", (-3, -1, 0, 1, 3, -5.0, -0.8, -0.8, 1.2, 2.5))),
    "three": (3, None),
    "temperature": (3, Calibration("temperature", (0.6,))),
    "offsets": (3, Calibration("temperature", (1.5, 0.1, -0.2, 0.1))),
    "estimate": (0, None),
}
"""What a blend of every algorithm goes through, and for how many classes; 0 is regression."""
LIMITS = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

numbers = st.one_of(
    st.none(),
    st.sampled_from(ODD),
    st.floats(-(2.0**100), 2.0**100, width=32),
    st.floats(-200, 200),
)
records = st.fixed_dictionaries(
    {
        "tenure": st.one_of(st.none(), st.integers(-5, 100), st.sampled_from([2**62, -(2**62)])),
        "charge": numbers,
        "ratio": numbers,
        "plan": st.one_of(st.none(), st.sampled_from([*PLANS, "", "never seen", "BASIC"])),
        "city": st.one_of(st.none(), st.sampled_from([*CITIES, "Ωmega", "city 99"])),
        "loyal": st.sampled_from([True, False, None]),
    }
)


@pytest.fixture(scope="module")
def model_of(tmp_path_factory):
    @cache
    def load(name: str, classes: int) -> Model:
        folder = tmp_path_factory.mktemp(name.rpartition(".")[2])
        return Model.load(bundle_of(train(name, classes), folder).path)

    return load


@cache
def scorer_of(name: str, classes: int, folder):
    trained = train(name, classes)
    form = export_model(trained.fitted, trained.X, folder)
    return open_scorer(form.kind, form.file.read_bytes())


@pytest.mark.parametrize(("name", "classes"), KINDS)
@LIMITS
@given(rows=st.lists(records, min_size=1, max_size=8))
def test_a_bundle_scores_raw_rows_as_training_did(model_of, name, classes, rows):
    trained, model = train(name, classes), model_of(name, classes)
    _agree(lambda frame: expected_scores(trained, frame), model, rows)


@cache
def everything(calibration: str) -> Blend:
    """Every algorithm that can be trained for the task, in one blend."""
    classes, found = CALIBRATIONS[calibration]
    known = SMALL if classes else ESTIMATORS
    names = [name for name in known if name in BUILT_IN]
    share = np.arange(1.0, len(names) + 1)
    weights = tuple((share / share.sum()).tolist())
    return blend_of(*(train(name, classes) for name in names), weights=weights, calibration=found)


@pytest.fixture(scope="module")
def blended(tmp_path_factory):
    @cache
    def load(calibration: str) -> Model:
        blend = everything(calibration)
        first = train("lightgbm", len(blend.task.classes))
        folder = tmp_path_factory.mktemp(calibration)
        return Model.load(bundle_of_blend(blend, first, folder).path)

    return load


@pytest.mark.parametrize("calibration", CALIBRATIONS)
@LIMITS
@given(rows=st.lists(records, min_size=1, max_size=8))
def test_a_blend_scores_raw_rows_as_training_did(blended, calibration, rows):
    blend, model = everything(calibration), blended(calibration)
    assert len(model.members) >= 5
    _agree(blend.score, model, rows)


def _agree(score, model: Model, rows: list[dict[str, object]]) -> None:
    """Training's scores, the bundle's of a table, of each row alone, and of records."""
    schema = {column.name: column.kind for column in model.signature.inputs}
    frame = pl.DataFrame(rows, schema={name: polars_type(kind) for name, kind in schema.items()})
    expected = score(frame)
    singly = np.array([model.score_one(row) for row in rows])
    predicted = model.predict(rows)
    for actual in (model.score(frame), singly, predicted.scores):
        parity = compare_scores(expected, actual)
        assert parity.passed, parity
    if model.classes:
        assert np.array_equal(predicted.scores.argmax(axis=1), singly.argmax(axis=1))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", TREES)
@LIMITS
@given(data=st.data())
def test_trees_decide_alike_on_thresholds_and_beside_them(tmp_path_factory, name, classes, data):
    """Encoded rows made of training values, their float32 neighbours, and extremes."""
    trained = train(name, classes)
    folder = tmp_path_factory.getbasetemp() / f"{name.rpartition('.')[2]}{classes}"
    folder.mkdir(exist_ok=True)
    scorer = scorer_of(name, classes, folder)
    X = trained.X
    shape = (6, X.shape[1])
    picks = data.draw(hnp.arrays(np.int64, shape, elements=st.integers(0, len(X) - 1)))
    moves = data.draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 4)))
    rows = X[picks, np.arange(X.shape[1])]
    up, down = np.nextafter(rows, np.float32(np.inf)), np.nextafter(rows, np.float32(-np.inf))
    odd = data.draw(hnp.arrays(np.float32, shape, elements=st.sampled_from(np.float32(ODD))))
    moved = np.select([moves == 1, moves == 2, moves == 3], [up, down, odd], rows)
    # Codes stay codes: the recipe makes nothing else of a category, but any number of them.
    codes = np.isin(np.arange(X.shape[1]), trained.recipe.categorical)
    moved[:, codes] = np.where(moves == 3, picks % 70, rows)[:, codes]
    if trained.recipe.encoding.missing == "native":
        moved = np.where(moves == 4, np.nan, moved)
    moved = moved.astype(np.float32)
    parity = compare_scores(trained.fitted.predict(moved), scorer.score(moved))
    assert parity.passed, parity


def test_every_kind_of_model_is_covered():
    assert NETWORK in SMALL
    assert set(TREES) < set(SMALL)
    installed = {name for name in BUILT_IN if name != "torch" or find_spec("torch") is not None}
    assert installed <= set(SMALL) | set(ESTIMATORS)
