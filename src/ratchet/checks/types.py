"""The type names that suites use (Python, NumPy, pandas, SQL, Spark) and the kinds they mean."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ratchet.checks.arguments import read_names, read_text
from ratchet.config.suggest import hint

_NAMES: dict[str, tuple[str, ...]] = {
    "integer": (
        *("int", "int64", "integer", "int_", "longlong", "int64dtype", "bigint"),
        *("long", "longtype", "int8type", "integertype"),
    ),
    "number": (
        *("float", "float64", "float_", "double", "number", "numeric", "decimal", "real"),
        *("float64dtype", "double_precision", "doubletype", "floattype", "decimaltype"),
    ),
    "string": (
        *("str", "string", "str_", "object", "object_", "o", "unicode", "text", "varchar"),
        *("char", "stringdtype", "stringtype", "character varying"),
    ),
    "boolean": ("bool", "bool_", "boolean", "booleandtype", "booleantype"),
    "date": ("date", "datetype"),
    "datetime": (
        *("datetime", "datetime64", "timestamp", "datetime64[ns]", "datetime64[us]"),
        *("timestamptype", "timestamp_ntz", "timestamp without time zone", "datetime64[ms]"),
    ),
}
# Types no column of ours has: a suite may name them, and then they are never met.
_NEVER = frozenset(
    {"int8", "int16", "int32", "uint8", "uint16", "uint32", "uint64", "smallint", "tinyint"}
    | {"float16", "float32", "complex", "complex64", "complex128", "bytes", "list", "dict"}
    | {"category", "categoricaldtype", "timedelta", "timedelta64", "nonetype", "none"}
    | {"timestamptz", "timestamp with time zone", "datetimetzdtype", "time", "binary", "json"}
)
_KINDS = {name: kind for kind, names in _NAMES.items() for name in names}


def read_type(value: Any) -> str:
    """A type's name."""
    text = read_text(value)
    if not _known(text):
        raise ValueError(f"must be a type's name and {text!r} is none: {hint(text, _KINDS)}")
    return text


def read_types(value: Any) -> tuple[str, ...]:
    """A list of types' names, of which one at least is known."""
    names = read_names(value)
    if not any(_known(name) for name in names):
        raise ValueError(f"must name a known type: {hint(names[0], _KINDS)}")
    return names


def kinds_of_types(names: Iterable[str]) -> frozenset[str]:
    """The column kinds that the type names mean."""
    return frozenset(_KINDS[name.lower()] for name in names if name.lower() in _KINDS)


def _known(name: str) -> bool:
    return name.lower() in _KINDS or name.lower() in _NEVER
