"""What a split came to: how many rows each part got, and whether the parts look alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ratchet.data.roles import Roles
from ratchet.data.settings import SplitSettings
from ratchet.data.split import PARTS, TEST, TRAIN, VALIDATION, Method, choose_method
from ratchet.data.task import Task


@dataclass(frozen=True, slots=True)
class SplitReport:
    """What a split came to.

    Attributes:
        rows: by part.
        classes: the share of each class by part; empty for regression.
        boundaries: the first moment of validation and of test, for a split by time.
        target: mean, standard deviation, least, quartiles and largest of the target by part, for
            regression.
        trained_until: the newest moment among the rows that are not for testing, where a column
            says when.
    """

    method: Method
    seed: int
    rows: tuple[tuple[str, int], ...]
    classes: tuple[tuple[str, tuple[tuple[str, float], ...]], ...]
    boundaries: tuple[tuple[str, str], ...]
    target: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = ()
    trained_until: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "method": self.method,
            "seed": self.seed,
            "rows": dict(self.rows),
            "classes": {part: dict(shares) for part, shares in self.classes},
            "boundaries": dict(self.boundaries),
            "target": {part: dict(found) for part, found in self.target},
            "trained_until": self.trained_until,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> SplitReport:
        """The report that ``to_json`` wrote."""
        return cls(
            method=raw["method"],
            seed=raw["seed"],
            rows=tuple(raw["rows"].items()),
            classes=_pairs(raw["classes"]),
            boundaries=tuple(raw["boundaries"].items()),
            target=_pairs(raw.get("target", {})),
            trained_until=raw.get("trained_until"),
        )


def report_split(
    frame: pl.DataFrame, parts: pl.Series, roles: Roles, settings: SplitSettings, task: Task
) -> SplitReport:
    """Counts, the target's make-up and boundaries of the ``parts`` that ``assign`` gave."""
    method = choose_method(settings, roles)
    counts = np.bincount(parts.to_numpy(), minlength=3)
    present = [part for part in (TRAIN, VALIDATION, TEST) if counts[part]]
    labels = {
        PARTS[part]: task.encode(frame.get_column(roles.target).filter(parts == part))
        for part in present
    }
    numbers = task.kind == "regression"
    boundaries: list[tuple[str, str]] = []
    newest = None
    if roles.time is not None:
        times = frame.get_column(roles.time)
        newest = times.filter(parts != TEST).max()
        if method == "time":
            boundaries = [
                (PARTS[part], str(times.filter(parts == part).min())) for part in present[1:]
            ]
    return SplitReport(
        method=method,
        seed=settings.seed,
        rows=tuple((PARTS[part], int(counts[part])) for part in (TRAIN, VALIDATION, TEST)),
        classes=() if numbers else tuple((p, _shares(y, task)) for p, y in labels.items()),
        boundaries=tuple(boundaries),
        target=tuple((p, _spread(y)) for p, y in labels.items()) if numbers else (),
        trained_until=None if newest is None else str(newest),
    )


def _shares(codes: np.ndarray, task: Task) -> tuple[tuple[str, float], ...]:
    """The share of each class."""
    shares = np.bincount(codes, minlength=len(task.classes)) / len(codes)
    return tuple(zip(map(str, task.classes), shares.tolist(), strict=True))


def _spread(values: np.ndarray) -> tuple[tuple[str, float], ...]:
    """Where numbers lie."""
    names = ("min", "q25", "median", "q75", "max")
    found = np.quantile(values, (0, 0.25, 0.5, 0.75, 1)).tolist()
    middle = (("mean", float(values.mean())), ("std", float(values.std())))
    return (*middle, *zip(names, found, strict=True))


def _pairs(raw: Mapping[str, Any]) -> tuple[tuple[str, tuple[tuple[str, float], ...]], ...]:
    return tuple((part, tuple(found.items())) for part, found in raw.items())
