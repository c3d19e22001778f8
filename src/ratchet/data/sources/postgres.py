"""A table or a query of PostgreSQL as a source, read in Arrow batches (extra ``postgres``).

Rows of a table have no order of their own. They are sorted by the id column when there is
one, then by every other column, texts by their bytes (collation "C"): equal content comes
in equal order, and has an equal digest, on every server. Rows with a growing id come last,
so a grown table is seen as appended to.

The server casts: whole numbers to integer, other numbers (numeric, money; intervals in
seconds) to number, timestamps to UTC without a zone, and everything else (uuid, json,
enum, arrays as JSON, bytea as hex) to text. Infinite dates become null.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from ratchet.data.canonical import canonical, refuse_rows
from ratchet.data.schema import Column, Kind, TableSchema
from ratchet.data.settings import SourceSettings
from ratchet.errors import ConfigError, DataError, MissingExtraError, RatchetError, UnreachableError

_CONNECT_SECONDS = 10
_CASTS: dict[str, tuple[Kind, str]] = {
    **dict.fromkeys(("int2", "int4", "int8", "oid"), ("integer", "{}::int8")),
    **dict.fromkeys(("float4", "float8", "numeric"), ("number", "{}::float8")),
    "money": ("number", "{}::numeric::float8"),
    "interval": ("number", "extract(epoch from {})::float8"),
    "bool": ("boolean", "{}"),
    "date": ("date", "CASE WHEN isfinite({0}) THEN {0} END"),
    "timestamp": ("datetime", "CASE WHEN isfinite({0}) THEN {0} END"),
    "timestamptz": ("datetime", "CASE WHEN isfinite({0}) THEN {0} AT TIME ZONE 'UTC' END"),
    "bytea": ("string", "encode({}, 'hex')"),
}
_REFUSALS = {
    "password authentication failed": "It refuses the user name or the password",
    "no pg_hba.conf entry": "It does not let this user in from here",
    "could not translate host name": "The host name is unknown",
    "Connection refused": "Nothing listens at this host and port",
    "timeout expired": f"It did not answer within {_CONNECT_SECONDS} seconds",
    "too many": "It has no free connection",
    "starting up": "It is still starting up",
}


class PostgresSource:
    """A table (``schema.table`` too) or a SELECT, sorted so that its digest is stable."""

    def __init__(
        self,
        settings: SourceSettings,
        columns: Mapping[str, Kind] | None,
        order_by: str | None = None,
    ) -> None:
        self._url = settings.url or ""
        if not self._url.startswith(("postgresql://", "postgres://")):
            raise ConfigError(
                "data.source.url is no PostgreSQL address",
                fix="Write it as postgresql://user:${PASSWORD}@host:5432/database",
                where="data.source.url",
                code="source_url",
            )
        self._name = settings.table or "query"
        if settings.table is not None:
            self._rows = f"SELECT * FROM {quote_table(settings.table)}"
        else:
            self._rows = (settings.query or "").strip().rstrip(";")
        self._pinned = dict(columns or {})
        self._order_by = order_by

    def describe(self) -> str:
        """``postgres``, host, database and table, without user and password."""
        place = self._url.split("://", 1)[1].rsplit("@", 1)[-1].split("?", 1)[0]
        return f"postgres {place} {self._name}"

    def modified(self) -> None:
        """None: a table does not say when it was written."""
        return

    def fingerprint(self) -> None:
        """None: only the content tells."""
        return

    def schema(self) -> TableSchema:
        """The columns and their kinds, as the server describes them."""
        with _Session(self) as session:
            kinds = session.plan()[0]
        return TableSchema.of((name, self._pinned.get(name, kind)) for name, kind in kinds.items())

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows, sorted, in batches of about 16 MB."""
        with _Session(self) as session:
            kinds, query = session.plan()
            pinned = {name: self._pinned.get(name, kind) for name, kind in kinds.items()}
            start = 0
            for batch in session.fetch(query):
                frame, misfits = canonical(batch, pinned)
                if misfits:
                    refuse_rows(misfits, start, self._name)
                start += batch.height
                yield frame if columns is None else frame.select(columns)

    def plan(self, types: Mapping[str, tuple[str, int]]) -> tuple[dict[str, Kind], str]:
        """The kinds, and the sorted SELECT with casts, for columns of these server types."""
        casts = {name: _cast(type_name, modifier) for name, (type_name, modifier) in types.items()}
        fields = ", ".join(
            f"{cast.format(quote(name))} AS {quote(name)}" for name, (_, cast) in casts.items()
        )
        by = [Column(name, kind) for name, (kind, _) in casts.items()]
        by.sort(key=lambda column: column.name != self._order_by)
        order = ", ".join(
            quote(c.name) + (' COLLATE "C"' if c.kind == "string" else "") for c in by
        )
        kinds = {name: kind for name, (kind, _) in casts.items()}
        inner = f"SELECT {fields} FROM ({self._rows}) AS source"
        return kinds, f"SELECT * FROM ({inner}) AS typed ORDER BY {order}"

    def select(self) -> str:
        """The SELECT as it was asked for."""
        return self._rows

    def connect(self) -> Any:
        """An open connection. Raises MissingExtraError or UnreachableError."""
        try:
            import pyarrow as pa  # noqa: F401
            from adbc_driver_postgresql import dbapi
        except ImportError:
            raise MissingExtraError.of(
                "adbc-driver-postgresql", "postgres", "Reading from PostgreSQL"
            ) from None
        mark = "&" if "?" in self._url else "?"
        try:
            return dbapi.connect(f"{self._url}{mark}connect_timeout={_CONNECT_SECONDS}")
        except dbapi.Error as error:
            # The driver's own words may repeat parts of the address, and so the password.
            raise self._unreachable(str(error)) from None

    def fault(self, error: Exception) -> RatchetError:
        """What an error of the server means to the user."""
        state = getattr(error, "sqlstate", None) or ""
        found = re.search(r"ERROR:\s+(.*)", str(error))
        said = found.group(1).strip() if found else type(error).__name__
        if state.startswith(("08", "53", "57P")) or found is None:
            return self._unreachable(str(error))
        fix = "Correct data.source.query, and try it in psql"
        if state == "42P01":
            fix = "Correct data.source.table; names are taken exactly as written, and PostgreSQL "
            fix += "keeps unquoted names in lower case"
        elif state == "42501":
            fix = "Let the user read it: GRANT SELECT ON … TO …"
        return DataError(
            f"PostgreSQL cannot give {self._name}",
            why=said,
            fix=fix,
            where=self.describe(),
            code="source_query",
        )

    def _unreachable(self, said: str) -> UnreachableError:
        why = next((why for text, why in _REFUSALS.items() if text in said), "")
        missing = re.search(r'(database|role) "[^"]*" does not exist', said)
        return UnreachableError(
            "PostgreSQL cannot be reached",
            why=f"The {missing.group(1)} does not exist" if missing else why,
            fix="Check data.source.url, the server and the password (write it as ${NAME})",
            where=self.describe(),
        )


class _Session:
    """One read-only transaction: the description of the columns and the rows belong together."""

    def __init__(self, source: PostgresSource) -> None:
        self._source = source

    def __enter__(self) -> _Session:
        self._connection = self._source.connect()
        self._cursor = self._connection.cursor()
        return self

    def __exit__(self, *_: object) -> None:
        self._cursor.close()
        self._connection.close()

    def plan(self) -> tuple[dict[str, Kind], str]:
        from adbc_driver_postgresql import dbapi

        try:
            self._cursor.execute("SET TRANSACTION READ ONLY")
            described = self._cursor.adbc_execute_schema(self._source.select())
        except dbapi.Error as error:
            raise self._source.fault(error) from None
        types = {field.name: _type_of(field) for field in described}
        repeated = [n for n, count in Counter(f.name for f in described).items() if count > 1]
        if repeated:
            raise DataError(
                f'The query gives more than one column "{repeated[0]}"',
                fix="Give the columns different names with AS",
                where="data.source.query",
                code="duplicate_header",
            )
        return self._source.plan(types)

    def fetch(self, query: str) -> Iterator[pl.DataFrame]:
        import pyarrow as pa
        from adbc_driver_postgresql import dbapi

        # What goes wrong after the first rows comes as an error of Arrow, not of the driver.
        faults = (dbapi.Error, pa.ArrowException, OSError)
        try:
            self._cursor.execute(query)
            for batch in self._cursor.fetch_record_batch():
                yield pl.DataFrame(pl.from_arrow(batch))
        except faults as error:
            raise self._source.fault(error) from None


def quote(name: str) -> str:
    """An identifier as PostgreSQL takes it literally."""
    return '"' + name.replace('"', '""') + '"'


def quote_table(name: str) -> str:
    """``table`` or ``schema.table``, each part quoted; a part may be quoted already."""
    parts = re.findall(r'"((?:[^"]|"")+)"|([^."]+)', name)
    if not parts or len(parts) > 3:
        raise ConfigError(
            f"data.source.table: {name} is no table name",
            fix="Write table or schema.table",
            where="data.source.table",
            code="source_table",
        )
    return ".".join(quote(quoted.replace('""', '"') or plain) for quoted, plain in parts)


def _cast(type_name: str, modifier: int) -> tuple[Kind, str]:
    if type_name == "numeric" and modifier >= 4:
        precision, scale = (modifier - 4) >> 16, (modifier - 4) & 0x7FF
        if scale == 0 and precision <= 18:
            return "integer", "{}::int8"
    if type_name.startswith("_"):
        return "string", "array_to_json({})::text"
    return _CASTS.get(type_name, ("string", "{}::text"))


def _type_of(field: Any) -> tuple[str, int]:
    facts = field.metadata or {}
    name = facts.get(b"POSTGRESQL:type", b"text").decode()
    return name, int(facts.get(b"POSTGRESQL:typmod", b"-1"))
