"""What a shipped model is made of: its members and their files, and what follows their scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.errors import DataError
from ratchet.training.calibrate import Calibration

if TYPE_CHECKING:
    from ratchet.packaging.scorers import Kind

COMPOSITION = "composition.json"


@dataclass(frozen=True, slots=True)
class Part:
    """One member as it is shipped.

    Attributes:
        name: the candidate's name.
        algorithm: what trained it.
        kind: the form its file has.
        file: the model's file, beside this one.
        recipe: the recipe's file; members that encode alike name the same.
        weight: its share in the mean of the members' scores; all sum to 1.
    """

    name: str
    algorithm: str
    kind: Kind
    file: str
    recipe: str
    weight: float


@dataclass(frozen=True, slots=True)
class Composition:
    """The members, and the calibration of the mean of their scores, if there is one."""

    members: tuple[Part, ...]
    calibration: Calibration | None = None

    @property
    def recipes(self) -> tuple[str, ...]:
        """The recipes' files, each once, in the order of the members."""
        return tuple(dict.fromkeys(part.recipe for part in self.members))

    @property
    def files(self) -> tuple[str, ...]:
        """Every file the members name, each once."""
        return tuple(dict.fromkeys([*self.recipes, *(part.file for part in self.members)]))

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The forms of the members, each once, in their order."""
        return tuple(dict.fromkeys(part.kind for part in self.members))

    def to_json(self) -> dict[str, Any]:
        """The composition as JSON."""
        return {
            "members": [asdict(part) for part in self.members],
            "calibration": None if self.calibration is None else self.calibration.to_json(),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Composition:
        """The composition that ``to_json`` wrote."""
        calibration = raw["calibration"]
        return cls(
            tuple(Part(**part) for part in raw["members"]),
            None if calibration is None else Calibration.from_json(calibration),
        )


def read_composition(folder: Path) -> Composition:
    """The composition that ``export_blend`` wrote into ``folder``.

    Raises:
        DataError: there is none.
    """
    try:
        return Composition.from_json(json.loads((folder / COMPOSITION).read_bytes()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"The folder {folder.name} holds no exported model",
            why=f"{COMPOSITION} cannot be read: {error}",
            where=str(folder),
            code="not_exported",
        ) from error


def composition_of_format_1(metadata: Mapping[str, Any]) -> Composition:
    """What a bundle of format 1 was made of: one model, one recipe, no calibration."""
    algorithm, model = metadata["algorithm"], metadata["model"]
    part = Part(algorithm, algorithm, model["kind"], model["file"], "recipe.json", 1.0)
    return Composition((part,))
