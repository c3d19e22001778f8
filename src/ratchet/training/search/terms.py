"""What a search may take, in time and in trials."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratchet.training.search.engine import Search


@dataclass(frozen=True, slots=True)
class Terms:
    """What a search may take.

    ``trials`` in all, None without a limit. A ``timed`` one has to be over at the moment of the
    monotonic clock that ``ends`` gives, and one on more rows that follows at ``ends_at_last``: the
    moment comes earlier when the models found so far take longer to fit on all rows. ``elapsed``
    are seconds that a search which is gone on with has had before.
    """

    trials: int | None
    timed: bool = False
    ends: Callable[[Search], float] = lambda _: math.inf
    ends_at_last: Callable[[Search], float] = lambda _: math.inf
    elapsed: float = 0.0
