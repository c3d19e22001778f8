"""ONNX files as bytes: a node is found in them, or cut out, without the package ``onnx``.

Its import costs a server 60 MB and a fifth of a second, and all that is asked for here is the
arrays of one node that ``graph`` wrote. Protobuf's wire format is a sequence of fields, each a
number and its content: https://protobuf.dev/programming-guides/encoding. The numbers are those of
``onnx.proto``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS: Final = {_FIXED64: 8, _FIXED32: 4}
_GRAPH: Final = 7
_NODE, _INPUT = 1, 11
_NODE_INPUT, _NODE_OUTPUT, _NODE_TYPE, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_INT, _ATTRIBUTE_TENSOR, _ATTRIBUTE_INTS = 1, 3, 5, 8
_TENSOR_KIND, _TENSOR_RAW = 2, 9
_INTS_TAG: Final = _ATTRIBUTE_INTS << 3

KINDS: Final[Mapping[int, str]] = {1: "<f4", 2: "|u1", 7: "<i8", 11: "<f8"}
"""ONNX's numbers of element types to NumPy's names, where they are read here."""
FLOAT32, FLOAT64 = 1, 11

Content = int | bytes


class UnreadableError(Exception):
    """The bytes are no file of the kind that ``graph`` writes."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A node as it stands in a file; ``raw`` is its bytes."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    raw: bytes

    def attributes(self) -> dict[str, Any]:
        """Whole numbers, arrays of them (int64), and tensors, flat; others are left out."""
        found: dict[str, Any] = {}
        for number, content in _fields(self.raw):
            if number == _NODE_ATTRIBUTE:
                name, value = _attribute(_as_bytes(content))
                if value is not None:
                    found[name] = value
        return found


@dataclass(frozen=True, slots=True, eq=False)
class File:
    """The nodes of a file in their order; ``rest`` is everything else."""

    nodes: tuple[Node, ...]
    around: tuple[tuple[int, Content], ...]
    rest: tuple[tuple[int, Content], ...]

    def begin_behind(self, name: str, columns: int, kind: int, gone: tuple[Node, ...]) -> bytes:
        """The file without the nodes ``gone``, which takes (n, columns) called ``name``."""
        given = _field(1, name.encode()) + _field(2, _field(1, _tensor_type(kind, columns)))
        inner = [_field(_NODE, node.raw) for node in self.nodes if node not in gone]
        inner += [_field(number, content) for number, content in self.rest if number != _INPUT]
        inner.append(_field(_INPUT, given))
        outer = [_field(number, content) for number, content in self.around]
        return b"".join([*outer, _field(_GRAPH, b"".join(inner))])


def read_file(content: bytes) -> File:
    """The nodes of an ONNX file.

    Raises:
        UnreadableError: it is none.
    """
    try:
        around = [*_fields(content)]
        graph = next(_as_bytes(inner) for number, inner in around if number == _GRAPH)
        inner = [*_fields(graph)]
        nodes = tuple(_node(_as_bytes(each)) for number, each in inner if number == _NODE)
    except (StopIteration, ValueError, IndexError, KeyError) as error:
        raise UnreadableError(str(error)) from error
    return File(
        nodes,
        tuple(each for each in around if each[0] != _GRAPH),
        tuple(each for each in inner if each[0] != _NODE),
    )


def _node(raw: bytes) -> Node:
    fields = [*_fields(raw)]
    texts = {
        number: tuple(_as_bytes(each).decode() for own, each in fields if own == number)
        for number in (_NODE_INPUT, _NODE_OUTPUT, _NODE_TYPE)
    }
    (op,) = texts[_NODE_TYPE]
    return Node(op, texts[_NODE_INPUT], texts[_NODE_OUTPUT], raw)


def _attribute(raw: bytes) -> tuple[str, Any]:
    name, at = "", 0
    value: Any = None
    while at < len(raw):
        if raw[at] == _INTS_TAG:
            # One tag and one number after the other, to the end: too many to go one by one.
            pairs = _varints(raw[at:]).reshape(-1, 2)
            return name, pairs[pairs[:, 0] == _INTS_TAG, 1]
        number, content, at = _next(raw, at)
        if number == _ATTRIBUTE_NAME:
            name = _as_bytes(content).decode()
        elif number == _ATTRIBUTE_INT:
            value = content
        elif number == _ATTRIBUTE_TENSOR:
            value = _tensor(_as_bytes(content))
    return name, value


def _tensor(raw: bytes) -> npt.NDArray[Any] | None:
    fields = dict(_fields(raw))
    kind = KINDS.get(int(fields.get(_TENSOR_KIND, 0)))
    return None if kind is None else np.frombuffer(_as_bytes(fields.get(_TENSOR_RAW, b"")), kind)


def _fields(raw: bytes) -> Iterator[tuple[int, Content]]:
    at = 0
    while at < len(raw):
        number, content, at = _next(raw, at)
        yield number, content


def _next(raw: bytes, at: int) -> tuple[int, Content, int]:
    """A field's number, its content, and where the next field begins."""
    tag, at = _varint(raw, at)
    number, wire = tag >> 3, tag & 7
    if wire == _VARINT:
        value, at = _varint(raw, at)
        return number, value, at
    if wire == _BYTES:
        width, at = _varint(raw, at)
    else:
        width = _WIDTHS[wire]
    if at + width > len(raw):
        raise ValueError("a field is longer than the file")
    return number, raw[at : at + width], at + width


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _varints(raw: bytes) -> npt.NDArray[np.int64]:
    """Numbers that stand one behind the other: seven bits a byte, the last below 128."""
    held = np.frombuffer(raw, np.uint8)
    ends = np.flatnonzero(held < 0x80)
    starts = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(ends[-1] + 1) - np.repeat(starts, ends - starts + 1)
    parts = (held[: ends[-1] + 1] & 0x7F).astype(np.int64) << (7 * place)
    return np.add.reduceat(parts, starts)


def _as_bytes(content: Content) -> bytes:
    if isinstance(content, int):
        raise ValueError("a number stands where a message was expected")
    return content


def _tensor_type(kind: int, columns: int) -> bytes:
    rows = _field(1, b"")  # a dimension of no known size
    shape = rows + _field(1, _field(1, columns))
    return _field(1, kind) + _field(2, shape)


def _field(number: int, content: Content) -> bytes:
    if isinstance(content, int):
        return _write_varint(number << 3) + _write_varint(content)
    return _write_varint(number << 3 | _BYTES) + _write_varint(len(content)) + content


def _write_varint(value: int) -> bytes:
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
