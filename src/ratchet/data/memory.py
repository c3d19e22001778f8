"""How much memory there is, and how much of it the rows of a table take."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

UNKNOWN_MEMORY = 4 << 30
READ_ROWS, READ_BYTES = 1 << 17, 1 << 25
"""The most that is worth reading at once."""

_LOOKED_AT = 1_000
_CONTAINER = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def machine_memory() -> int:
    """Bytes of memory that this process may use: the machine's, or its container's if fewer."""
    try:
        most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        most = UNKNOWN_MEMORY
    for place in _CONTAINER:
        try:
            said = Path(place).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if said.isdigit():  # else "max": without a limit
            most = min(most, int(said))
    return most


def rows_at_once(scan: pl.LazyFrame) -> int:
    """How many rows of ``scan`` are worth reading at once."""
    return min(READ_ROWS, max(1_024, int(READ_BYTES / max(1.0, row_bytes(scan)))))


def row_bytes(scan: pl.LazyFrame) -> float:
    """About how many bytes a row takes in memory, by the first thousand."""
    # Not at the top: how much memory there is, is asked where nothing heavy is loaded.
    import polars as pl

    frame = scan.head(_LOOKED_AT).collect(engine="streaming")
    if not frame.height:
        return 0.0
    total = 0.0
    for series in frame.get_columns():
        if series.dtype == pl.String:
            # A view of 16 bytes each, and the bytes of texts too long to lie in it.
            lengths = series.str.len_bytes().fill_null(0)
            total += 16 * len(lengths) + float(lengths.filter(lengths > 12).sum() or 0)
        elif series.dtype == pl.Boolean:
            total += len(series) / 8
        else:
            total += len(series) * series.to_physical().to_numpy().itemsize
    return total / frame.height
