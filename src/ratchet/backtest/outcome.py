"""What a backtest found, as plain values for screen, page and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from ratchet.backtest.baselines import Oracle, Unchanged
from ratchet.backtest.quality import Difference, Quality
from ratchet.backtest.recommend import Recommendation
from ratchet.backtest.replay import Played
from ratchet.backtest.stream import Stream


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One policy, or one baseline.

    Attributes:
        played: what it did.
        quality: how well its models answered.
        baseline: it is no policy: never, or every period.
        kept_metric: its metric as a share of that of training in every period.
        kept_loss: likewise of the loss: that of every period over its own.
        regret: loss of a row beyond that of the best schedule in hindsight with no more
            retrainings.
        against_every: how much better its metric is than that of every period, paired.
        against_never: ... than that of never training.
        loss_against_every: how much less its loss is than that of every period.
        loss_against_never: ... than that of never training.
        gain: what it gains over never training less what it costs, in the unit of
            ``triggers.cost``; None where no cost is set.
    """

    played: Played
    quality: Quality
    baseline: bool
    kept_metric: float
    kept_loss: float
    regret: float
    against_every: Difference
    against_never: Difference
    loss_against_every: Difference
    loss_against_never: Difference
    gain: float | None = None

    @property
    def name(self) -> str:
        """The policy's name."""
        return self.played.name

    def to_json(self) -> dict[str, Any]:
        """A JSON object, without what is only drawn."""
        return {
            "name": self.name,
            "baseline": self.baseline,
            "retrainings": len(self.played.runs),
            "promotions": self.played.promotions,
            "investigations": self.played.investigations,
            "cpu_seconds": round(self.played.cpu, 3),
            "metric": _number(self.quality.value),
            "loss": _number(self.quality.loss),
            "accuracy": None if self.quality.accuracy is None else _number(self.quality.accuracy),
            "kept_metric": _number(self.kept_metric),
            "kept_loss": _number(self.kept_loss),
            "regret": _number(self.regret),
            "gain": None if self.gain is None else _number(self.gain),
            "against_every": _difference(self.against_every),
            "against_never": _difference(self.against_never),
            "loss_against_every": _difference(self.loss_against_every),
            "loss_against_never": _difference(self.loss_against_never),
            "runs": [asdict(run) | {"at": run.at.isoformat()} for run in self.played.runs],
            "by_period": [_number(value) for value in self.quality.metric.tolist()],
        }


@dataclass(frozen=True, slots=True, eq=False)
class Backtest:
    """Everything that was found.

    Attributes:
        stream: the rows.
        metric: what decides.
        loss: what adds up.
        algorithm: what was trained.
        lines: policies in the order they were given, then baselines.
        oracle: the best schedules in hindsight.
        unchanged: what saying the last label again would do; None for numbers.
        trained: models made now; the others were kept.
        seconds: of the whole.
    """

    project: str
    data: str
    stream: Stream
    metric: str
    loss: str
    algorithm: str
    lines: tuple[Line, ...]
    oracle: Oracle
    unchanged: Unchanged | None
    recommendation: Recommendation
    trained: int
    seconds: float

    def line(self, name: str) -> Line:
        """A policy's line; KeyError when there is none."""
        for line in self.lines:
            if line.name == name:
                return line
        raise KeyError(name)

    @property
    def policies(self) -> Sequence[Line]:
        """The lines that are no baselines."""
        return [line for line in self.lines if not line.baseline]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        stream = self.stream
        rows = float(self.lines[0].quality.rows.sum())
        return {
            "project": self.project,
            "data": self.data,
            "rows": stream.rows,
            "served_rows": int(rows),
            "periods": len(stream.served),
            "period": stream.period,
            "delay_days": stream.delay.total_seconds() / 86_400,
            "from": stream.ends[stream.first].isoformat(),
            "until": stream.ends[-1].isoformat(),
            "first_rows": stream.known(stream.first),
            "algorithm": self.algorithm,
            "metric": self.metric,
            "loss": self.loss,
            "policies": [line.to_json() for line in self.lines],
            "oracle": [
                {"retrainings": count, "loss": _number(total / rows)}
                for count, total in enumerate(self.oracle.losses.tolist())
            ],
            "no_change": None if self.unchanged is None else asdict(self.unchanged),
            "recommendation": asdict(self.recommendation),
            "notes": list(stream.notes),
            "trained": self.trained,
            "seconds": round(self.seconds, 3),
        }


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if isfinite(value) else None


def _difference(found: Difference) -> dict[str, Any]:
    return {"value": _number(found.value), "se": _number(found.se), "periods": found.periods}
