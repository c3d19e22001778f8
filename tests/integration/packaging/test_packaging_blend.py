"""Several models shipped as one: exported, loaded, and scoring as the blend did in training."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ratchet.errors import DataError, RatchetError
from ratchet.features.recipe import Recipe
from ratchet.packaging import bundle as bundles
from ratchet.packaging import export as exporting
from ratchet.packaging.bundle import write_bundle
from ratchet.packaging.composite import Composite, open_exported
from ratchet.packaging.composition import COMPOSITION, Composition, Part, read_composition
from ratchet.packaging.decision import Interval
from ratchet.packaging.export import export_blend
from ratchet.packaging.measure import measure_memory
from ratchet.packaging.model import Model
from ratchet.training.calibrate import Calibration
from unit.packaging.packaging_models import (
    blend_of,
    bundle_of,
    bundle_of_blend,
    content_of,
    export,
    make_rows,
    train,
)

SIGMOID = Calibration("sigmoid", (1.3, -0.2))
NAMES = ("lightgbm", "logistic_regression", "random_forest", "xgboost")
WEIGHTS = (0.4, 0.3, 0.1, 0.1)


@pytest.fixture(scope="module")
def members():
    return [train(name) for name in NAMES]


@pytest.fixture(scope="module")
def blend(members):
    """Four algorithms, and one of them once more with a recipe of its own that is equal."""
    blend = blend_of(*members, weights=WEIGHTS, calibration=SIGMOID, threshold=0.35)
    first = blend.members[0]
    again = replace(
        first, name="again", weight=0.1, recipe=Recipe.from_json(first.recipe.to_json())
    )
    return replace(blend, members=(*blend.members, again))


@pytest.fixture(scope="module")
def model(blend, members, tmp_path_factory):
    folder = tmp_path_factory.mktemp("blend")
    bundle = bundle_of_blend(blend, members[0], folder, threshold=0.35, objective="f1")
    return Model.load(bundle.path)


@pytest.fixture(scope="module")
def fresh():
    return make_rows(200, seed=8)


def test_it_scores_as_the_blend_did(model, blend, fresh):
    expected = blend.score(fresh)
    assert np.abs(model.score(fresh) - expected).max() < 2e-7
    records = fresh.to_dicts()
    singly = np.array([model.score_one(record) for record in records])
    assert np.abs(singly - expected).max() < 2e-7
    assert np.abs(model.predict(records).scores - singly).max() < 1e-12
    labels = np.where(expected[:, 1] >= 0.35, "yes", "no").tolist()
    assert model.predict(fresh).labels == model.predict(records).labels == labels


def test_the_files_are_numbered_and_recipes_shared(model):
    composition = model.members
    assert [each.part.file for each in composition] == [
        "model.onnx",
        "model.1.linear.json",
        "model.2.onnx",
        "model.3.onnx",
        "model.4.onnx",
    ]
    assert [each.part.weight for each in composition] == [*WEIGHTS, 0.1]
    recipes = [each.part.recipe for each in composition]
    assert recipes[0] == recipes[4] == "recipe.json"
    assert len(set(recipes)) == len({id(each.recipe) for each in composition})
    names = {path.name for path in model.path.iterdir()}
    assert {COMPOSITION, *(p.part.file for p in composition), *recipes} < names
    assert sum(name.startswith("recipe") for name in names) == len(set(recipes))


def test_each_recipe_encodes_a_row_once(model, fresh, monkeypatch):
    encoded = []
    for way in ("vector", "encode", "matrix"):
        real = getattr(Recipe, way)

        def count(recipe, data, real=real, way=way):
            encoded.append((way, id(recipe)))
            return real(recipe, data)

        monkeypatch.setattr(Recipe, way, count)
    distinct = len({each.part.recipe for each in model.members})
    assert distinct < len(model.members)
    model.score_one(fresh.row(0, named=True))
    assert len(encoded) == len(set(encoded)) == distinct
    encoded.clear()
    model.score(fresh)
    assert len(encoded) == len(set(encoded)) == distinct


def test_features_are_computed_once_for_all_members(tmp_path, fresh, monkeypatch):
    from ratchet.features.derive import Engine

    expressions = (("per_month", "charge / (tenure + 1)"), ("odd", "ratio > avg(ratio)"))
    members = [train(name, expressions=expressions) for name in ("lightgbm", "logistic_regression")]
    blend = blend_of(*members, weights=(0.5, 0.5))
    model = Model.load(bundle_of_blend(blend, members[0], tmp_path).path)
    assert len({id(each.recipe) for each in model.members}) == 2
    real, computed = Engine.apply_row, []

    def count(engine, values):
        computed.append(values)
        return real(engine, values)

    monkeypatch.setattr(Engine, "apply_row", count)
    expected = blend.score(fresh.head(10))
    singly = np.array([model.score_one(row) for row in fresh.head(10).to_dicts()])
    assert np.abs(singly - expected).max() < 1e-12
    assert len(computed) == 10


def test_it_tells_what_it_is_made_of(model):
    told = json.loads(json.dumps(model.describe()))
    assert [each["name"] for each in told["members"]] == [*NAMES, "again"]
    assert told["form"] == "onnx, numpy"
    assert (told["calibration"], told["threshold"], told["objective"]) == ("sigmoid", 0.35, "f1")
    assert model.calibration == SIGMOID
    for each in model.members:
        assert set(each.recipe.feature_names) <= set(told["features"])
    lines = (model.path / "requirements.txt").read_text().splitlines()
    assert [line.split("==")[0] for line in lines] == ["numpy", "onnxruntime", "ratchet-ml"]


def test_the_same_blend_gives_the_same_digest(model, blend, members, tmp_path):
    again = bundle_of_blend(blend, members[0], tmp_path, threshold=0.35, objective="f1")
    assert again.digest == model.digest
    other = replace(blend, calibration=None)
    made = bundle_of_blend(other, members[0], tmp_path / "b", threshold=0.35, objective="f1")
    assert made.digest != model.digest


@pytest.mark.parametrize("name", [COMPOSITION, "model.1.linear.json", "model.3.onnx"])
def test_an_altered_file_is_refused(blend, members, tmp_path, name):
    bundle = bundle_of_blend(blend, members[0], tmp_path)
    path = bundle.path / name
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(DataError, match=re.escape(name)) as caught:
        Model.load(bundle.path)
    assert caught.value.name == "bundle_altered"


def test_every_file_is_read_once_and_models_last(model, monkeypatch):
    real, reads = bundles.read_file, []

    def count(found, name, *, verify=True):
        assert verify
        reads.append(name)
        return real(found, name, verify=verify)

    monkeypatch.setattr(bundles, "read_file", count)
    Model.load(model.path)
    held = bundles.read_manifest(model.path).files
    assert sorted(reads) == sorted(held)
    assert all(name.startswith("model") for name in reads[-5:])


def test_a_member_that_has_no_exact_form_is_named(blend, fresh, tmp_path):
    third = blend.members[2]
    shifted = replace(third.fitted, scorer=lambda X: third.fitted.scorer(X) * 0.999)
    broken = replace(
        blend,
        members=(
            *blend.members[:2],
            replace(third, name="the forest", fitted=shifted),
            *blend.members[3:],
        ),
    )
    with pytest.raises(RatchetError, match="the forest") as caught:
        export_blend(broken, fresh, tmp_path)
    assert caught.value.name == "no_exact_form"
    assert "scores differ" in caught.value.why


def test_a_whole_that_scores_otherwise_is_refused(blend, fresh, tmp_path, monkeypatch):
    """Each member is exact, and something after them is not."""
    real = Composite.score
    monkeypatch.setattr(Composite, "score", lambda self, frame: real(self, frame) + 3e-6)
    with pytest.raises(RatchetError, match="together") as caught:
        export_blend(blend, fresh, tmp_path)
    assert caught.value.name == "no_exact_form"


def test_an_export_can_be_used_before_it_is_a_bundle(blend, fresh, tmp_path):
    made = export_blend(blend, fresh, tmp_path)
    assert made.max_difference < 2e-7
    assert made.refused == {}
    assert read_composition(tmp_path) == made.composition
    assert json.loads(json.dumps(made.to_json()))["composition"]["calibration"] is not None
    opened = open_exported(tmp_path)
    assert np.abs(opened.score(fresh) - blend.score(fresh)).max() == made.max_difference
    assert {column.name for column in opened.inputs} == set(fresh.columns) - {
        "id",
        "churn",
        "metal",
        "spend",
    }


def test_a_folder_without_a_composition_is_no_export(tmp_path):
    for text in (None, "{", '{"members": 3}'):
        if text is not None:
            (tmp_path / COMPOSITION).write_text(text)
        with pytest.raises(DataError) as caught:
            read_composition(tmp_path)
        assert caught.value.name == "not_exported"


def test_parts_that_do_not_fit_are_refused(members, tmp_path):
    """Models of another number of classes, and recipes that read a column as another kind."""
    two = open_exported(export(blend_of(members[0]), tmp_path / "two"))
    three = open_exported(export(blend_of(train("lightgbm", 3)), tmp_path / "three"))
    parts = tuple(Part(f"m{i}", "lightgbm", "onnx", f"f{i}", f"recipe{i}", 0.5) for i in range(2))
    recipes = [two.recipes[0], three.recipes[0]]
    scorers = [two.members[0].scorer, three.members[0].scorer]
    with pytest.raises(DataError, match="belong together"):
        Composite(Composition(parts), recipes, scorers)
    with pytest.raises(DataError, match="no member"):
        Composite(Composition(()), [], [])
    first, *rest = recipes[0].inputs
    odd = replace(recipes[0], inputs=(replace(first, kind="string"), *rest))
    with pytest.raises(DataError, match=first.name):
        Composite(Composition(parts), [recipes[0], odd], [scorers[0]] * 2)


def test_more_classes_and_a_temperature(tmp_path, fresh):
    members = [train("lightgbm", 3), train("logistic_regression", 3)]
    blend = blend_of(*members, weights=(0.7, 0.3), calibration=Calibration("temperature", (1.4,)))
    model = Model.load(bundle_of_blend(blend, members[0], tmp_path).path)
    expected = blend.score(fresh)
    assert np.abs(model.score(fresh) - expected).max() < 1e-9
    assert model.predict(fresh).labels == [model.classes[i] for i in expected.argmax(axis=1)]
    assert (model.threshold, model.task) == (None, "multiclass")


# Numbers


def test_estimates_are_shipped_too(tmp_path, fresh):
    members = [train("lightgbm", 0), train("xgboost", 0)]
    blend = blend_of(*members, weights=(0.6, 0.4))
    bundle = bundle_of_blend(blend, members[0], tmp_path, interval=Interval(0.9, -50.0, 80.0))
    model = Model.load(bundle.path)
    expected = blend.score(fresh)[:, 0]
    predicted = model.predict(fresh)
    assert np.abs(predicted.values - expected).max() < 1e-6 * expected.std()
    assert (model.task, model.classes, model.threshold) == ("regression", (), None)
    low, high = predicted.interval
    assert np.allclose(high - low, 130.0)
    row = fresh.row(3, named=True)
    assert abs(model.score_one(row)[0] - expected[3]) < 1e-3
    assert set(model.predict(row).to_rows()[0]) == {"prediction", "interval"}
    told = json.loads(json.dumps(model.describe()))
    assert told["interval"] == {"coverage": 0.9, "low": -50.0, "high": 80.0}
    assert [each["name"] for each in told["outputs"]] == [
        "prediction",
        "prediction_low",
        "prediction_high",
    ]
    assert model.predict([]).to_rows() == []


def test_a_decision_for_classes_does_not_fit_estimates(tmp_path):
    number, classes = train("lightgbm", 0), train("lightgbm")
    content = content_of(number, export(blend_of(number), tmp_path))
    wrong = replace(
        content, decision=content_of(classes, export(blend_of(classes), tmp_path / "c")).decision
    )
    with pytest.raises(DataError, match="belong together"):
        Model.load(write_bundle(tmp_path / "wrong", wrong).path)


# Bundles of the first format

FORMAT_1 = Path(__file__).parents[2] / "unit" / "packaging" / "format_1"


def test_a_bundle_of_the_first_format_still_answers():
    """Written by Ratchet 0.1.0 before there were compositions; a model in production."""
    model = Model.load(FORMAT_1 / "bundle")
    known = json.loads((FORMAT_1 / "expected.json").read_text())
    assert model.digest == known["digest"]
    frame = pl.DataFrame(known["rows"])
    assert np.abs(model.score(frame) - known["scores"]).max() < 1e-12
    assert model.predict(known["rows"]).labels == known["labels"]
    assert np.abs(np.array(model.score_one(known["rows"][0])) - known["scores"][0]).max() < 1e-12
    (member,) = model.describe()["members"]
    assert (member["name"], member["weight"], member["file"]) == ("lightgbm", 1.0, "model.onnx")
    assert (model.threshold, model.calibration) == (0.3, None)
    assert bundles.verify_bundle(FORMAT_1 / "bundle").digest == known["digest"]


# What it costs


def test_a_linear_model_needs_no_runtime_but_numpy(tmp_path):
    bundle = bundle_of(train("logistic_regression"), tmp_path)
    code = (
        "import sys\n"
        "from ratchet import Model\n"
        f"model = Model.load({str(bundle.path)!r})\n"
        "model.predict([model.signature.example] * 3)\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert "numpy" in loaded
    assert loaded.isdisjoint({"onnxruntime", "polars", "sklearn", "pandas", "pydantic", "scipy"})


def test_scoring_in_batches_needs_no_more_memory_for_more_rows(model, tmp_path):
    """What is resident after 24 batches of 24,000 rows, and after four: threads and all."""
    code = (
        "import sys\n"
        "from ratchet.packaging.probe import resident\n"
        "from ratchet import Model\n"
        "import numpy as np, polars as pl\n"
        f"model = Model.load({str(model.path)!r})\n"
        "one = pl.DataFrame([model.signature.example])\n"
        "def frames(count):\n"
        "    for _ in range(count):\n"
        "        yield one.select(pl.all().repeat_by(24000).explode())\n"
        "for count in (1, 8, 24):\n"
        "    rows = sum(len(scores) for scores in model.score_batches(frames(count)))\n"
        "    print(rows, resident('VmRSS'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    told = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert [rows for rows, _ in told] == [24_000, 192_000, 576_000]
    # The scores alone of the rows in between are 6 MB, the rows themselves 40.
    assert told[2][1] < told[1][1] + 5_000_000


def test_a_model_does_not_keep_the_bytes_of_its_files(tmp_path, monkeypatch):
    """A bundle of one model: what is resident after loading is not the file twice more."""
    from ratchet.packaging import batches
    from ratchet.packaging.scorers import open_scorer

    folder = export(blend_of(train("random_forest")), tmp_path)
    content = (folder / "model.onnx").read_bytes()
    before = sys.getrefcount(content)
    scorer = open_scorer("onnx", content)
    assert scorer.classes == 2
    # A small one is kept until it is known whether its trees are worth another form.
    assert sys.getrefcount(content) == before + 1
    scorer.score(np.zeros((batches.PAYS, scorer.features), np.float32))
    scorer._batches.making.join()
    assert sys.getrefcount(content) == before
    monkeypatch.setattr(batches, "LARGEST", len(content) - 1)
    scorer = open_scorer("onnx", content)
    assert sys.getrefcount(content) == before


def test_what_it_costs_to_load(model):
    memory = measure_memory(model.path)
    assert 5_000_000 < memory.growth < memory.peak < 300_000_000


def test_a_blend_keeps_its_name_free_of_paths(blend, fresh, tmp_path):
    """A member's name may hold anything; its file's name does not come from it."""
    odd = replace(blend.members[0], name="../../etc: *", weight=1.0)
    made = export_blend(replace(blend, members=(odd,)), fresh, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        COMPOSITION,
        "model.onnx",
        "recipe.json",
    ]
    assert made.composition.members[0].name == "../../etc: *"


def test_the_writer_is_asked_for_each_member_once(blend, fresh, tmp_path, monkeypatch):
    real, stems = exporting.export_model, []

    def count(fitted, X, folder, *, stem):
        stems.append(stem)
        return real(fitted, X, folder, stem=stem)

    monkeypatch.setattr(exporting, "export_model", count)
    export_blend(blend, fresh, tmp_path)
    assert stems == ["model", "model.1", "model.2", "model.3", "model.4"]
