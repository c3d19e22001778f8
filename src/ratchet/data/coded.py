"""Columns of few different values, held as which of them each row has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, overload

import msgspec

MOST_CODES: Final = 256
"""Different values that a byte tells apart."""


_EVERY_CODE: Final = bytes(range(MOST_CODES))
_WORTH: Final = 4
"""Rows for each different value, from which it takes less to name them once."""


class CodedColumn(msgspec.Struct, gc=False):
    """A column in JSON: ``at`` (base64) has a byte for each row, its value's place in ``of``.

    ValueError where a byte leads nowhere.
    """

    of: Sequence[Any]
    at: bytes

    def __post_init__(self) -> None:
        if self.at.translate(None, _EVERY_CODE[: len(self.of)]):
            raise ValueError("a coded column has a value that it does not name")

    def __len__(self) -> int:
        return len(self.at)

    def values(self) -> list[Any]:
        """The value of each row."""
        return [*map(self.of.__getitem__, self.at)]


class Coded(Sequence[Any]):
    """A column in memory; as a sequence it holds the values.

    Args:
        of: the different values, at most ``MOST_CODES``.
        at: a byte for each row: its value's place in ``of``.
    """

    __slots__ = ("at", "of")

    def __init__(self, of: Sequence[Any], at: bytes) -> None:
        self.of, self.at = of, at

    def __len__(self) -> int:
        return len(self.at)

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> Coded: ...
    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return Coded(self.of, self.at[place])
        return self.of[self.at[place]]

    def __iter__(self) -> Iterator[Any]:
        return map(self.of.__getitem__, self.at)

    def brief(self) -> CodedColumn | list[Any]:
        """What takes the fewest bytes as JSON: codes, or of few rows the values."""
        few = len(self.of) * _WORTH > len(self.at)
        return [*self] if few else CodedColumn(self.of, self.at)
