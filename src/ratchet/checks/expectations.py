"""Reading a suite: expectations in Great Expectations' names and arguments.

Two forms are read, in ``ratchet.yaml`` and from code::

    - {expect_column_values_to_not_be_null: {column: age, mostly: 0.95}, severity: warn}
    - {type: expect_column_values_to_not_be_null, kwargs: {column: age}, severity: warn}

The second is what Great Expectations itself writes. Names and arguments are refused when they
are unknown; whether a column exists is only found when the suite runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

# Imported for what they register.
from ratchet.checks import aggregates, records, rows, tables  # noqa: F401
from ratchet.checks.arguments import REQUIRED
from ratchet.checks.report import Severity, shorten
from ratchet.checks.vocabulary import Definition, definitions
from ratchet.config.suggest import hint
from ratchet.errors import ConfigError

# Great Expectations' three words, and the two of ours.
_SEVERITIES: Final[Mapping[str, Severity]] = MappingProxyType(
    {"error": "error", "warn": "warn", "critical": "error", "warning": "warn", "info": "warn"}
)
# What suites carry for reports; it never changes a verdict.
_NOTES = frozenset({"meta", "notes", "description", "id", "rendered_content"})
_RUNTIME = frozenset({"batch_id", "result_format", "catch_exceptions"})
_ALIASES = MappingProxyType(
    {
        "expect_column_pair_values_A_to_be_greater_than_B": (
            "expect_column_pair_values_a_to_be_greater_than_b"
        )
    }
)


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expectation of a suite.

    Attributes:
        definition: what it means.
        arguments: every argument by name, defaults filled in.
        severity: whether a failure stops the run.
    """

    definition: Definition
    arguments: Mapping[str, Any]
    severity: Severity

    @property
    def name(self) -> str:
        """Great Expectations' name for it."""
        return self.definition.name

    @property
    def column(self) -> str | None:
        """The columns it is about, joined by ``", "``; None for the table."""
        named = [name for name, _ in self.definition.columns(self.arguments)]
        if not named and "column" in self.arguments:
            named = [self.arguments["column"]]
        return ", ".join(named) or None


def parse_suite(
    raw: Iterable[object], *, where: str | Callable[[int], str] = "checks.expectations"
) -> tuple[Expectation, ...]:
    """The suite that a list of raw expectations means.

    Args:
        raw: mappings, as read from YAML.
        where: the place to name in errors; or a function from an expectation's index (from 0)
            to its place.

    Raises:
        ConfigError: an expectation or argument is unknown, missing, or of a wrong type.
    """
    suite = []
    for index, item in enumerate(raw):
        place = where(index) if callable(where) else f"{where}[{index + 1}]"
        suite.append(_parse(item, place))
    return tuple(suite)


def known_expectations() -> Mapping[str, Definition]:
    """Every expectation of the vocabulary by name, for the reference page."""
    return MappingProxyType(dict(definitions()))


def _parse(item: object, place: str) -> Expectation:
    name, given, severity = _split(item, place)
    name = _ALIASES.get(name, name)
    definition = definitions().get(name)
    if definition is None:
        raise ConfigError(
            f"Unknown expectation `{shorten(name)}`",
            fix=hint(name, definitions()),
            where=place,
            code="unknown_expectation",
        )
    return Expectation(definition, _read(definition, given, place), _severity(severity, place))


def _split(item: object, place: str) -> tuple[str, Mapping[str, Any], object]:
    """An item's name, raw arguments and raw severity."""
    if not isinstance(item, Mapping):
        raise _malformed(f"{shorten(repr(item))} is no mapping", place)
    keys = {key: value for key, value in item.items() if key not in _NOTES}
    severity = keys.pop("severity", "error")
    if "type" in keys or "expectation_type" in keys:
        name = keys.pop("type", None) or keys.pop("expectation_type", None)
        given = keys.pop("kwargs", None) or {}
        if keys:
            raise _malformed(f"unknown key `{shorten(str(next(iter(keys))))}`", place)
    elif len(keys) == 1:
        name, given = next(iter(keys.items()))
        given = {} if given is None else given
    else:
        named = ", ".join(f"`{shorten(str(key))}`" for key in keys) or "none"
        raise _malformed(f"one name of an expectation is needed, found {named}", place)
    if not isinstance(name, str) or not isinstance(given, Mapping):
        raise _malformed("the arguments are no mapping of names to values", place)
    return name, given, severity


def _malformed(why: str, place: str) -> ConfigError:
    return ConfigError(
        "This is no expectation",
        why=why,
        fix="write it like {expect_column_values_to_not_be_null: {column: age}, severity: warn}",
        where=place,
        code="malformed_expectation",
    )


def _severity(value: object, place: str) -> Severity:
    if not isinstance(value, str) or value not in _SEVERITIES:
        raise ConfigError(
            f"Unknown severity {value!r}",
            fix="write error (stops the run) or warn (is only told)",
            where=place,
        )
    return _SEVERITIES[value]


def _read(definition: Definition, given: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    known = {argument.name: argument for argument in definition.arguments}
    for name in given:
        if name not in known and name not in _RUNTIME | _NOTES:
            raise _refused(definition, f"has no argument `{shorten(str(name))}`", place, name)
    arguments: dict[str, Any] = {}
    for name, argument in known.items():
        # Great Expectations writes null for what was not given.
        if given.get(name) is None:
            if argument.default is REQUIRED:
                raise _refused(definition, f"needs the argument `{name}`", place)
            arguments[name] = argument.default
            continue
        try:
            arguments[name] = argument.read(given[name])
        except ValueError as error:
            raise _refused(definition, f"argument `{name}` {error}", place) from None
    if definition.refuse is not None:
        try:
            definition.refuse(arguments)
        except ValueError as error:
            raise _refused(definition, str(error), place) from None
    return MappingProxyType(arguments)


def _refused(definition: Definition, why: str, place: str, name: str = "") -> ConfigError:
    known = [argument.name for argument in definition.arguments]
    return ConfigError(
        f"`{definition.name}` cannot be used like this",
        why=f"{definition.name} {why}" if why.startswith(("has", "needs")) else why,
        fix=hint(name, known) if name else f"its arguments are {', '.join(known)}",
        where=place,
        code="bad_expectation",
    )
