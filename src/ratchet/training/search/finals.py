"""The final fits: chosen configurations, trained on all rows by the deadline."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ratchet import clock
from ratchet.features.recipe import Encoding, Recipe
from ratchet.training.algorithms.port import Algorithm, streams
from ratchet.training.all_rows import AllRows
from ratchet.training.attempt import Attempt, try_fit
from ratchet.training.blend import Member
from ratchet.training.cores import CorePlan
from ratchet.training.deadline import MORE_TIME, NEVER, Deadline
from ratchet.training.entrant import Entrant
from ratchet.training.fitted import TrainingRows
from ratchet.training.folds import cut_validation
from ratchet.training.matrix_file import MatrixFile
from ratchet.training.progress import Progress, unseen
from ratchet.training.table import TrainingTable
from ratchet.training.warned import WarningNotes

SLOWER = 1.5
"""Times what the folds let expect that a fit takes whose rows are too many for memory."""

WORTHWHILE = 1.3
"""Fewer than this times the rows in memory are not worth a file."""

AIM = 0.93
"""The share of its time that a fit is stopped after: what follows its last round takes time too."""

FLOOR, PATIENT, QUICK = 0.3, 3.0, 0.75
"""A fit that should take up to ``QUICK`` seconds gets ``FLOOR`` and ``PATIENT`` times as many."""

WATCHED_SHARE = 0.05
"""Share of all rows that tell boosting when to stop, if no fold of about as many rows has."""


@dataclass(frozen=True, slots=True, eq=False)
class FinalFit:
    """A configuration trained on all rows, and the recipe that encoded them."""

    entrant: Entrant
    attempt: Attempt
    recipe: Recipe


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """A final fit that is wanted: what, and how many seconds it should take.

    With ``recipe`` that one encodes, instead of one learned on all rows. ``anew`` is fitted instead
    where the folds had far fewer rows: a part of the rows in memory stops it. Where these
    are a sample, ``further`` is what is fitted on all rows instead, stopped by some held back, and
    ``whole`` is whether all rows are to be learned from at all.
    """

    name: str
    entrant: Entrant
    seconds: float
    recipe: Recipe | None = None
    anew: Entrant | None = None
    further: Entrant | None = None
    whole: bool = True


class Finals:
    """Fits orders on all rows of ``table``; those with one encoding share its matrix.

    Where the table is a sample of ``everyone``, algorithms that can read all rows in pieces do so,
    with ``cores`` threads. At ``deadline`` a fit returns what it has: there has to be a model.
    """

    def __init__(
        self,
        table: TrainingTable,
        plan: CorePlan,
        notes: WarningNotes,
        deadline: Deadline,
        on_fitted: Callable[[str, Attempt], None],
        *,
        everyone: AllRows | None = None,
        cores: int = 1,
        follow: Callable[[str], Progress] = unseen,
    ) -> None:
        self.follow = follow
        self.table = table
        self.plan = plan
        self.notes = notes
        self.deadline = deadline
        self.on_fitted = on_fitted
        self.everyone = everyone
        self.cores = cores
        self.made: dict[str, FinalFit] = {}
        self.remarks: list[str] = []
        self._recipes: dict[Encoding, Recipe] = {}
        self._waiting = 0.0
        self._lock = threading.Lock()
        self._reading = threading.Lock()

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

    def rows_for(self, algorithm: Algorithm) -> int:
        """How many rows the algorithm can be fitted on."""
        if self.everyone is not None and streams(algorithm):
            return self.everyone.rows
        return len(self.table.y)

    def _fit_group(self, orders: Sequence[Order]) -> None:
        given, encoding = orders[0].recipe, orders[0].entrant.encoding
        if given is not None:
            recipe, rows = given, self.table.encode_by(given, None)
        else:
            # Encoded anew even if the recipe is known: in a target-encoded column each row has
            # what was learned without it, which a recipe alone cannot tell. Equal recipes are one.
            recipe, rows = self.table.encode(None, encoding)
            recipe = self._recipes.setdefault(encoding, recipe)
        wanted = self._wanted(orders)
        filed = [order for order in orders if wanted and streams(order.entrant.algorithm)]
        for order in orders:
            if order not in filed:
                entrant, learn, watch = self._stopped_anew(order, rows)
                self._fit_order(order, entrant, recipe, learn, watch)
                self._remark(order, len(rows.y))
        if filed:
            self._fit_filed(filed, recipe, rows, wanted)

    def _fit_filed(
        self, orders: Sequence[Order], recipe: Recipe, known: TrainingRows, wanted: int
    ) -> None:
        """Fit on so many of all rows, which lie in a file for as long as it takes."""
        everyone = self.everyone
        assert everyone is not None
        further = any(order.further is not None for order in orders)
        chosen = everyone.choose(wanted, hold_back=further, seed=self.table.seed)
        with (
            self._reading,
            MatrixFile(everyone.folder, known.X.shape[1], everyone.memory) as file,
        ):
            filed = chosen.encode(recipe, known, self.table, file)
            for order in orders:
                early = order.further is not None and filed.watched is not None
                entrant = order.further if early and order.further else order.entrant
                watch = filed.watched if early else None
                self._fit_order(order, entrant, filed.recipe, filed.rows, watch, threads=self.cores)
                self._remark(order, file.rows)
            if filed.rows.cache:
                filed.rows.cache.clear()

    def _fit_order(
        self,
        order: Order,
        entrant: Entrant,
        recipe: Recipe,
        rows: TrainingRows,
        watched: TrainingRows | None,
        *,
        threads: int | None = None,
    ) -> None:
        deadline = self._deadline(order)
        attempt = try_fit(
            entrant,
            rows,
            watched,
            seed=self.table.seed,
            threads=threads or self.plan.threads,
            notes=self.notes,
            deadline=deadline,
            progress=self.follow(f"{order.name} final"),
        )
        with self._lock:
            if deadline.over and not attempt.error:
                late = "its time was up before its final fit was done"
                self.remarks.append(f"{order.name}: {late}; {MORE_TIME}")
            if watched is not None:
                entrant = entrant.settle(attempt.rounds)
            self.made[order.name] = FinalFit(entrant, attempt, recipe)
            self.on_fitted(order.name, attempt)

    def _wanted(self, orders: Sequence[Order]) -> int:
        """How many of all rows there is time to learn from; 0 if no more than are in memory."""
        everyone = self.everyone
        able = [order for order in orders if order.whole and streams(order.entrant.algorithm)]
        if everyone is None or not able:
            return 0
        if math.isinf(self.deadline.at):
            return everyone.rows
        with self._lock:
            needed = sum(order.seconds for order in able)
            left = self.deadline.left * needed / max(self._waiting, needed, 1e-9)
        fitting = int(everyone.rows * min(1.0, left / max(1e-9, SLOWER * needed)))
        return fitting if fitting >= WORTHWHILE * len(self.table.y) else 0

    def _remark(self, order: Order, rows: int) -> None:
        """Say what a model was trained on where that is not all there is in memory."""
        if self.everyone is None:
            return
        count = self.everyone.rows
        if rows > len(self.table.y):
            share = "all" if rows >= 0.97 * count else f"{rows:,} of"
            said = f"on {share} {count:,} rows, read in pieces"
        else:
            said = f"on a sample of {rows:,} of {count:,} rows"
            able = streams(order.entrant.algorithm)
            said += ": there was no time for more" if able else ": it needs them all in memory"
        with self._lock:
            self.remarks.append(f"{order.name} was trained {said}")

    def _stopped_anew(
        self, order: Order, rows: TrainingRows
    ) -> tuple[Entrant, TrainingRows, TrainingRows | None]:
        """What to fit, on which rows, and those, the newest in time order, that tell when to stop.

        Rounds that were right for a small sample are too few for all rows.
        """
        if order.anew is None or not order.anew.stops_early:
            return order.entrant, rows, None
        table = self.table
        cut = cut_validation(
            rows.y, WATCHED_SHARE, seed=table.seed, time=table.time, groups=table.groups
        )
        if cut is None:
            return order.entrant, rows, None
        return order.anew, rows.take(cut.train), rows.take(cut.score)

    def _deadline(self, order: Order) -> Deadline:
        """Its share of the time left, by what it and those still waiting should take."""
        if math.isinf(self.deadline.at):
            return NEVER
        with self._lock:
            share = order.seconds / self._waiting if self._waiting > 0 else 1.0
            self._waiting = max(0.0, self._waiting - order.seconds)
        share = AIM * min(1.0, share * self.plan.workers)
        # A quick fit is never cut: next to nothing is saved, and half a model would be shipped.
        floor = FLOOR + PATIENT * order.seconds if order.seconds <= QUICK else 0.0
        return Deadline(clock.monotonic() + max(floor, share * self.deadline.left), keep=True)


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
