"""Runs in this process: one file of these tests draws their plots, the others leave them out.

A new MLflow store is a copy of an empty one: to make it takes longer than all else that a run does.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from forked_ratchet import leave_undrawn
from ratchet.registry import mlflow_client


@pytest.fixture(scope="module", autouse=True)
def _quick(request: pytest.FixtureRequest, tracking: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow_client, "_make_store", lambda path: shutil.copy(tracking, path))
        if request.module.__name__ != "test_pipeline_run":
            leave_undrawn(patch.setattr)
        yield
