"""``ratchet demo``: a year of a model's life on generated churn data, in about a minute."""

from __future__ import annotations

import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ratchet.cli.demo_stage import DATA, Act, Stage
from ratchet.cli.output import Answer, Options, command, console

if TYPE_CHECKING:
    from rich.console import Console


class Task(StrEnum):
    """What the demo's model is asked."""

    classification = "classification"
    regression = "regression"


_DRIFT, _POISON = 3, 6


ACTS = (
    Act(
        2,
        "January and February: a file of customers",
        "the first model is trained, gated and promoted, and from now on it answers over HTTP",
    ),
    Act(2, "the same data again", "nothing changed, so nothing is trained"),
    Act(
        3,
        "March: a month like the others",
        "a new model is trained on what was served and came true, but it has to be proven better "
        "to replace the champion",
    ),
    Act(
        6,
        "April to June: customers leave for other reasons than before",
        "the old model is wrong about them; the new one proves it and takes its place, while the "
        "server runs",
    ),
    Act(
        7,
        "July: a broken export",
        "the checks stop it before anything is trained, and the proven model goes on answering",
    ),
)


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
    ] = "15s",
) -> Answer:
    """Seven months of generated churn data: train, serve, skip, drift, retrain, poison.

    The first model is served over HTTP; what became of the customers it was asked about comes
    back late, and the next run trains on it. Everything is real: the project stays in the folder,
    to be looked at and played with. The server ends with the demo.
    """
    from ratchet.data.scenarios import Dirt, Scenario
    from ratchet.errors import UsageError

    root = (options.project or folder or Path("ratchet-demo")).resolve()
    if root.exists() and any(root.iterdir()):
        raise UsageError(f"The folder {root} is not empty", fix="name a new one: ratchet demo DIR")
    scenario = Scenario(
        seed=seed,
        rows=rows,
        drift_month=_DRIFT,
        poisoned=(_POISON,),
        dirt=Dirt(missing=0.02, repeated=0.005),
        target="next_bill" if task is Task.regression else "churned",
    )
    screen = console(stderr=options.json)
    stage = Stage(root, scenario, budget, screen)
    try:
        told = [stage.play(act, number) for number, act in enumerate(ACTS)]
    finally:
        stage.close()
    body = {"folder": str(root), "acts": told, "serving": stage.count()}
    return Answer(body, lambda shown: _show_end(shown, root))


def _show_end(screen: Console, root: Path) -> None:
    from rich.text import Text

    # `make demo` runs it from a virtual environment that is not on the path.
    ratchet = "ratchet" if shutil.which("ratchet") else str(Path(sys.argv[0]).resolve())
    lines = [
        (f"{ratchet} runs", "every run and its reason"),
        (f"{ratchet} show last", "the last run in detail"),
        (f"{ratchet} models", "the model versions, and what serves"),
        (f"{ratchet} serve", "answer over HTTP again: http://127.0.0.1:8000/docs"),
        (f"{ratchet} data labels", "what was served, and how much of it has its label"),
        (f"{ratchet} predict --data {DATA} --out scores.csv", "score customers of a file"),
        ("less ratchet.yaml", "the settings, every guess in them"),
    ]
    width = max(len(shown) for shown, _ in lines)
    screen.print(Text(f"\nAll of it is in {root}. Where to look:", style="bold"), soft_wrap=True)
    screen.print(Text(f"  cd {root}"), soft_wrap=True)
    for shown, what in lines:
        screen.print(Text(f"  {shown:<{width}}  # {what}"), soft_wrap=True)
