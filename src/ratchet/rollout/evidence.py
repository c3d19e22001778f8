"""What the lake says of a version that is being rolled out, next to the champion's.

Only counts, scores and losses are taken from it; what they mean is ``canary.py``'s to judge. What
is read are the tables of what was served, so a look costs nothing in the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from ratchet.data.predictions.joined import joined
from ratchet.monitoring.lag import settled_by_kind, thirds
from ratchet.rollout.losses import Answers, losses_of
from ratchet.rollout.pair import ARMS, Pair, staged
from ratchet.rollout.requests import (
    BACK,
    Blocks,
    blocks_of,
    by_stage,
    count,
    not_finite,
    read_requests,
    slow_blocks,
    slow_limits,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from ratchet.data.lake import Lake

    Floats = npt.NDArray[np.float64]

GRACE: Final = timedelta(seconds=60)
"""What is younger may still be on its way from a server's log into the lake."""

_LEAST_LABELS = 100
_MOST_ROWS = 500_000


@dataclass(frozen=True, eq=False, slots=True)
class Quality:
    """Losses of predictions whose labels are in.

    Attributes:
        paired: the new version's loss minus the other's on the same rows, in order.
        losses, chosen, share: of rows that one of the two answered: its loss, whether it was the
            new version, and how probable that was.
        strata: of each stage ``ours``, ``others``, ``ours_labelled`` and ``others_labelled``.
        ours, others: predictions old enough of the new version and the other, and
            ``ours_labelled``, ``others_labelled`` of them with a label.
    """

    paired: Floats = field(default_factory=lambda: np.zeros(0))
    losses: Floats = field(default_factory=lambda: np.zeros(0))
    chosen: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    share: Floats = field(default_factory=lambda: np.zeros(0))
    ours: int = 0
    others: int = 0
    ours_labelled: int = 0
    others_labelled: int = 0
    strata: tuple[tuple[int, int, int, int], ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Evidence:
    """All that a rollout is judged on.

    Attributes:
        until: what was served later is not in it.
        requests: of both versions in the stage at work.
        ours, others: requests and failed requests of the new version and of the champion since
            the rollout began; ``stages``: the same of each stage.
        not_finite: failed requests of the new version without a finite score, where the champion
            had none then nor in the week before; else 0.
        broken: why the new version does not load on a server; empty when it does.
        scores: of each step, of the new version and of the champion: each (n, k).
        settled: what later looks go on with: limits of what is slow, and the age of labels.
    """

    until: datetime
    requests: int = 0
    ours: tuple[int, int] = (0, 0)
    others: tuple[int, int] = (0, 0)
    stages: tuple[tuple[int, int, int, int], ...] = ()
    not_finite: int = 0
    broken: str = ""
    errors: Blocks = field(default_factory=Blocks.none)
    slow95: Blocks = field(default_factory=Blocks.none)
    slow99: Blocks = field(default_factory=Blocks.none)
    scores: tuple[tuple[Floats, Floats], ...] = ()
    quality: Quality = field(default_factory=Quality)
    settled: Mapping[str, Any] = field(default_factory=dict)


def gather(lake: Lake, pair: Pair, now: datetime, *, broken: str = "") -> Evidence:
    """Read what was served of the two versions since the rollout began.

    Args:
        now: decides what is old enough; see ``GRACE``.
        broken: why the new version does not load, if it does not.

    Raises:
        StorageError: the lake cannot be read.
    """
    until, began = now - GRACE, pair.stages[0].since
    settled = dict(pair.kept)
    requests = read_requests(lake, pair, until)
    if "slow" not in settled:
        settled |= slow_limits(lake, pair, requests)
    if "labels_after" not in settled:
        settled |= label_age(lake, pair, now)
    live = requests.filter(pl.col("stage") >= 0)
    rows = _answers(lake, pair, now)
    stage = pair.stages[-1]
    return Evidence(
        until=until,
        requests=requests.filter(pl.col("at") >= stage.since).height,
        ours=count(requests, True),
        others=count(requests, False),
        stages=by_stage(requests),
        not_finite=not_finite(lake, pair, began - BACK, until),
        broken=broken,
        errors=blocks_of(requests, pl.col("failed")),
        slow95=slow_blocks(live, settled, "p95"),
        slow99=slow_blocks(live, settled, "p99"),
        scores=_scores(rows, pair),
        quality=_quality(rows, pair, settled.get("labels_after"), now),
        settled=settled,
    )


def _answers(lake: Lake, pair: Pair, now: datetime) -> pl.DataFrame:
    """The answers of the two since the rollout began, oldest first, with what became of them."""
    return (
        joined(lake, as_of=now, since=pair.stages[0].since)
        .filter(pl.col("version").is_in([pair.version, pair.previous]))
        .filter(pl.col("arm").is_in([*ARMS, "shadow"]))
        .select(
            "prediction_id", "at", "version", "entity", "of", "scores", "label", "outcome", "delay"
        )
        .bottom_k(_MOST_ROWS, by=["at", "prediction_id"])
        .sort("at", "prediction_id")
        .collect(engine="streaming")
        .with_columns((pl.col("version") == pair.version).alias("new"))
    )


def _firsts(rows: pl.DataFrame) -> pl.DataFrame:
    """Of each entity the first row: those of one entity are not independent of each other."""
    who = pl.coalesce("entity", "prediction_id")
    return rows.filter(who.is_first_distinct())


def _scores(rows: pl.DataFrame, pair: Pair) -> tuple[tuple[Floats, Floats], ...]:
    """Scores of each step, of the classes of the new version in its order.

    Before the first step those of the rows that both scored.
    """
    if pair.promoted is not None:
        rows = rows.filter(pl.col("at") < pair.promoted)
    rows = staged(rows, pair)
    answered = rows.filter(pl.col("of").is_null())
    live = answered.filter(pl.col("stage") >= 0)
    if live.height or any(stage.number >= 0 for stage in pair.stages):
        steps = live.partition_by("place", maintain_order=True)
        return tuple(
            _by_class(firsts.filter("new"), firsts.filter(~pl.col("new")), pair)
            for firsts in map(_firsts, steps)
        )
    ours = _firsts(rows.filter(pl.col("new") & pl.col("of").is_not_null()))
    return (_by_class(ours, _firsts(answered.filter(~pl.col("new"))), pair),)


def _by_class(ours: pl.DataFrame, others: pl.DataFrame, pair: Pair) -> tuple[Floats, Floats]:
    classes = pair.classes[pair.version]
    return (
        Answers.of(ours, classes).scores,
        Answers.of(others, pair.classes[pair.previous]).in_order(classes),
    )


def label_age(lake: Lake, pair: Pair, now: datetime) -> dict[str, Any]:
    """After how long labels are in (``labels_after``): of the class whose labels take the longest.

    Nothing where too few labels came to tell.
    """
    if pair.labels_after is not None:
        return {"labels_after": pair.labels_after}
    known = (
        joined(lake, as_of=now, since=now - timedelta(days=180))
        .filter((pl.col("version") == pair.previous) & pl.col("of").is_null())
        .filter(pl.col("outcome").is_not_null() & (pl.col("delay") >= timedelta()))
        .select("at", "delay", "outcome")
        .top_k(_MOST_ROWS, by="at")
        .collect(engine="streaming")
    )
    if known.height < _LEAST_LABELS:
        return {}
    if pair.classes[pair.previous]:
        kinds = known["outcome"].rank("dense").to_numpy()
    else:
        known = known.with_columns(pl.col("outcome").cast(pl.Float64, strict=False))
        known = known.drop_nulls("outcome")
        if not known.height:
            return {}
        kinds = thirds(known["outcome"].to_numpy())
    delay = known["delay"].dt.total_microseconds().to_numpy() / 1e6
    age = (pl.Series([now]) - known["at"]).dt.total_microseconds().to_numpy() / 1e6
    # A class that is hardly known yet says nothing; the others wait for it as long as they do.
    told = [age for age in settled_by_kind(delay, age, kinds).values() if age is not None]
    return {"labels_after": max(told)} if told else {}


def _quality(rows: pl.DataFrame, pair: Pair, labels_after: float | None, now: datetime) -> Quality:
    if labels_after is None or not rows.height:
        return Quality()
    wait = timedelta(seconds=labels_after)
    aged = rows.filter(pl.col("at") <= now - wait)
    in_time = pl.col("outcome").is_not_null() & (pl.col("delay") <= wait)
    aged = aged.with_columns(in_time.alias("labelled"))
    split = _firsts(_in_split(aged, pair))
    known = split.filter("labelled")
    loss = _losses(known, pair)
    sides = [split.filter(new=new) for new in (True, False)]
    return Quality(
        paired=_paired(aged.filter("labelled"), pair),
        losses=loss[0],
        chosen=known["new"].to_numpy()[loss[1]],
        share=known["share"].to_numpy()[loss[1]],
        ours=sides[0].height,
        others=sides[1].height,
        ours_labelled=int(sides[0]["labelled"].sum()),
        others_labelled=int(sides[1]["labelled"].sum()),
        strata=_strata(split),
    )


def _strata(split: pl.DataFrame) -> tuple[tuple[int, int, int, int], ...]:
    """Of each stage, of the new version and the other: rows, and rows with a label."""
    new, known = pl.col("new"), pl.col("labelled")
    counts = (new.sum(), (~new).sum(), (new & known).sum(), (~new & known).sum())
    named = [each.alias(str(place)) for place, each in enumerate(counts)]
    found = split.group_by("place", maintain_order=True).agg(named).drop("place")
    return tuple((int(a), int(b), int(c), int(d)) for a, b, c, d in found.iter_rows())


def _in_split(rows: pl.DataFrame, pair: Pair) -> pl.DataFrame:
    """The rows that either version might have answered, with the chance of the new one."""
    own = rows.filter(pl.col("of").is_null())
    if pair.promoted is not None:
        own = own.filter(pl.col("at") < pair.promoted)
    own = staged(own, pair)
    return own.filter((pl.col("share") > 0) & (pl.col("share") < 1))


def _paired(rows: pl.DataFrame, pair: Pair) -> Floats:
    """Differences in loss where one version answered and the other shadowed it."""
    answered = _firsts(rows.filter(pl.col("of").is_null()))
    shadows = rows.filter(pl.col("of").is_not_null()).unique(["of", "version"], keep="first")
    both = answered.join(
        shadows.select("of", "version", "scores", "label"),
        left_on="prediction_id",
        right_on="of",
        suffix="_shadow",
        maintain_order="left",
    ).filter(pl.col("version") != pl.col("version_shadow"))
    if not both.height:
        return np.zeros(0)
    shadow = both.with_columns(
        version=pl.col("version_shadow"),
        scores=pl.col("scores_shadow"),
        label=pl.col("label_shadow"),
    )
    own, theirs = (_each_loss(part, pair) for part in (both, shadow))
    difference = np.where(both["new"].to_numpy(), own - theirs, theirs - own)
    return np.asarray(difference[np.isfinite(difference)])


def _losses(rows: pl.DataFrame, pair: Pair) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The losses that could be told, and of which rows those are."""
    found = _each_loss(rows, pair)
    told = np.isfinite(found)
    return found[told], told


def _each_loss(rows: pl.DataFrame, pair: Pair) -> Floats:
    """The loss of each row by its own version's classes; NaN for an outcome that is no class."""
    found = np.full(rows.height, np.nan)
    for version in (pair.version, pair.previous):
        own = (rows["version"] == version).to_numpy()
        if own.any():
            answers = Answers.of(rows.filter(pl.Series(own)), pair.classes[version])
            found[own] = losses_of(answers, pair.loss)
    return found
