"""Starting a project: from a table nobody has described to a project file that works."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ratchet.config.load import load_settings
from ratchet.errors import ConfigError, ConflictError, DataError, UsageError
from ratchet.pipeline.checking import read_all
from ratchet.pipeline.project_file import Draft, render
from ratchet.pipeline.store import storing, write_atomic
from ratchet.project import FILE, ProjectSettings, source_for_file
from ratchet.training.settings import DEFAULT_TIME

if TYPE_CHECKING:
    import polars as pl

    from ratchet.data.schema import Kind
    from ratchet.data.suggest import Suggestion


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user said; None is to be guessed.

    ``expectations`` are added to the guessed suite, in front of it. ``time_budget`` is for a run.
    With ``production`` what is collected from production comes after the rows of ``data``.
    """

    data: str
    target: str
    name: str | None = None
    positive: str | None = None
    id: str | None = None
    time: str | None = None
    algorithms: tuple[str, ...] | None = None
    time_budget: str = DEFAULT_TIME
    expectations: tuple[dict[str, Any], ...] = ()
    production: bool = False


@dataclass(frozen=True, slots=True)
class Started:
    """A project file that was written."""

    file: Path
    project: str
    task: str
    rows: int
    columns: Mapping[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    """A table as it was found: how to read it again, and its rows."""

    source: dict[str, Any]
    kinds: Mapping[str, Kind]
    frame: pl.DataFrame
    notes: tuple[str, ...]


def start_project(folder: Path, wishes: Wishes) -> Started:
    """Look at the data and write ``ratchet.yaml`` into ``folder``.

    Raises:
        ConflictError: there is a project file already.
        UsageError: the data or a named column is not there, or the target cannot be learned.
        DataError: the file cannot be read.
    """
    file = folder.resolve() / FILE
    if file.exists():
        raise ConflictError(
            f"There is a project in {file.parent} already",
            fix=f"edit {FILE}, or choose another folder",
            where=str(file),
            code="project_exists",
        )
    table = _look(wishes.data, file.parent)
    for column in (wishes.target, wishes.id, wishes.time):
        _require(column, table)
    guessed, notes = _roles(table, wishes)
    task = guessed.task
    draft = _draft(file.parent, wishes, table, guessed, (*table.notes, *notes))
    text = render(draft)
    _require_readable(text)
    with storing():
        file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, text)
    return Started(
        file, draft.project, task.kind, table.frame.height, draft.columns, tuple(draft.notes)
    )


def _require_readable(text: str) -> None:
    """What is written must be read again: names may hold what no project file can."""
    with TemporaryDirectory(prefix="ratchet-") as name:
        path = Path(name) / FILE
        path.write_text(text, encoding="utf-8")
        try:
            load_settings(ProjectSettings, [(path, FILE)], {})
        except ConfigError as error:
            raise UsageError(
                "This table cannot be described in a project file",
                why=f"{error.what}{': ' if error.why else ''}{error.why}",
                fix="give the columns shorter and plainer names, and each one role",
                code="not_describable",
            ) from None


def _look(data: str, root: Path) -> _Table:
    """Read the table in the way that was found to fit it."""
    from ratchet.data.settings import SourceSettings
    from ratchet.data.sources.open_source import open_source
    from ratchet.data.sources.sniff import sniff_csv

    path = Path(data).expanduser().absolute()
    any_csv = SourceSettings(type="csv", path=str(path))
    kind = source_for_file(any_csv, path)
    kinds: Mapping[str, Kind] | None = None
    try:
        if kind.type == "csv":
            found = sniff_csv(str(path), root)
            source, kinds, notes = found.source(str(path)), found.kinds(), found.notes
            settings = SourceSettings.model_validate(source)
        else:
            source, notes = {"type": kind.type, "path": str(path)}, ()
            settings = kind
        opened = open_source(settings, root, columns=kinds)
        frame = read_all(opened)
    except ConfigError as error:
        # It was the command line that named the file, not a project file.
        fix = error.fix.replace("data.source.path", "--data")
        raise UsageError(error.what, why=error.why, fix=fix, code=error.name) from None
    known = {column.name: column.kind for column in opened.schema().columns}
    return _Table(source, kinds or known, frame, tuple(notes))


def _require(column: str | None, table: _Table) -> None:
    from ratchet.config.suggest import hint

    if column is None or column in table.frame.columns or column == "none":
        return
    names = table.frame.columns
    raise UsageError(
        f"The data has no column {column!r}",
        why=f"its columns are {', '.join(names[:12])}" + (" …" if len(names) > 12 else ""),
        fix=hint(column, names),
        code="no_column",
    )


def _roles(table: _Table, wishes: Wishes) -> tuple[Suggestion, list[str]]:
    """The guessed roles, overruled by what the user said."""
    from dataclasses import replace

    from ratchet.data.suggest import suggest_roles

    try:
        guessed = suggest_roles(table.frame, wishes.target)
    except DataError as error:
        error.fix = error.fix.replace("in data.target", "with --target")
        error.where = error.where.replace("data.target", "--target")
        raise
    notes = list(guessed.notes)
    if wishes.id is not None:
        guessed = replace(guessed, id=_chosen(wishes.id))
        notes = [note for note in notes if "is the id:" not in note]
    if wishes.time is not None:
        guessed = replace(guessed, time=_chosen(wishes.time))
        notes = [note for note in notes if "is the time:" not in note]
    taken = (guessed.id, guessed.time)
    guessed = replace(guessed, exclude=tuple(name for name in guessed.exclude if name not in taken))
    if wishes.positive is not None:
        guessed = replace(guessed, positive=_label(table.frame, wishes))
        notes = [note for note in notes if "has two classes" not in note]
    return guessed, notes


def _chosen(column: str) -> str | None:
    return None if column == "none" else column


def _label(frame: pl.DataFrame, wishes: Wishes) -> Any:
    values = frame[wishes.target].drop_nulls().unique().to_list()
    for value in values:
        if str(value).lower() == str(wishes.positive).lower():
            return value
    shown = ", ".join(map(str, sorted(values, key=str)[:8]))
    raise UsageError(
        f"The target {wishes.target} never is {wishes.positive!r}",
        fix=f"its values are {shown}",
        code="no_label",
    )


def _draft(
    root: Path, wishes: Wishes, table: _Table, guessed: Suggestion, notes: tuple[str, ...]
) -> Draft:
    from ratchet.checks.profile import profile_table
    from ratchet.checks.suggest import suggest_suite
    from ratchet.data.roles import Roles
    from ratchet.data.schema import TableSchema
    from ratchet.training.algorithms.catalogue import starting_algorithms

    roles = Roles(wishes.target, id=guessed.id, time=guessed.time, exclude=guessed.exclude)
    schema = TableSchema.from_polars(table.frame.schema)
    profile = profile_table(table.frame.lazy(), schema, roles)
    given = {
        "task": guessed.task.kind if guessed.task.kind == "regression" else None,
        "positive": guessed.positive,
        "id": guessed.id,
        "time": guessed.time,
        "exclude": list(guessed.exclude) or None,
    }
    source = table.source | {"path": _relative(table.source["path"], root)}
    if wishes.production:
        source = {"type": "production", "base": source}
    return Draft(
        project=wishes.name or _name(root, table.source["path"]),
        source=source,
        target=wishes.target,
        roles={name: value for name, value in given.items() if value is not None},
        columns=table.kinds,
        expectations=[*wishes.expectations, *suggest_suite(profile, roles)],
        algorithms=wishes.algorithms or starting_algorithms(guessed.task.kind),
        time_budget=wishes.time_budget,
        notes=notes,
    )


def _relative(path: str, root: Path) -> str:
    """The path as seen from the project, so that both can move together."""
    return Path(os.path.relpath(path, root)).as_posix()


def _name(root: Path, path: str) -> str:
    """A name made of the folder's, else of the file's."""
    for text in (root.name, Path(path).name.split(".")[0]):
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-._")[:63]
        if name:
            return name
    return "project"
