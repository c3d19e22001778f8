"""The rows a run works on: those of one version that are neither left out nor repeated.

They lie in memory (:class:`KeptTable`), or, where they are too many for that, in the lake and are
read in pieces whenever they are needed (:class:`KeptScan`). What is computed of them is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from ratchet.data.duplicates import repeated_keys, repeated_rows, row_keys
from ratchet.data.memory import rows_at_once
from ratchet.data.roles import Roles
from ratchet.data.sampling import chosen_rows
from ratchet.data.settings import DataSettings

UNUSED = 255
"""Stands for a part where a stored row is in none: it is left out, or repeats an earlier one."""

Mask = npt.NDArray[np.bool_]
Parts = npt.NDArray[np.uint8]


class KeptRows(Protocol):
    """Rows in stored order, read as often as it takes."""

    @property
    def rows(self) -> int:
        """How many there are."""
        ...

    @property
    def duplicates(self) -> int:
        """How many were dropped because they repeat an earlier one."""
        ...

    @property
    def left_out(self) -> int:
        """How many the sample left out."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column, in order."""
        ...

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """All rows, piece by piece."""
        ...

    def select(self, columns: Sequence[str]) -> pl.DataFrame:
        """Some columns of all rows, in memory."""
        ...

    def spread(self, parts: Parts) -> Parts:
        """``parts`` (rows,) over all stored rows; ``UNUSED`` for those that are not kept."""
        ...

    def aligned(self, parts: Parts) -> tuple[pl.LazyFrame, pl.Series]:
        """Rows to be scanned, and the part of each; stored rows without a part may be there too."""
        ...


@dataclass(frozen=True, slots=True)
class KeptTable:
    """Kept rows in memory; ``kept`` says which of the stored rows they are, None for all."""

    frame: pl.DataFrame
    duplicates: int
    left_out: int
    kept: Mask | None = None

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.frame.height

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column, in order."""
        return tuple(self.frame.columns)

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """All rows at once."""
        yield self.frame if columns is None else self.frame.select(columns)

    def select(self, columns: Sequence[str]) -> pl.DataFrame:
        """Some columns."""
        return self.frame.select(columns)

    def spread(self, parts: Parts) -> Parts:
        """``parts`` over all stored rows."""
        return _spread(parts, self.kept)

    def aligned(self, parts: Parts) -> tuple[pl.LazyFrame, pl.Series]:
        """The rows and their parts."""
        return self.frame.lazy(), pl.Series(parts)


@dataclass(frozen=True, slots=True)
class KeptScan:
    """Kept rows that stay in the lake; ``scan`` gives all stored rows."""

    scan: pl.LazyFrame
    rows: int
    duplicates: int
    left_out: int
    kept: Mask | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column, in order."""
        return tuple(self.scan.collect_schema().names())

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows, some of the stored ones at a time."""
        return read_rows(self.scan, self.kept, columns)

    def select(self, columns: Sequence[str]) -> pl.DataFrame:
        """Some columns of all rows."""
        return gather(self.scan, self.kept, columns)

    def spread(self, parts: Parts) -> Parts:
        """``parts`` over all stored rows."""
        return _spread(parts, self.kept)

    def aligned(self, parts: Parts) -> tuple[pl.LazyFrame, pl.Series]:
        """All stored rows and their parts."""
        return self.scan, pl.Series(self.spread(parts))


def keep_in_memory(scan: pl.LazyFrame, data: DataSettings) -> KeptTable:
    """The rows of ``scan`` that are kept, in memory."""
    frame, kept = _sampled(scan, data)
    left_out = 0 if kept is None else int(len(kept) - kept.sum())
    if data.duplicates == "keep":
        return KeptTable(frame, 0, left_out, kept)
    repeated = repeated_rows(frame)
    dropped = int(repeated.sum())
    if not dropped:
        return KeptTable(frame, 0, left_out, kept)
    first = (~repeated).to_numpy()
    return KeptTable(frame.filter(~repeated), dropped, left_out, _within(kept, first))


def keep_in_lake(scan: pl.LazyFrame, data: DataSettings) -> KeptScan:
    """The rows of ``scan`` that are kept, found in one pass; none of them stays in memory."""
    fraction, drop = data.sample or 1.0, data.duplicates != "keep"
    roles, seed = Roles.of(data), data.split.seed
    rows, chosen, keys = 0, [], []
    if fraction >= 1 and not drop:
        rows = int(scan.select(pl.len()).collect(engine="streaming").item())
        return KeptScan(scan, rows, 0, 0)
    for chunk in read_rows(scan):
        rows += chunk.height
        if fraction < 1:
            chosen.append(chosen_rows(chunk, fraction, roles, seed))
            chunk = chunk.filter(pl.Series(chosen[-1]))
        if drop:
            keys.append(row_keys(chunk))
    kept = np.concatenate(chosen) if chosen else None
    left_out = 0 if kept is None else int(rows - kept.sum())
    if keys:
        repeated = repeated_keys(np.concatenate(keys, axis=1))
        if dropped := int(repeated.sum()):
            kept = _within(kept, ~repeated)
            return KeptScan(scan, rows - left_out - dropped, dropped, left_out, kept)
    return KeptScan(scan, rows - left_out, 0, left_out, kept)


def _sampled(scan: pl.LazyFrame, data: DataSettings) -> tuple[pl.DataFrame, Mask | None]:
    """The sample that is to be worked on, and which of the rows it is; None for all."""
    fraction = data.sample or 1.0
    if fraction >= 1:
        return scan.collect(), None
    roles, seed = Roles.of(data), data.split.seed
    frames, chosen = [], []
    for chunk in read_rows(scan):
        chosen.append(chosen_rows(chunk, fraction, roles, seed))
        frames.append(chunk.filter(pl.Series(chosen[-1])))
    if not frames:
        return scan.collect(), None
    return pl.concat(frames), np.concatenate(chosen)


def read_rows(
    scan: pl.LazyFrame, wanted: Mask | None = None, columns: Sequence[str] | None = None
) -> Iterator[pl.DataFrame]:
    """The ``wanted`` rows (all if None) of a scan in order, piece by piece; no piece is empty."""
    if columns is not None:
        scan = scan.select(columns)
    start = 0
    size = rows_at_once(scan)
    for chunk in scan.collect_batches(chunk_size=size, maintain_order=True, lazy=True):
        end = start + chunk.height
        if wanted is not None and not (here := wanted[start:end]).all():
            # Filtered texts hold on to the memory of all texts of the chunk; gathered ones do not.
            chunk = chunk[np.flatnonzero(here)]
        start = end
        if chunk.height:
            yield chunk


def gather(
    scan: pl.LazyFrame, wanted: Mask | None, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """The ``wanted`` rows of a scan in memory; the others never lie there at once."""
    found = list(read_rows(scan, wanted, columns))
    if not found:
        return (scan if columns is None else scan.select(columns)).head(0).collect()
    return pl.concat(found)


def _spread(parts: Parts, kept: Mask | None) -> Parts:
    if kept is None:
        return parts
    stored = np.full(len(kept), UNUSED, dtype=np.uint8)
    stored[kept] = parts
    return stored


def _within(kept: Mask | None, again: Mask) -> Mask:
    """Of the rows that were ``kept``, those that are ``again``."""
    if kept is None:
        return again
    both = kept.copy()
    both[kept] = again
    return both
