"""What is served is what the model answers, bit for bit."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from integration.registry.registry_bundles import make_bundle, make_frame
from ratchet.packaging.decision import Interval
from ratchet.packaging.model import Model
from ratchet.serving.codec import Codec
from ratchet.serving.http import ProblemError
from ratchet.serving.lane import Lane
from unit.packaging.packaging_models import blend_of, bundle_of, bundle_of_blend, train

COMPUTED = (("total", "tenure * charge"), ("both", "plan || '-' || city"))


MODELS = {
    "binary": lambda folder: bundle_of(train("lightgbm"), folder, threshold=0.3),
    "three classes": lambda folder: bundle_of(train("random_forest", 3), folder),
    "linear": lambda folder: bundle_of(train("logistic_regression"), folder),
    "regression": lambda folder: bundle_of(
        train("lightgbm", 0), folder, interval=Interval(0.9, -20.0, 35.0)
    ),
    "computed": lambda folder: bundle_of(train("lightgbm", expressions=COMPUTED), folder),
    "two members": lambda folder: bundle_of_blend(
        blend_of(train("lightgbm"), train("logistic_regression"), weights=(0.6, 0.4)),
        train("lightgbm"),
        folder,
    ),
    "dates": make_bundle,
}


@pytest.mark.parametrize("name", MODELS)
def test_served_scores_are_the_models(name, tmp_path):
    model = Model.load(MODELS[name](tmp_path).path)
    frame = make_frame(seed=9) if name == "dates" else train("lightgbm").frame
    names = [column.name for column in model.signature.inputs]
    records = json.loads(
        json.dumps(frame.select(names).to_dicts(), default=lambda value: value.isoformat())
    )
    codec = Codec(model.signature, "customer", None, "target")
    lane = Lane(SimpleNamespace(version=1, model=model), codec)
    for count in (1, 2, 16, 17, len(records)):
        for start in (0, 7):
            part = records[start : start + count]
            body = {"record": part[0]} if count == 1 else {"records": part}
            scores = lane.score(codec.decode(json.dumps(body).encode()).asked)
            wanted = model.predict(part)
            assert np.array(scores).tobytes() == wanted.scores.tobytes()
            if model.classes:
                assert [*lane.labels(scores)] == wanted.labels
                assert not lane.has_interval
            elif wanted.interval is not None:
                low, high = zip(*map(lane.interval, scores), strict=True)
                assert (list(low), list(high)) == tuple(end.tolist() for end in wanted.interval)


def test_a_column_of_another_kind_is_judged_by_the_version(tmp_path):
    model = Model.load(make_bundle(tmp_path).path)
    wider = Codec(replace_kind(model.signature, "tenure", "number"), None, None, "Churn")
    lane = Lane(SimpleNamespace(version=2, model=model), wider)
    row = {**model.signature.example, "tenure": 12.0}
    (scores,) = lane.score(wider.check([row]))
    assert scores == model.predict(row).scores[0].tolist()
    with pytest.raises(ProblemError, match="cannot be read") as caught:
        lane.score(wider.check([{**row, "tenure": 12.5}]))
    assert "12.5" not in str(caught.value)


def replace_kind(signature, name, kind):
    inputs = tuple(
        replace(each, kind=kind) if each.name == name else each for each in signature.inputs
    )
    return replace(signature, inputs=inputs)
