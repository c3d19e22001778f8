"""The final fits: chosen configurations, trained on all rows by the deadline."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ratchet import clock
from ratchet.features.recipe import Encoding, Recipe
from ratchet.training.attempt import Attempt, try_fit
from ratchet.training.blend import Member
from ratchet.training.cores import CorePlan
from ratchet.training.deadline import NEVER, Deadline
from ratchet.training.entrant import Entrant
from ratchet.training.table import TrainingTable
from ratchet.training.warned import WarningNotes


@dataclass(frozen=True, slots=True, eq=False)
class FinalFit:
    """A configuration trained on all rows, and the recipe that encoded them."""

    entrant: Entrant
    attempt: Attempt
    recipe: Recipe


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """A final fit that is wanted: what, and how many seconds it should take.

    With ``recipe`` that one encodes, instead of one learned on all rows.
    """

    name: str
    entrant: Entrant
    seconds: float
    recipe: Recipe | None = None


class Finals:
    """Fits orders on all rows of ``table``; those with one encoding share its matrix.

    At ``deadline`` a fit returns what it has: there has to be a model.
    """

    def __init__(
        self,
        table: TrainingTable,
        plan: CorePlan,
        notes: WarningNotes,
        deadline: Deadline,
        on_fitted: Callable[[str, Attempt], None],
    ) -> None:
        self.table = table
        self.plan = plan
        self.notes = notes
        self.deadline = deadline
        self.on_fitted = on_fitted
        self.made: dict[str, FinalFit] = {}
        self._recipes: dict[Encoding, Recipe] = {}
        self._waiting = 0.0
        self._lock = threading.Lock()

    def fit(self, orders: Sequence[Order], pool: ThreadPoolExecutor) -> None:
        """Fit what is not made yet.

        Raises:
            DataError: the recipe cannot be learned.
        """
        todo = [order for order in orders if order.name not in self.made]
        self._waiting = sum(order.seconds for order in todo)
        groups: dict[tuple[Encoding, int], list[Order]] = {}
        for order in todo:
            groups.setdefault((order.entrant.encoding, id(order.recipe)), []).append(order)
        futures = [pool.submit(self._fit_group, group) for group in groups.values()]
        try:
            for future in futures:
                future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            raise

    def _fit_group(self, orders: Sequence[Order]) -> None:
        given, encoding = orders[0].recipe, orders[0].entrant.encoding
        if given is not None:
            recipe, rows = given, self.table.encode_by(given, None)
        else:
            # Encoded anew even if the recipe is known: in a target-encoded column each row has
            # what was learned without it, which a recipe alone cannot tell. Equal recipes are one.
            recipe, rows = self.table.encode(None, encoding)
            recipe = self._recipes.setdefault(encoding, recipe)
        for order in orders:
            attempt = try_fit(
                order.entrant,
                rows,
                None,
                seed=self.table.seed,
                threads=self.plan.threads,
                notes=self.notes,
                deadline=self._deadline(order),
            )
            with self._lock:
                self.made[order.name] = FinalFit(order.entrant, attempt, recipe)
                self.on_fitted(order.name, attempt)

    def _deadline(self, order: Order) -> Deadline:
        """Its share of the time left, by what it and those still waiting should take."""
        if math.isinf(self.deadline.at):
            return NEVER
        with self._lock:
            share = order.seconds / self._waiting if self._waiting > 0 else 1.0
            self._waiting = max(0.0, self._waiting - order.seconds)
        share = min(1.0, share * self.plan.workers)
        return Deadline(clock.monotonic() + share * self.deadline.left, keep=True)


def member_of(name: str, fit: FinalFit, weight: float) -> Member:
    """The fitted configuration as a part of a blend."""
    algorithm, fitted = fit.entrant.algorithm, fit.attempt.fitted
    assert fitted is not None
    return Member(
        name=name,
        algorithm=algorithm.name,
        recipe=fit.recipe,
        fitted=fitted,
        weight=weight,
        saved=algorithm.save(fitted) if algorithm.continues else None,
    )
