"""Runs computed features on a table: expressions and functions, the same for one row.

An :class:`Engine` is built from a derivation and the kinds of the raw columns;
building it finds out each feature's type on an empty table. Results leave it
in the kinds of the data package; NaN and infinity are null, before a feature
reads them and after it is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl
from polars.exceptions import PanicException, PolarsError

from ratchet.data.schema import KINDS, Kind, polars_type
from ratchet.errors import ConfigError, DataError, RatchetError
from ratchet.features.derived import Derivation, DerivedFeature
from ratchet.features.expressions import (
    build_expression,
    first_line,
    learn_constants,
    parse_expression,
    place_of,
)
from ratchet.features.functions import (
    FeatureFunction,
    bind_parameters,
    call_function,
    read_functions,
)
from ratchet.features.sql import Expression

TYPES: dict[Kind, pl.DataType] = {kind: polars_type(kind) for kind in KINDS}
_DAY = 86_400e6
_PROBES, _FEW = 32, 1_000


class Engine:
    """Computes the features of ``derivation`` on tables with the columns ``kinds``.

    Args:
        derivation: the features, in order.
        kinds: the raw columns they may read.

    Raises:
        ConfigError: a feature cannot be computed from columns of these kinds.
    """

    def __init__(self, derivation: Derivation, kinds: Mapping[str, Kind]) -> None:
        self.derivation = derivation
        self._functions: dict[str, FeatureFunction] = {}
        if derivation.source is not None:
            self._functions = {item.name: item for item in read_functions(derivation.source)}
        made = {feature.name for feature in derivation.features}
        read = {column for feature in derivation.features for column in feature.sources}
        self.inputs: dict[str, Kind] = {
            name: kind for name, kind in kinds.items() if name in read - made
        }
        self._row = {name: TYPES[kind] for name, kind in self.inputs.items()}
        self.kinds: dict[str, Kind] = {}
        self._expressions: dict[str, Expression] = {}
        self._levels: list[list[pl.Expr]] = []
        self._depth: dict[str, int] = {}
        self._names = (*kinds, *made)
        self._empty = pl.DataFrame(schema={name: TYPES[kind] for name, kind in kinds.items()})
        for feature in derivation.features:
            self._add(feature)

    def apply(self, frame: pl.DataFrame) -> pl.DataFrame:
        """``frame`` (canonical types) with a column added for each feature.

        Raises:
            DataError: a feature fails on these rows.
        """
        return self._run(self._prepared(frame))

    def apply_row(self, values: Mapping[str, object]) -> dict[str, object]:
        """The features of one row, from the canonical ``values`` of its ``inputs``.

        Raises:
            DataError: a feature fails on this row, or a text is no Unicode.
        """
        try:
            frame = pl.DataFrame(
                [tuple(values[name] for name in self.inputs)], schema=self._row, orient="row"
            )
        except UnicodeEncodeError as error:
            raise DataError("A text of this row is no valid Unicode", why=str(error)) from error
        row = self._run(frame).row(0, named=True)
        return {name: row[name] for name in self.kinds}

    def fit(self, frame: pl.DataFrame) -> tuple[Derivation, pl.DataFrame]:
        """Learns the constants on the training rows and applies the features to them.

        Returns:
            The derivation with constants and kinds, and the table with features.

        Raises:
            ConfigError: a feature cannot be computed, or looks at other rows.
        """
        learned: list[DerivedFeature] = []
        table = self._prepared(frame)
        for feature in self.derivation.features:
            expression = self._expressions.get(feature.name)
            constants = learn_constants(feature.name, expression, table) if expression else {}
            fitted = replace(
                feature, constants=tuple(constants.items()), kind=self.kinds[feature.name]
            )
            learned.append(fitted)
            built = self._built(fitted, constants)
            table = self._computed(table, fitted, self._finished(table, fitted, built))
        derivation = replace(self.derivation, features=tuple(learned))
        if derivation.source is not None:
            # SQL is row-wise by what sql.py lets through; Python may do anything.
            Engine(derivation, self._raw_kinds()).check_alone(table)
        return derivation, table

    def check_alone(self, table: pl.DataFrame) -> None:
        """Checks on up to 32 rows that a row alone gives what it gives in ``table``.

        Raises:
            ConfigError: a feature looks at other rows, as a rank or a sum would.
        """
        names = [feature.name for feature in self.derivation.features]
        step = max(1, table.height // _PROBES)
        rows = [*range(0, table.height, step)][:_PROBES]
        raw = table.drop(names)
        alone = [self.apply(raw.slice(row, 1)).select(names) for row in rows]
        if not alone:
            return
        together, single = table[rows].select(names), pl.concat(alone)
        for name in names:
            if not together[name].equals(single[name], null_equal=True):
                raise ConfigError(
                    f'The feature "{name}" looks at other rows',
                    why="Alone, a row gives another value than in the training table; "
                    "a served row is alone",
                    fix="Use row-wise operations; learned constants such as median(x) belong in "
                    "features.expressions",
                    where=self._place(name),
                )

    def _run(self, frame: pl.DataFrame) -> pl.DataFrame:
        try:
            for level in self._levels:
                # For few rows, handing expressions to threads costs more than they take.
                few = frame.height <= _FEW
                frame = frame.with_columns_seq(level) if few else frame.with_columns(level)
        except (PolarsError, PanicException) as error:
            raise DataError(
                "A computed feature fails on these rows",
                why=first_line(error),
                fix="Guard the expression, for example with CASE WHEN",
                where="features",
            ) from error
        return frame

    def _raw_kinds(self) -> dict[str, Kind]:
        made = {feature.name for feature in self.derivation.features}
        kinds = {dtype: kind for kind, dtype in TYPES.items()}
        return {n: kinds[t] for n, t in self._empty.schema.items() if n not in made}

    def _place(self, name: str) -> str:
        function = self._functions.get(name)
        return function.where if function else place_of(name)

    def _prepared(self, frame: pl.DataFrame) -> pl.DataFrame:
        numbers = [name for name, kind in self.inputs.items() if kind == "number"]
        return frame.with_columns(_finite(pl.col(name)) for name in numbers)

    def _add(self, feature: DerivedFeature) -> None:
        constants = dict(feature.constants)
        if feature.origin == "expression":
            dates = [name for name, dtype in self._empty.schema.items() if dtype.is_temporal()]
            expression, _ = parse_expression(feature.name, feature.text, dates)
            self._expressions[feature.name] = expression
            # The types are wanted, and that the aggregates are of numbers; 1 is as good as any.
            tried = learn_constants(feature.name, expression, self._empty)
            constants = constants or dict.fromkeys(tried, 1.0)
        built = self._finished(self._empty, feature, self._built(feature, constants))
        self._empty = self._computed(self._empty, feature, built)
        dtype = self._empty.schema[feature.name]
        self.kinds[feature.name] = next(kind for kind, known in TYPES.items() if known == dtype)
        depth = 1 + max((self._depth.get(name, -1) for name in feature.sources), default=-1)
        self._depth[feature.name] = depth
        while len(self._levels) <= depth:
            self._levels.append([])
        self._levels[depth].append(built)

    def _built(self, feature: DerivedFeature, constants: Mapping[str, float | None]) -> pl.Expr:
        if feature.origin == "expression":
            return build_expression(feature.name, self._expressions[feature.name], constants)
        function = self._functions[feature.name]
        return call_function(function, bind_parameters(function, self._names))

    def _finished(self, frame: pl.DataFrame, feature: DerivedFeature, built: pl.Expr) -> pl.Expr:
        """``built`` in a canonical type, without NaN and infinity, under its name."""
        probe = self._computed(frame.head(0), feature, built.alias(feature.name))
        dtype = probe.schema[feature.name]
        finished = canonical(built, dtype)
        if finished is None:
            raise ConfigError(
                f'The feature "{feature.name}" is a {dtype}',
                why="A feature is a number, a text, true or false, a date or a time",
                where=self._place(feature.name),
            )
        return finished.alias(feature.name)

    def _computed(
        self, frame: pl.DataFrame, feature: DerivedFeature, built: pl.Expr
    ) -> pl.DataFrame:
        try:
            return frame.with_columns(built)
        except RatchetError:
            raise
        except (PolarsError, PanicException, ValueError, TypeError) as error:
            raise ConfigError(
                f'The feature "{feature.name}" cannot be computed',
                why=first_line(error),
                where=self._place(feature.name),
            ) from error


def canonical(expression: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    """``expression`` of type ``dtype`` in the kind a table knows; None if there is none."""
    if dtype.is_integer():
        return expression.cast(pl.Int64, strict=False)
    if dtype.is_numeric() or dtype == pl.Null:
        return _finite(expression.cast(pl.Float64))
    if dtype == pl.Duration:
        return expression.dt.total_microseconds().cast(pl.Float64) / _DAY
    if dtype in (pl.Categorical, pl.Enum, pl.String):
        return expression.cast(pl.String)
    if dtype == pl.Datetime:
        zone = getattr(dtype, "time_zone", None)
        naive = expression.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return (naive if zone else expression).cast(pl.Datetime("us"))
    return expression if dtype in (pl.Boolean, pl.Date) else None


def _finite(expression: pl.Expr) -> pl.Expr:
    return pl.when(expression.is_finite()).then(expression)
