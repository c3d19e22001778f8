"""The command line's entry: the list of commands, and nothing heavy."""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
import threading
from importlib import import_module
from typing import Annotated

import typer
from typer.exceptions import TyperException

from ratchet import __version__
from ratchet.cli.output import fail
from ratchet.errors import RatchetError, UsageError

COMMANDS = {
    "init": ("init",),
    "demo": ("demo",),
    "check": ("check",),
    "plan": ("plan",),
    "run": ("run",),
    "trigger": ("trigger",),
    "runs": ("runs", "show"),
    "models": ("models", "promote", "rollback", "who-served"),
    "rollout": ("rollout",),
    "experiment": ("experiment",),
    "approve": ("approve", "reject"),
    "predict": ("predict",),
    "drift": ("drift",),
    "export": ("export",),
    "monitor": ("monitor",),
    "backtest": ("backtest",),
    "serve": ("serve",),
    "loop": ("loop",),
    "up": ("up",),
    "keys": ("keys",),
    "features": ("features",),
    "health": ("health", "delivery"),
    "incident": ("incident",),
    "data": ("data",),
    "validate_model": ("validate-model",),
    "alerts": ("alerts",),
    "audit": ("audit",),
    "config": ("config",),
}
"""The modules of this package that add commands, in the order of the help, and what they add."""


def build(asked: str | None = None) -> typer.Typer:
    """The command line.

    Args:
        asked: a command; if there is one of this name, only its module is loaded. To load and
            prepare them all takes longer than most commands do.
    """
    app = typer.Typer(
        name="ratchet",
        help="Continuous training for tabular models that only turns one way.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    own = [module for module, names in COMMANDS.items() if asked in names]
    for module in own or COMMANDS:
        import_module(f"ratchet.cli.{module}").register(app)
    return app


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"ratchet {__version__}")
        raise typer.Exit


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
    # To find that there is none, pydantic reads the metadata of every installed distribution.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Imports and tables make many objects and little garbage: look for cycles less often.
    gc.set_threshold(50_000, 20, 50)
    keep_interrupts()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets a question mark, not an error.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    code = _invoke(sys.argv[1:])
    # An interrupt inside code compiled from text (a dataclass being made, say) leaves a mark that
    # makes `python -m` end itself by a signal, whatever the code: running text clears the mark.
    exec("")  # noqa: S102
    sys.exit(code)


def keep_interrupts() -> None:
    """See to it that Ctrl-C is not lost.

    Where a library calls Python from C an exception cannot pass: it is reported and forgotten,
    an interrupt too, and the command would go on. So that interrupt is made once more.
    """
    report = sys.unraisablehook

    def again(lost: sys.UnraisableHookArgs) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            # At once it would be raised in here, and be forgotten again.
            main_thread = threading.main_thread().ident or 0
            later = threading.Timer(0.05, signal.pthread_kill, (main_thread, signal.SIGINT))
            later.daemon = True
            later.start()
        else:
            report(lost)

    sys.unraisablehook = again


def _invoke(arguments: list[str]) -> int:
    as_json = "--json" in arguments
    # With an option in front the whole command line answers: `ratchet --help run` tells of all.
    asked = arguments[0] if arguments else None
    try:
        code = build(asked)(args=arguments, standalone_mode=False)
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
    if not message and context is not None:
        # A group without a subcommand: its help was printed, and the error has no words.
        message = f"Say which: {', '.join(context.command.list_commands(context))}"
    return UsageError(message, fix=f"see `{context.command_path if context else 'ratchet'} --help`")
