"""How the traffic is split, kept alike on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from kept_ledgers import START, Clock, Open
from sqlalchemy import text

from ratchet.errors import ConflictError, UnreachableError, UsageError
from ratchet.ledger.store import Ledger, open_ledger
from ratchet.ledger.traffic import Arm, Kind, Traffic


@dataclass(frozen=True)
class Notice:
    key: str
    channel: str = "ops"
    occasion: str = "unhealthy"
    run_id: str | None = None
    body: dict[str, Any] = field(default_factory=dict)
    topic: str = ""
    quiet: timedelta = timedelta(0)


def in_force(ledger: Ledger) -> Traffic:
    found = ledger.traffic()
    assert found is not None
    return found


def split(
    ledger: Ledger,
    shares: dict[str, tuple[int, float]],
    shadow: tuple[int, ...] = (),
    kind: Kind = "canary",
    **more: Any,
) -> Traffic:
    arms = [Arm(name, version, share) for name, (version, share) in shares.items()]
    said = {"by": "anna", "reason": "to see", "expected_seq": in_force(ledger).seq} | more
    return ledger.set_traffic(arms, shadow, kind=kind, **said)


CANARY = {"champion": (1, 90.0), "challenger": (2, 10.0)}


def test_without_a_champion_nothing_serves(open_it: Open) -> None:
    ledger = open_it()
    assert ledger.traffic() is None
    assert ledger.position() == 0
    with pytest.raises(ConflictError, match="Nothing serves"):
        ledger.set_traffic(
            [Arm("champion", 1, 100)], kind="plain", by="a", reason="b", expected_seq=0
        )


def test_a_champion_answers_everything(ledger: Ledger) -> None:
    found = in_force(ledger)
    assert found.arms == (Arm("champion", 1, 100.0),)
    assert (found.kind, found.shadow, found.champion) == ("plain", (), 1)
    assert found.plain
    assert found.seq == ledger.position() == ledger.deployments()[-1].seq
    pinned = found.pinned[1]
    assert (pinned.bundle_digest, pinned.bundle_path) == ("digest-1", "bundles/1")
    assert (pinned.threshold, pinned.schema_digest) == (0.4, "s")


def test_a_split_is_one_record_of_everything(ledger: Ledger, clock: Clock) -> None:
    clock.at += timedelta(hours=1)
    made = split(ledger, CANARY, (3,))
    assert made == in_force(ledger)
    assert made.seq == ledger.position()
    assert made.arms == (Arm("champion", 1, 90.0), Arm("challenger", 2, 10.0))
    assert (made.shadow, made.versions, sorted(made.pinned)) == ((3,), (1, 2), [1, 2, 3])
    assert made.layout == ((900_000, "champion"), (1_000_000, "challenger"))
    assert len(made.salt) >= 16
    assert (made.at, made.by, made.reason) == (clock.at, "anna", "to see")
    event = ledger.events(kind="deployed")[-1]
    assert (event.seq, event.facts["alias"], event.facts["action"]) == (
        made.seq,
        "traffic",
        "split",
    )
    assert event.facts["traffic"]["versions"]["2"]["bundle_digest"] == "digest-2"
    champion = ledger.champion()
    assert champion is not None
    assert champion.version == 1, "a split moves no alias"
    assert ledger.current("challenger") is None
    assert ledger.verify_chain().intact


def test_a_growing_canary_keeps_its_salt_and_its_entities(ledger: Ledger) -> None:
    before = split(ledger, CANARY)
    after = split(ledger, {"champion": (1, 50.0), "challenger": (2, 50.0)})
    assert after.salt == before.salt
    assert after.layout == ((500_000, "champion"), (1_000_000, "challenger"))
    third = split(ledger, {**CANARY, "other": (2, 0.0)})
    assert third.salt == before.salt
    assert third.layout == before.layout


def test_another_rollout_has_another_salt(ledger: Ledger) -> None:
    first = split(ledger, CANARY)
    ledger.set_traffic(
        [Arm("champion", 1, 100)], kind="plain", by="a", reason="enough", expected_seq=first.seq
    )
    assert in_force(ledger).plain
    assert ledger.deployments()[-1].action == "clear"
    assert split(ledger, CANARY).salt != first.salt
    named = split(ledger, CANARY, salt="mine", kind="experiment")
    assert named.salt == "mine"
    assert split(
        ledger, {**CANARY, "challenger": (3, 10.0)}, forced=True, kind="experiment"
    ).salt not in ("", "mine"), "another version behind the name is another rollout"


def test_the_same_split_again_changes_nothing(ledger: Ledger) -> None:
    first = split(ledger, CANARY)
    assert split(ledger, CANARY) == first
    assert ledger.position() == first.seq


def test_a_stale_plan_is_refused(ledger: Ledger) -> None:
    seen = in_force(ledger).seq
    made = split(ledger, CANARY)
    with pytest.raises(ConflictError, match="has changed") as caught:
        split(ledger, {"champion": (1, 80.0), "challenger": (2, 20.0)}, expected_seq=seen)
    assert caught.value.name == "traffic_changed"
    assert in_force(ledger) == made


def test_a_promotion_or_rollback_ends_a_split(ledger: Ledger) -> None:
    made = split(ledger, CANARY, (3,))
    ledger.deploy(2, expected_previous=1, by="run", reason="proven", run_id="r2")
    now = in_force(ledger)
    assert (now.arms, now.shadow, now.kind) == ((Arm("champion", 2, 100.0),), (), "plain")
    earlier = ledger.traffic(before=now.seq)
    assert earlier == made
    split(ledger, {"champion": (2, 90.0), "old": (1, 10.0)})
    ledger.deploy(1, expected_previous=2, by="anna", reason="bad", action="rollback")
    assert in_force(ledger).arms == (Arm("champion", 1, 100.0),)
    split(ledger, {"champion": (1, 100.0)}, (2,), kind="plain")
    ledger.deploy(None, expected_previous=1, by="anna", reason="off", action="remove")
    assert ledger.traffic() is None
    assert ledger.verify_chain().intact


def test_what_served_at_a_time_is_known(ledger: Ledger, clock: Clock) -> None:
    clock.at += timedelta(hours=1)
    made = split(ledger, CANARY)
    assert ledger.traffic(at=clock.at) == made
    before = ledger.traffic(at=clock.at - timedelta(microseconds=1))
    assert before is not None
    assert before.plain
    assert ledger.traffic(at=START - timedelta(days=1)) is None
    served = ledger.who_served(clock.at)
    assert served is not None
    assert served.version == 1


@pytest.mark.parametrize(
    ("shares", "shadow", "kind", "why"),
    [
        ({}, (), "canary", "no arm"),
        ({"champion": (1, 90.0)}, (), "canary", "sum to 90"),
        ({"champion": (1, 60.0), "b": (2, 60.0)}, (), "canary", "sum to 120"),
        ({"champion": (1, 110.0), "b": (2, -10.0)}, (), "canary", "between 0 and 100"),
        ({"champion": (1, float("nan")), "b": (2, 10.0)}, (), "canary", "between 0 and 100"),
        ({"champion": (1, 99.99995), "b": (2, 0.00005)}, (), "canary", "finer"),
        ({"champion": (1, 90.0), "shadow": (2, 10.0)}, (), "canary", "no name"),
        ({"champion": (1, 90.0), "a b": (2, 10.0)}, (), "canary", "no name"),
        ({"champion": (1, 90.0), "b": (2, 10.0)}, (2,), "canary", "shadow itself"),
        ({"champion": (1, 100.0)}, (2, 2), "plain", "shadows twice"),
        ({"champion": (1, 90.0), "b": (2, 10.0)}, (), "plain", "one arm"),
        ({"champion": (1, 90.0), "b": (9, 10.0)}, (), "canary", "no version 9"),
        ({"champion": (1, 100.0)}, (9,), "plain", "no version 9"),
    ],
)
def test_what_is_no_split_is_refused(
    ledger: Ledger,
    shares: dict[str, tuple[int, float]],
    shadow: tuple[int, ...],
    kind: Kind,
    why: str,
) -> None:
    before = in_force(ledger)
    with pytest.raises(UsageError) as caught:
        split(ledger, shares, shadow, kind)
    assert why in str(caught.value)
    assert in_force(ledger) == before


def test_only_what_passed_its_gates_may_answer(ledger: Ledger) -> None:
    unproven = {"champion": (1, 90.0), "challenger": (3, 10.0)}
    with pytest.raises(ConflictError, match="gates did not pass"):
        split(ledger, unproven)
    with pytest.raises(ConflictError, match="The champion is version 1"):
        split(ledger, {"champion": (2, 90.0), "challenger": (1, 10.0)})
    split(ledger, {"champion": (1, 100.0)}, (3,), kind="plain")
    split(ledger, unproven, forced=True)
    grown = split(ledger, {"champion": (1, 80.0), "challenger": (3, 20.0)})
    assert grown.arms[1].share == 20.0, "what answers already goes on without force"


def test_an_experiment_names_its_arms_and_may_compare_a_version_with_itself(
    ledger: Ledger,
) -> None:
    arms = {"control": (1, 33.3333), "same": (1, 33.3333), "treatment": (2, 33.3334)}
    made = split(ledger, arms, kind="experiment")
    assert [arm.name for arm in made.arms] == ["control", "same", "treatment"]
    assert made.versions == (1, 2)
    assert [end for end, _ in made.layout] == [333_333, 666_666, 1_000_000]


def test_alerts_of_a_split_are_kept_with_it(ledger: Ledger) -> None:
    ledger.set_traffic(
        [Arm("champion", 1, 90), Arm("challenger", 2, 10)],
        kind="canary",
        by="loop",
        reason="step 1",
        expected_seq=in_force(ledger).seq,
        notices=[Notice("k")],
    )
    assert [entry.key for entry in ledger.outbox()] == ["k"]


def test_of_two_at_once_one_wins(ledger: Ledger, open_it: Open) -> None:
    seen, others = in_force(ledger).seq, [open_it(), open_it()]
    results: list[str] = []
    ready = threading.Barrier(2)

    def change(which: int) -> None:
        ready.wait()
        share = 10.0 * (which + 1)
        arms = {"champion": (1, 100 - share), "challenger": (2, share)}
        try:
            split(others[which], arms, expected_seq=seen)
            results.append("done")
        except ConflictError:
            results.append("refused")

    threads = [threading.Thread(target=change, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["done", "refused"]
    assert ledger.verify_chain().intact


def test_weights_changed_behind_the_ledgers_back_are_found(ledger: Ledger) -> None:
    made = split(ledger, CANARY)
    for forged in ('{"arms":[]}', "not JSON"):
        with ledger.database.write() as connection:
            connection.execute(
                text("update ratchet_deployments set traffic = :t where project = :p and seq = :s"),
                {"t": forged, "p": ledger.project, "s": made.seq},
            )
        breaks = ledger.verify_chain().breaks
        assert [item.seq for item in breaks] == [made.seq]
        assert "deployments" in breaks[0].why


def test_a_row_of_an_older_ratchet_is_read(ledger: Ledger) -> None:
    with ledger.database.read() as connection:
        kept = connection.scalar(
            text("select traffic from ratchet_deployments where project = :p"),
            {"p": ledger.project},
        )
    assert json.loads(kept) == {"1": 100.0}
    assert in_force(ledger).arms == (Arm("champion", 1, 100.0),)


def test_postgresql_that_goes_away_and_comes_back(postgres_url: str) -> None:
    import psycopg

    name = "traffic_alone"

    def run(statement: str) -> None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(statement)

    run(f"create database {name}")
    with open_ledger(f"{postgres_url.rpartition('/')[0]}/{name}", project="p") as ledger:
        assert (ledger.position(), ledger.database.identity()) == (0, None)
        run(f"alter database {name} allow_connections false")
        run(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'")
        with pytest.raises(UnreachableError):
            ledger.position()
        run(f"alter database {name} allow_connections true")
        assert ledger.position() == 0


def test_a_version_that_does_not_load_is_told_once_and_again_after_it_was_well(
    ledger: Ledger, open_it: Open
) -> None:
    record = in_force(ledger).seq
    made: list[int] = []

    def notices(seq: int) -> list[Notice]:
        made.append(seq)
        return [Notice(f"n{seq}")]

    another = open_it()
    assert not ledger.note_serving(record, 1, ""), "that all is well is no news"
    assert ledger.note_serving(record, 1, "missing", notices)
    assert not another.note_serving(record, 1, "missing", notices)
    assert ledger.note_serving(record, 2, "altered", notices)
    assert ledger.note_serving(record, 1, "")
    assert not another.note_serving(record, 1, "")
    assert another.note_serving(record, 1, "missing", notices)
    kinds = [event.kind for event in ledger.events() if event.kind.startswith("serving")]
    assert kinds == ["serving_failed", "serving_failed", "serving_recovered", "serving_failed"]
    assert len(made) == 3
    assert [entry.key for entry in ledger.outbox()] == [f"n{seq}" for seq in made]
    facts = ledger.events(kind="serving_failed")[0].facts
    assert facts == {"record": record, "version": 1, "why": "missing"}
