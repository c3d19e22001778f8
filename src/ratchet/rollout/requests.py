"""Requests of the two versions: how many, how many failed, and how many were slow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from ratchet.data.predictions.pinned import pin_table
from ratchet.rollout.pair import ARMS, Pair, answered, staged

if TYPE_CHECKING:
    import numpy.typing as npt

    from ratchet.data.lake import Lake

    Floats = npt.NDArray[np.float64]

BLOCK: Final = 100
"""Requests between two looks: within them the share of the new version is counted."""
BACK: Final = timedelta(days=7)
"""How far back the champion is looked at for what is slow, and what it never did."""

_NOT_FINITE: Final = "score_not_finite"
_LEAST_SLOW, _ENOUGH = 500, 20_000


@dataclass(frozen=True, eq=False, slots=True)
class Blocks:
    """Bad requests, block by block: of the new version, of both, and the new one's share."""

    hits: Floats
    trials: Floats
    share: Floats

    @classmethod
    def none(cls) -> Blocks:
        """No block."""
        return cls(np.zeros(0), np.zeros(0), np.zeros(0))


def read_requests(lake: Lake, pair: Pair, until: datetime) -> pl.DataFrame:
    """One row per version and request that it answered or failed at, in order of time.

    A client may use a request id again: the moment tells its requests apart. ``new`` says by
    which version; ``single`` whether its time can be compared: of one row, answered alone.
    """
    began, ended = pair.stages[0].since, pair.promoted or until
    until = min(ended, until)
    versions = pl.col("version").is_in([pair.version, pair.previous])
    rows = (
        pin_table(lake, "predictions")
        .scan(
            ("prediction_id", "at", "version", "arm", "of", "request", "micros"),
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
        )
        .with_columns((pl.len().over("id", "at") == 1).alias("alone"))
    )
    failed = (
        pin_table(lake, "failures")
        .scan(("id", "at", "version", "arm", "micros"), since=began, until=until)
        .filter(versions)
        .filter(pl.col("arm").is_in([*ARMS, "shadow"]))
        .select("id", "version", "at", "micros", rows=pl.lit(1, pl.UInt32), failed=pl.lit(True))
        .with_columns(pl.lit(True).alias("alone"))
    )
    single = (pl.col("rows") == 1) & pl.col("alone") & ~pl.col("failed")
    found = pl.concat([rows, failed], how="diagonal_relaxed").with_columns(
        single.alias("single"), (pl.col("version") == pair.version).alias("new")
    )
    return staged(found.sort("at", "id").collect(engine="streaming"), pair)


def count(requests: pl.DataFrame, new: bool) -> tuple[int, int]:
    """Requests and failed requests of the new version, or of the other."""
    own = requests.filter(pl.col("new") == new)
    return own.height, int(own["failed"].sum())


def blocks_of(requests: pl.DataFrame, bad: pl.Expr) -> Blocks:
    """Complete blocks of requests, none of which lies in two stages."""
    if not requests.height:
        return Blocks.none()
    order = pl.int_range(pl.len()).over("place") // BLOCK
    found = (
        requests.with_columns(order.alias("block"), bad.alias("bad"))
        .group_by("place", "block", maintain_order=True)
        .agg(
            (pl.col("bad") & pl.col("new")).sum().alias("hits"),
            pl.col("bad").sum().alias("trials"),
            pl.col("new").mean().alias("share"),
            pl.len().alias("size"),
        )
        .filter((pl.col("size") == BLOCK) & (pl.col("trials") > 0))
    )
    columns = (found[name].cast(pl.Float64).to_numpy() for name in ("hits", "trials", "share"))
    return Blocks(*columns)


def slow_limits(lake: Lake, pair: Pair, requests: pl.DataFrame) -> dict[str, Any]:
    """Beyond what the champion's requests are slow: its percentiles, of requests not counted."""
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
    limits = {name: before["micros"].quantile(q) for name, q in (("p95", 0.95), ("p99", 0.99))}
    return {"slow": {**limits, "since": since.isoformat()}}


def slow_blocks(requests: pl.DataFrame, settled: Mapping[str, Any], name: str) -> Blocks:
    """Blocks of the requests over a limit, of those whose time can be compared."""
    if "slow" not in settled:
        return Blocks.none()
    since = datetime.fromisoformat(settled["slow"]["since"])
    timed = requests.filter(pl.col("single") & (pl.col("at") > since))
    return blocks_of(timed, pl.col("micros") > settled["slow"][name])


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
