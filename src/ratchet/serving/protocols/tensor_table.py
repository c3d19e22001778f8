"""Inputs of the Open Inference Protocol that are columns in JSON, read without a step for each row.

Decoded in one pass where every text is one that the model knows; otherwise column by column, so
that a new text costs its own column only. What is more than that is left to ``tensors``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ratchet.serving.problems import UNREADABLE
from ratchet.serving.protocols.tensors import Parameters, is_column
from ratchet.serving.rarely import Rarely

if TYPE_CHECKING:
    from ratchet.serving.asked import Asked
    from ratchet.serving.codec import Codec

MOST_COLUMNS: Final = 100
"""Of a table that is decoded in one pass: a type is made for each, 0.1 ms."""


_LIGHTER: Final = 8


class Wanted(msgspec.Struct):
    """An output that a request asks for."""

    name: str
    parameters: Parameters | None = None


class Envelope(msgspec.Struct):
    """The JSON of a request without its inputs."""

    id: str = ""
    parameters: Parameters | None = None
    outputs: list[Wanted] | None = None


class Column(msgspec.Struct):
    """An input whose data has not been looked at."""

    name: str
    datatype: str
    shape: list[int]
    data: msgspec.Raw
    parameters: Parameters | None = None


class _Untouched(Envelope, kw_only=True):
    inputs: list[Column]


class TensorReader:
    """Reads bodies for a codec."""

    def __init__(self, codec: Codec) -> None:
        self._columns = codec.by_column
        self._raw = msgspec.json.Decoder(_Untouched)
        self._whole: msgspec.json.Decoder[Any] | None = None
        # Where new texts are usual one pass is a waste.
        self._at_once = Rarely()

    @property
    def lighter(self) -> int:
        """How many times less work there is in a byte of a body than for ``tensors``.

        Dates are looked at one by one.
        """
        return 1 if self._columns.dated else _LIGHTER

    def read(self, body: bytes) -> tuple[Envelope, Sequence[Asked]] | None:
        """What a request says beside its inputs, and its rows; None for ``tensors`` to look."""
        if self._at_once.due():
            found = self._read_whole(body)
            if found is not None:
                self._at_once.worked()
                return found
            self._at_once.failed()
        try:
            told = self._raw.decode(body)
        except UNREADABLE:
            return None
        given = {each.name: each.data for each in told.inputs}
        rows = self._rows(told.inputs, [each.name for each in told.inputs])
        table = None if rows is None else self._columns.read(given, rows)
        return None if table is None else (told, table)

    def _read_whole(self, body: bytes) -> tuple[Envelope, Sequence[Asked]] | None:
        if len(self._columns.names) > MOST_COLUMNS:
            return None
        if self._whole is None:
            self._whole = self._make_whole()
        try:
            told = self._whole.decode(body)
        except UNREADABLE:
            return None
        names = [type(each).__struct_config__.tag for each in told.inputs]
        rows = self._rows(told.inputs, names)
        if rows is None:
            return None
        given = {name: each.data for name, each in zip(names, told.inputs, strict=True)}
        table = self._columns.hold(given, rows)
        return None if table is None else (told, table)

    def _make_whole(self) -> msgspec.json.Decoder[Any]:
        """A decoder for columns that are told apart by their name, each of its own type."""
        columns: list[Any] = [
            msgspec.defstruct(
                "Column",
                [
                    ("datatype", str),
                    ("shape", list[int]),
                    ("data", self._columns.type_of(name)),
                    ("parameters", Parameters | None, None),
                ],
                tag_field="name",
                tag=name,
                gc=False,
            )
            for name in self._columns.names
        ]
        # Not ``Union[...]``: typing keeps the last hundred of them, and all of their types.
        inputs: Any = GenericAlias(list, reduce(or_, columns))
        return msgspec.json.Decoder(
            msgspec.defstruct("Table", [("inputs", inputs)], bases=(Envelope,), kw_only=True)
        )

    def _rows(self, inputs: Sequence[Any], names: Sequence[str]) -> int | None:
        """How many rows there are; None where an input is more than a column of its own."""
        sizes = {size for each in inputs for size in each.shape}
        if len(sizes) != 1 or len(set(names)) != len(names):
            return None
        kinds = map(self._columns.kinds.get, names)
        if not all(is_column(each, kind) for each, kind in zip(inputs, kinds, strict=True)):
            return None
        return int(sizes.pop())
