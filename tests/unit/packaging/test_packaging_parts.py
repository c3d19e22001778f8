"""Large forests are written in parts, and their memory is given back."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.packaging import trees
from ratchet.packaging.heap import release_heap
from ratchet.packaging.measure import measure_memory
from ratchet.packaging.onnx import export_model
from ratchet.packaging.scorers import OnnxScorer
from ratchet.packaging.trees import share_out
from unit.packaging.packaging_models import blend_of, export, train


@settings(max_examples=200, deadline=None, derandomize=True)
@given(sizes=st.lists(st.integers(1, 400_000), min_size=1, max_size=40))
def test_parts_hold_every_tree_once_and_are_about_equal(sizes):
    parts = share_out(sizes)
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(len(sizes)))
    held = [sum(sizes[part]) for part in parts]
    assert min(held) > 0
    even = sum(sizes) / len(parts)
    assert max(held) <= even + max(sizes) or len(parts) < -(-sum(sizes) // trees.NODES_AT_ONCE)
    if sum(sizes) <= trees.NODES_AT_ONCE:
        assert len(parts) == 1


@pytest.mark.parametrize("classes", [0, 2, 3])
@pytest.mark.parametrize("name", ["random_forest", "lightgbm"])
def test_parts_score_as_the_whole(tmp_path, monkeypatch, name, classes):
    trained = train(name, classes)
    whole = export_model(trained.fitted, trained.X, tmp_path)
    monkeypatch.setattr(trees, "NODES_AT_ONCE", 100)
    parts = export_model(trained.fitted, trained.X, tmp_path, stem="parts")
    assert (parts.kind, parts.refused) == ("onnx", ())
    ensembles = [
        [node.op_type for node in onnx.load(form.file).graph.node if "TreeEnsemble" in node.op_type]
        for form in (whole, parts)
    ]
    assert len(ensembles[0]) == 1
    assert len(ensembles[1]) >= 3
    scores = [OnnxScorer(form.file.read_bytes()).score(trained.X) for form in (whole, parts)]
    scale = np.abs(scores[0]).max()
    assert np.abs(scores[0] - scores[1]).max() <= scale * (1e-7 if classes == 3 else 1e-14)


def test_float32_sums_keep_the_order_of_the_library(tmp_path, monkeypatch):
    trained = train("xgboost")
    monkeypatch.setattr(trees, "NODES_AT_ONCE", 10)
    form = export_model(trained.fitted, trained.X, tmp_path)
    kinds = [node.op_type for node in onnx.load(form.file).graph.node]
    assert kinds.count("TreeEnsemble") == 1


def test_memory_can_be_given_back_at_any_time():
    release_heap()


def test_what_an_export_costs_to_serve(tmp_path):
    """Before there is a bundle: the pipeline passes over a model that needs too much."""
    linear = measure_memory(export(blend_of(train("logistic_regression")), tmp_path / "linear"))
    trees_of = measure_memory(export(blend_of(train("lightgbm")), tmp_path / "trees"))
    assert 5_000_000 < linear.growth < trees_of.growth < 300_000_000
