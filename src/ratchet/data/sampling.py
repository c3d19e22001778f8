"""A share of the rows, always the same ones."""

from __future__ import annotations

import numpy as np
import polars as pl

from ratchet.data.hashing import row_hash, stable_hash, to_unit
from ratchet.data.roles import Roles

_SALT = 0x5A3D  # keeps the sample independent of the split, which hashes the same ids
_BATCH_ROWS = 1 << 17


def sample_rows(frame: pl.DataFrame, fraction: float, roles: Roles, seed: int) -> pl.DataFrame:
    """About ``fraction`` of the rows of ``frame``, in their order.

    A row is in by the hash of its id, or of its whole content without one: added rows
    change nothing for the others, rows of one entity stay together, and a larger fraction
    holds every row of a smaller one.
    """
    return (
        frame if fraction >= 1 else frame.filter(pl.Series(_chosen(frame, fraction, roles, seed)))
    )


def sample_scan(scan: pl.LazyFrame, fraction: float, roles: Roles, seed: int) -> pl.DataFrame:
    """``sample_rows`` of a scan, batch by batch: the rows left out never lie in memory at once."""
    if fraction >= 1:
        return scan.collect()
    kept = [
        sample_rows(batch, fraction, roles, seed)
        for batch in scan.collect_batches(chunk_size=_BATCH_ROWS, maintain_order=True)
    ]
    return pl.concat(kept) if kept else scan.head(0).collect()


def _chosen(frame: pl.DataFrame, fraction: float, roles: Roles, seed: int) -> np.ndarray:
    seed += _SALT
    if roles.id is not None and roles.id in frame.columns:
        ids = frame.get_column(roles.id)
        hashes = stable_hash(ids, seed)
        if ids.null_count():
            nulls = ids.is_null().to_numpy()
            hashes[nulls] = row_hash(frame, seed)[nulls]
    else:
        hashes = row_hash(frame, seed)
    chosen: np.ndarray = to_unit(hashes) < fraction
    return chosen
