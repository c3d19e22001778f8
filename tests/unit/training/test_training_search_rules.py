"""The rules of the search by themselves: who is given up, who comes next, what is drawn."""

import math

import numpy as np
import pytest

from made_algorithms import Made
from ratchet.data.task import Task
from ratchet.features.recipe import Encoding
from ratchet.training.algorithms.catalogue import Candidate
from ratchet.training.algorithms.space import Dimension
from ratchet.training.attempt import Attempt
from ratchet.training.entrant import Entrant
from ratchet.training.search.allocation import Account, choose_account
from ratchet.training.search.proposals import Proposals
from ratchet.training.search.standings import Standings
from ratchet.training.search.trial import Trial, recorded_trial, trial_key
from ratchet.training.search.tuner import Tuner

BINARY = Task("binary", ("no", "yes"))


def trial(scores, number=1, candidate=0, status="finished", seconds=1.0, metric="roc_auc"):
    entrant = Entrant("made", Made(), {}, Encoding("codes", "impute", False), None)
    made = Trial(number, candidate, entrant, "search", 0.0, 100, folds=5)
    for fold, score in enumerate(scores):
        made.attempts[fold] = Attempt(seconds, (), scores={metric: score})
    made.status = status
    return made


def standings(*trials, candidates=1, metric="roc_auc"):
    made = Standings(candidates, metric)
    for item in trials:
        made.add(item)
    return made


HARD_FOLDS = [0.70, 0.90, 0.75, 0.85, 0.80]


def shifted(by, folds=5):
    return [score + by for score in HARD_FOLDS[:folds]]


def test_one_that_is_worse_on_the_same_folds_is_hopeless_however_hard_they_are():
    uneven = [score - 0.01 * place for place, score in enumerate(HARD_FOLDS)]
    known = standings(trial(HARD_FOLDS), trial(uneven, 2))
    assert known.is_hopeless(trial(shifted(-0.08, 2), 4))
    assert not known.is_hopeless(trial(shifted(-0.001, 2), 4))
    assert not known.is_hopeless(trial(shifted(0.05, 1), 4))


def test_nobody_is_hopeless_without_a_best():
    assert not standings().is_hopeless(trial([0.1]))


def test_what_is_lost_counts_the_other_way():
    known = standings(
        trial([0.4, 0.5, 0.6], metric="log_loss"),
        trial([0.41, 0.5, 0.6], 2, metric="log_loss"),
        metric="log_loss",
    )
    assert known.leader.number == 1
    assert known.is_hopeless(trial([0.9], 3, metric="log_loss"))
    assert not known.is_hopeless(trial([0.1], 3, metric="log_loss"))


def test_a_pruned_trial_is_expected_to_stay_as_far_behind():
    known = standings(trial(HARD_FOLDS))
    pruned = trial(shifted(-0.1, 2), 2, status="pruned")
    assert known.expected_loss(pruned) == pytest.approx(-0.8 + 0.1)
    # By its own two folds it would look like this.
    assert pruned.loss("roc_auc") == pytest.approx(-0.7)


def test_the_leader_has_no_gap_and_others_have_one_with_an_error():
    near = trial([score - 0.01 + 0.01 * (-1) ** place for place, score in enumerate(HARD_FOLDS)], 2)
    near.candidate = 1
    known = standings(trial(HARD_FOLDS), near, candidates=3)
    assert known.gap(0) == (0.0, 0.0)
    gap, error = known.gap(1)
    assert gap == pytest.approx(0.008)
    assert 0 < error < 0.01
    assert known.gap(2)[0] == math.inf
    assert [item.candidate for item in known.promising()] == [0, 1]


def shares(accounts, gaps, noise=0.01, draws=2_000):
    rng = np.random.default_rng(0)
    chosen = [choose_account(accounts, gaps, noise, rng) for _ in range(draws)]
    return np.bincount(chosen, minlength=len(accounts)) / draws


def spent(*trials):
    account = Account()
    for cost, loss in trials:
        account.book(cost, loss)
    return account


def test_what_costs_less_for_the_same_is_tried_more():
    cheap, dear = spent((1.0, -0.8)), spent((10.0, -0.8))
    share = shares({0: cheap, 1: dear}, {0: (0.0, 0.0), 1: (0.0, 0.0)})
    assert 0.7 < share[0] < 0.95
    # As good, so it has as much of the time.
    assert 10 * share[1] == pytest.approx(share[0], rel=0.25)


def test_what_is_as_good_is_never_starved_however_long_it_has_not_improved():
    stuck = spent((1.0, -0.80), *[(1.0, -0.7)] * 500)
    fresh = spent((1.0, -0.80))
    share = shares({0: stuck, 1: fresh}, {0: (0.0, 0.0), 1: (0.0, 0.0)})
    assert share[0] > 0.12
    share = shares({0: stuck, 1: fresh}, {0: (0.1, 0.01), 1: (0.0, 0.0)})
    assert share[0] < 0.02


def test_what_is_far_behind_is_hardly_tried():
    best, behind = spent((1.0, -0.80)), spent((1.0, -0.60))
    share = shares({0: best, 1: behind}, {0: (0.0, 0.0), 1: (0.2, 0.01)})
    assert share[1] < 0.1


def test_what_has_long_not_improved_gives_way():
    stuck = spent((1.0, -0.80), *[(1.0, -0.7)] * 30)
    fresh = spent((1.0, -0.80))
    share = shares({0: stuck, 1: fresh}, {0: (0.0, 0.0), 1: (0.0, 0.0)})
    assert share[1] > share[0]


def test_cost_for_improvement_is_flamls():
    account = spent((2.0, -0.70), (2.0, -0.75), (3.0, -0.60))
    # 3 since the best, 2 between the best two: the larger; and to catch up at the pace so far.
    assert account.cost_for_improvement(0.0, 0.01) == 3.0
    assert account.cost_for_improvement(0.1, 0.01) == pytest.approx(0.1 / 0.05 * 5.0)


SPACE = (
    Dimension("rate", 0.01, 1.0, log=True),
    Dimension("leaves", 2, 64, log=True, integer=True),
    Dimension("kind", choices=("a", "b", None, True)),
)


def test_draws_are_the_same_for_the_same_history_and_lie_in_the_space():
    def draws():
        tuner = Tuner(SPACE, seed=7)
        tuner.learn({"rate": 0.1, "leaves": 8, "kind": "a"}, 0.5)
        found = []
        for number in range(12):
            asked, params = tuner.ask(number)
            found.append(params)
            tuner.tell(asked, params["rate"])
        return found

    one, two = draws(), draws()
    assert one == two
    for params in one:
        assert 0.01 <= params["rate"] <= 1.0
        assert isinstance(params["leaves"], int)
        assert params["kind"] in ("a", "b", None, True)
    assert min(params["rate"] for params in one) < 0.03


def test_what_lies_outside_the_space_is_learned_at_its_edge_or_not_at_all():
    tuner = Tuner(SPACE, seed=0)
    tuner.learn({"rate": 5.0, "leaves": 8, "kind": "a"}, 0.5)
    tuner.learn({"rate": 0.1, "leaves": 8, "kind": "strange"}, 0.5)
    tuner.learn({"rate": 0.1}, 0.5)
    tuner.learn({"rate": 0.1, "leaves": 8, "kind": "a"}, math.inf)
    known = tuner._study.get_trials()
    assert [item.params["rate"] for item in known] == [1.0]


class Listed(Made):
    configurations = ({"level": 0.5}, {"level": 0.9, "other": 1.0}, {"level": 0.7, "other": 2.0})


def proposals(params=None, algorithm=Listed, **more):
    candidate = Candidate("made", algorithm(), params or {})
    return Proposals(candidate, BINARY, 100, 5, seed=1, **more)


def test_last_winners_come_first_then_the_portfolio_then_draws():
    made = proposals(warm=({"level": 0.25, "other": 3.0, "rounds": 7},))
    assert made.defaults().params == {"level": 0.9, "other": 1.0}
    (winner,) = made.warm_ones()
    assert winner.tuned == {"level": 0.25, "other": 3.0}  # what is not searched is found anew
    found = [made.propose() for _ in range(4)]
    # The second configuration of the portfolio is the defaults.
    assert [origin for _, origin, _ in found] == ["portfolio", "portfolio", "search", "search"]
    assert found[0][0].tuned == {"level": 0.5}
    assert found[0][0].params == {"level": 0.5, "other": 1.0}


def test_what_the_user_gave_is_never_searched():
    made = proposals({"level": 0.4})
    assert [item.name for item in made.space] == ["other"]
    made.defaults()
    for _ in range(5):
        entrant, _, _ = made.propose()
        assert entrant.params["level"] == 0.4
    everything = proposals({"level": 0.4, "other": 1.0})
    everything.defaults()
    assert everything.propose() is None


def test_nothing_is_proposed_twice_and_there_is_an_end():
    class Small(Made):
        def space(self, task, rows, features):
            return (Dimension("level", choices=(0.1, 0.9)),)

        def portfolio(self, task, rows, features):
            return ({"level": 0.1}, {"level": 0.1, "other": 1.0})

    made = proposals(algorithm=Small)
    made.defaults()
    found = []
    while (proposed := made.propose()) is not None:
        entrant, _, asked = proposed
        found.append(entrant.params["level"])
        assert asked is None
        made.learn(trial([0.5]), 0.5)
        assert len(found) < 50
    assert found == [0.1]  # the other one is the defaults


def test_a_recorded_trial_is_the_same_trial():
    item = trial(HARD_FOLDS)
    again = recorded_trial(item.record("roc_auc"), 9, 0, item.entrant)
    assert again.losses("roc_auc") == item.losses("roc_auc")
    assert again.status == "finished"
    assert again.seconds == pytest.approx(item.seconds)
    assert again.key == item.key
    assert trial_key("made", {"a": 1}, 5) != trial_key("made", {"a": 1}, 6)
