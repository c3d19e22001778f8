"""The model versions that are watched, as their bundles tell of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ratchet.data.task import Task
from ratchet.errors import RatchetError
from ratchet.evaluation.estimate import quantile_two_sided
from ratchet.ledger.versions import Version
from ratchet.monitoring.estimate import Estimator
from ratchet.monitoring.labelled import Watched
from ratchet.monitoring.profile import Profile
from ratchet.packaging.bundle import DECISION, METRICS, PROFILE, SIGNATURE, read_file, read_manifest

ESTIMATE: Final = "estimate"
"""What the estimator is called among a profile's facts of the past."""


class Subjects:
    """The versions of a project that were made by a moment; each bundle is read once.

    Attributes:
        notes: versions that cannot be watched, and why.
    """

    def __init__(self, versions: Sequence[Version], bundles: Path, as_of: datetime) -> None:
        self._places = {
            one.version: bundles / one.bundle_path for one in versions if one.created <= as_of
        }
        self._later = {one.version: bundles / one.bundle_path for one in versions}
        self._profiles: dict[int, Profile | None] = {}
        self._watched: dict[int, Watched | None] = {}
        self.notes: list[str] = []

    def profile(self, version: int) -> Profile | None:
        """A version's profile; None where its bundle is gone or holds none."""
        if version not in self._profiles:
            self._profiles[version] = self._read_profile(version)
        return self._profiles[version]

    def watched(self, versions: Collection[int]) -> dict[int, Watched]:
        """What performance needs to know of some versions; those without a bundle are left out."""
        for version in versions:
            if version not in self._watched:
                self._watched[version] = self._read(version)
        found = {version: self._watched[version] for version in sorted(versions)}
        return {version: one for version, one in found.items() if one is not None}

    def _read_profile(self, version: int) -> Profile | None:
        # Counting looks at everything that was answered, whenever that is looked at.
        path = self._later.get(version)
        if path is None:
            return None
        try:
            bundle = read_manifest(path)
            if PROFILE in bundle.files:
                return Profile.from_bytes(read_file(bundle, PROFILE))
            self.notes.append(f"version {version} was packaged without a reference profile")
        except RatchetError as error:
            self.notes.append(f"version {version} is not watched for drift: {error.what}")
        return None

    def _read(self, version: int) -> Watched | None:
        path = self._places.get(version)
        if path is None:
            return None
        try:
            bundle = read_manifest(path)
            signature, decision, metrics = (
                json.loads(read_file(bundle, name)) for name in (SIGNATURE, DECISION, METRICS)
            )
        except RatchetError as error:
            self.notes.append(f"version {version} is not watched: {error.what}")
            return None
        profile = self.profile(version)
        held = None if profile is None else profile.past.get(ESTIMATE)
        return Watched(
            version=version,
            task=Task.from_json(decision["task"]),
            threshold=decision["threshold"],
            reference=_reference(metrics),
            estimator=None if held is None else Estimator.from_json(held),
            inputs={column["name"]: column["kind"] for column in signature["inputs"]},
        )


def _reference(metrics: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """The metrics on the test rows, with the standard errors that their intervals come to."""
    reach = 2 * quantile_two_sided(metrics.get("confidence", 0.95))
    found = {}
    for name, one in metrics.get("estimates", {}).items():
        if one["value"] is not None and one["low"] is not None and one["high"] is not None:
            found[name] = (float(one["value"]), (one["high"] - one["low"]) / reach)
    return found
