"""An experiment over time, drawn: the difference with its interval, and who came."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import figure
from ratchet.pipeline.report.markup import Html
from ratchet.pipeline.report.observation_plots import time_axis
from ratchet.pipeline.report.plot import (
    Frame,
    band,
    chart,
    legend,
    line,
    nice_axis,
    rule,
    spot,
)

if TYPE_CHECKING:
    from ratchet.ledger.experiments import Experiment
    from ratchet.rollout.comparison import Comparison, Estimate
    from ratchet.rollout.experiment_rows import Seen

_MICROS = 1e6
_POINTS = 200


def difference_plot(
    found: Experiment, now: Comparison, path: Sequence[Estimate], title: str
) -> Html | None:
    """By how much b was better at each look, with the interval; None with nothing to draw."""
    last = now.estimate
    looks = [*path, last] if last is not None and not now.blocked else []
    drawn = [each for each in looks if each.low is not None and each.high is not None]
    if not drawn:
        return None
    lows = [(each.at / _MICROS, float(each.low or 0.0)) for each in drawn]
    highs = [(each.at / _MICROS, float(each.high or 0.0)) for each in drawn]
    points = [(each.at / _MICROS, each.better) for each in drawn]
    margin = found.rules["margin"]
    # The first intervals are wide, and would leave no room for what matters.
    reach = _reach(drawn, margin)
    frame = Frame(
        time_axis(found.started, max(_moment(drawn[-1].at), found.started + timedelta(days=1))),
        nice_axis(-reach, reach, f"{title}: version {found.b} is better by", pad=0.02),
        280,
    )
    layers = [
        band(frame, lows, highs, "c1"),
        rule(frame, y=margin),
        rule(frame, y=-margin),
        rule(frame, y=0.0, style="strong"),
        line(frame, points, "c1"),
        spot(frame, points[-1], "c1", words.signed(points[-1][1])),
    ]
    result = f"{words.signed(drawn[-1].low)} to {words.signed(drawn[-1].high)}"
    described = f"At the last look {words.signed(points[-1][1])}, interval {result}."
    names = [("c1", "difference and interval"), ("none dash2", f"± {words.figure(margin)}, margin")]
    return figure(
        f"Version {found.b} against version {found.a}",
        legend(names),
        chart(frame, layers, key="difference", title=title, description=described),
        below="Proven as soon as the band leaves the line at 0.",
        wide=True,
    )


def arrival_plot(found: Experiment, seen: Seen) -> Html | None:
    """Which share of all entities so far was b's; None with too few."""
    n = len(seen.of_b)
    if n < 20:
        return None
    share = found.share / 100.0
    places = np.unique(np.linspace(19, n - 1, _POINTS).astype(int))
    counts = np.cumsum(seen.of_b)[places] / (places + 1)
    wide = 3.0 * np.sqrt(share * (1 - share) / (places + 1))
    at = (seen.first[places] / _MICROS).tolist()
    reach = max(float(np.abs(counts - share).max()), float(wide[len(wide) // 8])) * 1.1
    low, high = max(0.0, share - reach), min(1.0, share + reach)
    axis = nice_axis(
        low * 100, high * 100, f"percent of the entities at version {found.b}", pad=0.02
    )
    end = max(_moment(int(seen.first[-1])), found.started + timedelta(days=1))
    frame = Frame(time_axis(found.started, end), axis, 200)
    lows = [(x, (share - y) * 100) for x, y in zip(at, wide.tolist(), strict=True)]
    highs = [(x, (share + y) * 100) for x, y in zip(at, wide.tolist(), strict=True)]
    points = [(x, y * 100) for x, y in zip(at, counts.tolist(), strict=True)]
    layers = [
        band(frame, lows, highs, "c2"),
        rule(frame, y=share * 100),
        line(frame, points, "c1"),
    ]
    return figure(
        "Who came",
        chart(
            frame,
            layers,
            key="arrivals",
            title="Share of the entities",
            description=f"{words.percent(float(counts[-1]))} of {n:,} entities.",
        ),
        below=f"Dashed: the {found.share:g}% asked for. Band: three standard errors.",
        wide=True,
    )


def _reach(drawn: Sequence[Estimate], margin: float) -> float:
    """Half the height of the plot: what holds the later half of the intervals."""
    later = drawn[len(drawn) // 3 :]
    ends = [abs(end) for each in later for end in (each.low, each.high) if end is not None]
    return max(float(np.quantile(ends, 0.9)), abs(drawn[-1].better) * 1.2, margin * 1.2)


def _moment(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / _MICROS, UTC)
