"""Columns as bytes: of few different values which of them each row has, and of numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, overload

import msgspec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

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


class PackedScores(msgspec.Struct, gc=False):
    """Lists of finite numbers, all of one length, in JSON: ``data`` (base64) has them as float64.

    Least byte first, a list behind the other. ValueError where they are not whole or not finite.
    """

    width: int
    data: bytes

    @classmethod
    def of(cls, scores: npt.NDArray[np.float64]) -> PackedScores:
        """The rows of a matrix (rows, width), finite."""
        return cls(scores.shape[1], scores.astype("<f8", copy=False).tobytes())

    def __post_init__(self) -> None:
        import numpy as np

        whole = self.width > 0 and len(self.data) % (8 * self.width) == 0
        if not whole or not np.isfinite(np.frombuffer(self.data, "<f8")).all():
            raise ValueError("packed scores are not whole, or not finite")

    def __len__(self) -> int:
        return len(self.data) // (8 * self.width)

    def values(self) -> list[list[float]]:
        """The numbers of each list."""
        import numpy as np

        lists: list[list[float]] = np.frombuffer(self.data, "<f8").reshape(-1, self.width).tolist()
        return lists


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
