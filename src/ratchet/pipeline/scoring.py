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
    from ratchet.evaluation.explain import Explainer
    from ratchet.ledger.versions import Version
    from ratchet.packaging.model import Model
    from ratchet.project import Project

_TYPICAL = 200
"""Rows of the lake that scores are explained against."""

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
    if not name.isdecimal() and name not in ALIASES:
        raise UsageError(
            f"There is no model `{name}`",
            fix=f"use {', '.join(ALIASES)} or a version's number",
            code="no_model",
        )
    if project.settings.storage.ledger == "sqlite" and not (project.state / "ledger.db").exists():
        raise _nothing(project, name)
    with project.open_ledger(create=False) as ledger:
        if name.isdecimal():
            return ledger.version(int(name))
        for alias in ALIASES:
            if alias == name and (found := ledger.current(alias)) is not None:  # type: ignore[arg-type]
                return found
    raise _nothing(project, name)


def _nothing(project: Project, name: str) -> UsageError:
    if name.isdecimal():
        return UsageError(
            f"There is no version {name} of {project.name}",
            why="the project has no versions yet",
            fix="train one with `ratchet run`",
            code="no_version",
        )
    if name == "champion":
        return UsageError(
            "There is no champion yet", fix="train one with `ratchet run`", code="no_model"
        )
    return UsageError(
        f"No version has the alias {name}",
        fix=f"ratchet promote VERSION --alias {name} (`ratchet models` lists the versions)",
        code="no_model",
    )


def score_file(
    project: Project,
    data: Path,
    *,
    model: str,
    out: Path | None,
    stdout: IO[bytes],
    reasons: int = 0,
) -> Scored:
    """Score every row of a CSV or Parquet file.

    Args:
        data: the rows; columns the model does not read are ignored, the id is kept.
        model: an alias or a version's number.
        out: where the predictions go, ``.csv`` or ``.parquet``; standard output without.
        reasons: how many reasons each row gets, in words and with the effect on its score.

    Raises:
        UsageError: no such model or folder, or an output of another format.
        DataError: the rows cannot be scored; nothing is left at ``out`` then.
    """
    from ratchet.packaging.model import Model

    if out is not None and out.resolve() == data.resolve():
        raise UsageError(
            f"{out.name} is the file to be scored itself", fix="name another file with --out"
        )
    if out is not None and not out.parent.is_dir():
        raise UsageError(
            f"The folder {out.parent} does not exist",
            fix="make it, or choose another --out",
            code="no_folder",
        )
    version = find_version(project, model)
    loaded = Model.load(project.state / version.bundle_path)
    source = _source(project, data, loaded)
    explain = Explaining.of(project, version, loaded, reasons) if reasons else None
    frames = _Predicted(project, source, loaded, explain)
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


@dataclass(frozen=True, slots=True)
class Explaining:
    """Gives rows the reasons for their scores: what moved each away from that of typical rows."""

    model: Model
    explainer: Explainer
    reasons: int

    @classmethod
    def of(cls, project: Project, version: Version, model: Model, reasons: int) -> Explaining:
        """Explains against rows of the lake's newest table.

        Raises:
            UsageError: the lake has no rows, or the model cannot be explained.
        """
        from ratchet.data.task import Task
        from ratchet.evaluation.explain import prepare_explainer
        from ratchet.evaluation.measures import Undefined
        from ratchet.pipeline.explaining import subject_of
        from ratchet.pipeline.steps.going_on import left_by_run

        with project.open_ledger(create=False) as ledger:
            left = left_by_run(ledger, project.state, version.run_id)
        task = Task(model.task, model.classes)  # type: ignore[arg-type]
        members = () if left is None else left.members
        subject = subject_of(model.composite, task, _typical_rows(project, model), members)
        found = prepare_explainer(subject)
        if isinstance(found, Undefined):
            raise UsageError("This model cannot be explained", why=found.reason)
        return cls(model, found, reasons)

    def columns(self, batch: pl.DataFrame) -> pl.DataFrame:
        """``reason_1`` in words and ``effect_1`` as a number, and so on, for each row."""
        import polars as pl

        from ratchet.evaluation.explain import explain_rows
        from ratchet.pipeline.explaining import encode_all

        X = encode_all(self.model.composite.recipes, batch)
        found = explain_rows(self.explainer, X, batch)
        told = [found.reasons(row, top=self.reasons) for row in range(batch.height)]
        made: dict[str, pl.Series] = {}
        for place in range(self.reasons):
            nth = [row[place] if place < len(row) else None for row in told]
            made[f"reason_{place + 1}"] = pl.Series(
                [None if reason is None else reason.text for reason in nth], dtype=pl.String
            )
            made[f"effect_{place + 1}"] = pl.Series(
                [None if reason is None else reason.effect for reason in nth], dtype=pl.Float64
            )
        return pl.DataFrame(made)


def _typical_rows(project: Project, model: Model) -> pl.DataFrame:
    """Rows of the lake, spread evenly over its newest version."""
    from ratchet.pipeline.steps.ingest import TABLE

    lake = project.open_lake()
    snapshot = lake.latest(TABLE)
    columns = [column.name for column in model.signature.inputs]
    if snapshot is None or not snapshot.rows:
        raise UsageError(
            "There are no rows to explain scores against",
            why="the project's lake is empty",
            fix="run `ratchet run` in this project first",
        )
    known = [name for name in columns if name in snapshot.schema.names]
    step = max(1, snapshot.rows // _TYPICAL)
    return lake.scan(snapshot, known).gather_every(step).head(_TYPICAL).collect()


class _Predicted:
    """The predictions, batch by batch, with what became known on the way."""

    def __init__(
        self, project: Project, source: Source, model: Model, explain: Explaining | None
    ) -> None:
        self._explain = explain
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
            if self._explain is not None:
                columns = columns.hstack(self._explain.columns(batch))
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
