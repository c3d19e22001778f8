"""A moment by which work has to end, and what a fit does when it comes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ratchet import clock
from ratchet.errors import ConfigError

MORE_TIME = "raise training.tuning.time"
"""What to do where there was too little of it."""


class StoppedError(Exception):
    """A fit was given up because its deadline had passed; it leaves no model."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the monotonic clock, in seconds; infinity never comes.

    A fit asks between its rounds. With ``keep`` a fit that is late returns what it has learned so
    far, at least one round: the final fit has to give a model. Without, it raises
    :class:`StoppedError`: half a trial says nothing about its parameters.
    """

    at: float = math.inf
    keep: bool = False

    @classmethod
    def after(cls, seconds: float, *, keep: bool = False) -> Deadline:
        """The moment this many seconds from now."""
        return cls(clock.monotonic() + seconds, keep)

    @property
    def left(self) -> float:
        """Seconds until then, 0 when it has passed."""
        return max(0.0, self.at - clock.monotonic())

    @property
    def over(self) -> bool:
        """Whether the moment has come."""
        return clock.monotonic() >= self.at

    def check(self) -> None:
        """Raise :class:`StoppedError` when the moment has come and nothing is to be kept."""
        if not self.keep and self.over:
            raise StoppedError("its time was up")


NEVER = Deadline()


def out_of_time(what: str, why: str) -> ConfigError:
    """The error for when there is no model because the time was up."""
    return ConfigError(
        what, why=why, fix=MORE_TIME, where="training.tuning.time", code="out_of_time"
    )
