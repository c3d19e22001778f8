"""Whatever is promoted, rolled back and broken: the laws of promotion hold."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.errors import ConflictError, UnreachableError, UsageError
from ratchet.ledger.deployments import ALIASES
from ratchet.ledger.results import GateRecord
from ratchet.ledger.store import Ledger, open_ledger
from ratchet.registry.plans import PromotionPlan
from ratchet.registry.promotion import apply, plan_promotion, plan_rollback, reconcile

_fresh = itertools.count()

ACTION = st.one_of(
    st.tuples(st.just("add"), st.booleans()),
    st.tuples(st.just("promote"), st.integers(1, 5), st.booleans(), st.booleans()),
    st.tuples(st.just("alias"), st.integers(1, 5), st.sampled_from(["challenger", "staging"])),
    st.tuples(st.just("rollback"), st.booleans()),
)


class Registry:
    def __init__(self) -> None:
        self.shown: dict[str, str] = {}
        self.fails = False

    def aliases(self, model: str) -> dict[str, str]:
        return dict(self.shown)

    def set_alias(self, model: str, alias: str, version: str | None) -> None:
        if self.fails:
            raise UnreachableError("down")
        if version is None:
            del self.shown[alias]
        else:
            self.shown[alias] = version


@contextmanager
def empty_ledger() -> Iterator[Ledger]:
    with (
        TemporaryDirectory() as folder,
        open_ledger(f"sqlite:///{Path(folder) / 'ledger.db'}", project="p") as ledger,
    ):
        yield ledger


def add(ledger: Ledger, passed: bool) -> None:
    run_id = f"r{next(_fresh)}"
    ledger.start_run(run_id, trigger="manual")
    ledger.record_gates(run_id, [GateRecord("minimum.f1", passed)])
    version = ledger.add_version(run_id, run_id, run_id).version
    ledger.link_version(version, str(100 + version))


def plan_of(ledger: Ledger, registry: Registry, action: tuple[object, ...]) -> PromotionPlan | None:
    """The plan for an action; None when there is no such version or nothing to go back to."""
    try:
        match action:
            case ("promote", int(version), bool(force), _):
                return plan_promotion(
                    ledger, registry, version, by="t", reason="because", force=force
                )
            case ("alias", int(version), "challenger" | "staging" as alias):
                return plan_promotion(
                    ledger, registry, version, by="t", reason="because", alias=alias
                )
            case ("rollback", _):
                return plan_rollback(ledger, registry, by="t", reason="because")
            case _:
                raise AssertionError(action)
    except UsageError:
        return None


@settings(max_examples=40, deadline=None)
@given(st.lists(ACTION, max_size=14))
def test_plan_after_apply_is_empty_and_state_is_the_fold_of_events(
    actions: list[tuple[object, ...]],
) -> None:
    registry = Registry()
    with empty_ledger() as ledger:
        for action in actions:
            if action[0] == "add":
                add(ledger, bool(action[1]))
                continue
            plan = plan_of(ledger, registry, action)
            if plan is None:
                continue
            before = ledger.deployments()
            if plan.refusal:
                try:
                    apply(plan, ledger, registry)
                except ConflictError:
                    assert ledger.deployments() == before
                    continue
                raise AssertionError("a refused plan was applied")
            registry.fails = action[-1] is True
            try:
                apply(plan, ledger, registry)
            except UnreachableError:
                registry.fails = False
                reconcile(ledger, registry)
            registry.fails = False
            check_laws(ledger, registry, plan)
        assert ledger.verify_chain().intact


def check_laws(ledger: Ledger, registry: Registry, plan: PromotionPlan) -> None:
    again = plan_promotion(
        ledger, registry, plan.version, alias=plan.alias, by="t", reason="because"
    )
    assert again.empty
    assert reconcile(ledger, registry) == ()
    folded: dict[str, int | None] = {}
    for event in ledger.events(kind="deployed"):
        folded[event.facts["alias"]] = event.facts["version"]
    current = {alias: ledger.current(alias) for alias in ALIASES}
    numbers = {alias: version and version.version for alias, version in current.items()}
    assert numbers == {alias: folded.get(alias) for alias in ALIASES}
    assert registry.shown == {
        alias: str(100 + number) for alias, number in numbers.items() if number is not None
    }
    champions = [version for version in ledger.versions() if version.status == "champion"]
    assert [version.version for version in champions] == [
        number for number in [numbers["champion"]] if number is not None
    ]
    for row in ledger.deployments("champion"):
        if row.action == "promote" and row.version is not None:
            assert row.forced or ledger.gates_passed(ledger.version(row.version).run_id)
