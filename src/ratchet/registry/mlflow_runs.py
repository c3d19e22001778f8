"""A pipeline run in MLflow: a run with one nested run per candidate, each logged in one batch."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ratchet.registry.runs import CandidateLog, RunLog

RUN, CANDIDATE = "ratchet.run_id", "ratchet.candidate"
_PARENT = "mlflow.parentRunId"
_KEY = re.compile(r"[^\w\-./ ]", re.ASCII)
_LONGEST_PARAM, _LONGEST_TAG, _LONGEST_KEY = 6000, 5000, 250
_PARAMS_PER_BATCH = 100


def log_run(client: Any, experiment: str, run: RunLog, artifacts: Path | None) -> str:
    """Log a run completely, or find it when that was done before.

    Returns:
        MLflow's id of the run.
    """
    done = _complete_run(client, experiment, run.run_id)
    if done is not None:
        return done
    parent = start_run(client, experiment, run.run_id, run.started, {RUN: run.run_id})
    _log(client, parent, run.params, run.metrics, run.tags, run.ended)
    for candidate in run.candidates:
        _log_candidate(client, experiment, parent, candidate, run)
    if artifacts is not None and any(artifacts.iterdir()):
        client.log_artifacts(parent, str(artifacts))
    end_run(client, parent, run.ended, failed=run.failed)
    return parent


def _complete_run(client: Any, experiment: str, run_id: str) -> str | None:
    """The run that was logged for ``run_id``; one that is half done is deleted on the way."""
    done = None
    for run in client.search_runs([experiment], f"tags.`{RUN}` = '{run_id}'"):
        if run.data.tags.get(_PARENT):
            continue
        if run.info.status in ("FINISHED", "FAILED"):
            done = str(run.info.run_id)
            continue
        for child in client.search_runs([experiment], f"tags.`{_PARENT}` = '{run.info.run_id}'"):
            client.delete_run(child.info.run_id)
        client.delete_run(run.info.run_id)
    return done


def start_run(
    client: Any, experiment: str, name: str, at: datetime, tags: Mapping[str, str]
) -> str:
    """Open a run; the id it has in MLflow."""
    told = {"mlflow.source.name": "ratchet", "mlflow.source.type": "JOB", **tags}
    run = client.create_run(experiment, start_time=_millis(at), tags=told, run_name=name)
    return str(run.info.run_id)


def end_run(client: Any, run: str, at: datetime, *, failed: bool) -> None:
    """Close a run."""
    client.set_terminated(run, "FAILED" if failed else "FINISHED", end_time=_millis(at))


def _log_candidate(
    client: Any, experiment: str, parent: str, candidate: CandidateLog, run: RunLog
) -> None:
    tags = {_PARENT: parent, RUN: run.run_id, CANDIDATE: candidate.name}
    child = start_run(client, experiment, candidate.name, run.started, tags)
    _log(client, child, candidate.params, candidate.metrics, candidate.tags, run.ended)
    end_run(client, child, run.ended, failed=candidate.failed)


def _log(
    client: Any,
    run: str,
    params: Mapping[str, Any],
    metrics: Mapping[str, float | None],
    tags: Mapping[str, str],
    at: datetime,
) -> None:
    from mlflow.entities import Metric, Param

    known = [
        Metric(_key(name), float(value), _millis(at), 0)
        for name, value in metrics.items()
        if value is not None and math.isfinite(value)
    ]
    given = [Param(_key(name), _text(value)[:_LONGEST_PARAM]) for name, value in params.items()]
    client.log_batch(run, metrics=known, params=given[:_PARAMS_PER_BATCH], tags=make_tags(tags))
    for start in range(_PARAMS_PER_BATCH, len(given), _PARAMS_PER_BATCH):
        client.log_batch(run, params=given[start : start + _PARAMS_PER_BATCH])


def make_tags(tags: Mapping[str, str]) -> list[Any]:
    """Tags as MLflow takes them."""
    from mlflow.entities import RunTag

    return [RunTag(_key(name), _text(value)[:_LONGEST_TAG]) for name, value in tags.items()]


def _key(name: str) -> str:
    return _KEY.sub("_", name)[:_LONGEST_KEY]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _millis(at: datetime) -> int:
    return round(at.timestamp() * 1000)
