"""A share of the rows, always the same ones: to work on, or to hold in memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from ratchet.data.hashing import row_hash, stable_hash, to_unit
from ratchet.data.roles import Roles

_SALT = 0x5A3D  # keeps the sample independent of the split, which hashes the same ids
_MOST_STRATA = 100


def sample_rows(frame: pl.DataFrame, fraction: float, roles: Roles, seed: int) -> pl.DataFrame:
    """About ``fraction`` of the rows of ``frame``, in their order.

    A row is in by the hash of its id, or of its whole content without one: added rows
    change nothing for the others, rows of one entity stay together, and a larger fraction
    holds every row of a smaller one.
    """
    return (
        frame
        if fraction >= 1
        else frame.filter(pl.Series(chosen_rows(frame, fraction, roles, seed)))
    )


def chosen_rows(frame: pl.DataFrame, fraction: float, roles: Roles, seed: int) -> np.ndarray:
    """Which rows (n_rows,) are among that ``fraction``."""
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


def thin(
    positions: npt.NDArray[np.int64], wanted: int, values: pl.Series, seed: int
) -> npt.NDArray[np.int64]:
    """About ``wanted`` of the ``positions`` (n,), in their order, drawn evenly.

    Where ``values`` (n,), those of the target, are few different ones, each keeps its share and at
    least one row.
    """
    if wanted >= len(positions):
        return positions
    lot = np.random.default_rng(seed).random(len(positions))
    codes = values.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    sizes = np.bincount(codes)
    if np.count_nonzero(sizes) > _MOST_STRATA:
        return np.sort(positions[np.argpartition(lot, wanted)[:wanted]])
    chosen = np.zeros(len(positions), dtype=np.bool_)
    for code in np.flatnonzero(sizes):
        rows = np.flatnonzero(codes == code)
        take = -(-len(rows) * wanted // len(positions))
        chosen[rows[np.argsort(lot[rows], kind="stable")[:take]]] = True
    return positions[chosen]


def thin_groups(
    positions: npt.NDArray[np.int64], wanted: int, groups: pl.Series, seed: int
) -> npt.NDArray[np.int64]:
    """About ``wanted`` of the ``positions`` (n,), in their order; rows of a group go together."""
    if wanted >= len(positions):
        return positions
    place = to_unit(stable_hash(groups, seed + _SALT))
    return positions[place < wanted / len(positions)]
