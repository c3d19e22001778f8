"""The contract with Great Expectations: its own verdicts, stored, on messy frames."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from checks_contract import cases, differences, frames, is_known_difference
from ratchet.checks.expectations import parse_suite
from ratchet.checks.run import run_suite

GOLDEN = Path(__file__).with_name("great_expectations.json")


@pytest.mark.parametrize("name", ["messy", "clean", "one", "none"])
def test_verdicts_and_counts_are_those_of_great_expectations(name: str) -> None:
    items = cases()
    stored = json.loads(GOLDEN.read_text(encoding="utf-8"))[name]
    theirs = [{"success": success, "unexpected_count": count} for success, count in stored]
    ours = run_suite(frames()[name].lazy(), parse_suite(items))
    compared = [
        (item, result, verdict)
        for item, result, verdict in zip(items, ours, theirs, strict=True)
        if not is_known_difference(name, item)
    ]
    assert len(compared) >= len(items) - 1
    assert differences(*zip(*compared, strict=True)) == []


def test_the_cases_use_nearly_the_whole_vocabulary() -> None:
    from ratchet.checks.expectations import known_expectations

    used = {item["type"] for item in cases()}
    assert used == set(known_expectations())
