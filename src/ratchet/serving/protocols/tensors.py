"""Tensors of the Open Inference Protocol: in JSON, or in the binary form that Triton's clients use.

The binary form is the protocol's "binary tensor data extension": the body is JSON, whose length
a header tells, and behind it the data of the tensors that have a ``binary_data_size``: numbers
in little endian, texts each with its length in four bytes in front.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from ratchet.serving.http import ProblemError

if TYPE_CHECKING:
    from ratchet.data.schema import Kind
    from ratchet.serving.codec import Expected

BYTES, BOOL = "BYTES", "BOOL"
# Datatype to its code in the module struct.
_CODES = {
    "BOOL": "?",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
KNOWN = (*_CODES, BYTES)
"""Every datatype that is taken."""

# MLServer's names for texts inside of texts.
_ENCODED = ("base64", "pd_json")
_MOST_SIZES = 8
_NUMBERS = frozenset(_CODES) - {BOOL}
_TEXT = frozenset((BYTES,))

DATATYPES: dict[Kind, str] = {
    "integer": "INT64",
    "number": "FP64",
    "string": BYTES,
    "boolean": BOOL,
    "date": BYTES,
    "datetime": BYTES,
}
"""What a column of a kind is said to be; every width of a number is taken."""

_TAKEN: dict[Kind, frozenset[str]] = {
    "integer": _NUMBERS,
    "number": _NUMBERS,
    "string": _TEXT,
    "boolean": frozenset((BOOL,)),
    "date": _TEXT,
    "datetime": _TEXT,
}

Parameters = dict[str, Any]


class Tensor(msgspec.Struct):
    """An input of a request."""

    name: str
    datatype: str
    shape: list[int | float]
    data: Any = msgspec.UNSET
    parameters: Parameters | None = None

    def __post_init__(self) -> None:
        # 1.0 is an integer to JSON, and to those who write it so.
        if any(type(size) is float for size in self.shape):
            self.shape = [int(s) if s.is_integer() else -1 for s in map(float, self.shape)]


class Described(Protocol):
    """What an input says of its data."""

    datatype: str
    shape: list[int]
    parameters: Parameters | None


def is_column(tensor: Described, kind: Kind | None) -> bool:
    """Whether an input in JSON is the values of a column, of one of the types its kind may have."""
    told = tensor.parameters or {}
    taken = tensor.datatype in (KNOWN if kind is None else _TAKEN[kind])
    plain = told.keys() <= {"content_type"} and told.get("content_type") not in _ENCODED
    return taken and plain and len(tensor.shape) == 1


def read_columns(
    tensors: Sequence[Tensor], binary: bytes, columns: Sequence[Expected]
) -> dict[str, list[Any]]:
    """The values of each tensor by name, NaN as None; all of one length.

    Args:
        tensors: one for each column, of shape [n] or [n, 1]; or a single one of shape [n, k]
            with all k columns in the signature's order, when all of these are numbers.
        binary: what stands behind the JSON.

    Raises:
        ProblemError: 400, which names the tensor.
    """
    kinds = {column.name: column.kind for column in columns}
    found: dict[str, list[Any]] = {}
    at = 0
    for place, tensor in enumerate(tensors):
        field = f"inputs[{place}]"
        values, at = _values(tensor, binary, at, field)
        if tensor.name in found:
            raise _refuse(f'Two inputs are named "{tensor.name:.100}"', field)
        if len(tensors) == 1 and tensor.name not in kinds:
            found = _matrix(tensor, values, columns, field)
        else:
            _check_column(tensor, kinds.get(tensor.name), field)
            found[tensor.name] = values
    if at != len(binary):
        raise _refuse(f"{len(binary) - at} bytes stand behind the last tensor", "")
    lengths = {len(values) for values in found.values()}
    if len(lengths) > 1:
        told = " and ".join(f"{n}" for n in sorted(lengths))
        raise _refuse("The inputs have different lengths", "inputs", why=f"there are {told}")
    return found


def write_binary(values: Sequence[Any], datatype: str) -> bytes:
    """Values of a datatype in the binary form."""
    if datatype != BYTES:
        return struct.pack(f"<{len(values)}{_CODES[datatype]}", *values)
    texts = [value.encode() for value in values]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def _values(tensor: Tensor, binary: bytes, at: int, field: str) -> tuple[list[Any], int]:
    """The values of a tensor, flat, and where the next one's begin."""
    told = tensor.parameters or {}
    if tensor.datatype not in KNOWN:
        known = ", ".join(KNOWN)
        what = f'Datatype "{tensor.datatype:.20}" is not taken'
        raise _refuse(what, field, why=f"known are {known}")
    if len(tensor.shape) > _MOST_SIZES or any(not 0 <= s < 2**40 for s in tensor.shape):
        raise _refuse("The shape is no shape of rows", field)
    if told.get("content_type") in _ENCODED:
        raise _refuse("Texts are sent as they are", field, why="this tensor's are encoded")
    if "shared_memory_region" in told:
        raise _refuse("Shared memory is not supported", field, fix="send the data in the request")
    size = told.get("binary_data_size")
    if size is None:
        values = _flat(tensor.data, field)
    elif not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(binary) - at:
        raise _refuse("The body does not hold binary_data_size bytes for this tensor", field)
    else:
        values = _read_binary(binary[at : at + size], tensor, field)
        at += size
    if len(values) != prod(tensor.shape):
        shape = ", ".join(map(str, tensor.shape))
        what = f"{len(values)} values do not fill the shape [{shape}]"
        raise _refuse(what, field)
    return values, at


def _flat(data: Any, field: str) -> list[Any]:
    """Nested lists as one, in row-major order."""
    if not isinstance(data, list):
        raise _refuse("A tensor needs a list of data", f"{field}.data")
    values: list[Any] = data
    while any(isinstance(each, list) for each in values):
        if not all(isinstance(each, list) for each in values):
            raise _refuse("The data is nested unevenly", f"{field}.data")
        values = [value for part in values for value in part]
    return values


def _read_binary(raw: bytes, tensor: Tensor, field: str) -> list[Any]:
    if tensor.datatype == BYTES:
        return _read_texts(raw, field)
    code = _CODES[tensor.datatype]
    width = struct.calcsize(f"<{code}")
    if len(raw) % width:
        raise _refuse(f"{len(raw)} bytes are no whole number of {tensor.datatype}", field)
    values = struct.unpack(f"<{len(raw) // width}{code}", raw)
    if tensor.datatype.startswith("FP"):
        # NaN is how floats write a missing value.
        return [None if value != value else value for value in values]
    return list(values)


def _read_texts(raw: bytes, field: str) -> list[Any]:
    texts: list[Any] = []
    at = 0
    while at < len(raw):
        begin = at + 4
        at = begin + int.from_bytes(raw[at:begin], "little")
        if at > len(raw) or begin > len(raw):
            raise _refuse("A text is longer than the tensor's bytes", field)
        try:
            texts.append(raw[begin:at].decode())
        except UnicodeDecodeError as error:
            raise _refuse("A text is not UTF-8", field) from error
    return texts


def _check_column(tensor: Tensor, kind: Kind | None, field: str) -> None:
    """Refuse a shape or datatype that is not that of a column."""
    name = tensor.name
    if len(tensor.shape) not in (1, 2) or tensor.shape[1:] not in ([], [1]):
        shape = ", ".join(map(str, tensor.shape))
        raise _refuse(
            f'Input "{name:.100}" has shape [{shape}]',
            field,
            why="a column has shape [n] or [n, 1]",
        )
    if kind is not None and tensor.datatype not in _TAKEN[kind]:
        raise _refuse(
            f'Input "{name:.100}" must have datatype {DATATYPES[kind]}',
            field,
            why=f"it has {tensor.datatype}",
        )


def _matrix(
    tensor: Tensor, values: list[Any], columns: Sequence[Expected], field: str
) -> dict[str, list[Any]]:
    """All columns out of one tensor."""
    others = [column.name for column in columns if column.kind not in ("integer", "number")]
    if others:
        raise _refuse(
            f'Input "{tensor.name:.100}" is no column of the model',
            field,
            why=f'one tensor for all columns is for numbers only, and "{others[0]}" is none',
            fix="send one tensor for each column",
        )
    if tensor.datatype not in _NUMBERS:
        raise _refuse("A tensor for all columns must have a datatype of numbers", field)
    width = len(columns)
    if len(tensor.shape) != 2 or tensor.shape[1] != width:
        shape = ", ".join(map(str, tensor.shape))
        names = ", ".join(column.name for column in columns[:20])
        raise _refuse(
            f"The shape is [{shape}], and a tensor for all columns has [n, {width}]",
            field,
            why=f"the columns are {names}",
        )
    return {column.name: values[place::width] for place, column in enumerate(columns)}


def to_records(columns: Mapping[str, Iterable[Any]]) -> list[dict[str, Any]]:
    """Rows from columns of one length."""
    names = tuple(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _refuse(what: str, field: str, *, why: str = "", fix: str = "") -> ProblemError:
    return ProblemError(400, "bad_tensor", what, why=why, fix=fix, field=field)
