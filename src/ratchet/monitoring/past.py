"""Distances of blocks of the training rows in the order of time, kept with the profile.

Before a model version has windows of its own, they tell how far parts of its data usually lie
from the whole. Blocks of several sizes are held, as fewer rows lie further apart by chance, and
a shorter time differs more from the rest than a longer one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import pi, sqrt
from typing import Any

import numpy as np
import polars as pl

from ratchet.monitoring.columns import LevelColumn, ProfileColumn
from ratchet.monitoring.profile import Profile
from ratchet.monitoring.statistics import JS_GROUPS, js_by_chance
from ratchet.monitoring.thresholds import (
    ALPHA,
    FEWEST_WINDOWS,
    FLOORS,
    Thresholds,
    distance,
    limits_of,
)

PARTS = (16, 64, 256)
"""Into how many blocks the rows are cut."""

_BLOCKS = 16
_BLOCK_ROWS = 200
# The mean square of Kolmogorov's distribution.
_KOLMOGOROV = pi * pi / 12


def past_distances(profile: Profile, *frames: pl.DataFrame) -> dict[str, Any]:
    """What ``thresholds_at`` needs of the rows of a profile.

    Args:
        profile: of the frames' rows.
        frames: each in the order of time, and with some of the profile's columns: the training
            rows, and those that were scored.

    Returns:
        A JSON object: for each frame and size the rows of a block, and by column the distances
        of up to 16 blocks from the other rows, and the largest missing share.
    """
    return {"frames": [_sizes(profile, frame) for frame in frames]}


def _sizes(profile: Profile, frame: pl.DataFrame) -> list[dict[str, Any]]:
    sizes = []
    for parts in PARTS:
        rows = frame.height // parts
        if rows < _BLOCK_ROWS:
            break
        chosen = np.linspace(0, parts - 1, _BLOCKS).round().astype(int)
        sizes.append(_blocks(profile, frame, rows, [int(place) * rows for place in chosen]))
    return sizes


def _blocks(profile: Profile, frame: pl.DataFrame, rows: int, starts: list[int]) -> dict[str, Any]:
    found: dict[str, list[float]] = {}
    missing: dict[str, float] = {}
    for start in starts:
        window = profile.window()
        window.fold(frame.slice(start, rows))
        for name, column in profile.columns.items():
            tally = window.tallies[name]
            if tally.counts.any():
                # Five digits are more than any threshold needs, and keep the file small.
                found.setdefault(name, []).append(
                    float(f"{distance(column, tally, within=True):.5g}")
                )
            if tally.rows:
                share = float(f"{tally.missing / tally.rows:.5g}")
                missing[name] = max(missing.get(name, 0.0), share)
    return {"rows": rows, "distances": found, "missing": missing}


def thresholds_at(
    profile: Profile,
    rows: int,
    *,
    alpha: float = ALPHA,
    floors: Mapping[str, float] = FLOORS,
) -> Thresholds | None:
    """Thresholds for windows of about ``rows`` rows; None where the profile holds no past.

    The largest blocks of no more rows are taken; what of their distances is due to chance is
    brought to the window's number of rows, what is due to time is left as it is.
    """
    found: dict[str, list[float]] = {}
    missing: dict[str, float] = {}
    for sizes in profile.past.get("frames", ()):
        if not sizes:
            continue
        fitting = [each for each in sizes if each["rows"] <= rows]
        block = max(fitting, key=_rows_of) if fitting else min(sizes, key=_rows_of)
        for name, distances in block["distances"].items():
            if len(distances) >= FEWEST_WINDOWS:
                column = profile.columns[name]
                found[name] = _resized(column, distances, block["rows"], rows)
        missing |= block["missing"]
    if not found:
        return None
    limits = limits_of(found, profile, alpha, floors)
    return Thresholds(limits, missing, _BLOCKS, rows, "training")


def _rows_of(block: Mapping[str, Any]) -> int:
    return int(block["rows"])


def _resized(column: ProfileColumn, found: Sequence[float], block: int, rows: int) -> list[float]:
    """Blocks' distances as those of windows of another number of rows.

    What of their mean square chance does not explain is due to time, and stays; the spread of
    their logarithms is taken over as it is.
    """
    before, after = _by_chance(column, block) ** 2, _by_chance(column, rows) ** 2
    lasting = max(0.0, sum(each * each for each in found) / len(found) - before)
    factor = sqrt((lasting + after) / (lasting + before))
    return [each * factor for each in found]


def _by_chance(column: ProfileColumn, rows: int) -> float:
    if isinstance(column, LevelColumn):
        return js_by_chance(max(2, min(len(column.levels), JS_GROUPS)), (column.present, rows))
    return sqrt(_KOLMOGOROV * (1 / max(column.present, 1) + 1 / rows))
