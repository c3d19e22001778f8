"""How a run shows itself while it works: a live list on a terminal, plain lines elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

    from ratchet.pipeline.step import Reporter

_MARKS = {
    "done": ("✓", "green"),
    "reused": ("=", "cyan"),
    "stopped": ("✗", "yellow"),
    "failed": ("✗", "red"),
}


def reporter(console: Console) -> Reporter:
    """The reporter that fits the console."""
    return Live(console) if console.is_terminal else Lines(console)


def _line(step: str, seconds: float, status: str, detail: str) -> Text:
    mark, style = _MARKS[status]
    return Text.assemble(
        (mark, style),
        f" {step:<9} {seconds:6.1f} s  ",
        (detail, "" if status != "reused" else "dim"),
    )


class Lines:
    """One plain line when a step ends: for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def started(self, step: str) -> None:
        """Nothing to say yet."""

    def finished(self, step: str, seconds: float, status: str, detail: str) -> None:
        """Print the step's line."""
        self._console.print(_line(step, seconds, status, detail), soft_wrap=True)

    def progress(self, text: str) -> None:
        """A log needs no progress."""

    def note(self, text: str) -> None:
        """Print a line."""
        self._console.print(Text(f"    {text}"), soft_wrap=True)


class Live:
    """A spinner on the step at work, finished steps above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._step = ""

    def started(self, step: str) -> None:
        """Show the spinner."""
        self._step = step
        self._status = self._console.status(Text(step))
        self._status.start()

    def finished(self, step: str, seconds: float, status: str, detail: str) -> None:
        """Replace the spinner by the step's line."""
        if self._status is not None:
            self._status.stop()
            self._status = None
        self._console.print(_line(step, seconds, status, detail))

    def progress(self, text: str) -> None:
        """Show a text beside the spinner."""
        if self._status is not None:
            self._status.update(Text(f"{self._step}  {text}"))

    def note(self, text: str) -> None:
        """Print a line above the spinner."""
        self._console.print(Text(f"    {text}"))
