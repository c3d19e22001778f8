from __future__ import annotations

import numpy as np

from backtest_world import DAY, make_frame, make_world, played, policy
from ratchet.backtest.quality import better_by_loss, quality_of
from ratchet.backtest.replay import play_every, play_never

TURN = np.pi / 2
QUIET = [0.0] * 40
ABRUPT = [0.0] * 20 + [TURN] * 30


def test_an_abrupt_change_is_found_and_learned() -> None:
    cells = make_world(make_frame(ABRUPT))
    found = played(cells, policy(performance={}, follow_up={"rows": "20%"}))
    assert found.runs
    # Nothing before the change; the first one within two days of the first labels after it.
    days = [run.period for run in found.runs]
    assert 20 <= days[0] <= 24
    assert "performance" in found.runs[0].trigger
    assert found.promotions >= 1
    assert len(found.runs) <= 12
    never, mine = (quality_of(cells, one.path) for one in (play_never(cells, "never"), found))
    assert better_by_loss(mine, never).z > 3
    assert mine.value > never.value + 0.1
    # What serves at the end has learned from rows after the change alone.
    last = cells.fits[found.path[-1]]
    assert last.cut > 21 * 200


def test_a_quiet_stream_is_never_retrained_for_its_quality() -> None:
    for seed in range(5):
        cells = make_world(make_frame(QUIET, seed=seed))
        assert played(cells, policy(performance={}, follow_up={})).runs == ()


def test_a_model_serves_from_the_period_after_its_training() -> None:
    cells = make_world(make_frame(ABRUPT))
    found = played(cells, policy(performance={}))
    serving = dict(zip(cells.stream.served, found.path, strict=True))
    for run in found.runs:
        if run.promoted:
            assert serving[run.period] < run.period
            assert serving[run.period + 1] == run.period
    assert all(point < period for period, point in serving.items())


def test_a_rejected_model_never_serves() -> None:
    cells = make_world(make_frame(QUIET))
    found = played(cells, policy(new_rows="10%", cooldown=None))
    rejected = {run.period for run in found.runs if not run.promoted}
    assert rejected
    assert not rejected & set(found.path)


def test_new_rows_and_cooldown_are_those_of_the_policy() -> None:
    cells = make_world(make_frame(QUIET))
    eager = played(cells, policy(new_rows=200, cooldown=None))
    assert len(eager.runs) == len(cells.stream.points) - 1
    calm = played(cells, policy(new_rows=200, cooldown="5d"))
    days = [run.period for run in calm.runs]
    assert set(np.diff(days)) == {5}


def test_a_schedule_and_a_budget_are_kept() -> None:
    cells = make_world(make_frame(QUIET))
    weekly = played(cells, policy(schedule="0 0 * * mon", cooldown=None))
    assert all(run.at.weekday() == 0 and run.at.hour == 0 for run in weekly.runs)
    assert len(weekly.runs) >= 3
    bound = played(cells, policy(new_rows=200, cooldown=None, budget={"runs": 2, "per": "week"}))
    for run in bound.runs:
        within = [one for one in bound.runs if run.at - 7 * DAY < one.at <= run.at]
        assert len(within) <= 2


def test_drift_trains_only_where_the_policy_says_so() -> None:
    frame = make_frame(QUIET, rows=600)
    moved = frame.with_columns(a=frame["a"] + np.where(np.arange(frame.height) < 24 * 600, 0, 2.0))
    cells = make_world(moved)
    assert played(cells, policy(drift={})).runs == ()
    found = played(cells, policy(drift={"action": "retrain"}, cooldown="5d"))
    assert found.runs
    assert found.runs[0].period in (24, 25)
    assert all(run.trigger == "drift" for run in found.runs)


def test_the_baselines_do_what_they_are_called() -> None:
    cells = make_world(make_frame(ABRUPT))
    never, every = play_never(cells, "never"), play_every(cells, None, "every")
    assert set(never.path) == {cells.stream.first}
    assert every.path == tuple(period - 1 for period in cells.stream.served)
    assert every.promotions == len(every.runs)
    gated = play_every(cells, policy(), "gated")
    assert len(gated.runs) == len(every.runs)
    assert 0 < gated.promotions < every.promotions


def test_the_same_replay_twice_is_the_same() -> None:
    frame = make_frame(ABRUPT)
    tested = policy(performance={}, new_rows="30%", follow_up={})
    assert played(make_world(frame), tested) == played(make_world(frame), tested)
