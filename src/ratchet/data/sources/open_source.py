"""From settings to a source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ratchet.data.schema import Kind
from ratchet.data.settings import SourceSettings
from ratchet.data.sources.port import Source


def open_source(
    settings: SourceSettings,
    root: Path,
    *,
    columns: Mapping[str, Kind] | None,
    order_by: str | None = None,
) -> Source:
    """The source that the settings describe.

    Args:
        settings: ``data.source``.
        root: the project folder, where relative paths start.
        columns: pinned kinds by column; None or unnamed columns get the narrowest kind.
        order_by: the id column, by which rows of a database are sorted first.

    Raises:
        ConfigError: ``source_missing``, ``format_unknown``, ``source_url``.
        StorageError, UnreachableError, MissingExtraError: what is needed is not there.
    """
    if settings.type == "csv":
        from ratchet.data.sources.csv import CsvSource

        return CsvSource(settings, root, columns)
    if settings.type == "parquet":
        from ratchet.data.sources.parquet import ParquetSource

        return ParquetSource(settings, root, columns)
    if settings.type == "delta":
        from ratchet.data.sources.delta import DeltaSource

        return DeltaSource(settings, root, columns)
    if settings.type == "production":
        from ratchet.data.sources.production import ProductionSource

        before = None
        if settings.base is not None:
            before = open_source(settings.base.source(), root, columns=columns, order_by=order_by)
        return ProductionSource(settings.path or "", before, columns)
    from ratchet.data.sources.postgres import PostgresSource

    return PostgresSource(settings, columns, order_by)
