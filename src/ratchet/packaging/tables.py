"""Raw data in whatever form a caller has it, as a Polars frame.

Only the columns a model reads are taken. What a value may be is the recipe's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ratchet.errors import DataError

if TYPE_CHECKING:
    import polars as pl

    from ratchet.data.schema import Column

Record = Mapping[str, Any]


def library_of(data: object) -> str:
    """The library that made ``data``, without importing any."""
    return type(data).__module__.partition(".")[0]


def read_table(data: Any, columns: Iterable[str]) -> pl.DataFrame:
    """The ``columns`` that ``data`` has: a Polars or pandas frame, or anything Arrow can stream.

    Raises:
        DataError: ``data`` is no table, or a column holds values of several types.
    """
    import polars as pl

    library = library_of(data)
    if library == "pandas":
        return _from_pandas(data, columns)
    if library != "polars" and hasattr(data, "__arrow_c_stream__"):
        data = pl.DataFrame(data)
    if isinstance(data, pl.LazyFrame):
        present = set(data.collect_schema().names())
        return data.select([name for name in columns if name in present]).collect()
    if not isinstance(data, pl.DataFrame):
        raise DataError(
            f"A {type(data).__name__} cannot be scored",
            fix="give a Polars or pandas frame, a list of records, or one record",
            code="not_a_table",
        )
    present = set(data.columns)
    return data.select([name for name in columns if name in present])


def from_records(records: Sequence[Record], inputs: Iterable[Column]) -> pl.DataFrame:
    """Records as a frame in the kinds of ``inputs``.

    Raises:
        DataError: a value is of another kind.
    """
    import polars as pl

    from ratchet.data.schema import polars_type
    from ratchet.features.values import canonical_value

    return pl.DataFrame(
        [
            pl.Series(
                column.name,
                [
                    canonical_value(each.get(column.name), column.kind, column.name)
                    for each in records
                ],
                dtype=polars_type(column.kind),
            )
            for column in inputs
        ]
    )


def _from_pandas(data: Any, columns: Iterable[str]) -> pl.DataFrame:
    import polars as pl

    names = list(data.columns)
    twice = [name for name in columns if names.count(name) > 1]
    if twice:
        raise DataError(f"The frame has several columns named {twice[0]!r}", where=twice[0])
    return pl.DataFrame([_series(name, data[name]) for name in columns if name in names])


def _series(name: str, values: Any) -> pl.Series:
    """A pandas column; what pandas takes for missing is null."""
    import polars as pl
    from polars.exceptions import PolarsError

    dtype = values.dtype
    if getattr(dtype, "tz", None) is not None:
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
        dtype = values.dtype
    if getattr(dtype, "kind", "O") in "biufM" and hasattr(dtype, "newbyteorder"):
        return pl.Series(name, values.to_numpy())
    missing = values.isna().to_numpy()
    plain = values.to_numpy(dtype=object, copy=True)
    plain[missing] = None
    try:
        return pl.Series(name, plain.tolist(), strict=True)
    except (PolarsError, TypeError, ValueError) as error:
        raise DataError(
            f"Column {name!r} holds values of several types",
            why=str(error)[:200],
            fix="convert the column to one type",
            where=name,
            code="wrong_type",
        ) from error
