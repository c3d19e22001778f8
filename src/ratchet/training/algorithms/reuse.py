"""What a fit leaves for the next one on the same rows: binned data sets, sums of products.

The search keeps one cache per fold (``TrainingRows.cache``). Measured on Telco (4,800 x 19):
binning takes LightGBM 19 ms of a fit of 235 ms.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TypeVar

from ratchet.training.fitted import TrainingRows

Made = TypeVar("Made")
MOST_KEPT = 8
"""Entries per cache; with other binning parameters the oldest goes."""


def reuse(rows: TrainingRows, key: Hashable, make: Callable[[], Made]) -> Made:
    """What ``make`` gives, kept in the cache of ``rows`` under ``key``, if there is a cache.

    Each thread has its own: the libraries do not promise that two fits may read the same binned
    data at once.
    """
    cache = rows.cache
    if cache is None:
        return make()
    whole_key = (threading.get_ident(), key)
    kept: Made | None = cache.get(whole_key)
    if kept is not None:
        return kept
    made = make()
    for old in list(cache)[: max(0, len(cache) + 1 - MOST_KEPT)]:
        cache.pop(old, None)
    cache[whole_key] = made
    return made
