"""Metrics in MLflow while a model trains: one MLflow run per candidate, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from ratchet import clock
from ratchet.registry.mlflow_runs import end_run, start_run

LIVE, CANDIDATE = "ratchet.training", "ratchet.live_candidate"
"""The pipeline run that trains, and what it trains. Not the tags of a finished run: everything is
told again, complete, when the pipeline's run ends."""


class LiveLog:
    """Epochs of one pipeline run, as they happen.

    A run continued after a crash goes on in the same MLflow runs. Its methods raise
    ``StorageError`` or ``UnreachableError`` when MLflow cannot be used.
    """

    def __init__(
        self,
        client: Callable[[], AbstractContextManager[Any]],
        experiment: Callable[[Any], str],
        run_id: str,
    ) -> None:
        self._client = client
        self._experiment = experiment
        self._run_id = run_id
        self._runs: dict[str, str] = {}

    def epoch(self, candidate: str, number: int, metrics: Mapping[str, float | None]) -> None:
        """Log the metrics of an epoch of ``candidate`` under the epoch's number."""
        from mlflow.entities import Metric

        now = round(clock.now().timestamp() * 1000)
        known = [
            Metric(name, float(value), now, number)
            for name, value in metrics.items()
            if value is not None
        ]
        with self._client() as client:
            if candidate not in self._runs:
                self._runs[candidate] = self._open(client, candidate)
            client.log_batch(self._runs[candidate], metrics=known)

    def close(self) -> None:
        """Mark what was logged as finished."""
        if not self._runs:
            return
        with self._client() as client:
            for run in self._runs.values():
                end_run(client, run, clock.now(), failed=False)
        self._runs.clear()

    def _open(self, client: Any, candidate: str) -> str:
        experiment = self._experiment(client)
        wanted = f"tags.`{LIVE}` = '{self._run_id}'"
        for run in client.search_runs([experiment], wanted):
            if run.data.tags.get(CANDIDATE) == candidate:
                return str(run.info.run_id)
        tags = {LIVE: self._run_id, CANDIDATE: candidate}
        return start_run(client, experiment, f"{candidate} (training)", clock.now(), tags)
