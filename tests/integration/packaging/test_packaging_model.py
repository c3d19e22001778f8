"""A bundle loaded again: what it answers, what it needs, what it costs."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest

from ratchet.errors import DataError
from ratchet.packaging import bundle as bundles
from ratchet.packaging import composite as composites
from ratchet.packaging.measure import measure_memory
from ratchet.packaging.model import Model
from unit.packaging.packaging_models import (
    blend_of,
    bundle_of,
    content_of,
    expected_scores,
    export,
    make_rows,
    record_of,
    train,
)

LINEAR = "model.linear.json"
EXPRESSIONS = (("per_month", "charge / (tenure + 1)"), ("odd", "ratio > avg(ratio)"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="module")
def model(folder):
    bundle = bundle_of(train("lightgbm"), folder / "lightgbm", threshold=0.3)
    return Model.load(bundle.path)


@pytest.fixture(scope="module")
def derived(folder):
    trained = train("logistic_regression", 3, expressions=EXPRESSIONS)
    return Model.load(bundle_of(trained, folder / "derived").path)


@pytest.fixture(scope="module")
def fresh():
    """Rows the models have not seen, with categories they have not seen either."""
    return make_rows(300, seed=8).with_columns(
        plan=pl.when(pl.int_range(pl.len()) % 9 == 0).then(pl.lit("new")).otherwise("plan")
    )


def test_it_answers_as_training_did(model, fresh):
    trained = train("lightgbm")
    expected = expected_scores(trained, fresh)
    predicted = model.predict(fresh)
    assert np.abs(predicted.probabilities - expected).max() < 1e-12
    assert predicted.labels == np.where(expected[:, 1] >= 0.3, "yes", "no").tolist()
    assert predicted.classes == ("no", "yes")
    assert predicted.absent == ()


def test_with_expressions_it_answers_as_training_did(derived, fresh):
    trained = train("logistic_regression", 3, expressions=EXPRESSIONS)
    expected = expected_scores(trained, fresh)
    predicted = derived.predict(fresh)
    assert np.abs(predicted.probabilities - expected).max() < 1e-12
    assert predicted.labels == [derived.classes[i] for i in expected.argmax(axis=1)]
    rows = fresh.head(5).to_dicts()
    assert np.array_equal(derived.predict(rows).probabilities, derived.score(fresh.head(5)))
    assert np.abs(np.array(derived.score_one(rows[0])) - expected[0]).max() < 1e-12


def test_every_form_of_the_data_gives_the_same_answer(model, fresh, monkeypatch):
    whole = model.predict(fresh)
    records = fresh.to_dicts()
    pandas = pd.DataFrame({name: fresh[name].to_list() for name in fresh.columns})
    for data in (fresh.lazy(), pandas, records, records[:10], tuple(records[:3])):
        predicted = model.predict(data)
        n = len(predicted)
        assert np.array_equal(predicted.probabilities, whole.probabilities[:n]) or (
            np.abs(predicted.probabilities - whole.probabilities[:n]).max() < 1e-15
        )
        assert predicted.labels == whole.labels[:n]
    one = model.predict(records[4])
    assert (one.labels, len(one)) == ([whole.labels[4]], 1)
    monkeypatch.setattr(composites, "BLOCK", 7)
    for cores in (1, 3):
        monkeypatch.setattr(composites, "available_cores", lambda cores=cores: cores)
        assert np.abs(model.score(fresh) - whole.probabilities).max() < 1e-15
    batches = list(model.predict_batches(fresh.iter_slices(128)))
    assert [len(batch) for batch in batches] == [128, 128, 44]
    assert [label for batch in batches for label in batch.labels] == whole.labels
    scored = list(model.score_batches([fresh.head(5), fresh.slice(5).lazy()]))
    assert np.abs(np.vstack(scored) - whole.probabilities).max() < 1e-15


def test_the_order_of_columns_and_other_columns_do_not_matter(model, fresh):
    turned = fresh.select(reversed(fresh.columns)).with_columns(more=pl.lit(1))
    assert np.array_equal(model.score(turned), model.score(fresh))


def test_nothing_in_nothing_out(model, fresh):
    for data in (fresh.clear(), [], fresh.clear().lazy()):
        predicted = model.predict(data)
        assert predicted.probabilities.shape == (0, 2)
        assert predicted.labels == []


def test_absent_columns_count_as_missing_and_are_told(model, fresh):
    predicted = model.predict(fresh.drop("plan", "ratio"))
    assert predicted.absent == ("ratio", "plan")
    nulls = fresh.with_columns(plan=pl.lit(None, pl.String), ratio=pl.lit(None, pl.Float64))
    assert np.array_equal(predicted.probabilities, model.score(nulls))
    assert model.predict([{"tenure": 3}]).absent == ("charge", "ratio", "plan", "city", "loyal")


def test_a_table_of_something_else_is_refused(model):
    for data in (pl.DataFrame({"other": [1]}), [{"other": 1}], pd.DataFrame({"other": [1]}), {}):
        with pytest.raises(DataError) as caught:
            model.predict(data)
        assert caught.value.name == "columns_missing"


def test_a_value_of_another_kind_names_record_and_column(model, fresh, monkeypatch):
    good, bad = record_of(train("lightgbm")), {"tenure": "three"}
    with pytest.raises(DataError) as caught:
        model.predict([good, bad])
    assert caught.value.where == "record 1, tenure"
    with pytest.raises(DataError, match="tenure"):
        model.predict(fresh.with_columns(tenure=pl.lit("three")))
    late = pl.Series([None] * 299 + ["three"])
    monkeypatch.setattr(composites, "BLOCK", 50)
    with pytest.raises(DataError, match="tenure"):
        model.score(fresh.with_columns(tenure=late))
    with pytest.raises(DataError, match="not an object"):
        model.predict([good, "row"])


def test_threads_get_the_same_answers(model, fresh):
    records = fresh.to_dicts()
    expected = [model.score_one(record) for record in records]
    with ThreadPoolExecutor(4) as pool:
        for answers in pool.map(lambda _: [model.score_one(r) for r in records], range(8)):
            assert answers == expected


def test_it_describes_itself_in_json(model, derived):
    for each in (model, derived):
        described = json.loads(json.dumps(each.describe()))
        assert described["digest"] == each.digest
        (member,) = each.members
        assert described["members"][0]["name"] == member.part.name
        assert described["form"] == member.part.kind
        assert described["calibration"] is None
        assert described["classes"] == list(each.classes)
        assert len(described["features"]) == len(member.recipe.feature_names)
    assert model.metrics()["roc_auc"]["value"] == 0.8
    assert model.threshold == 0.3
    assert derived.threshold is None
    assert model.signature.positive == "yes"


def test_its_example_can_be_scored(model, derived):
    for each in (model, derived):
        assert abs(sum(each.score_one(each.signature.example)) - 1) < 1e-9


@pytest.mark.parametrize("name", [LINEAR, "recipe.json", "composition.json", "card.md"])
def test_an_altered_bundle_does_not_load(tmp_path, name):
    bundle = bundle_of(train("logistic_regression"), tmp_path)
    path = bundle.path / name
    path.write_bytes(path.read_bytes().replace(b"e", b"E", 1))
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        Model.load(bundle.path)


def test_an_altered_profile_is_seen_as_the_bundle_is_loaded(tmp_path):
    trained = train("logistic_regression")
    content = replace(content_of(trained, export(blend_of(trained), tmp_path)), profile=b"rows")
    bundle = bundles.write_bundle(tmp_path / "bundle", content)
    assert Model.load(bundle.path).profile() == b"rows"
    (bundle.path / "profile.bin").write_bytes(b"rowz")
    with pytest.raises(DataError, match=r"profile\.bin"):
        Model.load(bundle.path)


def test_unverified_parts_that_do_not_fit_are_refused(tmp_path):
    one = bundle_of(train("logistic_regression"), tmp_path / "one")
    two = bundle_of(train("logistic_regression", 3), tmp_path / "two")
    (one.path / LINEAR).write_bytes((two.path / LINEAR).read_bytes())
    with pytest.raises(DataError, match="belong together"):
        Model.load(one.path, verify=False)
    (one.path / LINEAR).write_bytes(b"garbage")
    with pytest.raises(DataError, match="cannot be opened"):
        Model.load(one.path, verify=False)


def test_verified_bytes_are_the_ones_used(tmp_path, monkeypatch):
    """A file changed between the check and its use must not be served."""
    bundle = bundle_of(train("logistic_regression"), tmp_path)
    real, reads = bundles.read_file, []

    def count(found, name, *, verify=True):
        reads.append(name)
        return real(found, name, verify=verify)

    monkeypatch.setattr(bundles, "read_file", count)
    Model.load(bundle.path)
    assert sorted(reads) == sorted(bundle.files)


HEAVY = (
    "polars",
    "sklearn",
    "scipy",
    "pandas",
    "mlflow",
    "lightgbm",
    "xgboost",
    "onnx",
    "optuna",
    "torch",
    "pydantic",
)


def loaded_after(path, call):
    code = (
        "import sys, json, numpy, pickle\n"  # numpy imports it, nothing may use it
        "pickle.loads = pickle.load = pickle.Unpickler = None\n"
        "from ratchet.packaging.model import Model\n"
        f"model = Model.load({str(path)!r})\n"
        f"{call}\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_serving_records_loads_numpy_and_the_runtime_only(model):
    loaded = loaded_after(
        model.path,
        "row = model.signature.example\nmodel.score_one(row)\n"
        "model.predict([row] * 5).to_rows()\nmodel.describe()",
    )
    assert {"numpy", "onnxruntime"} <= loaded
    assert loaded.isdisjoint(HEAVY)


def test_serving_a_frame_adds_polars_only(model):
    loaded = loaded_after(
        model.path, "import polars\nmodel.predict(polars.DataFrame([model.signature.example]))"
    )
    assert loaded.isdisjoint(set(HEAVY) - {"polars"})


def test_what_it_costs(model):
    memory = measure_memory(model.path)
    assert 5_000_000 < memory.growth < memory.peak < 1_000_000_000


def test_memory_grows_with_the_model(tmp_path, model):
    """60 MB more to load must show: the probe measures the bundle, not only the libraries."""
    trained = train("lightgbm")
    content = content_of(trained, export(blend_of(trained), tmp_path))
    large = replace(content, metrics={"filler": "x" * 60_000_000})
    path = bundles.write_bundle(tmp_path / "large", large).path
    assert measure_memory(path).growth > measure_memory(model.path).growth + 30_000_000


def test_a_bundle_that_cannot_be_loaded_alone_is_a_fault_with_its_reason(tmp_path):
    with pytest.raises(DataError) as caught:
        measure_memory(tmp_path)
    assert caught.value.name == "bundle_unloadable"
    assert "no bundle" in caught.value.why
