"""A model version as the registry of record knows it, and what is to be registered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A model version to register.

    Attributes:
        version: its number in the ledger.
        run_id: Ratchet's id of the run that made it.
        bundle: the bundle's folder.
        bundle_digest: the bundle's digest; with ``run_id`` it tells a repetition.
        tracked_run: the id of the tracking server's run, see ``MlflowTracking.log_run``.
        description: one or two sentences for the registry's page.
    """

    version: int
    run_id: str
    bundle: Path
    bundle_digest: str
    tracked_run: str
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A registered model version.

    Attributes:
        model: the registered model's name.
        version: its number there, as text.
        run_id: Ratchet's id of the run that made it; empty for a version made by hand.
        bundle_digest: the bundle's digest; empty for a version made by hand.
        source: where its files are.
    """

    model: str
    version: str
    run_id: str
    bundle_digest: str
    source: str

    @property
    def uri(self) -> str:
        """The address any MLflow client loads it by."""
        return f"models:/{self.model}/{self.version}"
