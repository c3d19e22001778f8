"""The search as a whole, with algorithms made up for it."""

import time

import numpy as np
import polars as pl
import pytest

from made_algorithms import Made
from ratchet.training.algorithms import catalogue
from ratchet.training.candidates import fit_candidates
from ratchet.training.deadline import Deadline
from ratchet.training.results import TrialRecord
from ratchet.training.search import run, sampling
from ratchet.training.settings import TrainingSettings

NAMES = ("Made", "Slow", "Steady", "Poor", "Stubborn", "Wide", "Dear")


@pytest.fixture(autouse=True)
def made_up(monkeypatch):
    for name in NAMES:
        monkeypatch.setitem(catalogue.BUILT_IN, name.lower(), f"made_algorithms:{name}")


def settings(*algorithms, tuning=None, **more):
    more = {"ensemble": False, "cores": 1, **more}
    names = algorithms or ("made",)
    return TrainingSettings(algorithms={name: {} for name in names}, tuning=tuning or {}, **more)


def search(problem, *algorithms, seconds=None, rows=300, **more):
    deadline = {"deadline": Deadline.after(seconds)} if seconds else {}
    given = {key: more.pop(key) for key in ("on_event", "warm", "store") if key in more}
    wanted = settings(*algorithms, **more)
    return fit_candidates(settings=wanted, **deadline, **given, **problem(rows=rows))


def outline(trained):
    return [
        (item.candidate, item.origin, dict(item.tuned), item.status, item.mean)
        for item in trained.trials
    ]


@pytest.mark.parametrize("cores", [1, 2])
def test_a_number_of_trials_gives_the_same_search_every_time(problem, cores):
    one, two = (
        search(problem, "made", "poor", tuning={"trials": 14}, cores=cores) for _ in range(2)
    )
    assert len(one.trials) == 14
    assert outline(one) == outline(two)
    assert one.choice.best.params == two.choice.best.params
    assert np.array_equal(one.choice.best.oof, two.choice.best.oof)


def test_a_search_finds_better_than_the_defaults_and_counts_what_it_tried(problem):
    trained = search(problem, tuning={"trials": 30})
    (result,) = trained.candidates
    defaults = trained.trials[0]
    assert defaults.origin == "defaults"
    assert result.cv["roc_auc"][0] > defaults.mean + 0.05
    assert abs(result.params["level"] - Made.best) < 0.2
    assert result.trials == 30
    assert [item.number for item in trained.trials] == list(range(1, 31))
    assert result.fitted.params["level"] == result.params["level"]


def test_clearly_worse_trials_are_given_up_early(problem):
    trained = search(problem, tuning={"trials": 30}, rows=600)
    pruned = [item for item in trained.trials if item.status == "pruned"]
    finished = [item for item in trained.trials if item.status == "finished"]
    assert pruned
    assert all(len(item.folds) < 5 for item in pruned)
    assert all(len(item.folds) == 5 for item in finished)
    best = trained.choice.best.cv["roc_auc"][0]
    # Nothing that was given up looked like the best.
    assert max(item.mean for item in pruned) < best + 0.02


def test_the_promising_one_gets_the_trials(problem):
    trained = search(problem, "made", "poor", tuning={"trials": 40})
    count = {
        name: sum(item.candidate == name for item in trained.trials) for name in ("made", "poor")
    }
    assert count["made"] > 3 * count["poor"]
    assert trained.choice.ranking == ("made", "poor")


def test_the_budget_holds_whatever_one_trial_costs(problem):
    started = time.monotonic()
    trained = search(problem, "made", "slow", seconds=3.0)
    taken = time.monotonic() - started
    assert taken < 9.0
    assert len(trained.trials) > 1
    by_name = {result.name: result for result in trained.candidates}
    assert by_name["made"].status == "ok"
    assert "time was up" in by_name["slow"].error
    assert trained.choice.alone
    assert trained.choice.reason.endswith("; 1 of 2 candidates; the time was up for the others")
    (note,) = [note for note in trained.notes if note.startswith("slow: ")]
    assert note.endswith("before it could be compared; raise training.tuning.time")


def test_defaults_that_are_far_behind_and_dear_are_given_up(problem):
    trained = search(problem, "made", "dear", seconds=4.0, rows=900)
    by_name = {result.name: result for result in trained.candidates}
    assert by_name["dear"].error.startswith("given up after")
    assert sum(item.seconds for item in trained.trials if item.candidate == "dear") < 3.5
    without_a_clock = search(problem, "made", "dear", tuning={"trials": 0}, rows=900)
    assert [result.status for result in without_a_clock.candidates] == ["ok", "ok"]


def test_there_is_a_model_even_if_nothing_could_be_compared_in_time(problem):
    started = time.monotonic()
    trained = search(problem, "slow", seconds=1.0)
    assert time.monotonic() - started < 4.0
    assert [member.name for member in trained.blend.members] == ["slow"]
    assert trained.choice.reason == "the only candidate"
    assert trained.candidates[0].cv == {}


def test_a_model_that_was_compared_with_nothing_says_so(problem):
    """The time is up before it begins."""
    over = Deadline(-1.0)
    trained = fit_candidates(
        settings=settings("slow", "made", "poor"), deadline=over, **problem(rows=300)
    )
    assert trained.choice.reason == "1 of 3 candidates; the time was up for the others"
    assert trained.choice.alone
    alone, late = trained.notes
    assert alone.startswith("slow was trained without a comparison: the time was up")
    assert late.startswith("slow: its time was up before its final fit was done")
    assert all(note.endswith("raise training.tuning.time") for note in trained.notes)


def test_one_that_fails_when_time_is_up_leaves_its_place_to_the_next(problem, monkeypatch):
    monkeypatch.setitem(catalogue.BUILT_IN, "broken", "made_algorithms:Broken")
    trained = fit_candidates(
        settings=settings("broken", "slow"), deadline=Deadline(-1.0), **problem(rows=300)
    )
    assert [member.name for member in trained.blend.members] == ["slow"]
    by_name = {result.name: result for result in trained.candidates}
    assert by_name["broken"].status == "failed"
    assert "it never works" in by_name["broken"].error
    assert trained.choice.reason == "the only candidate that could be trained"


def test_what_cannot_be_interrupted_is_ended(problem):
    started = time.monotonic()
    trained = search(problem, "made", "stubborn", seconds=4.0)
    assert time.monotonic() - started < 10.0
    by_name = {result.name: result for result in trained.candidates}
    assert by_name["made"].status == "ok"
    assert "time was up" in by_name["stubborn"].error


def test_the_time_is_used(problem):
    started = time.monotonic()
    trained = search(problem, "steady", seconds=3.0)
    assert 1.5 < time.monotonic() - started < 9.0
    assert len(trained.trials) > 1


def test_last_winners_are_tried_right_after_the_defaults(problem):
    winner = {"level": 0.31, "other": 2.0}
    trained = search(problem, "made", "poor", tuning={"trials": 6}, warm={"made": (winner,)})
    origins = [item.origin for item in trained.trials]
    assert origins[:3] == ["defaults", "defaults", "warm"]
    assert dict(trained.trials[2].tuned) == winner


def test_events_tell_of_every_trial_and_the_best_so_far(problem):
    events = []
    trained = search(problem, tuning={"trials": 12}, on_event=events.append)
    told = [event for event in events if event.kind == "trial"]
    assert [event.done for event in told] == list(range(1, 13))
    assert {event.total for event in told} == {12}
    assert {event.trial for event in told} == set(range(1, 13))
    best = [event.best for event in told]
    assert best == sorted(best)
    assert best[-1] == pytest.approx(trained.choice.best.cv["roc_auc"][0])
    assert all(event.left is None for event in told)
    timed = []
    search(problem, seconds=1.0, on_event=timed.append)
    assert all(0 <= event.left <= 1.0 for event in timed if event.kind == "trial")


def test_another_metric_may_be_searched_than_chooses(problem):
    trained = search(problem, tuning={"trials": 8, "metric": "log_loss"})
    assert {item.metric for item in trained.trials} == {"log_loss"}
    assert trained.choice.metric == "roc_auc"


def test_an_ensemble_is_one_blend_whose_scores_are_its_members(problem):
    given = problem(rows=400)
    wanted = TrainingSettings(
        algorithms={"lightgbm": {"num_iterations": 20}, "logistic_regression": {}},
        tuning={"trials": 0},
        cores=2,
    )
    trained = fit_candidates(settings=wanted, **given)
    names = [result.name for result in trained.candidates]
    if "ensemble" in names:
        assert len(trained.blend.members) == 2
    scores = trained.blend.score(given["frame"])
    assert scores.shape == (400, 2)
    assert np.allclose(scores.sum(axis=1), 1)
    assert len(trained.blends) >= 2
    assert [len(blend.members) for blend in trained.blends][1:] == [1] * (len(trained.blends) - 1)


def test_records_survive_json(problem):
    trained = search(problem, tuning={"trials": 5})
    for record in trained.trials:
        assert TrialRecord.from_json(record.to_json()) == record


class Kept:
    """A store in memory."""

    def __init__(self):
        self.records, self.arrays = {}, {}

    def load(self):
        return tuple(self.records.values())

    def save(self, record, key, oof):
        assert key not in self.records
        self.records[key] = record
        if oof is not None:
            self.arrays[key] = oof

    def oof(self, key):
        return self.arrays.get(key)


def test_a_search_gone_on_with_tries_nothing_twice_and_ends_the_same(problem):
    whole, half = Kept(), Kept()
    one = search(problem, "made", "poor", tuning={"trials": 16}, store=whole)
    search(problem, "made", "poor", tuning={"trials": 8}, store=half)
    assert len(half.records) == 8
    two = search(problem, "made", "poor", tuning={"trials": 16}, store=half)
    assert outline(one) == outline(two)
    assert one.choice.best.params == two.choice.best.params
    assert np.array_equal(one.choice.best.oof, two.choice.best.oof)


def test_time_that_was_spent_is_spent(problem):
    store = Kept()
    first = search(problem, "steady", seconds=2.0, store=store)
    started = time.monotonic()
    second = search(problem, "steady", seconds=3.0, store=store)
    assert time.monotonic() - started < 2.9  # about one second is left of three
    assert len(second.trials) > len(first.trials)
    tried = [str(sorted(item.tuned.items())) for item in second.trials]
    assert len(set(tried)) == len(tried)


def test_scores_that_are_nowhere_to_be_found_are_made_again(problem):
    store = Kept()
    search(problem, tuning={"trials": 4}, store=store)
    store.arrays.clear()
    again = search(problem, tuning={"trials": 4}, store=store)
    assert np.isfinite(again.choice.best.oof).all()


def test_folds_follow_time_in_a_search_too(problem):
    given = problem(rows=600)
    month = given["frame"]["month"]
    trained = fit_candidates(settings=settings(tuning={"trials": 6}), time=month, **given)
    first = np.isnan(trained.choice.best.oof[:, 0])
    assert 0 < first.sum() < 200
    assert month.filter(pl.Series(first)).max() < month.filter(pl.Series(~first)).min()


@pytest.fixture
def many(monkeypatch):
    """Little is already too much for all rows."""
    monkeypatch.setattr(sampling, "CELLS_ALWAYS", 1_000)
    monkeypatch.setattr(sampling, "LEAST_ROWS", 300)
    monkeypatch.setattr(sampling, "LEAST_OF_A_CLASS", 100)


def test_many_rows_are_searched_on_a_sample_and_the_best_meet_again_on_all(problem, many):
    trained = search(problem, "wide", "poor", seconds=6.0, rows=6_000)
    sizes = [item.rows for item in trained.trials]
    assert sizes[0] < 2_000
    assert sizes == sorted(sizes)
    assert sizes[-1] == 6_000
    assert sizes.count(6_000) < sizes.count(sizes[0])
    assert [item.number for item in trained.trials] == sorted(
        {item.number for item in trained.trials}
    )
    by_name = {result.name: result for result in trained.candidates}
    assert set(by_name) == {"wide", "poor"}
    best = by_name["wide"]
    assert best.oof.shape == (6_000, 2)
    assert best.sample is None
    assert best.trials > 5
    assert trained.choice.best.name == "wide"


def test_a_sample_is_gone_on_with_on_the_same_rows(problem, many):
    store = Kept()
    first = search(problem, "wide", seconds=4.0, rows=6_000, store=store)
    again = search(problem, "wide", seconds=6.0, rows=6_000, store=store)
    small = {item.rows for item in first.trials if item.rows < 6_000}
    assert min(small) in {item.rows for item in again.trials}
    before = {(item.rows, str(sorted(item.tuned.items()))): item.mean for item in first.trials}
    after = {(item.rows, str(sorted(item.tuned.items()))): item.mean for item in again.trials}
    for key in before.keys() & after.keys():
        assert before[key] == after[key]
    assert len(after) >= len(before) - 1


def test_rounds_found_on_a_sample_are_found_anew_on_all_rows(problem, many, monkeypatch):
    """The rungs between the sample and all rows are left out."""
    monkeypatch.setattr(run, "ON_SAMPLE", 1.0)
    given = problem(rows=6_000)
    wanted = TrainingSettings(
        algorithms={"lightgbm": {}}, tuning={"trials": 3, "time": "2m"}, cores=1, ensemble=False
    )
    monkeypatch.setattr(run, "sample_size", lambda *_: 600)
    monkeypatch.setattr(run, "climb", lambda search, *_: search)
    trained = fit_candidates(settings=wanted, deadline=Deadline.after(120.0), **given)
    (result,) = trained.candidates
    assert {item.rows for item in trained.trials} <= set(range(595, 606))
    assert result.sample is not None
    assert result.oof.shape == (len(result.sample), 2)
    found = next(item.rounds for item in trained.trials if dict(item.tuned) == dict(result.tuned))
    assert result.rounds != found
    assert result.params["early_stopping_rounds"] == 0
    assert result.params["num_iterations"] == result.rounds
