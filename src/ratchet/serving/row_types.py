"""The struct a row is read into: msgspec decodes and checks it in one pass."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ratchet.serving.inspection import HIGHEST, LONGEST_ID, LOWEST

if TYPE_CHECKING:
    from ratchet.serving.codec import Expected

STRICT: Final[dict[str, Any]] = {
    "integer": Annotated[int, Meta(ge=LOWEST, le=HIGHEST)] | None,
    "number": float | None,
    "string": str | None,
    "boolean": bool | None,
    "date": str | None,
    "datetime": str | None,
}
"""What a value of a kind is read as; of dates only that they are text."""
ID: Final[Any] = Annotated[str, Meta(max_length=LONGEST_ID)] | int | None
TEXT_OR_NUMBER: Final[Any] = str | int | float | None
"""What a column may hold that the model does not read."""
_AWKWARD: Final = re.compile(r'[\x00-\x1f"\\]')


def is_awkward(name: str) -> bool:
    """Whether msgspec can have no field of this name."""
    return _AWKWARD.search(name) is not None


def make_row_types(
    columns: Sequence[Expected],
    also: Sequence[str],
    id_column: str | None,
    types: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[type[msgspec.Struct], type[msgspec.Struct]]:
    """The struct of a row, and one that takes unknown columns and lets go of them.

    Their fields are ``c0``, ``c1`` and so on, with the columns' names in JSON. A column of an
    awkward name has a stand-in there, which the class's ``renamed`` leads back from.

    Args:
        columns: what a row holds.
        also: what it may hold, in the fields behind them.
        id_column: the one of ``also`` that names the entity.
        types: of a column's values, where they are not its kind's.
    """
    names = [each.name for each in columns] + list(also)
    fields: list[Any] = [
        (
            f"c{place}",
            types.get(each.name) or STRICT[each.kind],
            *(() if each.required else (None,)),
        )
        for place, each in enumerate(columns)
    ]
    for place, name in enumerate(also, len(columns)):
        kind = ID if name == id_column else TEXT_OR_NUMBER
        fields.append((f"c{place}", kind | UnsetType, UNSET))
    stand_ins = {name: f"\ue000{place}" for place, name in enumerate(names) if is_awkward(name)}
    row = msgspec.defstruct(
        "Row",
        fields,
        namespace={"renamed": {other: name for name, other in stand_ins.items()}},
        rename={f"c{place}": stand_ins.get(name, name) for place, name in enumerate(names)},
        forbid_unknown_fields=True,
        gc=False,
    )
    lax = msgspec.defstruct("Lax", [], bases=(row,), forbid_unknown_fields=False, gc=False)
    return row, lax
