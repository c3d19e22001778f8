"""``ratchet demo``: a year of a model's life on generated churn data, in about a minute."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratchet.cli.output import Answer, Options, command, console

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.data.scenarios import Scenario
    from ratchet.pipeline.outcome import Run
    from ratchet.project import Project

DATA = "customers.csv"


class Task(StrEnum):
    """What the demo's model is asked."""

    classification = "classification"
    regression = "regression"


_DRIFT, _POISON = 3, 6


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that happens: how many months of data there are then, and what it shows."""

    months: int
    title: str
    shows: str


ACTS = (
    Act(2, "January and February", "the first model is trained, gated and promoted"),
    Act(2, "the same data again", "nothing changed, so nothing is trained"),
    Act(
        3,
        "March: a month like the others",
        "a new model is trained, but it has to be proven better to replace the champion",
    ),
    Act(
        6,
        "April to June: customers leave for other reasons than before",
        "the old model is wrong about them; the new one proves it and takes its place",
    ),
    Act(7, "July: a broken export", "the checks stop it before anything is trained"),
)

_EXPECTATIONS: tuple[dict[str, Any], ...] = (
    {
        "expect_column_values_to_be_between": {
            "column": "tenure",
            "min_value": 0,
            "max_value": 120,
        },
        "severity": "error",
    },
    {
        "expect_column_values_to_be_in_set": {
            "column": "contract",
            "value_set": ["Month-to-month", "One year", "Two year"],
        },
        "severity": "error",
    },
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
    """Seven months of generated churn data with a known truth: train, skip, drift, retrain, poison.

    Everything is real: the project stays in the folder, to be looked at and played with.
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
    told = [_play(act, number, root, scenario, budget, screen) for number, act in enumerate(ACTS)]
    body = {"folder": str(root), "acts": told}
    return Answer(body, lambda shown: _show_end(shown, root))


def _play(
    act: Act, number: int, root: Path, scenario: Scenario, budget: str, screen: Console
) -> dict[str, Any]:
    """Bring the data to where it is in this act, and run the pipeline."""
    from rich.text import Text

    from ratchet.cli.progress import reporter
    from ratchet.data.scenarios import write_csv
    from ratchet.pipeline.run import run

    screen.print(Text(f"\n{number + 1}. {act.title}", style="bold"))
    root.mkdir(parents=True, exist_ok=True)
    write_csv(scenario, act.months, root / DATA)
    project = _open(root) if number else _start(root, scenario, budget)
    ended = run(project, reporter=reporter(screen))
    if ended.fault is not None:
        raise ended.fault
    _show_act(screen, act, ended)
    return {
        "title": act.title,
        "months": act.months,
        "run_id": ended.run_id,
        "outcome": ended.outcome,
        "reason": ended.reason,
        "metrics": dict(ended.metrics),
        "champion_before": ended.champion["version"] if ended.champion else None,
        "model": dict(ended.model) if ended.model else None,
    }


def _start(root: Path, scenario: Scenario, budget: str) -> Project:
    from ratchet.pipeline.starting import Wishes, start_project

    start_project(
        root,
        Wishes(
            data=str(root / DATA),
            target=scenario.target,
            name="churn-demo" if scenario.target == "churned" else "bill-demo",
            time_budget=budget,
            expectations=_EXPECTATIONS,
        ),
    )
    return _open(root)


def _open(root: Path) -> Project:
    from ratchet.project import load_project

    return load_project(root)


def _show_act(screen: Console, act: Act, ended: Run) -> None:
    from rich.text import Text

    from ratchet.cli.run import _STYLES

    screen.print(
        Text.assemble("  ", (ended.outcome, _STYLES[ended.outcome]), f": {ended.reason}"),
        soft_wrap=True,
    )
    screen.print(Text(f"  So {act.shows}.", style="italic"), soft_wrap=True)


def _show_end(screen: Console, root: Path) -> None:
    from rich.text import Text

    # `make demo` runs it from a virtual environment that is not on the path.
    ratchet = "ratchet" if shutil.which("ratchet") else str(Path(sys.argv[0]).resolve())
    lines = [
        (f"{ratchet} runs", "every run and its reason"),
        (f"{ratchet} show last", "the last run in detail"),
        (f"{ratchet} models", "the model versions, and what serves"),
        (f"{ratchet} predict --data {DATA} --out scores.csv", "score customers"),
        ("less ratchet.yaml", "the settings, every guess in them"),
    ]
    width = max(len(shown) for shown, _ in lines)
    screen.print(Text(f"\nAll of it is in {root}. Where to look:", style="bold"), soft_wrap=True)
    screen.print(Text(f"  cd {root}"), soft_wrap=True)
    for shown, what in lines:
        screen.print(Text(f"  {shown:<{width}}  # {what}"), soft_wrap=True)
