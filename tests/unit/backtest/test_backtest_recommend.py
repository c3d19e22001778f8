from __future__ import annotations

from dataclasses import replace

import numpy as np

from backtest_world import make_frame, make_world, played, policy
from ratchet.backtest.baselines import best_schedules, loss_table, no_change
from ratchet.backtest.gate import Gate
from ratchet.backtest.outcome import Line
from ratchet.backtest.recommend import recommend
from ratchet.backtest.replay import play_every, play_never
from ratchet.backtest.run import EVERY, GATED, NEVER, compare_policies
from ratchet.backtest.settings import Policy
from ratchet.triggers.settings import TriggerCost

TURN = np.pi / 2
ABRUPT = [0.0] * 20 + [TURN] * 30


def lines(cells, *policies: Policy, cost: TriggerCost | None = None) -> tuple[Line, ...]:
    baselines = [
        play_never(cells, NEVER),
        play_every(cells, None, EVERY),
        play_every(cells, policy(), GATED),
    ]
    oracle = best_schedules(loss_table(cells), cells.stream.first)
    return compare_policies(
        cells, [played(cells, one) for one in policies], baselines, oracle, cost
    )


FALLING = policy("falling", performance={}, follow_up={"rows": "20%"})
EAGER = policy("eager", new_rows="5%", cooldown=None, margin=0.02)
NOTHING = policy("nothing")


def test_of_policies_that_keep_the_quality_the_thriftiest_is_taken() -> None:
    cells = make_world(make_frame(ABRUPT))
    found = lines(cells, EAGER, FALLING, NOTHING)
    advice = recommend(found, "roc_auc", keep=0.9)
    assert advice.policy == "falling"
    assert advice.keeps
    assert not advice.within_noise
    assert "retrainings in place of" in advice.headline


def test_a_quiet_stream_says_that_nothing_is_more_than_noise() -> None:
    cells = make_world(make_frame([0.0] * 40))
    advice = recommend(lines(cells, EAGER, FALLING), "roc_auc", keep=0.9)
    assert advice.within_noise
    assert advice.policy == "falling"
    assert "never retrained" in advice.headline
    eager = recommend(lines(cells, EAGER), "roc_auc", keep=0.9)
    assert eager.within_noise
    assert "cannot be told from it" in eager.headline


def test_where_nothing_keeps_the_quality_the_best_is_taken_and_it_is_said() -> None:
    cells = make_world(make_frame(ABRUPT))
    advice = recommend(lines(cells, FALLING, NOTHING), "roc_auc", keep=1.5)
    assert advice.policy == "falling"
    assert not advice.keeps
    start = "no policy keeps 150% by both ROC-AUC and loss; the least loss of them has falling"
    assert advice.headline.startswith(start)


def test_the_lower_of_both_shares_is_shown() -> None:
    """A rank that is kept in full says nothing of probabilities that got worse."""
    cells = make_world(make_frame(ABRUPT))
    found = lines(cells, FALLING, NOTHING)
    one = next(line for line in found if line.name == "falling")
    low = replace(one, kept_metric=1.0, kept_loss=0.949)
    rest = [line for line in found if line.name not in ("falling", "nothing")]
    advice = recommend([low, *rest], "roc_auc", keep=0.98)
    assert not advice.keeps
    assert advice.headline.startswith("no policy keeps 98%")
    assert "94.9% (by loss)" in advice.headline
    assert "100.0%" not in advice.headline
    high = recommend([replace(one, kept_metric=0.985, kept_loss=1.1), *rest], "roc_auc")
    assert high.keeps
    assert high.headline.startswith("falling: ")
    assert "98.5% (by ROC-AUC)" in high.headline
    costly = recommend([replace(low, gain=3.0), *rest], "roc_auc", keep=0.98)
    assert "94.9% (by loss)" in costly.headline
    assert "which is less than 98%" in costly.headline


def test_with_costs_the_largest_gain_is_taken() -> None:
    cells = make_world(make_frame(ABRUPT))
    dear = TriggerCost(retrain=1e9, value=1.0)
    assert recommend(lines(cells, FALLING, NOTHING, cost=dear), "roc_auc").policy == "nothing"
    cheap = TriggerCost(retrain=1e-6, value=1.0)
    assert recommend(lines(cells, FALLING, NOTHING, cost=cheap), "roc_auc").policy == "falling"


def test_no_policy_beats_the_best_in_hindsight() -> None:
    cells = make_world(make_frame(ABRUPT))
    for line in lines(cells, FALLING, EAGER, NOTHING):
        assert line.regret >= -1e-9
    oracle = best_schedules(loss_table(cells), cells.stream.first)
    assert oracle.within(0) == 0
    assert oracle.losses[1] < 0.9 * oracle.losses[0]
    # One retraining in hindsight: once the newest training rows are all of the new concept.
    (switch,) = set(oracle.choices[1]) - {cells.stream.first}
    assert 26 <= switch <= 32


def test_the_last_label_is_told_beside() -> None:
    frame = make_frame([0.0] * 20, rows=100)
    runs = frame.with_columns(y=np.where(np.arange(frame.height) // 400 % 2 == 0, "yes", "no"))
    told = no_change(make_world(runs, delay=0.001).stream)
    assert told is not None
    assert told.at_once > 0.99
    late = no_change(make_world(runs, delay=4).stream)
    assert late is not None
    assert late.delayed < 0.1


def test_the_gate_judges_on_rows_that_neither_model_has_seen() -> None:
    cells = make_world(make_frame(ABRUPT))
    gate = Gate(cells, policy().gates)
    first = cells.stream.first
    for point in range(first + 1, first + 12):
        gate.judge(point, first)
    for start, stop in gate.used:
        assert start >= cells.fits[first].cut
        assert stop <= max(fit.known for fit in cells.fits.values())
    ends = [stop for _, stop in gate.used]
    assert ends == sorted(ends)


def test_the_same_rows_again_need_stronger_proof() -> None:
    cells = make_world(make_frame([0.0] * 12 + [TURN] * 28))
    point = cells.stream.first + 20
    gate = Gate(cells, policy().gates)
    once = gate.judge(point, cells.stream.first)
    assert once.passed
    for _ in range(13):
        last = gate.judge(point, cells.stream.first)
    assert not last.passed


def test_a_minimum_is_kept() -> None:
    cells = make_world(make_frame(ABRUPT))
    gates = policy().gates.model_copy(update={"minimum": {"roc_auc": 0.999}})
    judged = Gate(cells, gates).judge(cells.stream.first + 3, cells.stream.first)
    assert not judged.passed
    assert "minimum" in judged.reason
