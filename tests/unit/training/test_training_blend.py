import numpy as np
import polars as pl
import pytest

from ratchet.data.task import Task
from ratchet.training.blend import Blend, Member
from ratchet.training.calibrate import Calibration
from ratchet.training.combine import combine
from ratchet.training.fitted import Fitted

TASK = Task("binary", ("no", "yes"))


class Recipe:
    """A recipe that counts how often it encodes."""

    calls = 0

    def matrix(self, frame):
        self.calls += 1
        return frame.to_numpy().astype(np.float32)


def member(recipe, column, weight):
    fitted = Fitted("mine", "sklearn", None, {}, 2, lambda X: X[:, column].astype(np.float64))
    return Member(f"m{column}", "mine", recipe, fitted, weight)


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    return pl.DataFrame(rng.random((50, 3)).astype(np.float32))


def test_scores_are_the_weighted_mean_then_calibrated(frame):
    recipe = Recipe()
    members = tuple(member(recipe, place, weight) for place, weight in enumerate((0.5, 0.3, 0.2)))
    scores = Blend(TASK, members).score(frame)
    expected = frame.to_numpy().astype(np.float64) @ [0.5, 0.3, 0.2]
    assert scores[:, 1] == pytest.approx(expected, abs=1e-15)
    assert scores.sum(axis=1) == pytest.approx(np.ones(50))
    calibration = Calibration("sigmoid", (0.5, -1.0))
    calibrated = Blend(TASK, members, calibration).score(frame)
    assert np.array_equal(calibrated, calibration.apply(scores))


def test_members_with_one_recipe_share_its_matrix(frame):
    shared, own = Recipe(), Recipe()
    members = (member(shared, 0, 0.4), member(shared, 1, 0.4), member(own, 2, 0.2))
    Blend(TASK, members).score(frame)
    assert (shared.calls, own.calls) == (1, 1)


def test_a_single_model_keeps_its_very_bits(frame):
    alone = member(Recipe(), 1, 1.0)
    scores = Blend(TASK, (alone,)).score(frame)
    assert np.array_equal(scores, alone.fitted.predict(frame.to_numpy()))


def test_rows_scored_alone_and_together_have_the_same_bits():
    rng = np.random.default_rng(1)
    parts = [rng.random((40, 4)) for _ in range(3)]
    parts = [part / part.sum(axis=1, keepdims=True) for part in parts]
    weights = [0.123, 0.456, 0.421]
    calibration = Calibration("temperature", (1.7, 0.1, 0.0, -0.3, 0.2))
    whole = combine(parts, weights, calibration)
    alone = [
        combine([part[row : row + 1] for part in parts], weights, calibration) for row in range(40)
    ]
    assert np.array_equal(whole, np.concatenate(alone))
    assert whole.sum(axis=1) == pytest.approx(np.ones(40))
