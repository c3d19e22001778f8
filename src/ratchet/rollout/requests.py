"""Requests of the two versions: how many, how many failed, and how many were slow.

An entity stays with its version, so its bad requests are not drawn one by one: an entity that fails
often makes its version look bad whichever that is. What is drawn is the entity. So it counts once,
at its first bad request, and again at its 4th, 16th and 64th in tests of their own: each of these
moments comes without regard to the version, if that makes no difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from ratchet.data.predictions.pinned import pin_table
from ratchet.rollout.pair import ARMS, Pair, answered, staged
from ratchet.rollout.sequential import log_e_path

if TYPE_CHECKING:
    import numpy.typing as npt

    from ratchet.data.lake import Lake

    Floats = npt.NDArray[np.float64]

BLOCK: Final = 100
"""Requests between two looks: within them the share of the new version is counted."""
TIMES: Final = (1, 4, 16, 64)
"""An entity counts at these of its bad requests, each number of them in a test of its own."""
WEIGHTS: Final = (0.5, 0.25, 0.125, 0.125)
"""How the level is split between those tests, where requests have entities."""
BACK: Final = timedelta(days=7)
"""How far back the champion is looked at for what is slow, and what it never did."""

USUAL: Final = {"p95": 0.05, "p99": 0.01}
"""The share of the champion's requests that are slow."""

_EARLY = 4.0
_NOT_FINITE: Final = "score_not_finite"
_LEAST_SLOW, _ENOUGH = 500, 20_000


@dataclass(frozen=True, eq=False, slots=True)
class Blocks:
    """Bad requests, block by block: of the new version, of both, and the new one's share.

    A request with an entity is a block of its own, at the first bad one of the entity; its share
    is what the entity had to come to the new version.

    Attributes:
        further: the same of entities at their 4th, 16th and 64th bad request; none where requests
            have no entities.
    """

    hits: Floats
    trials: Floats
    share: Floats
    further: tuple[Blocks, ...] = ()

    @classmethod
    def none(cls) -> Blocks:
        """No block."""
        return cls(np.zeros(0), np.zeros(0), np.zeros(0))

    def log_e(self, null: float = 1.0) -> float:
        """The logarithm of what is over 1/a with a probability of at most a, ever.

        Args:
            null: how many times the others' odds of a bad request are no fault. Of k bad ones of
                an entity the odds are then no more than the k-th power of it.
        """
        tests = (self, *self.further)
        weights = WEIGHTS if self.further else (1.0,)
        reached = 0.0
        for blocks, weight, times in zip(tests, weights, TIMES, strict=False):
            if len(blocks.trials):
                path = log_e_path(blocks.hits, blocks.trials, blocks.share, null=null**times)
                reached = max(reached, float(path.max()) + math.log(weight))
        return reached


def read_requests(lake: Lake, pair: Pair, until: datetime) -> pl.DataFrame:
    """One row per version and request that it answered or failed at, in order of time.

    A client may use a request id again: the moment tells its requests apart. ``new`` says by
    which version; ``single`` whether its time can be compared: of one row, answered alone;
    ``unseen`` whether as a shadow. A request of several entities has none.
    """
    began, ended = pair.stages[0].since, pair.promoted or until
    until = min(ended, until)
    versions = pl.col("version").is_in([pair.version, pair.previous])
    rows = (
        pin_table(lake, "predictions")
        .scan(
            ("prediction_id", "at", "version", "arm", "entity", "of", "request", "micros"),
            since=began,
            until=until,
        )
        .filter(versions)
        .filter(answered(pair))
        .group_by(pl.coalesce("request", "prediction_id").alias("id"), "at", "version")
        .agg(
            pl.col("micros").max(),
            pl.len().alias("rows"),
            pl.lit(False).alias("failed"),
            pl.when(pl.col("entity").n_unique() == 1).then(pl.col("entity").first()),
            pl.col("of").is_not_null().any().alias("unseen"),
        )
        .with_columns((pl.len().over("id", "at") == 1).alias("alone"))
    )
    failed = (
        pin_table(lake, "failures")
        .scan(("id", "at", "version", "arm", "micros", "entity"), since=began, until=until)
        .filter(versions)
        .filter(pl.col("arm").is_in([*ARMS, "shadow"]))
        .with_columns(pl.lit(1, pl.UInt32).alias("rows"), pl.lit(True).alias("failed"))
        .with_columns((pl.col("arm") == "shadow").alias("unseen"))
        .drop("arm")
        .with_columns(pl.lit(True).alias("alone"))
    )
    single = (pl.col("rows") == 1) & pl.col("alone") & ~pl.col("failed")
    found = pl.concat([rows, failed], how="diagonal_relaxed").with_columns(
        single.alias("single"), (pl.col("version") == pair.version).alias("new")
    )
    return staged(found.sort("at", "id").collect(engine="streaming"), pair)


def by_stage(requests: pl.DataFrame) -> tuple[tuple[int, int, int, int], ...]:
    """Of each stage: requests and failed ones of the new version, and the same of the other."""
    if not requests.height:
        return ()
    new, failed = pl.col("new"), pl.col("failed")
    counts = (new.sum(), (new & failed).sum(), (~new).sum(), (~new & failed).sum())
    named = [each.alias(str(place)) for place, each in enumerate(counts)]
    found = requests.group_by("place", maintain_order=True).agg(named).drop("place")
    return tuple((int(a), int(b), int(c), int(d)) for a, b, c, d in found.iter_rows())


def count(requests: pl.DataFrame, new: bool) -> tuple[int, int]:
    """Requests and failed requests of the new version, or of the other."""
    own = requests.filter(pl.col("new") == new)
    return own.height, int(own["failed"].sum())


def blocks_of(requests: pl.DataFrame, bad: pl.Expr, *, usual: float | None = None) -> Blocks:
    """Bad requests: those without an entity by complete blocks of requests, the others by entity.

    No block lies in two stages.

    Args:
        usual: the share of bad requests as it is, where that is known: an entity then counts only
            if it comes to its k-th bad request ``_EARLY`` times as soon as is usual. The others
            say little: sooner or later each comes to it.
    """
    if not requests.height:
        return Blocks.none()
    marked = requests.with_columns(bad.alias("bad"))
    known = pl.col("entity").is_not_null()
    moments = _moments(marked.filter(known), usual)
    drawn = pl.concat([_counted(marked.filter(~known)), moments.filter(nth=1).drop("nth")])
    # Fixed by the first requests: a later look splits the level as an earlier one did.
    with_entities = requests["entity"].head(BLOCK).is_not_null().any()
    further = [_as_blocks(moments.filter(nth=times)) for times in TIMES[1:]]
    return _as_blocks(drawn.sort("at"), tuple(further) if with_entities else ())


def _counted(requests: pl.DataFrame) -> pl.DataFrame:
    """Blocks of requests, with the share that the new version had of each."""
    order = pl.int_range(pl.len()).over("place") // BLOCK
    return (
        requests.with_columns(order.alias("block"))
        .group_by("place", "block", maintain_order=True)
        .agg(
            pl.col("at").last(),
            (pl.col("bad") & pl.col("new")).sum().cast(pl.Float64).alias("hits"),
            pl.col("bad").sum().cast(pl.Float64).alias("trials"),
            pl.col("new").mean().alias("share"),
            pl.len().alias("size"),
        )
        .filter((pl.col("size") == BLOCK) & (pl.col("trials") > 0))
        .select("at", "hits", "trials", "share")
    )


def _moments(requests: pl.DataFrame, usual: float | None) -> pl.DataFrame:
    """When entities came to the ``TIMES``-th of their bad requests, and by which version.

    Where both versions answer (one unseen) there is a race between them: which of the two comes to
    it first for an entity. Elsewhere an entity has one version, with the share of the stage; an
    entity counts once in the whole rollout, as its version in a later stage tells of the earlier.
    """
    race = (pl.col("share") <= 0) | (pl.col("share") >= 1)
    side = pl.when("race").then(pl.col("new"))
    place = pl.int_range(1, pl.len() + 1).over("entity", "race", "side")
    rows = (
        requests.with_columns(race.alias("race"))
        .filter(pl.col("race") | ~pl.col("unseen"))
        .with_columns(side.alias("side"))
        .sort("at", "new")
    )
    if usual is not None:
        rows = rows.with_columns(place.alias("sent"))
    bad = rows.filter("bad").with_columns(place.alias("nth")).filter(pl.col("nth").is_in(TIMES))
    if usual is not None:
        bad = bad.filter(pl.col("sent") * usual * _EARLY <= pl.col("nth"))
    return bad.filter(pl.struct("entity", "race", "nth").is_first_distinct()).select(
        "at",
        pl.col("new").cast(pl.Float64).alias("hits"),
        pl.lit(1.0).alias("trials"),
        pl.when("race").then(0.5).otherwise("share").alias("share"),
        "nth",
    )


def _as_blocks(found: pl.DataFrame, further: tuple[Blocks, ...] = ()) -> Blocks:
    hits, trials, share = (found[name].to_numpy() for name in ("hits", "trials", "share"))
    return Blocks(hits, trials, share, further)


def slow_limits(lake: Lake, pair: Pair, requests: pl.DataFrame) -> dict[str, Any]:
    """Beyond what requests are slow: the champion's percentiles, of requests not counted.

    But nothing is slow that took no longer than ``pair.fast``.
    """
    began = pair.stages[0].since
    before = (
        pin_table(lake, "predictions")
        .scan(
            ("prediction_id", "at", "version", "arm", "of", "request", "micros"),
            since=began - BACK,
            until=began,
        )
        .filter((pl.col("version") == pair.previous) & answered(pair) & pl.col("of").is_null())
        .group_by(pl.coalesce("request", "prediction_id"), "at")
        .agg(pl.col("micros").max(), pl.len().alias("rows"))
        .filter(pl.col("rows") == 1)
        .top_k(_ENOUGH, by="at")
        .collect(engine="streaming")
    )
    since = began
    if before.height < _LEAST_SLOW:
        alone = requests.filter(pl.col("single") & ~pl.col("new"))
        if alone.height < _LEAST_SLOW:
            return {}
        before = alone.head(_LEAST_SLOW)
        since = before["at"].max()  # type: ignore[assignment]
    found = {name: before["micros"].quantile(q) for name, q in (("p95", 0.95), ("p99", 0.99))}
    limits = {name: max(limit or 0.0, pair.fast * 1e6) for name, limit in found.items()}
    return {"slow": {**limits, "since": since.isoformat()}}


def slow_blocks(requests: pl.DataFrame, settled: Mapping[str, Any], name: str) -> Blocks:
    """Blocks of the requests over a limit, of those whose time can be compared."""
    if "slow" not in settled:
        return Blocks.none()
    since = datetime.fromisoformat(settled["slow"]["since"])
    timed = requests.filter(pl.col("single") & (pl.col("at") > since))
    return blocks_of(timed, pl.col("micros") > settled["slow"][name], usual=USUAL[name])


def not_finite(lake: Lake, pair: Pair, since: datetime, until: datetime) -> int:
    """Requests that only the new version gives no finite score for."""
    found = (
        pin_table(lake, "failures")
        .scan(("at", "version", "error"), since=since, until=until)
        .filter(pl.col("error") == _NOT_FINITE)
        .group_by(pl.col("version"))
        .len()
        .collect()
    )
    counts = dict(found.iter_rows())
    return 0 if counts.get(pair.previous) else int(counts.get(pair.version, 0))
