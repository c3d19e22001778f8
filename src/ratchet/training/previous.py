"""The model that serves, as far as training has to know it to make the next one from it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ratchet.training.blend import Blend


@dataclass(frozen=True, slots=True)
class PreviousMember:
    """A model of the blend that serves.

    ``name`` is the candidate's, with ``#2`` and so on for its further configurations; ``params``
    are those of its final fit, ``rounds`` included; ``recipe`` is as JSON; ``saved`` is what
    training can go on from, if it can.
    """

    name: str
    algorithm: str
    params: Mapping[str, Any]
    rounds: int | None
    weight: float
    recipe: Mapping[str, Any]
    saved: bytes | None = None

    @property
    def candidate(self) -> str:
        """The candidate's name in the project file."""
        return self.name.partition("#")[0]


@dataclass(frozen=True, slots=True)
class Previous:
    """The blend that serves: its members, and the method of its calibration if it has one."""

    members: tuple[PreviousMember, ...]
    calibration: str | None = None

    @classmethod
    def of(cls, blend: Blend) -> Previous:
        """What the next training has to know of ``blend``."""
        return cls(
            members=tuple(
                PreviousMember(
                    name=member.name,
                    algorithm=member.algorithm,
                    params=member.fitted.params,
                    rounds=member.fitted.rounds,
                    weight=member.weight,
                    recipe=member.recipe.to_json(),
                    saved=member.saved,
                )
                for member in blend.members
            ),
            calibration=None if blend.calibration is None else blend.calibration.method,
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON; saved models as base64."""
        return {
            "members": [
                {
                    "name": member.name,
                    "algorithm": member.algorithm,
                    "params": dict(member.params),
                    "rounds": member.rounds,
                    "weight": member.weight,
                    "recipe": dict(member.recipe),
                    "saved": None
                    if member.saved is None
                    else base64.b64encode(member.saved).decode("ascii"),
                }
                for member in self.members
            ],
            "calibration": self.calibration,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Previous:
        """What ``to_json`` wrote."""
        return cls(
            members=tuple(
                PreviousMember(
                    **{
                        **member,
                        "saved": None
                        if member["saved"] is None
                        else base64.b64decode(member["saved"]),
                    }
                )
                for member in raw["members"]
            ),
            calibration=raw["calibration"],
        )
