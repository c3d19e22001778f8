"""Promotion is planned, read, and applied; the aliases follow the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ratchet.errors import ConflictError, UnreachableError, UsageError
from ratchet.ledger.results import GateRecord
from ratchet.ledger.store import Ledger, open_ledger
from ratchet.registry.plans import explain
from ratchet.registry.promotion import apply, plan_promotion, plan_rollback, reconcile


@dataclass
class Registry:
    """Aliases in memory; ``broken`` makes it fail."""

    shown: dict[str, str] = field(default_factory=dict)
    broken: bool = False
    writes: int = 0

    def aliases(self, model: str) -> dict[str, str]:
        return dict(self.shown)

    def set_alias(self, model: str, alias: str, version: str | None) -> None:
        if self.broken:
            raise UnreachableError("MLflow does not answer")
        self.writes += 1
        if version is None:
            del self.shown[alias]
        else:
            self.shown[alias] = version


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", project="churn") as opened:
        yield opened


def add(ledger: Ledger, *, passed: bool = True, registered: bool = True) -> int:
    """A version; in MLflow its number is ten times its own."""
    run_id = f"r{len(ledger.versions()) + 1}"
    ledger.start_run(run_id, trigger="manual")
    ledger.record_gates(run_id, [GateRecord("size", True), GateRecord("minimum.f1", passed)])
    version = ledger.add_version(run_id, f"d-{run_id}", f"bundles/{run_id}").version
    if registered:
        ledger.link_version(version, str(version * 10))
    return version


def promote(ledger: Ledger, registry: Registry, version: int, **more: Any) -> None:
    plan = plan_promotion(ledger, registry, version, by="anna", reason="better", **more)
    apply(plan, ledger, registry)


def champion_of(ledger: Ledger) -> int | None:
    champion = ledger.champion()
    return None if champion is None else champion.version


def test_a_plan_says_what_would_change_and_changes_nothing(ledger: Ledger) -> None:
    registry = Registry()
    one = add(ledger)
    plan = plan_promotion(ledger, registry, one, by="run", reason="first model", run_id="r1")
    assert explain(plan) == (
        "champion becomes version 1",
        "champion becomes version 10 in MLflow",
        "because first model, by run",
    )
    assert champion_of(ledger) is None
    assert registry.shown == {}
    deployed = apply(plan, ledger, registry)
    assert deployed is not None
    assert (deployed.version, deployed.run_id) == (one, "r1")
    assert champion_of(ledger) == one
    assert registry.shown == {"champion": "10"}
    again = plan_promotion(ledger, registry, one, by="run", reason="first model", run_id="r1")
    assert again.empty
    assert explain(again) == ("nothing to do: champion is version 1",)
    assert apply(again, ledger, registry) is None
    assert registry.writes == 1


def test_a_gate_that_did_not_pass_is_a_refusal(ledger: Ledger) -> None:
    registry = Registry()
    bad = add(ledger, passed=False)
    plan = plan_promotion(ledger, registry, bad, by="anna", reason="please")
    assert plan.refusal == "it did not pass minimum.f1"
    assert explain(plan) == ("refused: it did not pass minimum.f1",)
    with pytest.raises(ConflictError, match=r"minimum\.f1"):
        apply(plan, ledger, registry)
    ledger.start_run("unjudged", trigger="manual")
    version = ledger.add_version("unjudged", "d", "bundles/u").version
    unjudged = plan_promotion(ledger, registry, version, by="anna", reason="please")
    assert "never evaluated" in unjudged.refusal
    assert champion_of(ledger) is None


def test_a_gate_is_overruled_with_a_reason_that_is_kept(ledger: Ledger) -> None:
    registry = Registry()
    bad = add(ledger, passed=False)
    with pytest.raises(UsageError, match="only with a reason"):
        plan_promotion(ledger, registry, bad, by="anna", reason=" ", force=True)
    plan = plan_promotion(ledger, registry, bad, by="anna", reason="the law changed", force=True)
    assert "because the law changed (gate overruled), by anna" in explain(plan)
    apply(plan, ledger, registry)
    facts = ledger.events(kind="deployed")[-1].facts
    assert (facts["forced"], facts["reason"], facts["by"]) == (True, "the law changed", "anna")
    assert plan_promotion(ledger, registry, bad, by="ben", reason="x").empty


def test_a_challenger_that_wins_challenges_no_more(ledger: Ledger) -> None:
    registry = Registry()
    one, two = add(ledger), add(ledger)
    promote(ledger, registry, one)
    promote(ledger, registry, two, alias="challenger")
    assert registry.shown == {"champion": "10", "challenger": "20"}
    plan = plan_promotion(ledger, registry, two, by="run", reason="better")
    assert explain(plan)[:4] == (
        "champion becomes version 2 (was 1)",
        "remove challenger (version 2)",
        "champion becomes version 20 in MLflow (was 10)",
        "remove challenger in MLflow (version 20)",
    )
    apply(plan, ledger, registry)
    assert registry.shown == {"champion": "20"}
    assert ledger.current("challenger") is None
    assert ledger.verify_chain().intact


def test_a_rejected_version_may_be_looked_at_in_staging(ledger: Ledger) -> None:
    registry = Registry()
    promote(ledger, registry, add(ledger, passed=False), alias="staging")
    assert registry.shown == {"staging": "10"}


def test_a_plan_goes_stale_when_the_champion_changes(ledger: Ledger) -> None:
    registry = Registry()
    one, two = add(ledger), add(ledger)
    plan = plan_promotion(ledger, registry, two, by="ben", reason="mine")
    promote(ledger, registry, one)
    with pytest.raises(ConflictError, match="is version 1, not none"):
        apply(plan, ledger, registry)
    assert champion_of(ledger) == one
    assert registry.shown == {"champion": "10"}


def test_rollback_returns_to_the_champion_before(ledger: Ledger) -> None:
    registry = Registry()
    versions = [add(ledger) for _ in range(3)]
    for version in versions:
        promote(ledger, registry, version)
    for expected in (2, 1):
        plan = plan_rollback(ledger, registry, by="anna", reason="complaints")
        assert plan.version == expected
        apply(plan, ledger, registry)
        assert champion_of(ledger) == expected
        assert registry.shown == {"champion": f"{expected}0"}
    with pytest.raises(UsageError, match="no earlier champion"):
        plan_rollback(ledger, registry, by="anna", reason="complaints")


def test_rollback_to_a_version_that_served(ledger: Ledger) -> None:
    registry = Registry()
    versions = [add(ledger) for _ in range(4)]
    for version in versions[:3]:
        promote(ledger, registry, version)
    with pytest.raises(UsageError, match="never was champion"):
        plan_rollback(ledger, registry, by="anna", reason="x", to=4)
    with pytest.raises(UsageError, match="no version 9"):
        plan_rollback(ledger, registry, by="anna", reason="x", to=9)
    apply(plan_rollback(ledger, registry, by="anna", reason="x", to=1), ledger, registry)
    assert champion_of(ledger) == 1


def test_a_continued_run_does_not_undo_a_rollback(ledger: Ledger) -> None:
    registry = Registry()
    one, two = add(ledger), add(ledger)
    promote(ledger, registry, one)
    promote(ledger, registry, two, run_id="r2")
    apply(plan_rollback(ledger, registry, by="anna", reason="complaints"), ledger, registry)
    again = plan_promotion(ledger, registry, two, by="run", reason="better", run_id="r2")
    assert again.empty
    apply(again, ledger, registry)
    assert champion_of(ledger) == one


def test_a_crash_between_ledger_and_registry_is_made_good(ledger: Ledger) -> None:
    registry = Registry(broken=True)
    one = add(ledger)
    with pytest.raises(UnreachableError):
        promote(ledger, registry, one)
    assert champion_of(ledger) == one, "what serves is decided"
    assert registry.shown == {}
    registry.broken = False
    plan = plan_promotion(ledger, registry, one, by="run", reason="better")
    assert [step.where for step in plan.steps] == ["registry"]
    steps = reconcile(ledger, registry)
    assert [step.line() for step in steps] == ["champion becomes version 10 in MLflow"]
    assert reconcile(ledger, registry) == ()


def test_an_alias_that_somebody_moved_by_hand_is_moved_back(ledger: Ledger) -> None:
    registry = Registry()
    promote(ledger, registry, add(ledger))
    registry.shown = {"champion": "99", "staging": "98", "theirs": "1"}
    reconcile(ledger, registry)
    assert registry.shown == {"champion": "10", "theirs": "1"}


def test_a_version_that_is_not_registered_yet_leaves_the_alias_alone(ledger: Ledger) -> None:
    registry = Registry()
    promote(ledger, registry, add(ledger))
    late = add(ledger, registered=False)
    promote(ledger, registry, late)
    assert champion_of(ledger) == late
    assert registry.shown == {"champion": "10"}
    ledger.link_version(late, "20")
    reconcile(ledger, registry)
    assert registry.shown == {"champion": "20"}


def test_it_works_without_a_registry(ledger: Ledger) -> None:
    one = add(ledger)
    plan = plan_promotion(ledger, None, one, by="anna", reason="x")
    apply(plan, ledger, None)
    assert champion_of(ledger) == one
