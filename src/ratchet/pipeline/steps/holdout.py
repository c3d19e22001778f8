"""Which test rows may decide between a new model and the one that serves.

Never a row that either of them was trained on. Where the split follows time, rows newer than all
that both were trained on, and of these first the ones that no decision has used yet: a rolling
holdout. Where it does not, or where there are too few, the test rows without those that the serving
model saw; the ledger counts how often these have decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ratchet.pipeline.step import StepContext, StepOutput

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from ratchet.data.roles import Roles
    from ratchet.data.split import Method
    from ratchet.ledger.holdouts import HoldoutRows
    from ratchet.pipeline.steps.rows import Rows

Rule = Literal["fresh", "newer", "unseen"]
Moment = float | datetime

SEEN = "_seen.npy"
ENOUGH = 200
"""So many newer rows are worth more than more rows that are older."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What a model was trained on.

    Attributes:
        until: the newest moment of it, as text, one for each run that had a part in the model.
        seen: columns that tell rows apart, and the sorted hashes of the rows by these, likewise.
        complete: whether nothing of it is lost.
    """

    until: tuple[str | None, ...]
    seen: tuple[tuple[tuple[str, ...], np.ndarray], ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Holdout:
    """The rows that decide.

    Attributes:
        rule: ``fresh``: newer than both models' training rows and than every earlier decision;
            ``newer``: than both models' training rows; ``unseen``: test rows that the serving
            model was not trained on.
        chosen: which of the test rows (n_test,).
        note: what is special about them, for people; else empty.
    """

    rule: Rule
    chosen: np.ndarray
    note: str

    @property
    def count(self) -> int:
        """How many rows there are."""
        return int(self.chosen.sum())


def row_key(roles: Roles, method: Method, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns that tell one row from another: the id, with its time where it has many rows."""
    if roles.id is None:
        return tuple(columns)
    if method == "time" and roles.time is not None:
        return (roles.id, roles.time)
    return (roles.id,)


def remember_seen(
    folder: Path, chunks: Iterable[pl.DataFrame], parts: pl.Series, key: Sequence[str]
) -> None:
    """Leave the hashes of all rows that are not for testing: no later test may judge by them.

    Args:
        folder: where to leave them.
        chunks: all rows, piece by piece.
        parts: the part of each row (n,).
        key: the columns that tell rows apart.
    """
    from ratchet.data.hashing import row_hash
    from ratchet.data.split import TEST

    hashes = np.concatenate([row_hash(chunk.select(key), 0) for chunk in chunks])
    np.save(folder / SEEN, np.unique(hashes[parts.to_numpy() != TEST]), allow_pickle=False)


def learned_from(context: StepContext, run_id: str) -> Learned:
    """What the model of a run was trained on; with what it went on from, if it did."""
    until: list[str | None] = []
    seen: list[tuple[tuple[str, ...], np.ndarray]] = []
    complete = True
    for each in _lineage(context, run_id):
        split = _split_of(context, each)
        until.append(None if split is None else split.facts.get("trained_until"))
        if split is None or not split.file(SEEN).is_file():
            complete = False
            continue
        hashes = np.load(split.file(SEEN), mmap_mode="r", allow_pickle=False)
        seen.append((tuple(split.facts["row_key"]), hashes))
    return Learned(tuple(until), tuple(seen), complete)


def _lineage(context: StepContext, run_id: str) -> list[str]:
    """The run, and those whose models it went on training, newest first."""
    found: list[str] = []
    after: str | None = run_id
    while after is not None and after not in found:
        found.append(after)
        summary = context.ledger.get_run(after).summary
        before = summary.get("champion") or {}
        after = before.get("run_id") if summary.get("update") == "incremental" else None
    return found


def _split_of(context: StepContext, run_id: str) -> StepOutput | None:
    """What the split step of a run left; None when it is gone."""
    from ratchet.pipeline.store import recall

    if run_id == context.run_id:
        return context.outputs["split"]
    for step in context.ledger.steps(run_id):
        if step.name == "split" and step.folder is not None and step.output_digest is not None:
            return recall("split", context.project.state / step.folder, step.output_digest)
    return None


def choose_holdout(
    context: StepContext, rows: Rows, y: np.ndarray, level_at: Callable[[int], float | None]
) -> Holdout:
    """The test rows that decide between this run's model and the champion.

    Only what is known without the models' scores has a say in it: moments, counts and levels.

    Args:
        context: of a run with a champion.
        rows: the run's rows.
        y: the test rows' classes or values (n_test,).
        level_at: the one-sided level of a decision by its number; None when rows are used up.
    """
    champion = context.champion or {}
    name = f"version {champion['version']}"
    learned = learned_from(context, champion["run_id"])
    table = all_columns(rows)
    notes = []
    if context.outputs["split"].facts["method"] == "time" and rows.roles.time is not None:
        times = table.get_column(rows.roles.time)
        own = context.outputs["split"].facts["trained_until"]
        newer = _newer(times, (own, *learned.until))
        if newer is not None and _enough(newer, y, rows):
            return _rolling(context, table, times, newer, y, rows, level_at)
        if newer is None:
            notes.append(f"until when {name} was trained is not known")
        else:
            notes.append(
                f"only {int(newer.sum()):,} of them are newer than all that both models were "
                "trained on, too few to decide alone"
            )
    chosen = _unseen(table, learned)
    left_out = int((~chosen).sum())
    if left_out:
        notes.append(f"{left_out:,} more were left out: {name} was trained on them")
    if not learned.complete:
        notes.append(f"what {name} was trained on is not known in full any more")
    return Holdout("unseen", chosen, "; ".join(notes))


def _newer(times: pl.Series, marks: Sequence[str | None]) -> np.ndarray | None:
    """Which moments (n,) are after all the marks; None when one is not known."""
    moments = [_moment(mark, times.dtype) for mark in marks]
    known = [moment for moment in moments if moment is not None]
    if len(known) < len(moments):
        return None
    newer: np.ndarray = (_comparable(times) > max(known)).fill_null(False).to_numpy()
    return newer


def _rolling(
    context: StepContext,
    table: pl.DataFrame,
    times: pl.Series,
    newer: np.ndarray,
    y: np.ndarray,
    rows: Rows,
    level_at: Callable[[int], float | None],
) -> Holdout:
    """The newer rows: all, or those that no decision used, whichever can prove the smaller gain."""
    from ratchet.evaluation.estimate import quantile_one_sided
    from ratchet.ledger.holdouts import decisions_before

    earlier = [
        use
        for use in context.ledger.holdout_uses()
        if (use.run_id, use.challenger) != (context.run_id, context.update)
    ]
    note = "newer than all that both models were trained on"
    marks = [use.rows.last for use in earlier if _moment(use.rows.last, times.dtype) is not None]
    unused = _newer(times, marks) if marks else None
    everything = Holdout("newer", newer, note)
    if unused is None or not _enough(fresh := newer & unused, y, rows):
        return everything
    left_out = int((newer & ~unused).sum())
    if not left_out:
        return Holdout("fresh", fresh, f"{note}, and in no earlier decision")
    use = 1 + decisions_before(
        sketch(table.filter(newer), row_key_of(context)), [use.rows.sketch for use in earlier]
    )
    first, again = level_at(1), level_at(use)
    # The bound is z SE below the difference, and SE falls with the root of the rows.
    if first is not None and again is not None:
        reach = quantile_one_sided(first) / quantile_one_sided(again)
        if fresh.sum() < newer.sum() * reach**2:
            return everything
    note += f"; {left_out:,} more were left out: they are not newer than earlier decisions"
    return Holdout("fresh", fresh, note)


def _enough(chosen: np.ndarray, y: np.ndarray, rows: Rows) -> bool:
    """Whether the chosen rows are many, and of each class that the test rows have enough of."""
    from ratchet.evaluation.compare import MIN_CLASS_ROWS

    if chosen.sum() < ENOUGH:
        return False
    if rows.task.kind == "regression":
        return True
    classes = len(rows.task.classes)
    among, all_of_them = (np.bincount(part, minlength=classes) for part in (y[chosen], y))
    return bool((among >= np.minimum(all_of_them, MIN_CLASS_ROWS)).all())


def _unseen(table: pl.DataFrame, learned: Learned) -> np.ndarray:
    """Which rows (n,) the model was not trained on, as far as that is known."""
    from ratchet.data.hashing import row_hash

    chosen = np.ones(table.height, dtype=bool)
    for key, hashes in learned.seen:
        if len(hashes) and set(key) <= set(table.columns):
            own = row_hash(table.select(key), 0)
            place = np.minimum(np.searchsorted(hashes, own), len(hashes) - 1)
            chosen &= hashes[place] != own
    return chosen


def test_rows_unseen(context: StepContext, run_id: str) -> bool:
    """Whether none of this run's test rows has taught the model of an earlier run."""
    from ratchet.pipeline.steps.rows import Rows

    learned = learned_from(context, run_id)
    return learned.complete and bool(_unseen(all_columns(Rows.of(context)), learned).all())


def holdout_rows(context: StepContext, rows: Rows, chosen: np.ndarray) -> HoldoutRows:
    """The chosen test rows as the ledger knows them."""
    from ratchet.ledger.holdouts import HoldoutRows

    table = all_columns(rows).filter(chosen)
    first = last = None
    if rows.roles.time is not None:
        times = table.get_column(rows.roles.time)
        first, last = times.min(), times.max()
    return HoldoutRows(
        table.height,
        sketch(table, row_key_of(context)),
        None if first is None else str(first),
        None if last is None else str(last),
    )


def sketch(table: pl.DataFrame, key: Sequence[str]) -> tuple[str, ...]:
    """The smallest hashes of the rows: a sample that two tables with the same rows share."""
    from ratchet.data.hashing import row_hash
    from ratchet.ledger.holdouts import SKETCH

    smallest = np.unique(row_hash(table.select(key), 0))[:SKETCH]
    return tuple(f"{value:016x}" for value in smallest.tolist())


def all_columns(rows: Rows) -> pl.DataFrame:
    """The test rows with every column: which ones are features may change, the rows do not."""
    return rows.workspace.part(rows.snapshot, rows.parts, "test")


def row_key_of(context: StepContext) -> tuple[str, ...]:
    """The columns that tell this run's rows apart."""
    return tuple(context.outputs["split"].facts["row_key"])


def _moment(text: str | None, dtype: Any) -> Moment | None:
    """The moment that was written as ``text``, in the kind of a column; None when it is none."""
    if text is None:
        return None
    try:
        if dtype.is_temporal():
            return datetime.fromisoformat(text)
        return float(text) if dtype.is_float() else int(text)
    except ValueError:
        return None


def _comparable(times: pl.Series) -> pl.Series:
    """Days as their first moment."""
    import polars as pl

    return times.cast(pl.Datetime("us")) if times.dtype == pl.Date else times
