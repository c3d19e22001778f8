"""Target means learned anew piece by piece are those that all rows at once give."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.features.encoders.target import assign_folds, cross_fit, learn_means
from ratchet.features.recipe import Encoding, Recipe, fit_recipe
from ratchet.features.relearn import Relearning
from ratchet.features.settings import FeaturesSettings

SETTINGS = FeaturesSettings(encoding={"codes_max": 5}, expressions={"twin": "word"})
KINDS = {0: "regression", 2: "binary", 3: "multiclass"}


def table(rows, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    code = rng.integers(0, 40, rows)
    signal = np.sin(code) + rng.normal(size=rows)
    word = pl.Series([f"w{c}" for c in code])
    frame = pl.DataFrame({"x": rng.normal(size=rows), "word": word, "y": signal})
    frame = frame.with_columns(
        word=pl.when(pl.int_range(rows) % 13 == 0).then(None).otherwise("word")
    )
    if classes == 0:
        return frame, signal * 3 + 100
    cuts = np.quantile(signal, np.arange(1, classes) / classes)
    return frame, np.searchsorted(cuts, signal).astype(np.int32)


def learn(frame, y, classes=2, settings=SETTINGS, **encoding):
    return fit_recipe(
        frame,
        y,
        roles=Roles("y"),
        schema=TableSchema.from_polars(frame.schema),
        settings=settings,
        encoding=Encoding(**encoding),
        task=Task(KINDS[classes], tuple(range(classes))),
        seed=1,
        root=Path(),
    )


def labels_of(y, classes):
    if classes <= 2:
        return np.asarray(y, dtype=np.float64)[:, None]
    return (y[:, None] == np.arange(classes)).astype(np.float64)


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_pieces_give_what_all_rows_at_once_give(classes):
    frame, y = table(4_000, classes)
    labels = labels_of(y, classes)
    recipe, _ = learn(frame.head(500), y[:500], classes)
    folds = assign_folds(np.asarray(y, dtype=float), 5, 1, groups=None, discrete=classes > 0)
    anew = Relearning(recipe, labels=labels.shape[1], folds=5, center=float(np.mean(y)))
    assert anew.needed
    for start in range(0, 4_000, 700):
        here = slice(start, start + 700)
        anew.add(frame[here], labels[here], folds[here])
    learned = anew.learned()
    matrix = anew.matrix(frame, folds)
    whole = learned.matrix(frame)
    assert np.array_equal(anew.matrix(frame, np.full(4_000, 5)), whole)
    (encoder,) = (e for e in learned.encoders if e.columns[0].startswith("target(word)"))
    known = {name: code for code, name in enumerate(encoder.categories)}
    places = len(known) + 2
    codes = np.array(
        [known.get(word, places - 2) if word is not None else places - 1 for word in frame["word"]]
    )
    at = learned.feature_names.index(encoder.columns[0])
    for label in range(labels.shape[1]):
        means, _ = learn_means(codes, labels[:, label], places)
        assert np.allclose(whole[:, at + label], means[codes], rtol=1e-6)
        crossed = cross_fit(codes, labels[:, label], places, folds)
        assert np.allclose(matrix[:, at + label], crossed, rtol=1e-6)
    others = [n for n in range(whole.shape[1]) if not at <= n < at + labels.shape[1]]
    twin = [n for n in others if "twin" not in learned.feature_names[n]]
    assert np.array_equal(whole[:, twin], recipe.matrix(frame)[:, twin], equal_nan=True)
    # It knows more than the sample did, and travels like any recipe.
    assert np.abs(whole[:, at] - recipe.matrix(frame)[:, at]).max() > 0.01
    assert np.array_equal(Recipe.from_json(learned.to_json()).matrix(frame), whole, equal_nan=True)


def test_nothing_is_to_be_learned_without_target_means():
    frame, y = table(500)
    codes, _ = learn(frame, y, settings=FeaturesSettings())
    assert not Relearning(codes, labels=1, folds=5, center=0.0).needed
    scaled, _ = learn(frame, y, scale=True)
    assert not Relearning(scaled, labels=1, folds=5, center=0.0).needed


def test_noise_stays_noise():
    """With labels of chance no row is told anything of its own label."""
    rng = np.random.default_rng(3)
    frame = pl.DataFrame({"x": rng.normal(size=3_000), "word": rng.integers(0, 900, 3_000)})
    frame = frame.with_columns(pl.col("word").cast(pl.String), y=pl.lit(0.0))
    y = rng.integers(0, 2, 3_000).astype(np.int32)
    recipe, _ = learn(frame.head(600), y[:600])
    folds = assign_folds(y.astype(float), 5, 1, groups=None, discrete=True)
    anew = Relearning(recipe, labels=1, folds=5, center=0.0)
    anew.add(frame, labels_of(y, 2), folds)
    anew.learned()
    column = anew.matrix(frame, folds)[:, 1]
    assert abs(np.corrcoef(column, y)[0, 1] if column.std() else 0.0) < 0.06
