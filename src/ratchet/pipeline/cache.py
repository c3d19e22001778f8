"""When an earlier answer may stand in for new work: by content, never by time."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ratchet
from ratchet.ids import digest_of
from ratchet.pipeline.step import Rung, Step, StepOutput
from ratchet.project import Project

# What can change a result. The command line, alerts and the ledger cannot.
_CODE = (
    "data",
    "checks",
    "features",
    "training",
    "evaluation",
    "gates",
    "packaging",
    "pipeline/steps",
)


@functools.cache
def code_digest() -> str:
    """The digest of the source that makes results; differs as soon as a line of it does."""
    root = Path(ratchet.__file__).parent
    hasher = hashlib.sha256(ratchet.__version__.encode())
    for part in _CODE:
        for path in sorted((root / part).rglob("*.py")):
            hasher.update(path.relative_to(root).as_posix().encode() + b"\0")
            hasher.update(path.read_bytes())
    return hasher.hexdigest()


def user_code_digest(project: Project) -> str | None:
    """The digest of the project's own feature functions, if it has any."""
    name = project.settings.features.functions
    if name is None:
        return None
    path = project.root / name
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"


def step_key(
    step: Step,
    project: Project,
    outputs: Mapping[str, StepOutput],
    champion: Mapping[str, Any] | None,
    update: Rung,
) -> str:
    """The digest of all a step depends on: code, its settings, its inputs.

    A model made from the champion depends on it; one that is searched for does not.
    """
    from_champion = step.uses_champion or (step.uses_update and update != "retune")
    return digest_of(
        {
            "step": step.name,
            "code": code_digest(),
            "functions": user_code_digest(project),
            "settings": step.settings(project.settings),
            "inputs": {name: outputs[name].stands_for for name in step.inputs},
            "champion": (champion or {}).get("bundle_digest") if from_champion else None,
            "update": update if step.uses_update else None,
        }
    )


def result_settings(project: Project) -> dict[str, Any]:
    """The settings that can change what a run ends in: not where things are kept, nor alerts,
    nor what sets it off, nor how it comes to serve and is served.
    """
    values = project.settings.model_dump(mode="json", by_alias=True)
    for name in ("alerts", "loop", "rollout", "serving", "storage", "triggers"):
        values.pop(name, None)
    values["data"].pop("source", None)
    values["features"].pop("store", None)
    return values


def inputs_key(project: Project, snapshot_digest: str) -> str:
    """The digest of everything a run's result follows from.

    The snapshot's digest stands for the source: the same rows from another place are the same.
    """
    return digest_of(
        {
            "code": code_digest(),
            "functions": user_code_digest(project),
            "settings": result_settings(project),
            "snapshot": snapshot_digest,
        }
    )
