"""The project's ``features.py``: each public function is a feature.

A parameter's name is the column (or other feature) it receives as a Polars
expression; where a column's name is no Python name, underscores stand for the
other characters (``Monthly_Charges``). The docstring describes the feature::

    def charges_per_month(TotalCharges, tenure):
        "Average charge over the months the customer stayed."
        return TotalCharges / (tenure + 1)

The file's text is stored in the recipe and run again by every process that
loads the model, the server included: the same code computes the feature in
training and in serving. So a bundle with functions holds code that runs with
the server's rights. The recipe keeps the text's digest and the bundle's digest
covers the recipe, so the code cannot change unnoticed; whether it is to be
trusted is decided when the project is. The file stands alone: it may import
installed libraries but no other file of the project, as those are not stored.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl

from ratchet.errors import ConfigError
from ratchet.features.derived import SourceFile
from ratchet.features.names import nearest_name

_PLACE = "features.functions"


@dataclass(frozen=True, slots=True)
class FeatureFunction:
    """One public function of the file."""

    name: str
    parameters: tuple[inspect.Parameter, ...]
    description: str
    where: str
    call: Callable[..., Any]


def load_source(path: str, root: Path) -> SourceFile:
    """Reads the functions file ``path`` of the project at ``root``.

    Raises:
        ConfigError: it lies outside the project, is missing or is not UTF-8.
    """
    base = root.resolve()
    file = (base / path).resolve()
    if not file.is_relative_to(base):
        raise ConfigError(
            f"The functions file {path} lies outside the project",
            fix="Move it into the project's folder",
            where=_PLACE,
        )
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"The functions file {path} cannot be read",
            why=error.strerror or "",
            fix="Create it, or remove features.functions",
            where=_PLACE,
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"The functions file {path} is not UTF-8 text", why=str(error), where=_PLACE
        ) from error
    return SourceFile(file.relative_to(base).as_posix(), text)


def read_functions(source: SourceFile) -> tuple[FeatureFunction, ...]:
    """Runs the file and returns its public functions in the order they are written.

    Raises:
        ConfigError: it does not run, holds no function, or one cannot be called by name.
    """
    module = _run(source)
    found = [
        _describe(source, name, value)
        for name, value in vars(module).items()
        if inspect.isfunction(value)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    ]
    if not found:
        raise ConfigError(
            f"{source.path} defines no feature",
            why="Every function whose name does not start with _ is one",
            fix="Write a function, or remove features.functions",
            where=source.path,
        )
    return tuple(found)


def bind_parameters(function: FeatureFunction, names: tuple[str, ...]) -> dict[str, str]:
    """Which column or feature each parameter of ``function`` receives.

    Raises:
        ConfigError: a parameter without a default is no column or stands for several.
    """
    spelled: dict[str, list[str]] = {}
    for name in names:
        spelled.setdefault(re.sub(r"\W", "_", name), []).append(name)
    bound: dict[str, str] = {}
    for parameter in function.parameters:
        matches = [parameter.name] if parameter.name in names else spelled.get(parameter.name, [])
        if len(matches) == 1:
            bound[parameter.name] = matches[0]
        elif matches or parameter.default is parameter.empty:
            why = (
                f"It could be {' or '.join(map(repr, matches))}"
                if matches
                else nearest_name(parameter.name, names)
            )
            raise ConfigError(
                f'Parameter "{parameter.name}" of {function.name} is no column',
                why=why,
                fix="Name parameters after columns or other features",
                where=function.where,
            )
    if not bound:
        raise ConfigError(
            f"The function {function.name} takes no column",
            fix="Name its parameters after columns, or start its name with _",
            where=function.where,
        )
    return bound


def call_function(function: FeatureFunction, bound: Mapping[str, str]) -> pl.Expr:
    """The Polars expression ``function`` returns for the columns in ``bound``.

    Raises:
        ConfigError: it raises, or returns something else.
    """
    arguments = {parameter: pl.col(column) for parameter, column in bound.items()}
    try:
        result = function.call(**arguments)
    except Exception as error:
        path = function.where.rpartition(":")[0]
        raise ConfigError(
            f"The function {function.name} fails",
            why=f"{type(error).__name__}: {error}",
            where=_line_of(error, path) or function.where,
        ) from error
    if not isinstance(result, pl.Expr):
        raise ConfigError(
            f"The function {function.name} returns {type(result).__name__}",
            why="A feature is a Polars expression of its parameters",
            fix="Compute with the parameters, for example: return a / (b + 1)",
            where=function.where,
        )
    return result


def _run(source: SourceFile) -> ModuleType:
    # Registered, because dataclasses and typing look their module up by name.
    name = f"ratchet_features_{source.digest[:16]}"
    module = ModuleType(name)
    module.__file__ = source.path
    sys.modules[name] = module
    try:
        exec(compile(source.text, source.path, "exec"), module.__dict__)  # noqa: S102 - the user's own features, see the module's docstring
    except SyntaxError as error:
        raise ConfigError(
            f"{source.path} is not valid Python",
            why=error.msg,
            where=f"{source.path}:{error.lineno or 1}",
        ) from error
    except (Exception, SystemExit) as error:
        local = isinstance(error, ImportError)
        raise ConfigError(
            f"{source.path} fails when it is loaded",
            why=f"{type(error).__name__}: {error}",
            fix="It may import installed libraries, not other files of the project" * local,
            where=_line_of(error, source.path) or source.path,
        ) from error
    return module


def _describe(source: SourceFile, name: str, function: Any) -> FeatureFunction:
    where = f"{source.path}:{function.__code__.co_firstlineno}"
    if inspect.iscoroutinefunction(function):
        raise ConfigError(f"The function {name} is async", fix="Write def", where=where)
    parameters = tuple(inspect.signature(function).parameters.values())
    for parameter in parameters:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ConfigError(
                f"The function {name} has the parameter {parameter}",
                why="Each parameter must be the name of a column",
                where=where,
            )
    return FeatureFunction(name, parameters, inspect.getdoc(function) or "", where, function)


def _line_of(error: BaseException, path: str) -> str:
    """``path:line`` of the innermost line of the user's file; empty if there is none."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{path}:{line}" if line else ""
