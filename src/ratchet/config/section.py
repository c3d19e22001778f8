"""The base of every settings section, and the few value types they share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of ``ratchet.yaml``: frozen, and unknown keys are refused.

    Every field carries ``Field(description=...)``: the reference page and
    ``ratchet config explain`` are generated from it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
