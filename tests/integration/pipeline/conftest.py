"""Runs in this process: one file of these tests draws their plots, the others leave them out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from forked_ratchet import leave_undrawn


@pytest.fixture(scope="module", autouse=True)
def _undrawn(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if request.module.__name__ != "test_pipeline_run":
            leave_undrawn(patch.setattr)
        yield
