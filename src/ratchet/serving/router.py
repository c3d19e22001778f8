"""Which arm answers: the same one for the same entity, as long as its share does not shrink."""

from __future__ import annotations

from bisect import bisect_right
from hashlib import blake2b

from ratchet.ledger.layout import PARTS
from ratchet.ledger.traffic import Arm, Traffic


def part_of(salt: str, key: str) -> int:
    """Where a key lies among the ``PARTS`` parts of all keys: BLAKE2b of salt and key.

    Keys of one salt are spread evenly; another salt spreads them anew, independently.
    """
    told = f"{salt}\0{key}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(told, digest_size=8).digest()) * PARTS >> 64


class Router:
    """Picks the arm of a record for a key."""

    __slots__ = ("_arms", "_ends", "_only", "_salt")

    def __init__(self, traffic: Traffic) -> None:
        named = {arm.name: arm for arm in traffic.arms}
        self._salt = traffic.salt
        self._ends = [end for end, _ in traffic.layout]
        self._arms = [named[name] for _, name in traffic.layout]
        # Most of the time there is one arm and nothing to pick.
        self._only = self._arms[0] if len(self._arms) == 1 else None

    def pick(self, key: str) -> Arm:
        """The arm that answers for ``key``: an entity, or a prediction's id where there is none."""
        if self._only is not None:
            return self._only
        return self._arms[bisect_right(self._ends, part_of(self._salt, key))]
