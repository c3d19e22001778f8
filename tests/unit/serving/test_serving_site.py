"""A project as the server sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ratchet.errors import StorageError
from ratchet.project import load_project


def test_a_server_never_makes_a_ledger_in_place_of_one_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "ratchet.yaml").write_text(
        "project: churn\ndata:\n  source: {type: csv, path: rows.csv}\n  target: churn\n"
    )
    project = load_project(tmp_path, variables={})
    site = project.site()
    with pytest.raises(StorageError) as caught:
        site.open_ledger()
    assert caught.value.name == "no_ledger"
    assert not site.state.exists()
    with project.open_ledger() as made:
        made.record("seen", {})
    with site.open_ledger() as opened:
        assert [event.kind for event in opened.events()] == ["seen"]
