"""What each column of the matrix is, in words for a model card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ratchet.features.derived import Derivation, DerivedFeature
from ratchet.features.encoders.bands import BandEncoder
from ratchet.features.encoders.encoder import Encoder
from ratchet.features.encoders.lookup import LookupEncoder
from ratchet.features.encoders.numeric import NumericEncoder


@dataclass(frozen=True, slots=True)
class FeatureNote:
    """One column of the matrix.

    Args:
        name: its name.
        sources: the raw columns it comes from.
        kind: what its numbers are: number, code, one-hot, target mean and so on.
        description: how it is made, with the text of its expression or docstring.
    """

    name: str
    sources: tuple[str, ...]
    kind: str
    description: str

    def to_json(self) -> dict[str, object]:
        """The note as JSON."""
        return asdict(self) | {"sources": list(self.sources)}


_TERMS = {
    "value": "number",
    "square": "square",
    "log1p": "logarithm",
    "product": "product",
    "since": "days since the first training date",
}


def describe_features(
    encoders: Sequence[Encoder], derivation: Derivation
) -> tuple[FeatureNote, ...]:
    """One note per column of the matrix, in order."""
    derived = {feature.name: feature for feature in derivation.features}
    notes = []
    for encoder in encoders:
        columns = tuple(dict.fromkeys(slot.column for slot in encoder.sources))
        sources = tuple(dict.fromkeys(raw for c in columns for raw in _raw(c, derived)))
        texts = [_text(derived[column]) for column in columns if column in derived]
        for place, name in enumerate(encoder.columns):
            kind, how = _made(encoder, place)
            notes.append(FeatureNote(name, sources, kind, "; ".join([how, *texts])))
    return tuple(notes)


def _raw(column: str, derived: dict[str, DerivedFeature]) -> list[str]:
    """The raw columns behind ``column``, which may be computed of computed ones."""
    if column not in derived:
        return [column]
    return [raw for source in derived[column].sources for raw in _raw(source, derived)]


def _text(feature: DerivedFeature) -> str:
    text = " ".join(feature.text.split())
    learned = ", ".join(f"{key} = {value}" for key, value in feature.constants)
    where = "SQL" if feature.origin == "expression" else "function"
    text = f"{feature.name} ({where}): {text}" if text else f"{feature.name} ({where})"
    return f"{text} with {learned}" if learned else text


def _made(encoder: Encoder, place: int) -> tuple[str, str]:
    """What kind of number the column at ``place`` holds, and how it is made."""
    read = " and ".join(slot.column for slot in encoder.sources)
    if isinstance(encoder, NumericEncoder):
        if place:
            return "indicator", f"1 where {read} is missing"
        view = encoder.sources[0].view
        kind = view if encoder.term == "value" and view != "number" else _TERMS[encoder.term]
        what = read if kind == "number" else f"{kind} of {read}"
        filled = "" if encoder.fill is None else f", missing filled with {encoder.fill:g}"
        scaled = "" if encoder.mean is None else ", standardised"
        return kind, f"{what}{filled}{scaled}"
    if isinstance(encoder, BandEncoder):
        edges = ", ".join(f"{edge:g}" for edge in encoder.edges)
        return "band", f"band of {read} between the edges {edges}"
    if isinstance(encoder, LookupEncoder) and encoder.label == "one-hot":
        return encoder.label, f"1 where {encoder.columns[place].replace('=', ' is ', 1)}"
    return encoder.label, f"{encoder.label} of {read}, {len(encoder.categories)} known"
