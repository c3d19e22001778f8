"""A project file that changes between two looks is an event, once, without what is secret."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loop_project import make_project
from ratchet.loop import tick as ticking
from ratchet.loop.look import read_memory
from ratchet.loop.tick import tick
from ratchet.project import load_project

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticking, "LAST", ("alerts", lambda look: None))


def look(folder: Path, minutes: int, *assignments: str, **variables: str) -> Any:
    project = load_project(folder, assignments=assignments, variables=variables)
    return tick(project, NOW + timedelta(minutes=minutes))


def events(folder: Path) -> list[Any]:
    with load_project(folder, variables={}).open_ledger() as ledger:
        assert ledger.verify_chain().intact
        return list(ledger.events(kind="settings_changed"))


def test_a_changed_file_is_one_event_with_what_changed_and_whose_it_is(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "p", "p")
    look(folder, 0)
    look(folder, 1)
    (first,) = events(folder)
    assert (first.facts["changed"], first.facts["digest_before"]) == ({}, None)
    with (folder / "ratchet.yaml").open("a", encoding="utf-8") as file:
        file.write("training: {seed: 7}\n")
    report = look(folder, 2)
    assert report.did["settings"].facts == {"changed": ["training.seed"]}
    look(folder, 3)
    _, changed = events(folder)
    assert changed.facts["by"].startswith("ratchet.yaml")
    assert changed.facts["digest_before"] == first.facts["digest"]
    assert changed.facts["digest"] != first.facts["digest"]
    assert changed.facts["changed"]["training.seed"]["after"] == 7


def test_nothing_secret_is_kept(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "p", "p")
    look(folder, 0)
    with (folder / "ratchet.yaml").open("a", encoding="utf-8") as file:
        file.write("alerts: [{url: 'slack://T0/B0/hush-hush', on: [failed]}]\n")
    look(folder, 1)
    found = events(folder)
    assert list(found[-1].facts["changed"]) == ["alerts"]
    assert "hush" not in json.dumps([event.facts for event in found])
    assert "hush" not in json.dumps(read_memory(folder / ".ratchet"))


def test_settings_of_one_run_are_no_change_of_the_file(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "p", "p")
    look(folder, 0)
    one = load_project(folder, assignments=["training.seed=9"], variables={})
    from ratchet.pipeline.settings_log import note_settings

    with one.open_ledger() as ledger:
        assert note_settings(one, ledger)  # as `ratchet run --set` does
    look(folder, 1)
    assert len(events(folder)) == 2, "the loop saw no other file"
