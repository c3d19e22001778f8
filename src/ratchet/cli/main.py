"""The command line's entry: the list of commands, and nothing heavy."""

from __future__ import annotations

import gc
import io
import os
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from ratchet import __version__
from ratchet.cli import (
    alerts,
    approve,
    audit,
    backtest,
    check,
    config,
    data,
    demo,
    drift,
    experiment,
    export,
    features,
    health,
    incident,
    init,
    keys,
    loop,
    models,
    monitor,
    plan,
    predict,
    rollout,
    run,
    runs,
    serve,
    trigger,
    up,
    validate_model,
)
from ratchet.cli.output import fail
from ratchet.errors import RatchetError, UsageError

app = typer.Typer(
    name="ratchet",
    help="Continuous training for tabular models that only turns one way.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

for module in (
    init,
    demo,
    check,
    plan,
    run,
    trigger,
    runs,
    models,
    rollout,
    experiment,
    approve,
    predict,
    drift,
    export,
    monitor,
    backtest,
    serve,
    loop,
    up,
    keys,
    features,
    health,
    incident,
    data,
    validate_model,
    alerts,
    audit,
    config,
):
    module.register(app)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"ratchet {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Continuous training for tabular models that only turns one way."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    # Threads that wait for work must not spin: the cores are shared with other candidates.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Imports and tables make many objects and little garbage: look for cycles less often.
    gc.set_threshold(50_000, 20, 50)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets a question mark, not an error.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    code = _invoke(sys.argv[1:])
    # An interrupt inside code compiled from text (a dataclass being made, say) leaves a mark that
    # makes `python -m` end itself by a signal, whatever the code: running text clears the mark.
    exec("")  # noqa: S102
    sys.exit(code)


def _invoke(arguments: list[str]) -> int:
    as_json = "--json" in arguments
    try:
        code = app(args=arguments, standalone_mode=False)
    except typer.Abort:
        return fail(RatchetError("Interrupted"), as_json=as_json)
    except TyperException as error:
        if not arguments:
            return 2  # the help was printed
        return fail(_usage(error), as_json=as_json)
    except BrokenPipeError:
        # The reader went away (`| head`): end quietly, and let nothing flush into the void.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code if isinstance(code, int) else 0


def _usage(error: TyperException) -> UsageError:
    context = getattr(error, "ctx", None)
    message = getattr(error, "format_message", error.__str__)()
    return UsageError(message, fix=f"see `{context.command_path if context else 'ratchet'} --help`")
