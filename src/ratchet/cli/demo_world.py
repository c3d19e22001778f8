"""The demo's world: who becomes a customer on which day, and what becomes of him days later."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from ratchet.data.scenarios import ID, TIME, Dirt, Month, Scenario, make_month, write_csv

if TYPE_CHECKING:
    from ratchet.data.task import Label

FIRST = date(2025, 2, 1)
"""The month that the first model learns from; the demo's calendar lies in the past, so that who
goes on with its folder goes on in the present."""
CHANGE = 2
"""After so many months the world becomes another one."""


def make_scenario(seed: int, rows: int, target: str) -> Scenario:
    """A world that is quiet until April, and then another one for good."""
    return Scenario(
        seed=seed,
        rows=rows,
        first=FIRST,
        drift_month=CHANGE,
        covariate_drift=0.25,
        covariate_months=1,
        campaign=0.35,
        fee=30.0,
        horizon=7,
        label_delay=5,
        dirt=Dirt(missing=0.02, repeated=0.005),
        target="next_bill" if target == "next_bill" else "churned",
    )


@dataclass(slots=True)
class World:
    """The customers of a scenario, day by day, and the fates that are still to show.

    Attributes:
        due: by the day it shows: the predictions that were made, and what came of each.
    """

    scenario: Scenario
    due: dict[date, list[tuple[str, Label]]] = field(default_factory=lambda: defaultdict(list))
    _months: dict[int, Month] = field(default_factory=dict)

    def customers(self, day: date) -> tuple[pl.DataFrame, pl.Series]:
        """The day's customers with their fates, and the day on which each of these shows."""
        first = self.scenario.first
        number = (day.year - first.year) * 12 + day.month - first.month
        if number not in self._months:
            self._months[number] = make_month(self.scenario, number)
        month = self._months[number]
        own = (month.frame[TIME] == day) & month.frame[ID].is_first_distinct()
        return month.frame.filter(own), month.known_on.filter(own)

    def promise(self, ids: Sequence[str], fates: pl.Series, shows: pl.Series) -> None:
        """Note what will have become of predictions, and when that shows."""
        for own, fate, on in zip(ids, fates.to_list(), shows.to_list(), strict=True):
            self.due[on].append((own, fate))

    def fates(self, day: date) -> list[tuple[str, Any]]:
        """What shows by the end of a day and was not told before."""
        ready = sorted(on for on in self.due if on <= day)
        return [each for on in ready for each in self.due.pop(on)]

    def write_history(self, path: Path) -> None:
        """The file of the first month."""
        write_csv(self.scenario, 1, path)

    def write_broken(self, path: Path) -> None:
        """A month as a broken export writes it: columns swapped, impossible values."""
        broken = replace(self.scenario, first=FIRST + timedelta(days=120), poisoned=(0,))
        write_csv(replace(broken, drift_month=None), 1, path)

    def write_backup(self, path: Path) -> None:
        """Three months of the year before, when the world was another one: whole and clean."""
        before = replace(self.scenario, seed=self.scenario.seed + 1, first=date(2024, 10, 1))
        write_csv(replace(before, drift_month=None, covariate_drift=0.0), 3, path)
