"""What may be tuned of an algorithm: its parameters and their ranges."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dimension:
    """One parameter of a search space.

    ``low`` and ``high`` are inclusive bounds of a number, on a log scale with ``log``, whole
    with ``integer``; ``choices`` are values without order, and then there are no bounds.
    """

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    integer: bool = False
    choices: tuple[str | int | float | bool | None, ...] = ()

    def __post_init__(self) -> None:
        if not self.choices and not self.low < self.high:
            raise ValueError(f"{self.name}: the range {self.low} to {self.high} is empty")
        if self.log and self.low <= 0:
            raise ValueError(f"{self.name}: a log scale starts above 0")


Space = tuple[Dimension, ...]
