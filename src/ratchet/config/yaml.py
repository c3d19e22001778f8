"""YAML with a memory: plain values, and for each one the file and line it came from.

Scalars follow the YAML 1.2 core schema, so ``on`` and ``no`` are words, ``1e-3`` is a
number and a date stays text. What readers disagree about (``012``, equal keys) is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ratchet.errors import ConfigError

KeyPath = tuple[str | int, ...]

_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_SPECIAL = {".inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan")}
_MAX_BYTES = 4_000_000
# The same grammar in C, where PyYAML was built with it.
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


def parse_scalar(text: str, place: Place) -> Any:
    """A plain (unquoted) scalar's value by the YAML 1.2 core schema."""
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if _INTEGER.match(text):
        return int(text)
    if _LEADING_ZERO.match(text):
        raise ConfigError(
            f"The number {text} starts with a zero",
            why="some readers take it as octal, others as decimal",
            fix=f'write it without the zero, or as text: "{text}"',
            where=str(place),
        )
    if _FLOAT.match(text):
        return float(text)
    return _SPECIAL.get(text.lower(), text)


def parse_value(text: str, origin: str) -> Any:
    """The value of ``--set key=TEXT`` or of an environment variable, written in YAML."""
    return _parse(text, origin, numbered=False)[0]


def read_yaml(path: Path, shown: str) -> tuple[dict[str, Any], dict[KeyPath, Place]]:
    """A YAML file's mapping and the place of every key and value in it.

    Args:
        path: the file.
        shown: the name to show in errors.

    Raises:
        ConfigError: the file is unreadable, no UTF-8, no YAML, or holds equal keys.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{shown} cannot be read", why=error.strerror or str(error), where=shown
        ) from None
    if len(raw) > _MAX_BYTES:
        raise ConfigError(f"{shown} is larger than {_MAX_BYTES // 1_000_000} MB", where=shown)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{shown} is not UTF-8",
            why=f"byte {error.start} is 0x{raw[error.start]:02x}",
            fix="save the file as UTF-8",
            where=f"{shown}:{line}",
        ) from None
    value, places = _parse(text, shown, numbered=True)
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise ConfigError(
            f"{shown} does not hold keys and values",
            fix="start it with `project: NAME`",
            where=f"{shown}:1",
        )
    return value, places


def _parse(text: str, shown: str, *, numbered: bool) -> tuple[Any, dict[KeyPath, Place]]:
    try:
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark and numbered else 0
        raise ConfigError(
            f"{shown} is not valid YAML",
            why=" ".join(part for part in (error.context, error.problem) if part),
            where=str(Place(shown, line)),
        ) from None
    except RecursionError:
        raise ConfigError(f"{shown} is nested too deeply", where=shown) from None
    except yaml.YAMLError as error:
        raise ConfigError(
            f"{shown} is not valid YAML", why=str(error).splitlines()[0], where=shown
        ) from None
    places: dict[KeyPath, Place] = {}
    if node is None:
        return None, places
    return _Reader(shown, places, numbered).read(node, ()), places


class _Reader:
    def __init__(self, shown: str, places: dict[KeyPath, Place], numbered: bool) -> None:
        self.shown = shown
        self.places = places
        self.numbered = numbered
        self.open: set[int] = set()
        self.read_nodes = 0

    def place(self, node: yaml.Node) -> Place:
        return Place(self.shown, node.start_mark.line + 1 if self.numbered else 0)

    def read(self, node: yaml.Node, path: KeyPath) -> Any:
        self.places.setdefault(path, self.place(node))
        self.read_nodes += 1
        if id(node) in self.open or self.read_nodes > 100_000:
            raise ConfigError(
                "An alias refers to itself or expands without end", where=str(self.place(node))
            )
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node)
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.read(item, (*path, i)) for i, item in enumerate(node.value)]
            assert isinstance(node, yaml.MappingNode)
            return self.mapping(node, path)
        finally:
            self.open.discard(id(node))

    def scalar(self, node: yaml.ScalarNode) -> Any:
        if node.style:  # the reader in C writes "" for plain, the other one None
            return node.value
        return parse_scalar(node.value, self.place(node))

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = self.place(key_node)
            merges = key_node.tag == "tag:yaml.org,2002:merge"
            if not isinstance(key_node, yaml.ScalarNode) or merges:
                raise ConfigError("A key must be a plain word", where=str(place))
            key = key_node.value
            if key in values:
                first = self.places[(*path, key)]
                raise ConfigError(
                    f"The key `{key}` is there twice",
                    why=f"it was set at {first} already",
                    fix="keep one of the two",
                    where=str(place),
                )
            self.places[(*path, key)] = place
            values[key] = self.read(value_node, (*path, key))
        return values
