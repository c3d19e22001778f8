"""A blend as files that score as training did: every member, and all of them together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.errors import RatchetError, StorageError
from ratchet.packaging.composite import open_exported
from ratchet.packaging.composition import COMPOSITION, Composition, Part
from ratchet.packaging.onnx import export_model
from ratchet.packaging.parity import TOLERANCE, compare_scores

if TYPE_CHECKING:
    from typing import Any

    import polars as pl

    from ratchet.training.blend import Blend, Member

_MODEL, _RECIPE = "model", "recipe"


@dataclass(frozen=True, slots=True)
class Export:
    """What was written.

    Attributes:
        folder: holds ``composition.json`` and the files it names.
        max_difference: the largest difference of the shipped scores to training's on the
            verified rows; of regression in shares of the target's spread (see ``parity``).
        refused: member to why the forms tried before its own were not taken.
    """

    composition: Composition
    folder: Path
    max_difference: float
    refused: Mapping[str, tuple[str, ...]]

    def to_json(self) -> dict[str, Any]:
        """The export as JSON, without the folder."""
        return {
            "composition": self.composition.to_json(),
            "max_difference": self.max_difference,
            "refused": {name: list(why) for name, why in self.refused.items()},
        }


def export_blend(blend: Blend, frame: pl.DataFrame, folder: Path) -> Export:
    """Write ``blend`` into ``folder``: models, recipes, and ``composition.json``.

    Args:
        blend: the trained blend.
        frame: raw rows to verify on, best all rows the model is judged by.
        folder: where to write; it exists and is empty.

    Raises:
        RatchetError: ``no_exact_form``: a member, which is named, or the whole has no form
            without pickle that scores as training did.
        StorageError: a file cannot be written.
    """
    recipes: dict[str, str] = {}
    refused: dict[str, tuple[str, ...]] = {}
    parts: list[Part] = []
    for place, member in enumerate(blend.members):
        part, why = _export_member(member, frame, folder, place, recipes)
        parts.append(part)
        if why:
            refused[member.name] = why
    composition = Composition(tuple(parts), blend.calibration)
    for text, name in recipes.items():
        _write(folder / name, text)
    _write(folder / COMPOSITION, _text(composition.to_json()))
    return Export(composition, folder, _verify(blend, frame, folder), refused)


def _export_member(
    member: Member, frame: pl.DataFrame, folder: Path, place: int, recipes: dict[str, str]
) -> tuple[Part, tuple[str, ...]]:
    """The member's model as a file; its recipe joins ``recipes`` (text to file name)."""
    try:
        form = export_model(
            member.fitted, member.recipe.matrix(frame), folder, stem=_numbered(_MODEL, place)
        )
    except RatchetError as error:
        if error.name != "no_exact_form":
            raise
        raise RatchetError(
            f"The candidate {member.name} cannot be shipped: no form without pickle scores as "
            "it does",
            why=error.why,
            fix=error.fix,
            code="no_exact_form",
        ) from error
    text = _text(member.recipe.to_json())
    recipe = recipes.setdefault(text, f"{_numbered(_RECIPE, len(recipes))}.json")
    part = Part(
        member.name, member.algorithm, form.kind, form.file.name, recipe, float(member.weight)
    )
    return part, form.refused


def _verify(blend: Blend, frame: pl.DataFrame, folder: Path) -> float:
    """The largest difference between the written model's scores and the blend's own."""
    parity = compare_scores(blend.score(frame), open_exported(folder).score(frame))
    if not parity.passed:
        raise RatchetError(
            "The blend cannot be shipped: together its files do not score as it does",
            why=f"within {TOLERANCE:g} was asked for; the scores differ by up to "
            f"{parity.max_difference:.1e} and {parity.labels_differ} of {parity.rows} labels",
            fix="train without an ensemble or without calibration, and report this",
            code="no_exact_form",
        )
    return parity.max_difference


def _numbered(stem: str, place: int) -> str:
    return stem if place == 0 else f"{stem}.{place}"


def _text(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise StorageError(
            f"The file {path.name} cannot be written",
            why=str(error.strerror or error),
            fix="check the folder's permissions and the free space",
            where=str(path.parent),
        ) from error
