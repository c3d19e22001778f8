"""Durations and sizes as people write them: ``30m``, ``2d``, ``5ms``, ``50MB``."""

from __future__ import annotations

import re
from datetime import timedelta

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_FORM = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)\s*\Z")


def parse_duration(text: str) -> timedelta:
    """``"36h"`` as 36 hours. Units: ms, s, m, h, d, w.

    Raises:
        ValueError: not a number and a known unit, or nothing above zero.
    """
    match = _FORM.match(text)
    unit = match.group(2).lower() if match else ""
    if match is None or unit not in _SECONDS:
        raise ValueError(
            f"{text!r} is no duration: write a number and one of {', '.join(_SECONDS)}"
        )
    seconds = float(match.group(1)) * _SECONDS[unit]
    if seconds <= 0 or seconds > 3.2e9:
        raise ValueError(f"{text!r} is out of range: more than zero and less than a century")
    return timedelta(seconds=seconds)


def parse_size(text: str) -> int:
    """``"50MB"`` as 50,000,000 bytes. Units: B, kB, MB, GB (powers of 1000), KiB, MiB, GiB.

    Raises:
        ValueError: not a number and a known unit, or nothing above zero.
    """
    match = _FORM.match(text)
    unit = match.group(2).upper() if match else ""
    if match is None or unit not in _BYTES:
        raise ValueError(f"{text!r} is no size: write a number and one of B, kB, MB, GB")
    size = int(float(match.group(1)) * _BYTES[unit])
    if size <= 0:
        raise ValueError(f"{text!r} is no size: it must be more than zero")
    return size
