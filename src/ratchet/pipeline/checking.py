"""All checks of a table: the built-in ones and the project's suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet import clock
from ratchet.config.suggest import nearest
from ratchet.errors import ConfigError, DataError

if TYPE_CHECKING:
    import polars as pl

    from ratchet.checks.report import CheckReport
    from ratchet.data.schema import TableSchema
    from ratchet.data.sources.port import Source
    from ratchet.ledger.reader import LedgerReader
    from ratchet.project import Project


@dataclass(frozen=True, slots=True)
class Checked:
    """A source and what its checks found."""

    source: str
    rows: int
    report: CheckReport


def check_table(
    project: Project,
    frame: pl.LazyFrame,
    *,
    expected: TableSchema | None,
    modified: datetime | None,
    now: datetime,
) -> CheckReport:
    """Judge a table by every check of the project.

    Raises:
        ConfigError: the suite is malformed, with its place.
        DataError: a column with a role is missing.
    """
    from ratchet.checks.builtin import run_builtin
    from ratchet.checks.expectations import parse_suite
    from ratchet.checks.report import CheckReport
    from ratchet.checks.run import run_suite

    settings, data = project.settings.checks, project.settings.data
    columns = frame.collect_schema().names()
    _refuse_misspelt(project, columns)
    _refuse_misspelt_kinds(project, columns, expected)
    suite = parse_suite(settings.expectations, where=_place(project))
    builtin = run_builtin(
        frame, data=data, settings=settings, now=now, expected=expected, modified=modified
    )
    return CheckReport((*builtin, *run_suite(frame, suite, id_column=data.id)))


def check_settings(project: Project) -> None:
    """Find what no single section can see, before anything is read or written.

    Raises:
        ConfigError: an unknown algorithm or parameter, settings of training that contradict each
            other or the task, or a malformed suite, with its place.
        MissingExtraError: an algorithm's library is not installed.
    """
    from ratchet.checks.expectations import parse_suite
    from ratchet.training.consistency import check_training, check_window

    task = project.settings.data.task
    check_training(project.settings.training, None if task == "auto" else task)
    check_window(project.settings.training, project.settings.data.time)
    parse_suite(project.settings.checks.expectations, where=_place(project))


def _refuse_misspelt(project: Project, columns: Sequence[str]) -> None:
    """A column that was to be excluded must not be trained on because of a typing error.

    One that is nowhere near any column is let pass: the source may have lost it.
    """
    for name in project.settings.data.exclude:
        near = nearest(name, columns) if name not in columns else None
        if near is not None:
            raise ConfigError(
                f"data.exclude names `{name}`, and the data has no such column",
                fix=f"did you mean `{near}`?",
                where=project.origins.nearest(("data", "exclude")),
                code="column_missing",
            )


def _refuse_misspelt_kinds(
    project: Project, columns: Sequence[str], expected: TableSchema | None
) -> None:
    """A column must not lose its kind because of a typing error.

    One that the last good table had is no error here: the source lost it, and the checks say so.
    One that is near no column without a kind is let pass, as in ``_refuse_misspelt``.
    """
    kinds = project.settings.data.columns
    free = [name for name in columns if name not in kinds]
    for name in kinds:
        if name in columns or (expected is not None and name in expected):
            continue
        near = nearest(name, free)
        if near is not None:
            raise ConfigError(
                f"data.columns names `{name}`, and the data has no such column",
                fix=f"did you mean `{near}`?",
                where=project.origins.nearest(("data", "columns", name)),
                code="column_missing",
            )


def check_source(project: Project, data: Path | None = None) -> Checked:
    """Judge the settings and the source as they are now, storing nothing."""
    from ratchet.data.roles import Roles
    from ratchet.data.schema import TableSchema
    from ratchet.data.sources.open_source import open_source
    from ratchet.features.planning import check_features

    check_settings(project)
    settings = project.settings.data
    source = open_source(
        project.source_settings(data),
        project.root,
        columns=settings.columns or None,
        order_by=settings.id,
    )
    frame = read_all(source)
    roles = Roles.of(settings)
    roles.require(frame.columns)
    check_features(
        project.settings.features,
        schema=TableSchema.from_polars(frame.schema),
        roles=roles,
        root=project.root,
    )
    report = check_table(
        project,
        frame.lazy(),
        expected=_known_schema(project),
        modified=source.modified(),
        now=clock.now(),
    )
    return Checked(source.describe(), frame.height, report)


def read_all(source: Source) -> pl.DataFrame:
    """Every row of a source in memory.

    Raises:
        DataError: there is none.
    """
    import polars as pl

    batches = list(source.batches())
    if not batches:
        raise DataError(
            f"The source holds no rows: {source.describe()}",
            fix="look at what fills it",
            code="no_rows",
        )
    return pl.concat(batches)


def stale(project: Project, facts: Mapping[str, Any], now: datetime) -> str | None:
    """Why the ingested data is too old to be relied on, or None.

    Asked in every run, also when nothing changed: a source that stopped growing is the fault
    that nobody sees.

    Args:
        facts: of the ingest step.
    """
    import polars as pl

    from ratchet.checks.freshness import probe_time
    from ratchet.checks.subject import Subject
    from ratchet.checks.table import Table

    settings, data = project.settings.checks, project.settings.data
    if settings.max_age is None:
        return None
    newest = _moment(facts["newest"])
    columns = {data.time: [newest]} if data.time is not None and newest is not None else {"": [0]}
    frame = pl.LazyFrame(columns)
    subject = Subject(frame, Table.of(frame), data, settings, facts["rows"], pl.DataFrame())
    modified = datetime.fromisoformat(facts["modified"]) if facts["modified"] else None
    for result in probe_time(subject, now, modified).judge({"newest": newest}):
        if not result.passed and result.severity == "error":
            return result.message
    return None


def last_good_schema(project: Project, ledger: LedgerReader) -> TableSchema | None:
    """The schema of the newest run whose data passed its checks."""
    known = {version.version: version for version in project.open_lake().history("data")}
    for run in ledger.runs(100):
        checks = run.summary.get("checks")
        # Another or a new lake does not hold the versions of the old one.
        snapshot = known.get(run.snapshot_version) if run.snapshot_version is not None else None
        if checks and checks["passed"] and snapshot is not None:
            return snapshot.schema
    return None


def _known_schema(project: Project) -> TableSchema | None:
    if project.settings.storage.ledger == "sqlite" and not (project.state / "ledger.db").exists():
        return None
    with project.open_ledger(create=False) as ledger:
        return last_good_schema(project, ledger)


def _moment(text: str | None) -> date | None:
    if text is None:
        return None
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def _place(project: Project) -> Callable[[int], str]:
    """Where each expectation of the suite was written."""
    return lambda number: project.origins.nearest(("checks", "expectations", number))
