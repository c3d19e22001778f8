import numpy as np
import pytest

from ratchet.training.settings import ThresholdSettings
from ratchet.training.threshold import choose_threshold

SETTINGS = {
    "f1": ThresholdSettings(maximize="f1"),
    "accuracy": ThresholdSettings(maximize="accuracy"),
    "balanced_accuracy": ThresholdSettings(maximize="balanced_accuracy"),
    "cost": ThresholdSettings(cost={"false_positive": 1, "false_negative": 10}),
}


def sample(rows, seed, base=0.0):
    """Calibrated scores (n, 2) and labels."""
    rng = np.random.default_rng(seed)
    score = 1 / (1 + np.exp(-(1.2 * rng.normal(size=rows) + base)))
    return np.column_stack([1 - score, score]), (rng.random(rows) < score).astype(np.int32)


def worth(goal, scores, y, threshold):
    decided, positive = scores[:, 1] >= threshold, y == 1
    hits, misses = (decided & positive).sum(), (decided & ~positive).sum()
    missed, kept = (~decided & positive).sum(), (~decided & ~positive).sum()
    return {
        "f1": 2 * hits / (2 * hits + misses + missed),
        "accuracy": (hits + kept) / len(y),
        "balanced_accuracy": (hits / (hits + missed) + kept / (kept + misses)) / 2,
        "cost": -(misses + 10 * missed) / len(y),
        "precision": hits / max(1, hits + misses),
        "recall": hits / (hits + missed),
    }[goal]


def best_cut(goal, scores, y):
    """The plain choice: the score with the best worth on the rows at hand."""
    ranked = np.sort(np.unique(scores[:, 1]))
    values = [worth(goal, scores, y, cut) for cut in ranked]
    return ranked[int(np.argmax(values))]


@pytest.mark.parametrize("goal", SETTINGS)
def test_it_loses_less_on_new_rows_than_the_best_cut(goal):
    fresh, labels = sample(40_000, 999, base=-1.5)
    ours, plain = [], []
    for seed in range(25):
        scores, y = sample(250, seed, base=-1.5)
        chosen = choose_threshold(scores, y, SETTINGS[goal])
        ours.append(worth(goal, fresh, labels, chosen.value))
        plain.append(worth(goal, fresh, labels, best_cut(goal, scores, y)))
    top = max(worth(goal, fresh, labels, cut) for cut in np.linspace(0.01, 0.99, 99))
    assert top - np.mean(ours) < 0.75 * (top - np.mean(plain))


@pytest.mark.parametrize(
    ("goal", "expected"), [("accuracy", 0.5), ("cost", 1 / 11), ("balanced_accuracy", 0.27)]
)
def test_with_many_calibrated_rows_it_is_the_textbook_threshold(goal, expected):
    scores, y = sample(60_000, 0, base=-1.25)
    assert choose_threshold(scores, y, SETTINGS[goal]).value == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize("goal", [*SETTINGS, "precision", "recall"])
@pytest.mark.parametrize("decimals", [None, 2])
def test_it_lies_between_two_scores_and_no_rounding_changes_a_decision(goal, decimals):
    scores, y = sample(2_000, 5)
    if decimals:
        scores = np.round(scores, decimals)
    settings = SETTINGS.get(goal) or ThresholdSettings(**{goal: 0.7})
    value = choose_threshold(scores, y, settings).value
    assert 0 <= value <= 1
    assert np.abs(scores[:, 1] - value).min() > 1e-7


@pytest.mark.parametrize("wanted", [0.6, 0.75, 0.85])
def test_precision_is_kept_on_the_rows_and_about_kept_on_new_ones(wanted):
    fresh, labels = sample(40_000, 999)
    found = []
    for seed in range(15):
        scores, y = sample(600, seed)
        chosen = choose_threshold(scores, y, ThresholdSettings(precision=wanted))
        assert chosen.expected["precision"] >= wanted
        assert chosen.note == ""
        found.append(worth("precision", fresh, labels, chosen.value))
    assert np.mean(found) > wanted - 0.02


def test_recall_is_kept_with_as_much_precision_as_that_leaves():
    scores, y = sample(3_000, 1)
    chosen = choose_threshold(scores, y, ThresholdSettings(recall=0.9))
    assert 0.9 <= chosen.expected["recall"] < 0.902
    everything = choose_threshold(scores, y, ThresholdSettings(recall=1.0))
    assert everything.expected["recall"] == 1.0
    assert everything.value <= scores[y == 1, 1].min()


def test_a_precision_out_of_reach_is_named():
    rng = np.random.default_rng(0)
    score = rng.random(2_000)
    y = (rng.random(2_000) < 0.2 + 0.3 * score).astype(np.int32)
    scores = np.column_stack([1 - score, score])
    chosen = choose_threshold(scores, y, ThresholdSettings(precision=0.95))
    assert chosen.note.startswith("a precision of 0.95 is not reached: 0.")
    assert chosen.expected["precision"] < 0.95
    assert chosen.expected["decided"] * 2_000 >= 10


def test_expected_values_are_those_of_the_decisions():
    scores, y = sample(1_000, 3)
    scores[:100] = np.nan
    chosen = choose_threshold(scores, y, SETTINGS["cost"])
    for goal in ("precision", "recall", "f1", "accuracy", "balanced_accuracy"):
        expected = worth(goal, scores[100:], y[100:], chosen.value)
        assert chosen.expected[goal] == pytest.approx(expected)
    assert chosen.expected["cost"] == pytest.approx(
        -worth("cost", scores[100:], y[100:], chosen.value)
    )
    decided = (scores[100:, 1] >= chosen.value).mean()
    assert chosen.expected["decided"] == pytest.approx(decided)
    assert chosen.objective == "least cost at 1 per false positive and 10 per false negative"


def test_a_value_is_taken_as_it_is():
    scores, y = sample(500, 3)
    chosen = choose_threshold(scores, y, ThresholdSettings(value=0.3))
    assert chosen.value == 0.3
    assert chosen.expected["accuracy"] == pytest.approx(worth("accuracy", scores, y, 0.3))


def test_weights_count_as_rows_do():
    scores, y = sample(800, 3)
    weight = np.where(np.arange(800) % 2, 1.0, 3.0)
    times = weight.astype(int)
    weighted = choose_threshold(scores, y, SETTINGS["f1"], weight=weight)
    repeated = choose_threshold(
        np.repeat(scores, times, axis=0), np.repeat(y, times), SETTINGS["f1"]
    )
    assert weighted.value == pytest.approx(repeated.value, abs=0.05)
    again = choose_threshold(
        np.repeat(scores, times, axis=0),
        np.repeat(y, times),
        ThresholdSettings(value=weighted.value),
    )
    assert weighted.expected == pytest.approx(again.expected)


@pytest.mark.parametrize("settings", SETTINGS.values())
def test_rows_that_say_nothing(settings):
    scores, _ = sample(50, 3)
    for label in (0, 1):
        one = choose_threshold(scores, np.full(50, label, np.int32), settings)
        assert (one.value, one.note[:30]) == (0.5, "the rows hold a single class: ")
    flat = np.full((50, 2), 0.5)
    y = (np.arange(50) < 20).astype(np.int32)
    chosen = choose_threshold(flat, y, settings)
    assert 0 <= chosen.value <= 1
    assert np.isfinite(list(chosen.expected.values())).all()
    empty = choose_threshold(np.full((50, 2), np.nan), y, settings)
    assert empty.value == 0.5


def test_the_same_rows_give_the_same_threshold():
    scores, y = sample(400, 3)
    assert choose_threshold(scores, y, SETTINGS["f1"]) == choose_threshold(
        scores, y, SETTINGS["f1"]
    )
