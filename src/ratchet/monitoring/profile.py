"""The reference profile of a model version, and windows of rows counted in its bins.

A profile is made once, from the rows that the model learned from and the scores it gave to rows
that it did not learn from; it goes into the bundle. A window counts any number of rows in the
profile's bins: windows of workers, files and hours add up to exactly the window of all their
rows, in any order (sums of values up to rounding). Scoring a window costs the same at any number
of rows; see ``drift.py``.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ratchet.data.schema import Kind, kind_of
from ratchet.errors import DataError
from ratchet.monitoring.binning import bin_levels, bin_numbers
from ratchet.monitoring.cells import CellTable
from ratchet.monitoring.columns import NUMBERS, NumberColumn, ProfileColumn
from ratchet.monitoring.packing import pack, pack_column, unpack, unpack_column
from ratchet.monitoring.tallies import (
    NumberTally,
    Tally,
    count_levels,
    empty_tally,
    number_values,
    tally_levels,
    tally_numbers,
)
from ratchet.packaging.predictions import class_name

if TYPE_CHECKING:
    import numpy.typing as npt

    from ratchet.data.task import Label

SCORE, LABEL = "__score", "__label"
"""The columns of what a model answers: its score (the positive class'; the estimate of a
regression; with several classes ``__score:<class>`` for each), and the label it decided on."""

FILE = "profile.bin"
"""The profile's name in a bundle."""

_WORTH_A_TABLE = 4_000
_PROFILE_MARK, _WINDOW_MARK = b"ratchet-profile-1\n", b"ratchet-window-1\n"


def answer_columns(
    classes: Sequence[Label], scores: npt.NDArray[np.float64], labels: Sequence[Any] | None
) -> dict[str, pl.Series]:
    """What a model answered, as columns of a profile or of a window.

    A label's level is its text, or as JSON writes it (``true``, ``1``).

    Args:
        classes: in the order of the scores; none for regression.
        scores: (n, k); for regression (n, 1).
        labels: the classes that were decided (n,); None for regression.
    """
    if len(classes) > 2:
        found = {f"{SCORE}:{label}": scores[:, at] for at, label in enumerate(classes)}
    else:
        found = {SCORE: scores[:, -1]}
    columns = {name: pl.Series(name, values) for name, values in found.items()}
    if labels is not None:
        columns[LABEL] = pl.Series(LABEL, [None if x is None else class_name(x) for x in labels])
    return columns


@dataclass(frozen=True, eq=False)
class Profile:
    """What a model's rows looked like when it was made; immutable.

    Attributes:
        columns: the raw input columns, then those of the answers.
        rows: training rows.
        importance: of input columns to the model, at least 0; empty when not known.
        past: what calibrates thresholds before there are live windows; see ``thresholds.py``.
    """

    columns: Mapping[str, ProfileColumn]
    rows: int
    importance: Mapping[str, float] = field(default_factory=dict)
    past: Mapping[str, Any] = field(default_factory=dict)

    def window(self) -> Window:
        """An empty window."""
        return Window(self)

    @cached_property
    def digest(self) -> str:
        """16 hex digits of the bins: windows with the same ones can be added."""
        found = sha256()
        for name, column in self.columns.items():
            found.update(f"{name}\0{column.kind}\0{column.slots}\0".encode("utf-8", "replace"))
            if isinstance(column, NumberColumn):
                found.update(column.edges.tobytes())
            else:
                found.update("\0".join(column.levels).encode("utf-8", "surrogatepass"))
        return found.hexdigest()[:16]

    def table(self, column: NumberColumn) -> CellTable:
        """The table that finds a column's bins, made once (half a megabyte)."""
        made = self._tables.get(column.name)
        if made is None:
            made = self._tables[column.name] = CellTable.of(column.edges, column.centre)
        return made

    @cached_property
    def _tables(self) -> dict[str, CellTable]:
        return {}

    def to_bytes(self) -> bytes:
        """The profile as bytes; equal profiles give equal bytes."""
        facts: list[dict[str, Any]] = []
        arrays: list[npt.NDArray[Any]] = []
        for column in self.columns.values():
            told, held = pack_column(column)
            facts.append(told)
            arrays.extend(held)
        head = {
            "rows": self.rows,
            "importance": dict(self.importance),
            "past": dict(self.past),
            "columns": facts,
        }
        return pack(_PROFILE_MARK, head, arrays)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Profile:
        """The profile that ``to_bytes`` wrote.

        Raises:
            DataError: it is something else.
        """
        head, arrays = unpack(_PROFILE_MARK, raw, "The reference profile")
        left = iter(arrays)
        columns = [unpack_column(facts, left) for facts in head["columns"]]
        return cls(
            {column.name: column for column in columns},
            head["rows"],
            head["importance"],
            head["past"],
        )


class Window:
    """Rows counted in a profile's bins.

    Attributes:
        profile: whose bins.
        rows: rows that were folded in.
        tallies: for each column of the profile; one of a column that no frame had is empty.
    """

    __slots__ = ("profile", "rows", "tallies")

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.rows = 0
        self.tallies: dict[str, Tally] = {
            name: empty_tally(column) for name, column in profile.columns.items()
        }

    def fold(self, frame: pl.DataFrame) -> None:
        """Count the rows of a frame; a column of the profile that it lacks is left out."""
        present = [column for name, column in self.profile.columns.items() if name in frame.columns]
        # All columns are counted before any is added: a fault leaves the window as it was.
        counted = {column.name: self._tally(column, frame[column.name]) for column in present}
        for name, tally in counted.items():
            self.tallies[name].add(tally)
        self.rows += frame.height

    def _tally(self, column: ProfileColumn, values: pl.Series) -> Tally:
        if not isinstance(column, NumberColumn):
            return tally_levels(column, values)
        table = self.profile.table(column) if len(values) > _WORTH_A_TABLE else None
        return tally_numbers(column, values, table)

    def add(self, other: Window) -> None:
        """Count another window's rows as well.

        Raises:
            DataError: it has the bins of another profile.
        """
        if self.profile is not other.profile and self.profile.digest != other.profile.digest:
            raise _other_bins()
        for name, held in self.tallies.items():
            held.add(other.tallies[name])
        self.rows += other.rows

    def to_bytes(self) -> bytes:
        """The window as bytes: the bins that hold rows, compressed."""
        facts: list[dict[str, Any]] = []
        arrays: list[npt.NDArray[Any]] = []
        for held in self.tallies.values():
            filled = np.flatnonzero(held.counts).astype(np.uint16)
            arrays += [filled, held.counts[filled]]
            told: dict[str, Any] = {"missing": held.missing}
            if isinstance(held, NumberTally):
                arrays.append(held.sums[filled])
            else:
                told["fresh"] = held.fresh
            facts.append(told)
        head = {"rows": self.rows, "bins": self.profile.digest, "columns": facts}
        return zlib.compress(pack(_WINDOW_MARK, head, arrays), 6)

    @classmethod
    def from_bytes(cls, raw: bytes, profile: Profile) -> Window:
        """The window that ``to_bytes`` wrote, of the same profile.

        Raises:
            DataError: it is something else, or of another profile.
        """
        try:
            head, arrays = unpack(_WINDOW_MARK, zlib.decompress(raw), "A window")
        except zlib.error as error:
            raise DataError(
                "A window cannot be read", why=str(error), code="profile_unreadable"
            ) from error
        if head["bins"] != profile.digest:
            raise _other_bins()
        found, left = cls(profile), iter(arrays)
        for held, told in zip(found.tallies.values(), head["columns"], strict=True):
            filled = next(left)
            held.counts[filled] = next(left)
            held.missing = told["missing"]
            if isinstance(held, NumberTally):
                held.sums[filled] = next(left)
            else:
                held.fresh = told["fresh"]
        found.rows = head["rows"]
        return found


def build_profile(
    frame: pl.DataFrame,
    kinds: Mapping[str, Kind],
    *,
    answers: Mapping[str, pl.Series] | None = None,
    importance: Mapping[str, float] | None = None,
    past: Mapping[str, Any] | None = None,
) -> Profile:
    """The profile of training rows; the same rows give the same one.

    Args:
        frame: the rows.
        kinds: the columns to hold and their kinds, in order.
        answers: what ``answer_columns`` gave for rows that the model did not learn from; they may
            be other rows than those of ``frame``.
        importance: of input columns to the model.
        past: what ``past_distances`` gave, where the rows have an order in time.
    """
    columns = [build_column(name, kind, frame[name]) for name, kind in kinds.items()]
    for name, values in (answers or {}).items():
        columns.append(build_column(name, kind_of(values.dtype), values))
    weights = {name: max(0.0, float(value)) for name, value in (importance or {}).items()}
    return Profile({column.name: column for column in columns}, frame.height, weights, past or {})


def build_column(name: str, kind: Kind, values: pl.Series) -> ProfileColumn:
    """One column of a profile."""
    if kind in NUMBERS:
        return bin_numbers(name, kind, number_values(values, kind).astype(np.float64))
    counted, missing = count_levels(values)
    return bin_levels(name, kind, counted, missing)


def _other_bins() -> DataError:
    return DataError(
        "These windows cannot be added",
        why="they were counted in the bins of different profiles",
        fix="add only windows of one model version",
        code="other_profile",
    )
