"""From files, environment and ``--set`` to one validated settings object.

Rising order: ``ratchet.yaml``, ``ratchet.<environment>.yaml``, ``RATCHET__SECTION__KEY``
variables, ``--set section.key=value``. Every value keeps its origin, so that an error or a
report can say where a setting was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ratchet.config.fields import (
    field_of,
    is_replaced,
    is_secret,
    known_keys,
    resolve_key,
    section_at,
    section_names,
)
from ratchet.config.secrets import masked
from ratchet.config.suggest import hint
from ratchet.config.yaml import KeyPath, Place, parse_value, read_yaml
from ratchet.errors import ConfigError

PREFIX = "RATCHET__"

S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Origins:
    """Where each setting was made; what was not made is a default."""

    places: Mapping[KeyPath, Place]

    def of(self, *path: str | int) -> str:
        """The place of a setting, of the nearest part above it, or ``default``."""
        exact = self.places.get(path)
        if exact is not None:
            return str(exact)
        for length in range(len(path) - 1, 1, -1):
            place = self.places.get(path[:length])
            # A parent's own place counts only when it is no mapping with other keys in it.
            if place is not None and not any(
                key[:length] == path[:length] and len(key) > length for key in self.places
            ):
                return str(place)
        return "default"

    def locate(self, where: str) -> str:
        """``data.target`` as the file and line that set it; any other place as it is."""
        path = tuple(where.split("."))
        if (path[:1]) not in self.places or not all(part.isidentifier() for part in path):
            return where
        return f"{self.nearest(path)} ({where})"

    def nearest(self, path: KeyPath) -> str:
        """The place of a setting or of the closest thing around it, for an error."""
        for length in range(len(path), -1, -1):
            place = self.places.get(path[:length])
            if place is not None:
                return str(place)
        return ""


@dataclass(frozen=True, slots=True)
class Loaded(Generic[S]):
    """Validated settings and where each of them was made."""

    settings: S
    origins: Origins


def load_settings(
    model: type[S],
    files: Iterable[tuple[Path, str]],
    environment: Mapping[str, str],
    assignments: Iterable[str] = (),
) -> Loaded[S]:
    """Read, merge and validate.

    Args:
        model: the settings class.
        files: paths and the names to show for them, in rising order.
        environment: variables; those that start with ``RATCHET__`` are settings.
        assignments: texts ``section.key=value``, as of ``--set``.

    Raises:
        ConfigError: with file, line and the nearest known key.
    """
    merged: dict[str, Any] = {}
    places: dict[KeyPath, Place] = {}
    for path, shown in files:
        values, found = read_yaml(path, shown)
        merged = _merge(merged, values, (), model)
        places.update(found)
    for name in sorted(key for key in environment if key.startswith(PREFIX)):
        keys = resolve_key(model, name.removeprefix(PREFIX).split("__"), name, exact=False)
        _assign(merged, places, keys, environment[name], name, model)
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ConfigError(
                f"--set {text} is not of the form key=value",
                fix="write it like --set data.target=Churn",
                where="--set",
            )
        origin = f"--set {key.strip()}"
        keys = resolve_key(model, key.strip().split("."), origin, exact=True)
        _assign(merged, places, keys, value, origin, model)
    origins = Origins(places)
    try:
        return Loaded(model.model_validate(merged), origins)
    except ValidationError as error:
        raise _explain(error, model, origins) from None


def _merge(below: Any, above: Any, path: KeyPath, model: type[BaseModel]) -> Any:
    """``above`` laid over ``below``: sections key by key, all else in its place.

    A section of another ``type`` is another thing and replaces the one below, and so does a
    mapping whose field says so.
    """
    if isinstance(below, dict) and isinstance(above, dict):
        if "type" in above and above["type"] != below.get("type"):
            return above
        if is_replaced(model, path):
            return above
        result = dict(below)
        for key, value in above.items():
            result[key] = (
                _merge(result[key], value, (*path, key), model)
                if result.get(key) is not None
                else value
            )
        return result
    return above


def _assign(
    values: dict[str, Any],
    places: dict[KeyPath, Place],
    keys: tuple[str, ...],
    text: str,
    origin: str,
    model: type[BaseModel],
) -> None:
    value = parse_value(text, origin)
    below: Any = values
    for key in keys:
        below = below.get(key) if isinstance(below, dict) else None
    if below is not None:
        value = _merge(below, value, keys, model)
    merged = _put(values, keys, value)
    values.clear()
    values.update(merged)
    places[keys] = Place(origin, 0)


def _put(values: Any, keys: tuple[str, ...], value: Any) -> Any:
    """``values`` with ``value`` at the place that ``keys`` name."""
    if not keys:
        return value
    base = values if isinstance(values, dict) else {}
    return {**base, keys[0]: _put(base.get(keys[0]), keys[1:], value)}


def _explain(error: ValidationError, model: type[BaseModel], origins: Origins) -> ConfigError:
    """The first thing wrong, in words; the others are counted."""
    told = _by_key(error, model)
    # A mistyped key explains a missing one, so it is told first.
    path, problems = min(told.items(), key=lambda item: item[1][0]["type"] != "extra_forbidden")
    first = problems[0]
    dotted = ".".join(str(part) for part in path)
    others = len(told) - 1
    more = f" ({others} more after this one)" if others > 0 else ""
    where = origins.nearest(path)
    if first["type"] == "extra_forbidden":
        near = hint(str(path[-1]), known_keys(model, path[:-1]))
        return ConfigError(
            f"Unknown key `{dotted}`{more}", fix=near, where=where, code="unknown_key"
        )
    if first["type"] == "missing":
        return ConfigError(
            f"The setting `{dotted}` is missing{more}",
            fix=f"add `{path[-1]}`"
            + (f" under `{'.'.join(map(str, path[:-1]))}`" * (len(path) > 1)),
            where=where,
            code="missing_key",
        )
    message = _wanted([*dict.fromkeys(_said(each, model, path) for each in problems)])
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, ConfigError):
        return ConfigError(
            cause.what, why=cause.why, fix=cause.fix, where=cause.where or where, code=cause.name
        )
    got = first["input"]
    hidden = isinstance(got, dict | list) or is_secret(model, path)
    shown = "" if hidden or repr(got) in message else f", got {masked(got)!r}"
    label = f"The setting `{dotted}` is not right{more}" if dotted else f"The settings{more}"
    return ConfigError(label, why=message[:1].lower() + message[1:] + shown, where=where)


def _by_key(
    error: ValidationError, model: type[BaseModel]
) -> dict[tuple[str | int, ...], list[ErrorDetails]]:
    """The problems of each key. Where a key may be this or that, those of the likelier one.

    A section that was given, with something wrong in it, was not meant to be a word.
    """
    branches = section_names(model)
    found: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    for problem in error.errors(include_url=False):
        loc = problem["loc"]
        path = tuple(p for p in loc if p not in branches and not _is_internal(p))
        found.setdefault(path, []).append(problem)
    return {
        path: problems
        for path, problems in found.items()
        if not any(other[: len(path)] == path and other != path for other in found)
    }


def _wanted(said: Sequence[str]) -> str:
    """What each way of writing a value asks for, in one sentence."""
    first, *others = said
    return " or ".join([first, *(each.removeprefix("it should be ") for each in others)])


def _said(problem: ErrorDetails, model: type[BaseModel], path: Sequence[str | int]) -> str:
    """What should stand there, without the words of a programming language."""
    match problem["type"]:
        case "model_type" | "model_attributes_type" | "dict_type":
            keys = ", ".join(known_keys(model, path))
            return f"it should be a mapping of {keys}" if keys else "it should be a mapping"
        case "string_type":
            unit = _with_unit(problem["input"], model, path)
            if unit:
                return f"write a number and its unit, such as {unit}"
            return "it should be text; what looks like a number goes into quotes"
        case "literal_error":
            return f"it should be {problem['ctx']['expected']}"
    return problem["msg"].removeprefix("Value error, ")


def _with_unit(got: Any, model: type[BaseModel], path: Sequence[str | int]) -> str:
    """An example of what the key takes when it is a duration or a size; else empty."""
    section = section_at(model, path[:-1])
    if section is None or not isinstance(got, int | float) or isinstance(got, bool):
        return ""
    key = path[-1]
    try:
        section.model_validate({key: str(got)})
    except ValidationError as error:
        told = " ".join(each["msg"] for each in error.errors() if each["loc"] == (key,))
        field = field_of(section, str(key))
        usual = None if field is None else field.default
        for word, example in (("is no duration", "30m"), ("is no size", "50MB")):
            if word in told:
                return usual if isinstance(usual, str) else example
    return ""


def _is_internal(part: Any) -> bool:
    """Whether a part of pydantic's location is a union's branch, not a key of the file."""
    return isinstance(part, str) and (
        part.startswith("function-") or part.endswith("]") or part in _BRANCHES
    )


_BRANCHES = frozenset({"str", "int", "float", "bool", "none", "literal", "tuple", "dict", "list"})
