"""What the demo's project file says beside what ``ratchet init`` guesses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ratchet.cli.demo_world import World

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

_SECTIONS = """\
rollout:
  strategy: canary
  steps: [10, 50, 100]          # percent of the customers
  hold: 2d
  minimum: {minimum}                  # requests of a step
  labels: {labels}                    # no step ends before so many of its own labels are in
  alpha: 0.05                   # the chance that one that is no worse is taken back
  score_shift: 0.8              # the world moves the scores here: the labels decide
  fast: 50ms                    # a demo shares its machine with whatever else runs
serving: {{poll: 100ms}}
monitoring:
  period: 31d                   # a month's predictions are judged together
  recent: 31d
  history: 365d
  slices: [contract]
  drift: {{window: 7d, min_rows: 100}}
triggers:                       # what was learned is used until it is wrong
  new_rows: null
  max_age: null
  follow_up: null
  cooldown: 90d
  investigate: {{challenger: false}}  # the story has one that the labels ask for
loop: {{collect: 1h}}
"""


def start_demo(root: Path, world: World, budget: str) -> None:
    """Write the first month's file and the project file."""
    from ratchet.pipeline.starting import Wishes, start_project

    scenario = world.scenario
    root.mkdir(parents=True, exist_ok=True)
    world.write_history(root / DATA)
    started = start_project(
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
    text = started.file.read_text(encoding="utf-8")
    own = _SECTIONS.format(minimum=scenario.rows // 10, labels=max(90, scenario.rows // 16))
    started.file.write_text(text + own, encoding="utf-8")
