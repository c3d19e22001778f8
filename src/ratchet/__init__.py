"""Continuous training for tabular models that only turns one way.

Public names, loaded on first use so that ``import ratchet`` stays light:

``Project``, ``load_project``
    A project folder with its settings and stores.
``run``, ``Request``, ``Run``
    One pass of the pipeline: what it is asked to do, and what it ended in.
``Model``
    A bundle, loaded for scoring.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ratchet.packaging.model import Model
    from ratchet.pipeline.outcome import Run
    from ratchet.pipeline.request import Request
    from ratchet.pipeline.run import run
    from ratchet.project import Project, load_project

_PUBLIC = {
    "Model": "ratchet.packaging.model",
    "Project": "ratchet.project",
    "Request": "ratchet.pipeline.request",
    "Run": "ratchet.pipeline.outcome",
    "load_project": "ratchet.project",
    "run": "ratchet.pipeline.run",
}

__all__ = ["Model", "Project", "Request", "Run", "__version__", "load_project", "run"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'ratchet' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
