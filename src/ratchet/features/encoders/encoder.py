"""The encoders there are, and how to read one back from JSON."""

from __future__ import annotations

from typing import Any, TypeAlias

from ratchet.features.encoders.bands import BandEncoder
from ratchet.features.encoders.lookup import LookupEncoder
from ratchet.features.encoders.numeric import NumericEncoder

Encoder: TypeAlias = NumericEncoder | LookupEncoder | BandEncoder

_KNOWN: dict[str, type[NumericEncoder] | type[LookupEncoder] | type[BandEncoder]] = {
    "numeric": NumericEncoder,
    "lookup": LookupEncoder,
    "bands": BandEncoder,
}


def encoder_from_json(data: dict[str, Any]) -> Encoder:
    """The encoder an encoder's ``to_json`` wrote; KeyError for an unknown kind."""
    return _KNOWN[data["encoder"]].from_json(data)
