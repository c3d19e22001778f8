"""Routing that is the same at every run: the salts of rollouts are counted, not drawn."""

from __future__ import annotations

import itertools

import pytest


@pytest.fixture(autouse=True)
def _counted_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = itertools.count(1)
    monkeypatch.setattr("ratchet.ids.token", lambda: f"{next(numbers):016x}")
