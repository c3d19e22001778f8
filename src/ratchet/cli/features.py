"""``ratchet features``: the feature store, and training rows that know no future."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ratchet.cli.moments import parse_moment
from ratchet.cli.output import Answer, Options, command, console, show_by_default
from ratchet.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.features.store.materialise import Pushed

_LINE_SECONDS = 5.0


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="The newest features of every entity, and what was known when.",
        invoke_without_command=True,
    )
    show_by_default(group, status)
    for name, function in (("push", push), ("show", show), ("status", status), ("join", join)):
        group.command(name)(function)
    app.add_typer(group, name="features")


@command
def push(
    options: Options,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FILE", help="Push this file's rows.")
    ] = None,
    snapshot: Annotated[
        int | None,
        typer.Option(
            "--snapshot", metavar="N", help=r"This version of the lake's table \[default: newest]."
        ),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of", metavar="TIME", help="Push nothing that became known later (by data.time)."
        ),
    ] = None,
) -> Answer:
    """Put the newest row of every entity into the feature store.

    The columns are those that the versions in service read. A row never replaces a newer one,
    so a push can be repeated, and old data be pushed after new.
    """
    from ratchet.cli.feature_tables import print_push
    from ratchet.pipeline.feature_rows import push_features

    project = options.load()
    if data is not None and snapshot is not None:
        raise UsageError("Rows come from one place", fix="give --data or --snapshot, not both")
    if data is not None and not data.exists():
        raise UsageError(f"There is no file {data}", fix="name an existing file with --data")
    with _Progress() as progress:
        done = push_features(
            project,
            data=data,
            snapshot=snapshot,
            as_of=None if as_of is None else parse_moment(as_of),
            progress=progress,
        )
    body = {
        "source": done.source,
        **asdict(done.pushed),
        "columns": list(done.columns),
        "schema": done.schema,
        "absent": list(done.absent),
        "versions": list(done.versions),
    }
    return Answer(body, lambda console: print_push(console, body))


@command
def show(
    options: Options, entity: Annotated[str, typer.Argument(metavar="ID", help="The entity.")]
) -> Answer:
    """Show what the feature store holds for an entity, and how old it is."""
    from ratchet.clock import now

    project = options.load()
    store = project.open_features()
    try:
        schema = store.current()
        row = None if schema is None else store.read([entity], schema)[0]
    finally:
        store.close()
    if schema is None or row is None:
        raise UsageError(
            f'No features are stored for "{entity}"',
            why="" if schema is not None else "nothing has been pushed yet",
            fix="push them with `ratchet features push`",
            code="unknown_id",
        )
    age = now() - row.at
    body = {
        "entity": entity,
        "at": row.at.isoformat(),
        "age_seconds": age.total_seconds(),
        "schema": schema.digest,
        "values": dict(row.values),
    }

    def print_it(console: Console) -> None:
        from rich.text import Text

        from ratchet.cli.feature_tables import shown_age
        from ratchet.cli.tables import figure, plain_table

        console.print(
            Text(f"{entity}, as of {row.at:%Y-%m-%d %H:%M:%S} UTC ({shown_age(age)} ago)")
        )
        table = plain_table("column", "value")
        for name, value in row.values.items():
            table.add_row(Text(name), Text(figure(value)))
        console.print(table)

    return Answer(body, print_it)


@command
def status(options: Options) -> Answer:
    """Say what the feature store holds and whether it has what the models read.

    Exit code 6 when it does not answer.
    """
    from ratchet.cli.feature_tables import print_status, schema_json
    from ratchet.clock import now
    from ratchet.pipeline.feature_rows import columns_in_service

    project = options.load()
    versions, wanted = columns_in_service(project)
    store = project.open_features()
    try:
        store.ping()
        facts = store.describe()
    finally:
        store.close()
    current = facts.schemas[0].schema.names if facts.schemas else ()
    body = {
        "place": facts.place,
        "schemas": [schema_json(each) for each in facts.schemas],
        "versions": list(versions),
        "absent": [name for name in wanted if name not in current],
    }
    return Answer(body, lambda console: print_status(console, facts, body, now()))


@command
def join(
    options: Options,
    rows: Annotated[
        Path, typer.Option("--rows", metavar="FILE", help="Rows with an entity and a time.")
    ],
    history: Annotated[
        Path, typer.Option("--history", metavar="FILE", help="What became known when.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where they go: .csv or .parquet.")
    ],
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="COLUMN", help=r"Names the entity \[default: data.id]."),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option("--time", metavar="COLUMN", help=r"Says when \[default: data.time]."),
    ] = None,
    max_age: Annotated[
        str | None,
        typer.Option("--max-age", metavar="AGE", help="Older knowledge counts as missing: 30d."),
    ] = None,
) -> Answer:
    """Add to each row what was known of its entity at its time, and nothing later.

    The newest history row at or before the row's time, as the feature store would have held it.
    """
    from ratchet.config.durations import parse_duration
    from ratchet.pipeline.feature_rows import join_files

    project = options.load()
    for file, option in ((rows, "--rows"), (history, "--history")):
        if not file.exists():
            raise UsageError(f"There is no file {file}", fix=f"name an existing file with {option}")
    try:
        oldest = None if max_age is None else parse_duration(max_age)
    except ValueError as error:
        raise UsageError(str(error), where="--max-age") from None
    done = join_files(project, rows, history, out, by=by, time=time, max_age=oldest)
    body = {**asdict(done), "added": list(done.added), "left_out": list(done.left_out)}

    def print_it(console: Console) -> None:
        from rich.text import Text

        lines = [f"{done.rows:,} rows, {done.found:,} of them with what was known: {done.out}"]
        if done.left_out:
            lines.append(f"the rows' own values stay: {', '.join(done.left_out)}")
        for line in lines:
            console.print(Text(line), soft_wrap=True)

    return Answer(body, print_it)


class _Progress:
    """Says on standard error how far a push is: live on a terminal, else a line now and then."""

    def __init__(self) -> None:
        from ratchet.clock import monotonic

        self._console = console(stderr=True)
        self._status = self._console.status("reading") if self._console.is_terminal else None
        self._read: Callable[[], float] = monotonic
        self._said = monotonic()

    def __enter__(self) -> Callable[[Pushed], None]:
        if self._status is not None:
            self._status.start()
        return self._tell

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def _tell(self, done: Pushed) -> None:
        text = f"{done.rows:,} rows read, {done.stored:,} stored"
        if self._status is not None:
            self._status.update(text)
        elif self._read() - self._said > _LINE_SECONDS:
            self._said = self._read()
            self._console.print(text)
