"""A challenger that drift asked for: in a run, as a shadow, and out of the way of the others."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forked_ratchet import leave_undrawn
from project_state import give_tracking
from ratchet import clock
from ratchet.ledger.rollouts import Move, Rollout
from ratchet.ledger.traffic import Traffic
from ratchet.ledger.triggers import MONITORED
from ratchet.loop.tick import tick
from ratchet.pipeline import rolling
from ratchet.pipeline.arrivals import look
from ratchet.pipeline.outcome import Run
from ratchet.pipeline.request import Request
from ratchet.pipeline.run import run
from ratchet.project import Project, load_project
from ratchet.registry.promotion import apply, plan_promotion
from ratchet.triggers.decide import decide
from ratchet.triggers.facts import DriftFacts, Observed
from ratchet.triggers.gather import gather
from ratchet.triggers.record import record_decision
from ratchet.triggers.verdicts import Decision, Investigate
from ratchet_cli import ratchet

BETTER = "training.algorithms={random_forest: {n_estimators: 30}}"
LOOK = {"trigger": "investigate:drift", "trigger_key": "case:drift:1:2026-11-21"}
SETTINGS = """
project: small
data:
  source: {type: csv, path: data.csv}
  target: bought
training: {algorithms: {logistic_regression: {}}, tuning: {folds: 3, trials: 0}}
triggers: {investigate: {labels: 40}, cooldown: null}
gates:
  minimum: {roc_auc: 0.3}
  budget: {latency_p95: 500ms, size: 50MB}
"""


def rows(count: int) -> str:
    """What trees see best: whether two numbers have the same sign."""
    rng = np.random.default_rng(4)
    pairs = rng.normal(size=(count, 2))
    bought = (pairs.prod(axis=1) + 0.6 * pairs[:, 0] > 0) ^ (rng.random(count) < 0.05)
    lines = [
        f"{a:.4f},{b:.4f},{'yes' if y else 'no'}" for (a, b), y in zip(pairs, bought, strict=True)
    ]
    return "\n".join(["a,b,bought", *lines, ""])


def opened(folder: Path, *assignments: str) -> Project:
    return load_project(folder, assignments=assignments, variables={})


def go(folder: Path, *assignments: str, **asked: Any) -> Run:
    return run(opened(folder, *assignments), Request(**asked))


def state(folder: Path) -> tuple[Traffic, Sequence[Rollout]]:
    with opened(folder).open_ledger() as ledger:
        traffic = ledger.traffic()
        assert traffic is not None
        assert ledger.verify_chain().intact
        return traffic, ledger.rollouts()


def ask(folder: Path, *assignments: str, drifted: bool = True) -> Decision:
    """What the policy says while the first champion's inputs drift."""
    project = opened(folder, *assignments)
    window = DriftFacts("2026-11-21T10:00:00+00:00", 0.5, None, ("a",), True, alarming=True)
    observed = Observed(window if drifted else None, None, 1)
    with project.open_ledger() as ledger:
        policy = project.settings.triggers
        facts = gather(ledger, policy, look(project, ledger), observed, clock.now())
        decision = decide(policy, facts)
        record_decision(ledger, facts, decision)
        return decision


@pytest.fixture(scope="module", autouse=True)
def _undrawn() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        leave_undrawn(patch.setattr)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tracking: Path) -> Path:
    """A project with a poor champion, and rows that are newer than it."""
    folder = tmp_path_factory.mktemp("looking") / "small"
    folder.mkdir()
    give_tracking(folder, tracking)
    (folder / "data.csv").write_text(rows(700), encoding="utf-8")
    (folder / "ratchet.yaml").write_text(SETTINGS, encoding="utf-8")
    assert go(folder).outcome == "promoted"
    (folder / "data.csv").write_text(rows(800), encoding="utf-8")
    return folder


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "small"))


def test_drift_makes_a_shadow_that_waits_and_the_next_one_is_not_made(project: Path) -> None:
    found = ask(project).verdict
    assert isinstance(found, Investigate)
    assert found.run is not None, found.reason
    assert "on 100 new rows" in found.reason
    # `direct` is the project's strategy, and the model is far better: it answers nobody.
    ended = go(project, BETTER, trigger=found.run.trigger, trigger_key=found.run.key)
    assert ended.outcome == "candidate", ended.reason
    assert "version 2 answers unseen, as a shadow; after its first 40 labels" in ended.reason
    traffic, (rollout,) = state(project)
    assert [(arm.version, arm.share) for arm in traffic.arms] == [(1, 100.0)]
    assert traffic.shadow == (2,)
    assert rollout.only_looks
    assert rollout.rules["labels"] == 40
    again = ask(project)
    assert again.word == "skip", again.verdict
    told = next(rule for rule in again.rules if rule.name == "drift")
    assert told.reason.endswith(f"answered by run {ended.run_id}")
    # What the regular rules count from is the champion's training still.
    rule = next(rule for rule in again.rules if rule.name == "new_rows")
    assert rule.value == 100

    loaded = opened(project)
    with loaded.open_ledger() as ledger:
        step = rolling.advance(loaded, ledger)
        assert step is not None
        assert step.did == "held", "nobody saw a label of it"


def test_its_approval_lets_it_on_as_a_canary_and_it_is_a_look_no_more(project: Path) -> None:
    go(project, BETTER, **LOOK)
    loaded = opened(project)
    with loaded.open_ledger() as ledger:
        (rollout,) = ledger.rollouts()
        move = Move(
            rollout.rollout_id, rollout.seq, "rollout", "no worse", status="awaiting_approval"
        )
        ledger.move_rollout(move)
        assert ledger.rollouts()[0].only_looks
        done, _ = rolling.approve(loaded, ledger, 2, by="anna", reason="go")
        facts = gather(ledger, loaded.settings.triggers, look(loaded, ledger), None, clock.now())
    assert (done.status, done.share, done.only_looks) == ("running", 10.0, False)
    assert facts.rollout_in_progress == "version 2, running"


def test_a_run_that_died_goes_on_as_a_look(project: Path) -> None:
    left = go(project, BETTER, until="gate", **LOOK)
    ended = go(project, BETTER, resume=left.run_id)
    assert ended.outcome == "candidate", ended.reason
    traffic, (rollout,) = state(project)
    assert traffic.shadow == (2,)
    assert rollout.only_looks


@pytest.mark.parametrize("strategy", ["direct", "canary"])
def test_a_run_for_what_serves_takes_the_shadows_place(strategy: str, project: Path) -> None:
    how = f"rollout.strategy={strategy}"
    go(project, BETTER, how, **LOOK)
    # The same rows, settings and code: what was only looked at is no reason to skip this run.
    ended = go(project, BETTER, how, trigger="performance", trigger_key="performance:1:x")
    assert ended.outcome == ("promoted" if strategy == "direct" else "candidate"), ended.reason
    loaded = opened(project, how)
    with loaded.open_ledger() as ledger:
        rolling.advance(loaded, ledger)
        rollouts = {each.version: each for each in ledger.rollouts()}
        traffic = ledger.traffic()
    assert traffic is not None
    assert rollouts[2].status == "aborted"
    if strategy == "direct":
        assert traffic.champion == 3
        assert traffic.shadow == ()
    else:
        assert rollouts[3].open
        assert not rollouts[3].only_looks
    again = go(project, BETTER, how, trigger="performance", trigger_key="performance:1:y")
    assert again.outcome == "skipped"


def test_a_promoted_look_is_what_rows_and_age_are_counted_from(project: Path) -> None:
    ended = go(project, BETTER, **LOOK)
    loaded = opened(project)
    with loaded.open_ledger() as ledger:
        before = gather(ledger, loaded.settings.triggers, look(loaded, ledger), None, clock.now())
        assert before.trained is not None
        assert before.trained.run_id != ended.run_id
        assert before.looked_until is None, "the project has no cooldown"
        plan = plan_promotion(ledger, None, 2, by="anna", reason="labels say so")
        apply(plan, ledger, None)
        after = gather(ledger, loaded.settings.triggers, look(loaded, ledger), None, clock.now())
    assert after.trained is not None
    assert after.trained.run_id == ended.run_id
    assert after.arrivals.new == 0
    assert replace(after, at=before.at).rejections == 0


WINDOW = {
    "window": "2026-11-21T10:00:00+00:00", "share": 0.5, "importance": None, "columns": ["a"],
    "drifted": True, "in_a_row": 2, "alarming": False, "reason": "a moved",
    "since": "2026-11-20T00:00:00+00:00", "rows": 900, "unlabelled": 870,
}  # fmt: skip


def test_the_loop_asks_for_labels_once_and_orders_the_run(project: Path) -> None:
    telling = opened(project, "alerts=[{url: 'http://127.0.0.1:9/', on: [drift]}]")
    with telling.open_ledger() as ledger:
        ledger.record(MONITORED, {"champion": 1, "drift": WINDOW, "performance": None})
    first = tick(telling, clock.now())
    assert first.decision is not None
    assert first.decision["verdict"] == "investigate"
    assert first.decision["trigger"] == "drift"
    assert first.decision["run"]["trigger"] == "investigate:drift"
    assert "overrides" not in first.decision
    with telling.open_ledger() as ledger:
        # Another window of the same drift, while nobody has begun the run.
        later = {**WINDOW, "window": "2026-11-21T11:00:00+00:00"}
        ledger.record(MONITORED, {"champion": 1, "drift": later, "performance": None})
    tick(telling, clock.now())
    with telling.open_ledger() as ledger:
        (told,) = ledger.outbox()
        (kept,) = [
            event for event in ledger.events(kind="trigger_evaluated") if event.facts["granted"]
        ][:1]
    assert "of the 900 predictions of version 1" in told.body["text"]
    assert "870 have none" in told.body["text"]
    assert kept.facts["granted"]["trigger"] == "investigate:drift"


@pytest.mark.exhaustive
def test_the_loops_own_run_makes_the_shadow(project: Path) -> None:
    with opened(project).open_ledger() as ledger:
        ledger.record(MONITORED, {"champion": 1, "drift": WINDOW, "performance": None})
    # A better kind of model, so that it is another one than the champion.
    done = ratchet("loop", "--once", "--json", "--project", project, "--set", BETTER)
    assert done.code == 0, done.err
    traffic, (rollout,) = state(project)
    assert (traffic.champion, traffic.shadow) == (1, (2,))
    assert rollout.only_looks
    with opened(project).open_ledger() as ledger:
        (looked,) = [one for one in ledger.runs() if one.trigger == "investigate:drift"]
    assert looked.outcome == "candidate", looked.reason
