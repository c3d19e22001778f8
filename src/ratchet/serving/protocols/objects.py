"""JSON objects of the same fields over and over, made and written in C."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from ratchet.serving.row_types import is_awkward


@lru_cache(maxsize=64)
def object_maker(names: tuple[str, ...], *, numbers: bool = False) -> Callable[..., Any]:
    """A function from values to an object with these ``names``, to be written as JSON.

    Args:
        numbers: whether all values are floats, which msgspec then need not find out.
    """
    if any(is_awkward(name) for name in names):
        return lambda *values: dict(zip(names, values, strict=True))
    kind: Any = float if numbers else Any
    fields = [(f"c{place}", kind) for place in range(len(names))]
    spelled = {f"c{place}": name for place, name in enumerate(names)}
    return msgspec.defstruct("Object", fields, rename=spelled, gc=False)
