"""A project's ledger and lake with made-up traffic, routed as the server routes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from deltalake import write_deltalake

from ratchet.data.lake import Lake
from ratchet.data.predictions.tables import FEEDBACK, PREDICTIONS
from ratchet.ledger.results import GateRecord
from ratchet.ledger.rollouts import Rollout
from ratchet.ledger.store import Ledger, open_ledger
from ratchet.rollout import drive
from ratchet.rollout.settings import RolloutSettings
from ratchet.serving.router import Router

START = datetime(2026, 11, 2, 8, tzinfo=UTC)
CLASSES = ("no", "yes")


@dataclass(frozen=True)
class Behaviour:
    """How a version behaves.

    Attributes:
        errors: share of its requests that fail.
        micros: typical time of a request.
        noise: what it adds to the true score's logit, as a standard deviation.
        shift: and as a mean.
    """

    errors: float = 0.0
    micros: float = 2000.0
    noise: float = 0.3
    shift: float = 0.0
    code: str = "RuntimeError"


class Registry:
    """What shows the aliases; ``fault`` is raised while it is away."""

    def __init__(self) -> None:
        self.shown: dict[str, str] = {}
        self.fault: Exception | None = None

    def aliases(self, model: str) -> dict[str, str]:
        if self.fault is not None:
            raise self.fault
        return dict(self.shown)

    def set_alias(self, model: str, alias: str, version: str | None) -> None:
        if version is None:
            self.shown.pop(alias, None)
        else:
            self.shown[alias] = version


@dataclass
class World:
    """The clock is ``at``; ``serve`` lets time pass and traffic flow.

    ``base`` is the mean of the true logits; ``label_delay`` gives seconds, by what is true;
    ``url`` is the ledger's, by default that of a file in the folder. A world that there is already
    is opened as it was left.
    """

    folder: Path
    at: datetime = START
    seed: int = 1
    behaviours: dict[int, Behaviour] = field(default_factory=lambda: {1: Behaviour()})
    base: float = -0.5
    label_delay: Callable[[np.random.Generator, np.ndarray], np.ndarray] | None = None
    url: str = ""
    project: str = "p"

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.count = 0
        self.ledger: Ledger = open_ledger(
            self.url or f"sqlite:///{self.folder / 'ledger.db'}",
            project=self.project,
            now=lambda: self.at,
        )
        self.lake = Lake(str(self.folder / "lake"))
        self.registry = Registry()
        if self.ledger.versions():
            return
        for number in (1, 2, 3):
            self.ledger.start_run(f"r{number}", trigger="manual")
            self.ledger.record_gates(f"r{number}", [GateRecord("minimum", True, 0.8, 0.7)])
            self.ledger.add_version(f"r{number}", f"digest-{number}", f"bundles/{number}")
            self.ledger.link_version(number, str(number))
        self.ledger.deploy(1, expected_previous=None, by="run", reason="first", run_id="r1")

    def start(self, version: int = 2, strategy: Any = "canary", **rules: Any) -> Rollout:
        settings = RolloutSettings(strategy=strategy, **rules)
        return drive.start(
            self.ledger,
            version,
            strategy,
            settings.rules,
            by="run",
            reason="proven",
            run_id=f"r{version}",
        )

    def advance(self) -> drive.Step | None:
        return drive.advance(
            self.ledger,
            lambda: self.lake,
            classes=lambda version: CLASSES,
            now=self.at,
            registry=lambda: self.registry,
        )

    def champion(self) -> int:
        found = self.ledger.champion()
        assert found is not None
        return found.version

    def shares(self) -> dict[str, float]:
        found = self.ledger.traffic()
        assert found is not None
        return {arm.name: arm.share for arm in found.arms}

    def shadow(self) -> tuple[int, ...]:
        found = self.ledger.traffic()
        assert found is not None
        return found.shadow

    def serve(self, minutes: float, requests: int, entities: int | None = None) -> None:
        """So many requests, spread over the time, one row each."""
        traffic = self.ledger.traffic()
        assert traffic is not None
        router, rng = Router(traffic), self.rng
        gaps = np.sort(rng.uniform(0, minutes * 60, requests))
        moments = [self.at + timedelta(seconds=float(gap)) for gap in gaps]
        ids = [f"{self.count + place:010d}" for place in range(requests)]
        self.count += requests
        who = (
            [None] * requests
            if entities is None
            else [f"e{number}" for number in rng.integers(0, entities, requests)]
        )
        arms = [router.pick(entity or own) for entity, own in zip(who, ids, strict=True)]
        logits = rng.normal(self.base, 1.2, requests)
        truth = rng.random(requests) < 1 / (1 + np.exp(-logits))
        versions = np.array([arm.version for arm in arms])
        names = np.array([arm.name for arm in arms])
        parts = [self._answers(moments, ids, who, versions, names, logits, None)]
        for number in traffic.shadow:
            shadows = np.full(requests, number)
            told = [f"{own}-s" for own in ids]
            arm = np.full(requests, "shadow")
            parts.append(self._answers(moments, told, who, shadows, arm, logits, ids))
        served = pl.concat([part[0] for part in parts])
        self._put("predictions", served)
        self._put("failures", pl.concat([part[1] for part in parts]))
        if self.label_delay is not None:
            self._label(ids, moments, truth)
        self.at += timedelta(minutes=minutes)

    def _answers(
        self,
        moments: Sequence[datetime],
        ids: Sequence[str],
        who: Sequence[str | None],
        versions: np.ndarray,
        arms: np.ndarray,
        logits: np.ndarray,
        of: Sequence[str] | None,
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        rng, n = self.rng, len(ids)
        errors, micros, noise, shift = np.zeros((4, n))
        codes = np.full(n, "RuntimeError", dtype=object)
        for number in np.unique(versions):
            own, how = versions == number, self.behaviours.get(int(number), Behaviour())
            errors[own], micros[own] = how.errors, how.micros
            noise[own], shift[own], codes[own] = how.noise, how.shift, how.code
        failed = rng.random(n) < errors
        scores = 1 / (1 + np.exp(-(logits + shift + noise * rng.normal(size=n))))
        frame = pl.DataFrame(
            {
                "prediction_id": list(ids),
                "at": list(moments),
                "version": versions.astype(np.int64),
                "arm": [str(arm) for arm in arms],
                "entity": list(who),
                "label": [json.dumps(CLASSES[int(score >= 0.5)]) for score in scores],
                "scores": [[1 - score, score] for score in scores],
                "features": ["{}"] * n,
                "micros": (micros * rng.lognormal(0, 0.5, n)).astype(np.int64),
                "of": [None] * n if of is None else list(of),
                "request": [f"q{own}" for own in ids],
            },
            schema=dict(PREDICTIONS),
        )
        failures = frame.select(
            pl.col("prediction_id").alias("id"),
            "at",
            "version",
            "arm",
            pl.Series("error", [str(code) for code in codes]),
            pl.lit(0, pl.Int64).alias("micros"),
            "entity",
        )
        bad = pl.Series(failed)
        return frame.filter(~bad), failures.filter(bad)

    def _label(self, ids: Sequence[str], moments: Sequence[datetime], truth: np.ndarray) -> None:
        assert self.label_delay is not None
        delays = self.label_delay(self.rng, truth)
        when = [
            moment + timedelta(seconds=float(delay))
            for moment, delay in zip(moments, delays, strict=True)
        ]
        rows = {
            "key": [f"k{own}" for own in ids],
            "at": when,
            "label": [json.dumps(CLASSES[int(each)]) for each in truth],
            "prediction_id": list(ids),
            "entity": [None] * len(ids),
            "time": [None] * len(ids),
            "observed": when,
            "source": ["api"] * len(ids),
        }
        # It lies in the lake at once; what is not observed yet has no part in a look.
        self._put("feedback", pl.DataFrame(rows, schema=dict(FEEDBACK)))

    def _put(self, table: str, rows: pl.DataFrame) -> None:
        if rows.height:
            dated = rows.with_columns(pl.col("at").dt.date().alias("day"))
            write_deltalake(self.lake.place(table), dated, mode="append", partition_by=["day"])
