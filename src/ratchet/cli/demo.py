"""``ratchet demo``: months of a model's life on generated churn data, in about a minute."""

from __future__ import annotations

import shutil
import signal
import sys
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratchet import clock
from ratchet.cli.output import Answer, Options, command, console

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.cli.demo_acts import Act, Played
    from ratchet.cli.demo_stage import Stage
    from ratchet.cli.demo_story import Story


class Task(StrEnum):
    """What the demo's model is asked."""

    classification = "classification"
    regression = "regression"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


@command
def demo(
    options: Options,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help=r"Where to \[default: ./ratchet-demo].")
    ] = None,
    seed: Annotated[int, typer.Option(help="Other customers.")] = 7,
    rows: Annotated[int, typer.Option(min=500, help="Customers per month.")] = 2000,
    task: Annotated[
        Task, typer.Option(help="Whether a customer leaves, or what the next bill is.")
    ] = Task.classification,
    budget: Annotated[
        str, typer.Option(metavar="TIME", help="Time for each training run, such as 60s.")
    ] = "6s",
) -> Answer:
    """Half a year of generated churn data in about a minute, and one page that tells its story.

    A first model serves over HTTP; what becomes of its customers shows a week or two later. The
    world changes: drift is seen, the labels prove the loss, a new model is trained and earns its
    customers step by step. A broken export is stopped, and a model that only looked better is
    taken back by the loop itself. Everything is real but the calendar, which jumps: the project
    stays in the folder, to be looked at and played with. The server ends with the demo.
    """
    from ratchet.cli.demo_acts import ACTS, told
    from ratchet.cli.demo_stage import Stage
    from ratchet.cli.demo_world import FIRST, World, make_scenario
    from ratchet.cli.progress import reporter
    from ratchet.errors import UsageError

    root = (options.project or folder or Path("ratchet-demo")).resolve()
    if root.exists() and any(root.iterdir()):
        raise UsageError(f"The folder {root} is not empty", fix="name a new one: ratchet demo DIR")
    target = "next_bill" if task is Task.regression else "churned"
    world = World(make_scenario(seed, rows, target))
    screen = console(stderr=options.json)
    stage = Stage(
        root, world, budget, screen, reporter(screen), date(FIRST.year, FIRST.month + 1, 1)
    )
    played: list[tuple[Act, Played]] = []
    # Whoever ends it ends the server with it.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        stage.open()
        for act in ACTS:
            played.append((act, _play(stage, act, len(played) + 1)))
            if stage.server is None:
                break  # nothing serves, and the other acts are about what serves
        ended = clock.now()
    finally:
        stage.close()
        signal.signal(signal.SIGTERM, before)
    page, story = _write_page(root, ended)
    body = {
        "folder": str(root),
        "story": str(page),
        "acts": told(played),
        "serving": _count(story, stage),
        "champion": story.champion,
        "alerts": [one.occasion for one in story.alerts],
    }
    return Answer(body, lambda shown: _show_end(shown, root, page))


def _write_page(root: Path, ended: datetime) -> tuple[Path, Story]:
    """Read the story from the project that was left, and write its page."""
    from ratchet.cli.demo_page import render_story
    from ratchet.cli.demo_story import read_story
    from ratchet.pipeline.store import storing, write_atomic
    from ratchet.project import load_project

    story = read_story(load_project(root), ended)
    page = root / "reports" / "story.html"
    with storing():
        page.parent.mkdir(exist_ok=True)
    write_atomic(page, render_story(story))
    return page, story


def _count(story: Story, stage: Stage) -> dict[str, Any] | None:
    """How many answers were given, and how many of them are in the lake."""
    if stage.server is None:
        return None
    return {
        "url": stage.server.url,
        "answered": stage.answered,
        "in_lake": story.answers,
        "labelled": story.labelled,
    }


def _play(stage: Stage, act: Act, number: int) -> Played:
    from rich.text import Text

    stage.screen.print(Text(f"\n{number}. {act.title}", style="bold"))
    played = act.play(stage)
    style = "italic" if played.expected else "bold yellow"
    words = "So" if played.expected else "This time it came out otherwise:"
    stage.screen.print(Text(f"  {words} {played.shows}.", style=style), soft_wrap=True)
    return played


def _show_end(screen: Console, root: Path, page: Path) -> None:
    from rich.text import Text

    # `make demo` runs it from a virtual environment that is not on the path.
    ratchet = "ratchet" if shutil.which("ratchet") else str(Path(sys.argv[0]).resolve())
    lines = [
        (f"{ratchet} runs", "every run and its reason"),
        (f"{ratchet} show last", "the last run in detail"),
        (f"{ratchet} models", "the model versions, and what serves"),
        (f"{ratchet} serve", "answer over HTTP again: http://127.0.0.1:8000/docs"),
        (f"{ratchet} rollout history", "the two rollouts, and how they ended"),
        (f"{ratchet} audit verify", "that no decision was changed afterwards"),
        (f"{ratchet} predict --data customers.csv --out scores.csv", "score customers of a file"),
        ("less ratchet.yaml", "the settings, every guess in them"),
    ]
    width = max(len(shown) for shown, _ in lines)
    screen.print(Text(f"\nThe story in plots: {page}", style="bold"), soft_wrap=True)
    screen.print(Text(f"All of it is in {root}. Where to look:", style="bold"), soft_wrap=True)
    screen.print(Text(f"  cd {root}"), soft_wrap=True)
    for shown, what in lines:
        screen.print(Text(f"  {shown:<{width}}  # {what}"), soft_wrap=True)
