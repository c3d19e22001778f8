"""The keys a settings model knows: for refusals, ``config explain`` and the reference page."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ratchet.config.suggest import hint
from ratchet.errors import ConfigError


@dataclass(frozen=True, slots=True)
class FieldNode:
    """One key of the project file."""

    path: tuple[str, ...]
    type: str
    default: Any
    required: bool
    description: str

    @property
    def dotted(self) -> str:
        """The key as written on a command line."""
        return ".".join(self.path)


def walk(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[FieldNode]:
    """Every key of ``model``, sections before their keys."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        here = (*path, key)
        yield FieldNode(
            here,
            type_text(field.annotation),
            None if field.is_required() else field.get_default(call_default_factory=True),
            field.is_required(),
            field.description or "",
        )
        nested, many = nested_model(field.annotation)
        if nested is not None:
            yield from walk(nested, (*here, "<each>") if many else here)


def nested_model(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The section a field holds, and whether it holds many of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    origin = get_origin(annotation)
    for argument in get_args(annotation):
        found, many = nested_model(argument)
        if found is not None:
            return found, many or origin in (tuple, list, dict)
    return None, False


def section_names(model: type[BaseModel]) -> frozenset[str]:
    """The class names of all sections below ``model``: pydantic puts them into places."""
    names: set[str] = set()
    for field in model.model_fields.values():
        nested, _ = nested_model(field.annotation)
        if nested is not None:
            names |= {nested.__name__, *section_names(nested)}
    return frozenset(names)


def field_of(model: type[BaseModel], key: str) -> FieldInfo | None:
    """The field a key of the file names."""
    for name, field in model.model_fields.items():
        if key in (name, field.alias):
            return field
    return None


def keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys of one section, as written in the file."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


def is_replaced(model: type[BaseModel], path: Sequence[str | int]) -> bool:
    """Whether a mapping is replaced as a whole: its field is declared ``{"merge": "replace"}``."""
    field = _find(model, path)
    extra = field.json_schema_extra if field is not None else None
    return isinstance(extra, dict) and extra.get("merge") == "replace"


def is_secret(model: type[BaseModel], path: Sequence[str | int]) -> bool:
    """Whether a setting's value must not be shown: its field is declared with ``repr=False``."""
    field = _find(model, path)
    return field is not None and not field.repr


def _find(model: type[BaseModel], path: Sequence[str | int]) -> FieldInfo | None:
    """The field at the end of ``path``; None where a free key stands there."""
    current: type[BaseModel] | None = model
    field: FieldInfo | None = None
    for part in path:
        if isinstance(part, int):
            continue
        field = field_of(current, part) if current is not None else None
        if field is None:
            continue  # a free key of a dictionary of sections
        current, _ = nested_model(field.annotation)
    return field


def known_keys(model: type[BaseModel], path: Sequence[str | int]) -> tuple[str, ...]:
    """The keys known inside the section at ``path``; empty where any key may stand."""
    section = section_at(model, path)
    return () if section is None else keys_of(section)


def section_at(model: type[BaseModel], path: Sequence[str | int]) -> type[BaseModel] | None:
    """The section at ``path``; None where there is none."""
    current: type[BaseModel] | None = model
    for part in path:
        if current is None:
            return None
        if isinstance(part, int):
            continue
        field = field_of(current, part)
        if field is None:
            continue  # a free key of a dictionary of sections
        current, _ = nested_model(field.annotation)
    return current


def resolve_key(
    model: type[BaseModel], parts: Sequence[str], origin: str, *, exact: bool
) -> tuple[str, ...]:
    """The path that ``parts`` names.

    Environment variables are often written in capitals, so with ``exact=False`` a known key
    matches in any case; free keys (of a dictionary) are then taken in lower case unless they
    have a lower-case letter.

    Raises:
        ConfigError: no such key, with the nearest one.
    """
    current: type[BaseModel] | None = model
    path: list[str] = []
    for part in parts:
        if current is None:
            path.append(part.lower() if not exact and part.isupper() else part)
            continue
        known = {key if exact else key.lower(): key for key in keys_of(current)}
        key = known.get(part if exact else part.lower())
        if key is None:
            dotted = ".".join([*path, part if exact else part.lower()])
            raise ConfigError(
                f"Unknown key `{dotted}`",
                fix=hint(part, keys_of(current)),
                where=origin,
                code="unknown_key",
            )
        path.append(key)
        field = field_of(current, key)
        assert field is not None
        nested, many = nested_model(field.annotation)
        current = None if many else nested
    return tuple(path)


def type_text(annotation: Any) -> str:
    """A field's type as a person would write it."""
    if annotation is None or annotation is type(None):
        return "nothing"
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin is Literal:
        return " | ".join(str(value) for value in arguments)
    if origin in (Union, types.UnionType):
        return " | ".join(type_text(item) for item in arguments if item is not type(None))
    if origin in (tuple, list):
        return "list of " + type_text(arguments[0])
    if origin is dict:
        return f"mapping of {type_text(arguments[0])} to {type_text(arguments[1])}"
    if origin is not None and arguments:
        return type_text(arguments[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    names = {"str": "text", "int": "integer", "float": "number", "bool": "true | false"}
    name = getattr(annotation, "__name__", str(annotation))
    return names.get(name, "anything" if name in ("Any", "object") else name)
