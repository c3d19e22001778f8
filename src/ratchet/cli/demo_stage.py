"""The demo's stage: what the acts share, and what happens on it between two runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet import clock

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console

    from ratchet.cli.demo_server import DemoServer, Predicted
    from ratchet.data.scenarios import Scenario
    from ratchet.pipeline.outcome import Run
    from ratchet.pipeline.step import Reporter
    from ratchet.project import Project

DATA = "customers.csv"

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


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that happens: how many months of data there are then, and what it shows."""

    months: int
    title: str
    shows: str


@dataclass(slots=True)
class Stage:
    """What the acts share.

    Attributes:
        server: answers once a model was promoted.
        months: how many of them were written to the file or served.
        answered: how many answers the server gave.
    """

    root: Path
    scenario: Scenario
    budget: str
    screen: Console
    server: DemoServer | None = None
    months: int = 0
    answered: int = 0

    def play(self, act: Act, number: int) -> dict[str, Any]:
        """Let the act's months happen, and run the pipeline."""
        from rich.text import Text

        from ratchet.cli.progress import reporter
        from ratchet.pipeline.run import run

        self.screen.print(Text(f"\n{number + 1}. {act.title}", style="bold"))
        shown = reporter(self.screen)
        production = self._arrive(act.months, shown)
        ended = run(_open(self.root), reporter=shown)
        if ended.fault is not None:
            raise ended.fault
        _show_act(self.screen, act, ended)
        if ended.outcome == "promoted":
            self._serve(ended, shown)
        return {
            "title": act.title,
            "months": act.months,
            "run_id": ended.run_id,
            "outcome": ended.outcome,
            "reason": ended.reason,
            "metrics": dict(ended.metrics),
            "champion_before": ended.champion["version"] if ended.champion else None,
            "model": dict(ended.model) if ended.model else None,
            **production,
        }

    def close(self) -> None:
        """End the server."""
        if self.server is not None:
            self.server.stop()

    def count(self) -> dict[str, Any] | None:
        """How many answers were given, and how many of them are in the lake; None without any."""
        from rich.text import Text

        from ratchet.data.predictions.coverage import label_coverage

        if self.server is None:
            return None
        found = label_coverage(_open(self.root).open_lake(), as_of=clock.now())
        kept = sum(day.predictions for day in found.days)
        labelled = sum(day.labelled for day in found.days)
        self.screen.print(
            Text(
                f"\nThe server has ended. It gave {self.answered:,} answers; the lake holds "
                f"{kept:,} of them, {labelled:,} with what came of it."
            ),
            soft_wrap=True,
        )
        return {
            "url": self.server.url,
            "answered": self.answered,
            "in_lake": kept,
            "labelled": labelled,
        }

    def _arrive(self, months: int, shown: Reporter) -> dict[str, Any]:
        """Bring the months that are missing: to the file, or through the server when there is one.

        Returns:
            ``served`` and ``collected``; both None without a server.
        """
        from ratchet.data.scenarios import write_csv

        nothing = {"served": None, "collected": None}
        new = range(self.months, months)
        self.months = months
        if not new:
            return nothing
        if self.server is None:
            self.root.mkdir(parents=True, exist_ok=True)
            first = not (self.root / DATA).exists()
            write_csv(self.scenario, months, self.root / DATA)
            if first:
                _start(self.root, self.scenario, self.budget)
            return nothing
        return self._happen(new, self.server, shown)

    def _happen(self, months: range, server: DemoServer, shown: Reporter) -> dict[str, Any]:
        """Ask about the customers of some months, tell what became of them, and collect it."""
        import polars as pl

        from ratchet.cli.data import move_log
        from ratchet.data.scenarios import make_month
        from ratchet.evaluation.catalog import find_metric
        from ratchet.pipeline.collecting import collect_project

        target = self.scenario.target
        customers = pl.concat([make_month(self.scenario, month).frame for month in months])
        with _Step("predict", shown) as step:
            said = server.predict(customers.drop(target), "Yes" if target == "churned" else None)
            self.answered += len(said.ids)
            versions = ", ".join(map(str, said.versions))
            step.found = (
                f"{len(said.ids):,} customers in {said.requests:,} requests to {server.url}, "
                f"answered by version {versions}"
            )
        with _Step("feedback", shown) as step:
            labels = server.tell(said.ids, customers[target].to_list())
            metric, value = _hindsight(said, customers[target])
            title = find_metric(metric).title
            step.found = f"{labels:,} labels came back: {title} of what was served {value:.4f}"
        with _Step("collect", shown) as step:
            project = _open(self.root)
            move_log(project)
            done = collect_project(project)
            step.found = f"{done.rows:,} served and labelled rows to train on ({done.reason})"
        return {
            "served": {
                "rows": len(said.ids),
                "requests": said.requests,
                "versions": list(said.versions),
                "labels": labels,
                "metric": metric,
                "value": value,
            },
            "collected": {"version": done.version, "rows": done.rows, "added": done.added},
        }

    def _serve(self, ended: Run, shown: Reporter) -> None:
        """Have the promoted version answer: by starting the server, or by waiting a moment."""
        from ratchet.cli.demo_server import DemoServer

        version = (ended.model or {})["version"]
        with _Step("serve", shown) as step:
            if self.server is None:
                self.server = DemoServer(self.root)
                step.found = f"version {version} answers at {self.server.url}/docs"
            else:
                self.server.wait_for(version)
                step.found = f"version {version} answers at {self.server.url}, without a restart"


class _Step:
    """A line about something that takes time, like those of a run's steps."""

    def __init__(self, name: str, shown: Reporter) -> None:
        self._name, self._shown = name, shown
        self.found = ""

    def __enter__(self) -> _Step:
        self._shown.started(self._name)
        self._began = clock.monotonic()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        status = "done" if kind is None else "failed"
        self._shown.finished(self._name, clock.monotonic() - self._began, status, self.found)


def _hindsight(said: Predicted, labels: pl.Series) -> tuple[str, float]:
    """How good the answers were, now that everybody's fate is known."""
    import numpy as np

    from ratchet.data.task import Task as Asked
    from ratchet.evaluation.metrics import evaluate

    scores = np.array(said.scores)
    if labels.dtype.is_numeric():
        task, name, columns = Asked("regression", ()), "rmse", [scores]
    else:
        task, name, columns = Asked("binary", ("No", "Yes")), "roc_auc", [1 - scores, scores]
    found = evaluate(task.encode(labels), np.stack(columns, axis=1), task=task, names=(name,))
    return name, found.values()[name] or 0.0


def _start(root: Path, scenario: Scenario, budget: str) -> None:
    from ratchet.pipeline.starting import Wishes, start_project

    start_project(
        root,
        Wishes(
            data=str(root / DATA),
            target=scenario.target,
            name="churn-demo" if scenario.target == "churned" else "bill-demo",
            time_budget=budget,
            expectations=_EXPECTATIONS,
            production=True,
        ),
    )


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
