"""Target encodings: shrinkage that earns its name, and no label that leaks."""

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.preprocessing import TargetEncoder

from ratchet.data.roles import Roles
from ratchet.data.task import Task
from ratchet.features.encoders.target import assign_folds, cross_fit, learn_means
from ratchet.features.recipe import Encoding

TARGET = Encoding("onehot", "impute", scale=True, high_cardinality="target")


def test_the_mean_is_shrunken_by_the_variance_components():
    # Balanced groups of 4 (Searle et al., section 3.6): s = SSE/(N-k), t = (MSA - s)/n.
    codes = np.repeat([0, 1, 2], 4)
    y = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], dtype=np.float64)
    noise = 3 * 5.0 / 9
    spread = (4 * (16 + 0 + 16) / 2 - noise) / 4
    weight = 4 * spread / (4 * spread + noise)
    means, grand = learn_means(codes, y, 5)
    assert grand == 6.5
    expected = [6.5 - 4 * weight, 6.5, 6.5 + 4 * weight, 6.5, 6.5]
    np.testing.assert_allclose(means, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("codes", "y"),
    [
        ([0, 1, 2, 3], [0, 1, 0, 1]),
        ([0, 0, 0, 0], [0, 1, 0, 1]),
        ([0, 0, 1, 1], [0, 1, 0, 1]),
        ([0, 1, 0, 1], [1, 1, 1, 1]),
        ([0], [1]),
    ],
)
def test_without_signal_every_category_gets_the_grand_mean(codes, y):
    means, grand = learn_means(np.array(codes), np.array(y, dtype=np.float64), 5)
    np.testing.assert_allclose(means, grand)


def test_categories_that_decide_the_target_are_not_shrunken():
    means, _ = learn_means(np.array([0, 0, 1, 1]), np.array([0.0, 0, 1, 1]), 2)
    np.testing.assert_allclose(means, [0.0, 1.0])


def test_it_predicts_better_than_scikit_learn_where_categories_are_small():
    ours, theirs = [], []
    for seed in range(10):
        random = np.random.default_rng(seed)
        chance = random.beta(6, 14, 400)
        codes = random.choice(400, 4000, p=random.dirichlet(np.full(400, 0.5)))
        y = (random.random(4000) < chance[codes]).astype(np.float64)
        fresh = random.integers(0, 400, 20_000)
        labels = random.random(20_000) < chance[fresh]
        means, _ = learn_means(codes, y, 400)
        sklearn = TargetEncoder(smooth="auto", target_type="binary")
        sklearn.fit(codes[:, None], y)
        encoded = sklearn.transform(fresh[:, None])[:, 0]
        ours.append(log_loss(labels, np.clip(means[fresh], 1e-6, 1 - 1e-6)))
        theirs.append(log_loss(labels, np.clip(encoded, 1e-6, 1 - 1e-6)))
    assert np.mean(ours) < np.mean(theirs) - 0.01
    assert np.mean(np.array(ours) < np.array(theirs)) == 1.0


def test_folds_are_stratified_seeded_and_keep_groups_together():
    y = np.array([0.0] * 90 + [1.0] * 10)
    folds = assign_folds(y, 5, 3, groups=None, discrete=True)
    assert np.bincount(folds).tolist() == [20] * 5
    assert np.bincount(folds[y == 1]).tolist() == [2] * 5
    again = assign_folds(y, 5, 3, groups=None, discrete=True)
    other = assign_folds(y, 5, 4, groups=None, discrete=True)
    assert (folds == again).all()
    assert (folds != other).any()
    groups = np.repeat(np.arange(20), 5)
    grouped = assign_folds(y, 5, 3, groups=groups, discrete=True)
    assert all(len(set(grouped[groups == group])) == 1 for group in range(20))
    assert set(grouped) == set(range(5))


def test_a_row_never_sees_its_own_label():
    random = np.random.default_rng(0)
    codes, y = random.integers(0, 20, 300), random.integers(0, 2, 300).astype(np.float64)
    folds = np.arange(300) % 5
    before = cross_fit(codes, y, 20, folds)
    inside = folds == 2
    changed = np.where(inside, 1 - y, y)
    after = cross_fit(codes, changed, 20, folds)
    np.testing.assert_array_equal(before[inside], after[inside])
    assert (before[~inside] != after[~inside]).any()


def noise(seed, rows=3000, categories=800):
    """A text column of many categories, and labels that know nothing of it."""
    random = np.random.default_rng(seed)
    text = [f"k{code}" for code in random.integers(0, categories, rows)]
    return pl.DataFrame({"c": text, "y": random.integers(0, 2, rows)})


def auc(y, values):
    return roc_auc_score(y, values)


def test_a_column_of_noise_stays_noise(fit):
    training, held_out, leaking = [], [], []
    for seed in range(8):
        frame = noise(seed)
        train, test = frame[:2000], frame[2000:]
        y, later = train["y"].to_numpy(), test["y"].to_numpy()
        recipe, X = fit(train, y, encoding=TARGET, seed=seed)
        assert recipe.feature_names == ("target(c)",)
        model = LogisticRegression().fit(X, y)
        training.append(auc(y, X[:, 0]))
        held_out.append(auc(later, model.decision_function(recipe.matrix(test))))
        leaking.append(auc(y, recipe.matrix(train)[:, 0]))
    assert 0.45 < np.mean(training) < 0.55
    assert 0.45 < np.mean(held_out) < 0.55
    assert max(training) < 0.55
    # What the rows would have been given without cross-fitting: the test can fail.
    assert np.mean(leaking) > 0.6


def test_a_column_with_signal_keeps_it(fit):
    random = np.random.default_rng(1)
    chance = random.random(100)
    codes = random.integers(0, 100, 4000)
    y = (random.random(4000) < chance[codes]).astype(np.int32)
    frame = pl.DataFrame({"c": [f"k{code}" for code in codes], "y": y})
    recipe, X = fit(frame[:3000], y[:3000], encoding=TARGET)
    assert auc(y[:3000], X[:, 0]) > 0.75
    assert auc(y[3000:], recipe.matrix(frame[3000:])[:, 0]) > 0.75
    # Scaled by what the model is trained on, not by what it would leak.
    assert abs(X.mean()) < 1e-5
    assert abs(X.std() - 1) < 1e-5


def test_unseen_and_missing_values_are_answered(fit):
    y = np.array([1, 1, 1, 0, 0, 0, 1, 0] * 20)
    frame = pl.DataFrame({"c": ["a", "a", "a", "b", "b", "b", None, None] * 20, "y": y})
    recipe, _ = fit(frame, y, generate={"target": ["c"]})
    served = recipe.matrix(pl.DataFrame({"c": ["a", "b", "new", None, ""]}))[:, 1]
    assert served[0] > 0.9
    assert served[1] < 0.1
    assert served[2] == np.float32(0.5)
    assert served[3] == served[4] == np.float32(0.5)


def test_several_classes_give_a_column_each_and_a_number_its_mean(fit):
    labels = np.array([0, 1, 2] * 40)
    frame = pl.DataFrame({"c": ["r", "g", "b"] * 40, "y": labels})
    task = Task("multiclass", ("red", "green", "blue"))
    recipe, X = fit(frame, labels, task=task, generate={"target": ["c"]})
    names = ("c", "target(c)=red", "target(c)=green", "target(c)=blue")
    assert recipe.feature_names == names
    np.testing.assert_allclose(X[0, 1:], [1.0, 0.0, 0.0], atol=1e-12)
    amounts = np.array([10.0, 20.0, 30.0] * 40)
    recipe, X = fit(frame, amounts, task=Task("regression", ()), generate={"target": ["c"]})
    assert recipe.feature_names == ("c", "target(c)")
    np.testing.assert_allclose(X[:3, 1], [10.0, 20.0, 30.0])


def test_rows_of_a_group_are_encoded_without_their_group(fit):
    # Each group has one category of its own: without its group, nothing is known.
    groups = np.repeat(np.arange(50), 6)
    y = np.repeat(np.arange(50) % 2, 6)
    frame = pl.DataFrame({"c": [f"k{g}" for g in groups], "g": groups, "y": y})
    roles = Roles(target="y", group="g")
    _, X = fit(frame, y, roles=roles, generate={"target": ["c"]}, encoding=Encoding())
    assert auc(y, X[:, 1]) < 0.6
    _, apart = fit(frame.drop("g"), y, generate={"target": ["c"]}, encoding=Encoding())
    assert auc(y, apart[:, 1]) > 0.95
