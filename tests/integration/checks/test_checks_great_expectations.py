"""The same contract against the real Great Expectations, where there is one.

Set ``RATCHET_GX_PYTHON`` to a Python that has it, or install it beside Ratchet.
"""

from __future__ import annotations

import importlib.util
import os
import sys

import pytest

from checks_contract import cases, differences, frames, is_known_difference, judge_with_gx
from ratchet.checks.expectations import parse_suite
from ratchet.checks.run import run_suite


@pytest.fixture(scope="module")
def python() -> str:
    given = os.environ.get("RATCHET_GX_PYTHON")
    if given:
        return given
    if importlib.util.find_spec("great_expectations") is None:
        pytest.skip(
            "Great Expectations is not installed (RATCHET_GX_PYTHON names a Python with it)"
        )
    return sys.executable


@pytest.mark.slow
@pytest.mark.parametrize("name", ["messy", "none"])
def test_equal_verdicts_and_counts(python: str, name: str) -> None:
    frame, items = frames()[name], cases()
    theirs = judge_with_gx(python, frame)
    ours = run_suite(frame.lazy(), parse_suite(items))
    compared = [
        (item, result, verdict)
        for item, result, verdict in zip(items, ours, theirs, strict=True)
        if not is_known_difference(name, item)
    ]
    assert differences(*zip(*compared, strict=True)) == []
