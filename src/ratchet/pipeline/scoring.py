"""Scoring a file of any size with a registered model: streamed, through the bundle's own code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ratchet.errors import ConfigError, DataError, UsageError
from ratchet.pipeline.store import storing

if TYPE_CHECKING:
    import polars as pl

    from ratchet.data.sources.port import Source
    from ratchet.ledger.versions import Version
    from ratchet.packaging.model import Model
    from ratchet.project import Project

ALIASES = ("champion", "challenger", "staging")


@dataclass(frozen=True, slots=True)
class Scored:
    """What was scored, with what, into what.

    ``absent`` are columns the model reads that the data did not have; each counted as missing.
    """

    rows: int
    version: int
    out: str
    absent: tuple[str, ...]


def find_version(project: Project, name: str) -> Version:
    """The model version that an alias or a number names.

    Raises:
        UsageError: there is none.
    """
    if project.settings.storage.ledger == "sqlite" and not (project.state / "ledger.db").exists():
        raise _nothing(name)
    with project.open_ledger(create=False) as ledger:
        if name.isdecimal():
            return ledger.version(int(name))
        if name not in ALIASES:
            raise UsageError(
                f"There is no model `{name}`",
                fix=f"use {', '.join(ALIASES)} or a version's number",
                code="no_model",
            )
        for alias in ALIASES:
            if alias == name and (found := ledger.current(alias)) is not None:  # type: ignore[arg-type]
                return found
    raise _nothing(name)


def _nothing(name: str) -> UsageError:
    return UsageError(
        f"There is no {name} yet", fix="train one with `ratchet run`", code="no_model"
    )


def score_file(
    project: Project, data: Path, *, model: str, out: Path | None, stdout: IO[bytes]
) -> Scored:
    """Score every row of a CSV or Parquet file.

    Args:
        data: the rows; columns the model does not read are ignored, the id is kept.
        model: an alias or a version's number.
        out: where the predictions go, ``.csv`` or ``.parquet``; standard output without.

    Raises:
        UsageError: no such model, or an output of another format.
        DataError: the rows cannot be scored; nothing is left at ``out`` then.
    """
    from ratchet.packaging.model import Model

    if out is not None and out.resolve() == data.resolve():
        raise UsageError(
            f"{out.name} is the file to be scored itself", fix="name another file with --out"
        )
    version = find_version(project, model)
    loaded = Model.load(project.state / version.bundle_path)
    source = _source(project, data, loaded)
    frames = _Predicted(project, source, loaded)
    if out is None:
        _write_csv(iter(frames), stdout)
    elif out.suffix == ".csv":
        _replace(out, lambda partial: _to_csv_file(iter(frames), partial))
    elif out.suffix in (".parquet", ".pq"):
        _replace(out, lambda partial: _to_parquet(frames, partial))
    else:
        raise UsageError(
            f"Predictions cannot be written to {out.name}", fix="end the name in .csv or .parquet"
        )
    shown = str(out) if out is not None else "standard output"
    return Scored(frames.rows, version.version, shown, frames.absent)


def _source(project: Project, data: Path, model: Model) -> Source:
    from ratchet.data.sources.open_source import open_source
    from ratchet.project import source_for_file

    kinds = {column.name: column.kind for column in model.signature.inputs}
    settings = source_for_file(project.settings.data.source, data)
    try:
        return open_source(settings, project.root, columns=kinds)
    except ConfigError as error:
        raise UsageError(error.what, why=error.why, fix=error.fix, code=error.name) from None


class _Predicted:
    """The predictions, batch by batch, with what became known on the way."""

    def __init__(self, project: Project, source: Source, model: Model) -> None:
        self._id = project.settings.data.id
        self._source = source
        self._model = model
        self.rows = 0
        self.absent: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[pl.DataFrame]:
        import polars as pl

        for batch in self._source.batches():
            found = self._model.predict(batch)
            self.rows += batch.height
            self.absent = found.absent
            columns = pl.DataFrame(found.to_columns())
            if self._id is not None and self._id in batch.columns:
                columns = columns.insert_column(0, batch[self._id])
            yield columns


def _write_csv(frames: Iterator[pl.DataFrame], file: IO[bytes]) -> None:
    first = True
    for frame in frames:
        frame.write_csv(file, include_header=first)
        first = False


def _to_csv_file(frames: Iterator[pl.DataFrame], partial: Path) -> None:
    with partial.open("wb") as file:
        _write_csv(frames, file)


def _to_parquet(frames: _Predicted, partial: Path) -> None:
    """Row groups as they come: Parquet without the whole table in memory."""
    from polars.io.plugins import register_io_source

    batches = iter(frames)
    first = next(batches, None)
    if first is None:
        raise DataError("There are no rows to score", code="no_rows")

    def produce(*_: object) -> Iterator[pl.DataFrame]:
        yield first
        yield from batches

    register_io_source(produce, schema=first.schema).sink_parquet(partial)


def _replace(out: Path, write: object) -> None:
    assert callable(write)
    partial = out.with_name(f".{out.name}.partial")
    with storing():
        try:
            write(partial)
            partial.replace(out)
        finally:
            partial.unlink(missing_ok=True)
