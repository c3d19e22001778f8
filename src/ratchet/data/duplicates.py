"""Rows that repeat an earlier row exactly."""

from __future__ import annotations

import polars as pl


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
