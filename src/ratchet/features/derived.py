"""Features computed from columns before encoding, as stored values.

An SQL expression or a function of the project's ``features.py``, with the
constants it learned and the column kind it gives. Nothing here runs them:
``derive.py`` does, and only it needs Polars.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ratchet.data.schema import Kind
from ratchet.errors import DataError
from ratchet.ids import digest_of


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The text of a ``features.py`` and the path it had in the project."""

    path: str
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return digest_of(self.text)


@dataclass(frozen=True, slots=True)
class DerivedFeature:
    """One computed column.

    Args:
        name: the feature's name.
        origin: where its code is.
        text: the SQL text, or the function's docstring.
        sources: the columns and features it reads.
        constants: each aggregate of the SQL text and what training learned for
            it; None where no training row had a value.
        kind: what kind of column it gives.
    """

    name: str
    origin: Literal["expression", "function"]
    text: str
    sources: tuple[str, ...]
    constants: tuple[tuple[str, float | None], ...] = ()
    kind: Kind = "number"


@dataclass(frozen=True, slots=True)
class Derivation:
    """All computed columns, in an order in which each finds what it reads."""

    features: tuple[DerivedFeature, ...] = ()
    source: SourceFile | None = None

    def to_json(self) -> dict[str, Any]:
        """The derivation as JSON, with the source text itself."""
        source = self.source
        return {
            "features": [
                {
                    "name": feature.name,
                    "origin": feature.origin,
                    "text": feature.text,
                    "sources": list(feature.sources),
                    "constants": [list(constant) for constant in feature.constants],
                    "kind": feature.kind,
                }
                for feature in self.features
            ],
            "source": source
            and {"path": source.path, "sha256": source.digest, "text": source.text},
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Derivation:
        """The derivation that :meth:`to_json` wrote.

        Raises:
            DataError: the source text is not the one the digest was made of.
        """
        stored = data["source"]
        source = SourceFile(stored["path"], stored["text"]) if stored else None
        if source is not None and source.digest != stored["sha256"]:
            raise DataError(
                f"The recipe's copy of {source.path} was changed after training",
                fix="Use the model's bundle as it was written, or train again",
                code="recipe_changed",
            )
        features = tuple(
            DerivedFeature(
                name=item["name"],
                origin=item["origin"],
                text=item["text"],
                sources=tuple(item["sources"]),
                constants=tuple((key, value) for key, value in item["constants"]),
                kind=item["kind"],
            )
            for item in data["features"]
        )
        return cls(features, source)
