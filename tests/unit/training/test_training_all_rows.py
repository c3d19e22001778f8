"""More rows than memory holds: encoded into a file, and learned from there."""

from __future__ import annotations

import gc
import tempfile
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from training_algorithms import HERE, fit, make_rows

from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.features.recipe import Encoding
from ratchet.features.settings import FeaturesSettings
from ratchet.training.algorithms.catalogue import BUILT_IN, resolve_candidates
from ratchet.training.algorithms.port import streams
from ratchet.training.all_rows import AllRows
from ratchet.training.candidates import fit_candidates
from ratchet.training.deadline import Deadline
from ratchet.training.matrix_file import MatrixFile
from ratchet.training.scoring import score_all
from ratchet.training.settings import TrainingSettings
from ratchet.training.table import TrainingTable

STREAMING = [name for name in HERE if streams(resolve_candidates({name: {}})[0].algorithm)]


@pytest.fixture
def filed(tmp_path):
    """Makes rows that lie in a file of the same rows in memory."""
    opened = []

    def make(rows, memory=1 << 30):
        file = MatrixFile(tmp_path, rows.X.shape[1], memory)
        opened.append(file)
        for start in range(0, len(rows.y), 100):
            file.append(rows.X[start : start + 100])
        return replace(rows, X=rows.X[:0], file=file)

    yield make
    for file in opened:
        file.close()


def test_a_file_gives_back_what_was_written_and_leaves_nothing(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1_000, 7)).astype(np.float32)
    X[3, 2] = np.nan
    with MatrixFile(tmp_path, 7, 1) as file:
        for start in range(0, 1_000, 130):
            file.append(X[start : start + 130])
        file.append(X[:0])
        assert (file.rows, file.cells) == (1_000, 7_000)
        assert np.array_equal(file.read(0, 5_000), X, equal_nan=True)
        assert np.array_equal(file.read(3, 4), X[3:4], equal_nan=True)
        assert file.read(20, 20).shape == (0, 7)
        assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_those_that_read_pieces_say_so():
    assert "lightgbm" in STREAMING
    said = {name: streams(resolve_candidates({name: {}})[0].algorithm) for name in HERE}
    assert not said["random_forest"]
    assert set(STREAMING) <= {"lightgbm", "xgboost"} <= set(BUILT_IN)


@pytest.mark.parametrize("name", STREAMING)
@pytest.mark.parametrize("classes", [2, 3, 0])
def test_rows_in_a_file_teach_what_rows_in_memory_teach(filed, name, classes):
    rows, watch = make_rows(1_500, classes, center=50.0, scale=4.0), make_rows(300, classes, seed=1)
    here = fit(name, rows, validation=watch).predict(watch.X)
    there = fit(name, filed(rows), validation=watch).predict(watch.X)
    assert np.corrcoef(here[:, 0], there[:, 0])[0, 1] > 0.98
    metric = "roc_auc" if classes else "r2"
    scores = [score_all(watch.y, found)[metric] for found in (here, there)]
    assert abs(scores[0] - scores[1]) < 0.02


@pytest.mark.skipif("xgboost" not in HERE, reason="xgboost is not installed")
def test_bins_that_are_too_many_for_memory_stay_on_disk(tmp_path, filed, monkeypatch):
    rows, made = make_rows(1_500), []

    def watched(**given):
        made.append(tempfile_mkdtemp(**given))
        return made[-1]

    tempfile_mkdtemp = tempfile.mkdtemp
    monkeypatch.setattr(tempfile, "mkdtemp", watched)
    there = fit("xgboost", filed(rows, memory=1_000))
    assert len(made) == 1
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    here = fit("xgboost", rows)
    assert np.corrcoef(here.predict(rows.X)[:, 0], there.predict(rows.X)[:, 0])[0, 1] > 0.98


def big(rows=6_000, seed=0):
    """A table with a text column of many categories that says much, and a rare class."""
    rng = np.random.default_rng(seed)
    code = rng.integers(0, 300, rows)
    x = rng.permutation(rows) / rows * 4 - 2
    odds = 1.5 * np.sin(code) + x - 1.5
    y = (rng.uniform(size=rows) < 1 / (1 + np.exp(-odds))).astype(np.int32)
    frame = pl.DataFrame({"x": x, "word": [f"w{c}" for c in code], "y": y})
    return frame, y


ENCODING = Encoding(categories="codes", missing="native")
FEATURES = FeaturesSettings(encoding={"codes_max": 50})


def sampled(folder, frame, y, held=1_500, **more):
    """A sample of the rows as a table, and all rows."""
    sample = np.sort(np.random.default_rng(9).choice(frame.height, held, replace=False))
    table = TrainingTable(
        frame=frame[sample],
        y=y[sample],
        weight=None,
        time=None,
        groups=None,
        task=Task("binary", (0, 1)),
        roles=Roles("y"),
        schema=TableSchema.from_polars(frame.schema),
        features=FEATURES,
        root=folder,
        seed=3,
    )
    pieces = [frame.slice(start, 700) for start in range(0, frame.height, 700)]
    return table, AllRows(y, sample, lambda: iter(pieces), folder, 1 << 30, **more)


def test_all_rows_are_encoded_once_each_and_in_order(tmp_path):
    frame, y = big()
    table, everyone = sampled(tmp_path, frame, y, weight=np.arange(6_000, dtype=np.float32))
    recipe, known = table.encode(None, ENCODING)
    chosen = everyone.choose(6_000, hold_back=True, seed=1)
    with MatrixFile(tmp_path, known.X.shape[1], 1 << 30) as file:
        made = chosen.encode(recipe, known, table, file)
        X = file.read(0, file.rows)
        assert (len(made.watched.y), file.rows) == (120, 5_880)
        assert len(made.rows.y) == chosen.rows == 5_880
        assert made.rows.X.shape == (0, known.X.shape[1])
        # The first column is the number, which tells which row it is.
        places = {value: place for place, value in enumerate(frame["x"].cast(pl.Float32))}
        learned = np.array([places[value] for value in X[:, 0]])
        watched = np.array([places[value] for value in made.watched.X[:, 0]])
        assert (np.diff(learned) > 0).all()
        assert sorted([*learned, *watched]) == list(range(6_000))
        assert np.array_equal(made.rows.y, y[learned])
        assert np.array_equal(made.rows.weight, learned.astype(np.float32))
        assert np.array_equal(made.watched.y, y[watched])
        # Held-back rows come from outside the sample and taught the means nothing.
        assert not np.isin(watched, everyone.sample).any()
        assert np.array_equal(made.watched.X, made.recipe.matrix(frame[watched]))
        # A row to learn from is not told its own label.
        assert (X[:, 1] != made.recipe.matrix(frame[learned])[:, 1]).mean() > 0.9
    assert list(tmp_path.iterdir()) == []


def test_fewer_rows_hold_the_sample(tmp_path):
    frame, y = big()
    table, everyone = sampled(tmp_path, frame, y)
    recipe, known = table.encode(None, ENCODING)
    with MatrixFile(tmp_path, known.X.shape[1], 1 << 30) as file:
        made = everyone.choose(3_000, hold_back=False, seed=1).encode(recipe, known, table, file)
        assert made.watched is None
        assert file.rows == 3_000
        found = np.isin(frame["x"].cast(pl.Float32).to_numpy(), file.read(0, 3_000)[:, 0])
        assert found[everyone.sample].all()
    in_order = sampled(tmp_path, frame, y, ordered=True)[1]
    assert in_order.choose(6_000, hold_back=True, seed=1).rows == 6_000


def test_what_is_standardised_keeps_what_the_sample_gave(tmp_path):
    frame, y = big()
    table, everyone = sampled(tmp_path, frame, y)
    recipe, known = table.encode(None, Encoding(categories="codes", missing="native", scale=True))
    with MatrixFile(tmp_path, known.X.shape[1], 1 << 30) as file:
        made = everyone.choose(6_000, hold_back=False, seed=1).encode(recipe, known, table, file)
        assert made.recipe is recipe
        X = file.read(0, 6_000)
    assert np.array_equal(X[everyone.sample], known.X)
    others = np.setdiff1d(np.arange(6_000), everyone.sample)
    assert np.array_equal(X[others], recipe.matrix(frame[others]))


def trained(folder, frame, y, *, held=1_500, deadline=None, **given):
    table, everyone = sampled(folder, frame, y, held)
    settings = TrainingSettings(ensemble=False, cores=1, **given)
    return fit_candidates(
        table.frame,
        table.y,
        settings=settings,
        features=FEATURES,
        task=table.task,
        roles=table.roles,
        schema=table.schema,
        root=folder,
        everyone=everyone,
        **({} if deadline is None else {"deadline": deadline}),
    )


QUICK_LIGHTGBM = {"lightgbm": {"num_iterations": 40, "learning_rate": 0.1}}


def test_what_reads_pieces_learns_from_all_rows_and_the_others_from_the_sample(tmp_path):
    frame, y = big()
    unseen, truth = big(4_000, seed=1)
    both = {**QUICK_LIGHTGBM, "extra_trees": {"n_estimators": 20}}
    found = trained(tmp_path, frame, y, algorithms=both, tuning={"trials": 0, "folds": 3})
    said = " | ".join(found.notes)
    assert "lightgbm was trained on all 6,000 rows, read in pieces" in said
    assert "extra_trees was trained on a sample of 1,500 of 6,000 rows: it needs them all" in said
    assert list(tmp_path.iterdir()) == []
    everything = trained(
        tmp_path, frame, y, held=6_000, algorithms=QUICK_LIGHTGBM, tuning="off"
    ).blend
    sample = trained(
        tmp_path, *(part[:1_500] for part in (frame, y)), algorithms=QUICK_LIGHTGBM, tuning="off"
    ).blend
    scores = {
        name: score_all(truth, blend.score(unseen))["roc_auc"]
        for name, blend in {
            "pieces": next(b for b in found.blends if b.name == "lightgbm"),
            "memory": everything,
            "sample": sample,
        }.items()
    }
    assert abs(scores["pieces"] - scores["memory"]) < 0.01, scores
    assert scores["pieces"] > scores["sample"] + 0.01, scores


def test_rounds_are_found_anew_on_all_rows(tmp_path):
    frame, y = big()
    (result,) = trained(
        tmp_path,
        frame,
        y,
        algorithms={"lightgbm": {"learning_rate": 0.1}},
        tuning={"trials": 0, "folds": 3},
    ).candidates
    assert result.rounds == result.params["num_iterations"]
    assert result.params["early_stopping_rounds"] == 0
    assert result.rounds > 1


def test_without_time_for_all_rows_fewer_are_learned_from(tmp_path, monkeypatch):
    from ratchet.training.search import finals

    monkeypatch.setattr(finals, "SLOWER", 1e4)
    frame, y = big()
    found = trained(
        tmp_path,
        frame,
        y,
        algorithms=QUICK_LIGHTGBM,
        tuning={"time": "3s", "folds": 2, "trials": 1},
        deadline=Deadline.after(3),
    )
    assert "a sample of 1,500 of 6,000 rows: there was no time for more" in " ".join(found.notes)
    monkeypatch.setattr(finals.Finals, "_wanted", lambda self, orders: 3_000)
    found = trained(
        tmp_path,
        frame,
        y,
        algorithms=QUICK_LIGHTGBM,
        tuning={"time": "3s", "folds": 2, "trials": 1},
        deadline=Deadline.after(3),
    )
    assert "on 3,000 of 6,000 rows, read in pieces" in " ".join(found.notes)
