from __future__ import annotations

import re

import numpy as np
import pytest

from backtest_world import make_frame, make_world, played, policy
from ratchet.backtest.baselines import best_schedules, loss_table, no_change
from ratchet.backtest.outcome import Backtest
from ratchet.backtest.recommend import recommend
from ratchet.backtest.replay import play_every, play_never
from ratchet.backtest.report import render_backtest
from ratchet.backtest.run import EVERY, GATED, NEVER, compare_policies

CIRCLE = re.compile(r'<circle cx="([0-9.]+)%" cy="([0-9.]+)" r="([0-9.]+)"')
NAME = re.compile(r'<text y="([0-9.]+)" dy="(-?[0-9.]+)"')
LETTERS = 13.0
"""Pixels that a name is high."""


def make(keep: float) -> Backtest:
    cells = make_world(make_frame([0.0] * 20 + [np.pi / 2] * 20))
    tested = [policy("falling", performance={}), policy("eager", new_rows="5%", cooldown=None)]
    oracle = best_schedules(loss_table(cells), cells.stream.first)
    lines = compare_policies(
        cells,
        [played(cells, one) for one in tested],
        [
            play_never(cells, NEVER),
            play_every(cells, None, EVERY),
            play_every(cells, policy(), GATED),
        ],
        oracle,
        None,
    )
    return Backtest(
        "churn", "rows.csv", cells.stream, cells.metric, cells.loss, "line", lines, oracle,
        no_change(cells.stream), recommend(lines, cells.metric, keep=keep), 1, 1.0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def page() -> str:
    return render_backtest(make(0.5))


def test_the_table_of_policies_is_no_wider_than_a_page(page: str) -> None:
    table = page[page.index('id="policies-h"') : page.index('id="time-h"')]
    assert table.count('<th scope="col"') <= 9, "each column takes about a ninth of 1,000 pixels"
    assert re.search(r'<span class="sub">[0-9.]+% kept</span>', table)


def test_names_stand_clear_of_the_dots_above_and_below_them(page: str) -> None:
    plot = page[page.index("What each policy did") :]
    plot = plot[: plot.index("Work against loss")]
    names = [(float(y) + float(dy) - LETTERS, float(y) + float(dy)) for y, dy in NAME.findall(plot)]
    dots = [(float(y) - float(r), float(y) + float(r)) for _, y, r in CIRCLE.findall(plot)]
    assert len(names) >= 3
    assert len(dots) > 20
    for top, bottom in names:
        for high, low in dots:
            assert low <= top - 8 or high >= bottom + 4


def test_what_is_not_recommended_is_not_called_so() -> None:
    found = make(1.5)
    shown = render_backtest(found)
    assert "No policy keeps 150% by both" in shown
    table = shown[shown.index('id="policies-h"') : shown.index('id="time-h"')]
    assert "recommended" not in table
    assert "best there is" in table
