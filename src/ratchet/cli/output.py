"""What every command shares: the common options, ``--json``, errors and exit codes.

A command is a function that takes ``Options`` and its own arguments and returns an
``Answer``. ``command`` gives it the common options and turns its answer, or the fault it
raised, into output and an exit code.
"""

from __future__ import annotations

import errno
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratchet.errors import RatchetError

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.project import Project

BUG = 1


@dataclass(slots=True)
class Options:
    """The options every command takes, and the project they open."""

    project: Path | None = None
    environment: str | None = None
    assignments: tuple[str, ...] = ()
    json: bool = False
    opened: Project | None = None

    def load(self) -> Project:
        """Open the project the options name."""
        from ratchet.project import load_project

        self.opened = load_project(
            self.project, environment=self.environment, assignments=self.assignments
        )
        return self.opened


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command has to say.

    Attributes:
        data: the ``data`` object of ``--json``.
        show: prints the same for a person.
        exit_code: 0, or 3 when a verdict said no.
        told: whether it was put out already, by a command that goes on for long after it.
    """

    data: Mapping[str, Any]
    show: Callable[[Console], None]
    exit_code: int = 0
    told: bool = False


_COMMON: dict[str, tuple[Any, Any]] = {
    "project": (
        Annotated[
            Path | None,
            typer.Option(
                "--project", metavar="DIR", help=r"Project folder \[default: here or above]."
            ),
        ],
        None,
    ),
    "env": (
        Annotated[
            str | None,
            typer.Option("--env", metavar="NAME", help="Lay ratchet.NAME.yaml over ratchet.yaml."),
        ],
        None,
    ),
    "assignments": (
        Annotated[
            list[str] | None,
            typer.Option("--set", metavar="KEY=VALUE", help="Change one setting for this call."),
        ],
        None,
    ),
    "as_json": (
        Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")],
        False,
    ),
}


def command(function: Callable[..., Answer]) -> Callable[..., None]:
    """Make a command of a function ``(options, ...) -> Answer``."""

    def call(**arguments: Any) -> None:
        options = Options(
            project=arguments.pop("project"),
            environment=arguments.pop("env"),
            assignments=tuple(arguments.pop("assignments") or ()),
            json=arguments.pop("as_json"),
        )
        raise typer.Exit(deliver(lambda: function(options, **arguments), options))

    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    common = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        for name, (annotation, default) in _COMMON.items()
    ]
    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own
    ] + common
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    call.__name__ = function.__name__
    call.__doc__ = function.__doc__
    return call


def show_by_default(group: typer.Typer, shown: Callable[..., None], **given: Any) -> None:
    """Have ``ratchet GROUP`` without a subcommand do what the command ``shown`` does.

    ``given`` are its arguments besides the common options.
    """

    def otherwise(
        context: typer.Context,
        project: Annotated[
            Path | None, typer.Option("--project", metavar="DIR", help="Project folder.")
        ] = None,
        env: Annotated[
            str | None, typer.Option("--env", metavar="NAME", help="Environment overlay.")
        ] = None,
        assignments: Annotated[
            list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting.")
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    ) -> None:
        if context.invoked_subcommand is None:
            shown(project=project, env=env, assignments=assignments, as_json=as_json, **given)

    group.callback()(otherwise)


def deliver(answer: Callable[[], Answer], options: Options) -> int:
    """Get the answer and put it out; the exit code."""
    as_json = options.json
    try:
        given = answer()
        if given.told:
            return given.exit_code
        if as_json:
            write_json({"ok": True, "data": given.data})
        else:
            given.show(console())
    except RatchetError as error:
        if options.opened is not None:
            error.where = options.opened.origins.locate(error.where)
        return fail(error, as_json=as_json)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        return 130
    except BrokenPipeError:
        raise
    except OSError as error:
        # Polars raises a broken pipe as a plain error of the operating system.
        if error.errno == errno.EPIPE or "Broken pipe" in str(error):
            raise BrokenPipeError from None
        return fail(_bug(error), as_json=as_json)
    except Exception as error:  # noqa: BLE001 - the process's edge: a bug becomes exit code 1
        return fail(_bug(error), as_json=as_json)
    return given.exit_code


def fail(error: RatchetError, *, as_json: bool) -> int:
    """Put out a fault; its exit code."""
    if as_json:
        write_json({"ok": False, "error": error.to_json()})
        return error.exit_code
    err = console(stderr=True)
    from rich.text import Text

    err.print(Text.assemble(("error: ", "bold red"), error.what), soft_wrap=True)
    for label, text in (("why", error.why), ("fix", error.fix), ("at", error.where)):
        if text:
            err.print(Text.assemble((f"  {label:<4}", "bold"), text), soft_wrap=True)
    return error.exit_code


def _bug(error: Exception) -> RatchetError:
    if os.environ.get("RATCHET_DEBUG"):
        traceback.print_exc()
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    text = str(error).splitlines()[0] if str(error) else ""
    return RatchetError(
        "This is a bug in Ratchet; nothing was promoted",
        why=f"{type(error).__name__}: {text}",
        fix="run it again with RATCHET_DEBUG=1 and report what it prints",
        where=place,
    )


def write_json(value: Mapping[str, Any]) -> None:
    """One JSON object and a line break on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def console(*, stderr: bool = False) -> Console:
    """A console for people; plain and unwrapped when nobody looks."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    # A pipe has no width: give tables room instead of cutting words at 80 columns.
    asked = os.environ.get("COLUMNS", "")
    width = max(40, int(asked)) if asked.isdecimal() else None if stream.isatty() else 120
    return Console(stderr=stderr, highlight=False, emoji=False, width=width)
