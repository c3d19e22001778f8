"""Rows that repeat an earlier row exactly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

_SEEDS = (0, 0x9E3779B9)


def repeated_rows(frame: pl.DataFrame) -> pl.Series:
    """Which rows equal an earlier one in every column: boolean (n_rows,)."""
    repeated = pl.Series("repeated", [False], dtype=pl.Boolean).new_from_index(0, frame.height)
    # Equal rows have equal hashes; only rows with a shared hash are compared in full.
    suspects = frame.hash_rows(seed=0).is_duplicated().arg_true()
    if not suspects.len():
        return repeated
    indexed = frame[suspects].with_columns(suspects.alias("__row"))
    first = indexed.unique(subset=frame.columns, keep="first", maintain_order=True)
    later = suspects.filter(~suspects.is_in(first.get_column("__row").implode()))
    return repeated.scatter(later, True) if later.len() else repeated


def drop_duplicates(frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """``frame`` without rows that repeat an earlier one exactly, and how many those were."""
    repeated = repeated_rows(frame)
    count = int(repeated.sum())
    return (frame.filter(~repeated), count) if count else (frame, 0)


def row_keys(frame: pl.DataFrame) -> npt.NDArray[np.uint64]:
    """128 bits that stand for each row: uint64 (2, n_rows); equal rows have equal ones.

    Among ten million different rows two have equal keys with probability 1e-25. Comparable
    within one process only.
    """
    return np.stack([frame.hash_rows(seed=seed).to_numpy() for seed in _SEEDS])


def repeated_keys(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Which keys (2, n_rows) equal an earlier one: boolean (n_rows,)."""
    repeated = np.zeros(keys.shape[1], dtype=np.bool_)
    ordered = np.sort(keys[0])
    shared = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered
    if len(shared):
        suspects = np.flatnonzero(np.isin(keys[0], shared))
        pairs = pl.DataFrame({"a": keys[0][suspects], "b": keys[1][suspects]})
        first = pairs.select(pl.struct("a", "b").is_first_distinct()).to_series().to_numpy()
        repeated[suspects] = ~first
    return repeated
