"""What is loaded follows the ledger, and whatever goes wrong leaves the old model serving."""

from __future__ import annotations

import gc
import json
import shutil
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from ratchet import clock
from ratchet.errors import UnreachableError
from ratchet.ids import digest_of_files
from ratchet.ledger.traffic import Arm
from ratchet.packaging.bundle import MANIFEST, PARITY, read_manifest
from ratchet.serving import residence as residence_module
from ratchet.serving.residence import Residence, Serving
from ratchet.serving.trouble import FIRST_WAIT, Trouble
from served_site import ROW, ServedSite, score_of


@pytest.fixture
def served(tmp_path: Path) -> ServedSite:
    """Three versions, the first of which is champion."""
    made = ServedSite(tmp_path)
    for _ in range(3):
        made.add()
    made.promote(1)
    return made


class Told(list[Trouble]):
    def __call__(self, trouble: Trouble) -> None:
        self.append(trouble)


def version_of(residence: Residence) -> int | None:
    return None if residence.now is None else residence.now.champion.version


def split(served: ServedSite, share: float, to: int = 2, shadow: tuple[int, ...] = ()) -> None:
    record = served.ledger.traffic()
    assert record is not None
    champion = record.champion
    served.ledger.set_traffic(
        [Arm("champion", champion, 100 - share), Arm("challenger", to, share)],
        shadow,
        kind="canary",
        by="test",
        reason="to see",
        expected_seq=record.seq,
    )


def spoil(path: Path) -> None:
    """One byte of the model's file changes, and neither its size nor the manifest."""
    file = path / "model.linear.json"
    raw = bytearray(file.read_bytes())
    raw[-10] ^= 1
    file.write_bytes(raw)


def scores(serving: Serving) -> tuple[int, float]:
    _, resident = serving.choose("c-1", "p-1")
    return resident.version, resident.model.score_one(ROW)[1]


def test_the_champion_is_loaded_and_followed(served: ServedSite) -> None:
    residence = Residence(served.site(), served.ledger)
    now = residence.now
    assert now is not None
    assert now.choose(None, "p-1")[0] == Arm("champion", 1, 100.0)
    assert scores(now) == (1, pytest.approx(score_of(1)))
    assert residence.refresh() == "same"
    served.promote(2)
    assert residence.refresh() == "swapped"
    assert scores(now)[0] == 1, "who holds the old one goes on with it"
    assert version_of(residence) == 2
    assert (residence.troubles, residence.ledger_up) == ((), True)


def test_without_a_champion_nothing_serves_until_there_is_one(tmp_path: Path) -> None:
    served = ServedSite(tmp_path)
    residence = Residence(served.site(), served.ledger)
    assert (residence.now, residence.refresh(), residence.ledger_up) == (None, "same", True)
    served.add()
    served.promote(1)
    assert residence.refresh() == "swapped"
    served.ledger.deploy(None, expected_previous=1, by="t", reason="off", action="remove")
    assert residence.refresh() == "swapped"
    assert residence.now is None


def test_weights_change_without_loading_again(served: ServedSite) -> None:
    residence = Residence(served.site(), served.ledger)
    first = residence.now
    assert first is not None
    split(served, 10)
    assert residence.refresh() == "swapped"
    second = residence.now
    split(served, 50)
    assert residence.refresh() == "swapped"
    third = residence.now
    assert second is not None
    assert third is not None
    assert third.residents == second.residents
    assert third.residents[1] is first.residents[1]
    entities = [f"c-{number}" for number in range(500)]
    before = {e for e in entities if second.choose(e, "")[1].version == 2}
    after = {e for e in entities if third.choose(e, "")[1].version == 2}
    assert before < after
    assert 20 < len(before) < 90
    assert 190 < len(after) < 310


def test_a_shadow_is_loaded_and_gets_no_traffic(served: ServedSite) -> None:
    split(served, 10, shadow=(3,))
    residence = Residence(served.site(), served.ledger)
    now = residence.now
    assert now is not None
    assert [shadow.version for shadow in now.shadows] == [3]
    assert {now.choose(str(n), "")[1].version for n in range(200)} == {1, 2}


def test_the_old_one_is_let_go_when_nobody_uses_it(served: ServedSite) -> None:
    residence = Residence(served.site(), served.ledger)
    held = residence.now
    assert held is not None
    old = weakref.ref(held.residents[1])
    served.promote(2)
    residence.refresh()
    gc.collect()
    assert old() is not None
    assert scores(held)[0] == 1
    del held
    gc.collect()
    assert old() is None


def test_the_memory_of_the_old_one_is_given_back_after_its_last_requests(
    served: ServedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    released: list[None] = []
    monkeypatch.setattr(residence_module, "release_heap", lambda: released.append(None))
    residence = Residence(served.site(), served.ledger)
    residence.refresh()
    released.clear()
    served.promote(2)
    counts = [(residence.refresh(), len(released)) for _ in range(3)]
    assert counts == [("swapped", 0), ("same", 1), ("same", 1)]


def lose_file(served: ServedSite) -> str:
    (served.bundle(2) / "recipe.json").unlink()
    return "missing"


def lose_folder(served: ServedSite) -> str:
    shutil.rmtree(served.bundle(2))
    return "no bundle"


def alter(served: ServedSite) -> str:
    spoil(served.bundle(2))
    return "SHA-256"


def replace_by_another(served: ServedSite) -> str:
    shutil.rmtree(served.bundle(2))
    shutil.copytree(served.bundle(3), served.bundle(2))
    return "its digest is"


def break_manifest(served: ServedSite) -> str:
    (served.bundle(2) / MANIFEST).write_bytes(b"[1, 2")
    return "MANIFEST.json"


BROKEN = [lose_file, lose_folder, alter, replace_by_another, break_manifest]


@pytest.mark.parametrize("damage", BROKEN)
def test_a_version_that_does_not_load_leaves_the_old_one_and_is_told_once(
    served: ServedSite, damage: Callable[[ServedSite], str]
) -> None:
    told = Told()
    residence = Residence(served.site(), served.ledger, told)
    why = damage(served)
    served.promote(2)
    assert [residence.refresh() for _ in range(3)] == ["failed"] * 3
    assert version_of(residence) == 1
    assert [trouble.version for trouble in told] == [2]
    assert why in told[0].why
    assert residence.troubles == tuple(told)
    events = served.ledger.events(kind="serving_failed")
    assert [event.facts["version"] for event in events] == [2]
    (alert,) = served.ledger.outbox()
    assert (alert.channel, alert.occasion, alert.body["facts"]["version"]) == (
        "ops",
        "unhealthy",
        2,
    )
    another = Residence(served.site(), served.open_ledger())
    assert version_of(another) == 1, "a process that starts now serves what the others serve"
    assert len(served.ledger.outbox()) == 1, "and tells nobody twice"
    assert served.ledger.verify_chain().intact


def test_a_repaired_version_is_found_and_told(served: ServedSite, tmp_path: Path) -> None:
    shutil.copytree(served.bundle(2), tmp_path / "copy")
    spoil(served.bundle(2))
    residence = Residence(served.site(), served.ledger)
    served.promote(2)
    assert residence.refresh() == "failed"
    shutil.rmtree(served.bundle(2))
    shutil.copytree(tmp_path / "copy", served.bundle(2))
    assert residence.refresh() == "swapped"
    assert (version_of(residence), residence.troubles) == (2, ())
    kinds = [event.kind for event in served.ledger.events() if event.kind.startswith("serving")]
    assert kinds == ["serving_failed", "serving_recovered"]


def test_a_version_is_not_tried_every_second_but_after_a_while(
    served: ServedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = [0.0]
    monkeypatch.setattr(clock, "monotonic", lambda: at[0])
    tried: list[int] = []
    load = residence_module.load_resident

    def counting(site: object, pinned: object) -> object:
        tried.append(pinned.version)  # type: ignore[attr-defined]
        if pinned.version == 2 and len(tried) < 5:  # type: ignore[attr-defined]
            raise UnreachableError("the disk is away")
        return load(site, pinned)  # type: ignore[arg-type]

    residence = Residence(served.site(), served.ledger)
    monkeypatch.setattr(residence_module, "load_resident", counting)
    served.promote(2)
    waits = []
    while residence.refresh() == "failed":
        waits.append(len(tried))
        at[0] += FIRST_WAIT.total_seconds() / 2
    assert waits == [1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, *[4] * 16]
    assert version_of(residence) == 2


def test_a_bad_canary_changes_nothing_and_a_bad_shadow_only_itself(served: ServedSite) -> None:
    residence = Residence(served.site(), served.ledger)
    spoil(served.bundle(2))
    split(served, 10)
    assert residence.refresh() == "failed"
    now = residence.now
    assert now is not None
    assert [arm.name for arm in now.traffic.arms] == ["champion"]
    record = served.ledger.traffic()
    assert record is not None
    served.ledger.set_traffic(
        [Arm("champion", 1, 90), Arm("b", 3, 10)],
        [2],
        kind="canary",
        by="t",
        reason="r",
        expected_seq=record.seq,
    )
    assert residence.refresh() == "swapped"
    assert residence.refresh() == "failed"
    now = residence.now
    assert now is not None
    assert (sorted(now.residents), now.shadows) == ([1, 3], ())


def test_a_model_that_scores_otherwise_here_is_refused(served: ServedSite) -> None:
    """As another runtime would: the bundle is whole, and its rows get other scores."""
    path = served.bundle(2)
    kept = json.loads((path / PARITY).read_text())
    assert len(kept["rows"]) == 20
    kept["scores"][7][1] += 1e-4
    (path / PARITY).write_text(json.dumps(kept))
    entries = {
        name: {"sha256": sha256((path / name).read_bytes()).hexdigest(), "size": 1}
        for name in read_manifest(path).files
    }
    digest = digest_of_files({name: entry["sha256"] for name, entry in entries.items()})
    (path / MANIFEST).write_text(json.dumps({"format": 2, "digest": digest, "files": entries}))
    served.ledger.start_run("again", trigger="manual")
    served.ledger.record_gates("again", served.ledger.gates("r2"))
    number = served.ledger.add_version("again", digest, "bundles/v2", threshold=0.5).version
    residence = Residence(served.site(), served.ledger)
    served.promote(number)
    assert residence.refresh() == "failed"
    assert "scores otherwise" in residence.troubles[0].why


def test_a_threshold_other_than_the_records_is_refused(served: ServedSite) -> None:
    residence = Residence(served.site(), served.ledger)
    with sqlite3.connect(served.state / "ledger.db") as connection:
        connection.execute("update ratchet_versions set threshold = 0.7 where version = 2")
    served.promote(2)
    assert residence.refresh() == "failed"
    assert "it decides from 0.5 on, not from 0.7" in residence.troubles[0].why


def test_an_older_bundle_without_rows_serves(tmp_path: Path) -> None:
    served = ServedSite(tmp_path)
    served.add(rehearsal=False)
    assert not (served.bundle(1) / PARITY).exists()
    served.promote(1)
    assert version_of(Residence(served.site(), served.ledger)) == 1


# The ledger away


def test_a_ledger_that_is_moved_away_and_back_stops_nothing(served: ServedSite) -> None:
    told = Told()
    residence = Residence(served.site(), served.ledger, told)
    file = served.state / "ledger.db"
    served.ledger.close()
    file.rename(file.with_suffix(".away"))
    assert [residence.refresh() for _ in range(2)] == ["failed", "failed"]
    assert (version_of(residence), residence.ledger_up, len(told)) == (1, False, 1)
    assert not file.exists(), "looking for it does not make a new one"
    file.with_suffix(".away").rename(file)
    served.promote(2)
    assert residence.refresh() == "swapped"
    assert (residence.ledger_up, residence.troubles) == (True, ())


def test_a_ledger_that_is_replaced_is_read_anew_and_an_empty_one_is_not_believed(
    served: ServedSite, tmp_path: Path
) -> None:
    residence = Residence(served.site(), served.ledger)
    file = served.state / "ledger.db"
    served.ledger.close()
    shutil.copy(file, tmp_path / "copy.db")
    file.rename(tmp_path / "old.db")
    ServedSite(tmp_path / "fresh").ledger.close()
    shutil.copy(tmp_path / "fresh" / ".ratchet" / "ledger.db", file)
    assert residence.refresh() == "failed"
    assert "is empty" in residence.troubles[0].what
    assert version_of(residence) == 1
    (tmp_path / "copy.db").rename(file)
    served.ledger.close()
    served.promote(3)
    assert residence.refresh() == "swapped"
    assert version_of(residence) == 3


def test_a_locked_ledger_stops_nothing(served: ServedSite) -> None:
    residence = Residence(served.site(), served.ledger)
    served.promote(2)
    served.ledger.close()
    holder = sqlite3.connect(served.state / "ledger.db", isolation_level=None)
    holder.execute("pragma locking_mode = exclusive")
    holder.execute("begin exclusive")
    holder.execute("update ratchet_chains set seq = seq")
    try:
        assert residence.refresh() == "failed"
        assert (version_of(residence), residence.ledger_up) == (1, False)
        assert "locked" in residence.troubles[0].why
    finally:
        holder.close()
    assert residence.refresh() == "swapped"


def test_an_alert_that_cannot_be_kept_now_is_kept_later(
    served: ServedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    residence = Residence(served.site(), served.ledger)
    spoil(served.bundle(2))
    served.promote(2)

    def fails(*arguments: object) -> bool:
        raise UnreachableError("the ledger is read-only")

    with monkeypatch.context() as patch:
        patch.setattr(served.ledger, "note_serving", fails)
        assert residence.refresh() == "failed"
    assert served.ledger.outbox() == ()
    assert residence.refresh() == "failed"
    assert len(served.ledger.outbox()) == 1


def test_a_server_that_starts_without_its_ledger_waits_for_it(served: ServedSite) -> None:
    file = served.state / "ledger.db"
    served.ledger.close()
    file.rename(file.with_suffix(".away"))
    residence = Residence(served.site(), served.ledger)
    assert (residence.now, residence.ledger_up) == (None, False)
    file.with_suffix(".away").rename(file)
    assert residence.refresh() == "swapped"


# While it is used


def test_eight_threads_read_while_models_weights_and_bad_versions_come_and_go(
    served: ServedSite,
) -> None:
    """Every answer is one version's own: model, label, arm and record fit together."""
    expected = {number: score_of(number) for number in (1, 2, 3)}
    residence = Residence(served.site(), served.ledger)
    residence.start()
    done = threading.Event()
    wrong: list[object] = []
    seen: set[tuple[int, str, int]] = set()
    answered = [0] * 8

    def read(place: int) -> None:
        number = 0
        while not done.is_set():
            number += 1
            try:
                now = residence.now
                assert now is not None
                arm, resident = now.choose(f"c-{number % 97}", f"p-{number}")
                answer = resident.model.predict(ROW)
                score = float(answer.scores[0, 1])
                assert arm in now.traffic.arms
                assert arm.version == resident.version
                assert resident.pinned == now.traffic.pinned[arm.version]
                assert abs(score - expected[resident.version]) < 1e-9
                assert answer.labels == ["Yes" if resident.version >= 3 else "No"]
                seen.add((now.traffic.seq, arm.name, arm.version))
            except Exception as error:  # noqa: BLE001 - every failure counts
                wrong.append(error)
                return
            answered[place] += 1
            time.sleep(0.001)  # all eight at once would leave the one that loads no turn

    threads = [threading.Thread(target=read, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    try:
        for step in range(3):
            for share in (10, 60):
                split(served, share, to=2 if step % 2 == 0 else 3)
                wait_for(residence, served)
            served.promote(2 if step % 2 == 0 else 3)
            wait_for(residence, served)
        bad = served.add()
        spoil(served.bundle(bad))
        before = version_of(residence)
        served.promote(bad)
        deadline = time.monotonic() + 10
        while not residence.troubles and time.monotonic() < deadline:
            time.sleep(0.005)
        assert [trouble.version for trouble in residence.troubles] == [bad]
        assert version_of(residence) == before
    finally:
        done.set()
        for thread in threads:
            thread.join()
        residence.stop()
    assert wrong == []
    assert min(answered) > 20
    assert {version for _, _, version in seen} == {1, 2, 3}
    assert len({seq for seq, _, _ in seen}) >= 6


def wait_for(residence: Residence, served: ServedSite) -> None:
    """Until the residence serves what the ledger says."""
    record = served.ledger.traffic()
    assert record is not None
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        now = residence.now
        if now is not None and now.traffic.seq == record.seq:
            return
        time.sleep(0.005)
    raise AssertionError(f"{residence.troubles} {record}")
