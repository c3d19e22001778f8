"""Checks the ``features`` section against the table, and orders computed features.

Called before any row is read (``ratchet check``) and again when a recipe is
fitted. Types are tried on an empty table, so that text compared with a number
is found before training.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.data.schema import Kind
from ratchet.errors import ConfigError
from ratchet.features.derive import Engine
from ratchet.features.derived import Derivation, DerivedFeature, SourceFile
from ratchet.features.expressions import parse_expression, place_of
from ratchet.features.functions import bind_parameters, load_source, read_functions
from ratchet.features.names import nearest_name

if TYPE_CHECKING:
    from ratchet.data.roles import Roles
    from ratchet.data.schema import TableSchema
    from ratchet.features.settings import FeaturesSettings, GenerateSettings

_NUMBERS = ("integer", "number", "boolean")
_GROUPS = ("string", "integer", "boolean")


def check_features(
    settings: FeaturesSettings, *, schema: TableSchema, roles: Roles, root: Path
) -> dict[str, Kind]:
    """Checks the whole section and returns every feature column with its kind.

    That is the raw feature columns and the computed ones, before encoding.

    Raises:
        ConfigError: a name, an expression, a function or a generator is wrong.
    """
    derivation = plan_derivation(settings, schema=schema, roles=roles, root=root)
    engine = Engine(derivation, usable_kinds(schema, roles))
    kinds = {name: schema.kind(name) for name in roles.features(schema)} | engine.kinds
    check_generators(settings.generate, kinds)
    return kinds


def plan_derivation(
    settings: FeaturesSettings, *, schema: TableSchema, roles: Roles, root: Path
) -> Derivation:
    """The computed features in an order in which each finds what it reads.

    Raises:
        ConfigError: an unknown column, a name used twice, a circle.
    """
    source = load_source(settings.functions, root) if settings.functions else None
    columns = tuple(usable_kinds(schema, roles))
    drafts = _read_all(settings, source, columns, schema)
    known = (*columns, *drafts)
    for name, (feature, where) in drafts.items():
        for column in feature.sources:
            if column == roles.target:
                raise ConfigError(
                    f'The feature "{name}" reads the target "{column}"',
                    why="It would know the answer",
                    where=where,
                )
            if column not in known:
                raise ConfigError(
                    f'The feature "{name}" reads "{column}", which is no column',
                    why=nearest_name(column, known),
                    where=where,
                )
    ordered = _in_order({name: feature for name, (feature, _) in drafts.items()})
    return Derivation(tuple(ordered), source)


def usable_kinds(schema: TableSchema, roles: Roles) -> dict[str, Kind]:
    """The columns that computed features may read: all but the target, with their kinds."""
    return {name: schema.kind(name) for name in schema.names if name != roles.target}


def check_generators(generate: GenerateSettings, kinds: Mapping[str, Kind]) -> None:
    """Checks that generators name feature columns of the right kind.

    Raises:
        ConfigError: an unknown column, or one of the wrong kind.
    """
    pairs = generate.interactions.columns if generate.interactions else None
    named: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
        ("squares", _listed(generate.squares), _NUMBERS),
        ("logs", _listed(generate.logs), _NUMBERS),
        ("interactions.columns", pairs or (), _NUMBERS),
        ("bins", tuple(generate.bins), _NUMBERS),
        ("frequency", generate.frequency, _GROUPS),
        ("target", generate.target, _GROUPS),
    )
    for setting, columns, allowed in named:
        where = f"features.generate.{setting}"
        for column in columns:
            if column not in kinds:
                raise ConfigError(
                    f'"{column}" is no feature column',
                    why=nearest_name(column, kinds),
                    where=where,
                )
            if kinds[column] not in allowed:
                raise ConfigError(
                    f'"{column}" holds a {kinds[column]}, which this generator cannot use',
                    fix=f"Name columns of these kinds: {', '.join(allowed)}",
                    where=where,
                )


def _listed(columns: bool | tuple[str, ...]) -> tuple[str, ...]:
    return () if isinstance(columns, bool) else columns


def _read_all(
    settings: FeaturesSettings,
    source: SourceFile | None,
    columns: tuple[str, ...],
    schema: TableSchema,
) -> dict[str, tuple[DerivedFeature, str]]:
    """Every computed feature with the place it is written, in the order of writing."""
    functions = read_functions(source) if source else ()
    names = (*columns, *settings.expressions, *(function.name for function in functions))
    drafts: dict[str, tuple[DerivedFeature, str]] = {}
    for name, text in settings.expressions.items():
        _, reads = parse_expression(name, text)
        _claim(name, place_of(name), drafts, schema)
        drafts[name] = (DerivedFeature(name, "expression", text, reads), place_of(name))
    for function in functions:
        _claim(function.name, function.where, drafts, schema)
        reads = tuple(dict.fromkeys(bind_parameters(function, names).values()))
        feature = DerivedFeature(function.name, "function", function.description, reads)
        drafts[function.name] = (feature, function.where)
    return drafts


def _claim(name: str, where: str, drafts: Mapping[str, object], schema: TableSchema) -> None:
    if name in schema.names or name in drafts:
        what = "a column" if name in schema.names else "another feature"
        raise ConfigError(
            f'The feature "{name}" has the name of {what}', fix="Rename it", where=where
        )


def _in_order(features: dict[str, DerivedFeature]) -> list[DerivedFeature]:
    ordered: dict[str, DerivedFeature] = {}
    path: list[str] = []

    def place(name: str) -> None:
        if name in ordered:
            return
        if name in path:
            circle = " → ".join([*path[path.index(name) :], name])
            raise ConfigError(
                f"The features {circle} read each other in a circle",
                fix="Let one of them read columns only",
                where="features",
            )
        path.append(name)
        for column in features[name].sources:
            if column in features:
                place(column)
        path.pop()
        ordered[name] = features[name]

    for name in features:
        place(name)
    return list(ordered.values())
