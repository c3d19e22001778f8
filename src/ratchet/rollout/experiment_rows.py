"""What the lake holds of an experiment: who was assigned, and whose labels are in.

Who is randomised is an entity (a row without one stands for itself). It counts once its rows of
the experiment's ``window``, from its first one on, and their labels are all old enough: from then
on nothing of it changes, and entities come in one after another as the tests take them to.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from ratchet.data.predictions.joined import joined
from ratchet.rollout.evidence import GRACE
from ratchet.rollout.losses import Answers
from ratchet.rollout.outcome_metrics import row_values
from ratchet.rollout.pair import ARMS, Pair

if TYPE_CHECKING:
    import numpy.typing as npt

    from ratchet.data.lake import Lake

    Floats = npt.NDArray[np.float64]
    Numbers = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

SWAP: Final = timedelta(seconds=60)
"""Servers follow what serves within it; until then who was assigned to b may be answered by a."""

_MOST_ROWS = 5_000_000
_KEPT = (
    "prediction_id",
    "at",
    "version",
    "entity",
    "scores",
    "label",
    "outcome",
    "delay",
)


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """Rows that count, by entity: its place in the order of coming, and when it began to count."""

    values: Floats
    positive: Flags
    entity: Numbers
    since: Numbers

    def at(self, moment: int, keep: Flags) -> Rows:
        """Those of the entities ``keep`` that counted at a moment (microseconds since 1970)."""
        wanted = keep[self.entity] & (self.since <= moment)
        return Rows(*(getattr(self, name)[wanted] for name in Rows.__slots__))

    @classmethod
    def none(cls) -> Rows:
        """No row."""
        return cls(np.zeros(0), np.zeros(0, bool), np.zeros(0, np.int64), np.zeros(0, np.int64))


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """What was seen of an experiment.

    Attributes:
        first: when each entity came, in order, microseconds since 1970, (n,).
        of_b: whether it is b's.
        crossed: rows that the other arm answered for an entity; none is to be.
        rows: of the entities that count.
        labels_after: seconds to a label; None while nobody can tell.
        old, labelled: entities of a and b that are old enough, and those of them with a label.
        cut: whether there were too many rows, and later ones were left out.
    """

    first: Numbers = field(default_factory=lambda: np.zeros(0, np.int64))
    of_b: Flags = field(default_factory=lambda: np.zeros(0, bool))
    crossed: int = 0
    rows: Rows = field(default_factory=Rows.none)
    labels_after: float | None = None
    old: tuple[int, int] = (0, 0)
    labelled: tuple[int, int] = (0, 0)
    cut: bool = False


def read_seen(
    lake: Lake,
    pair: Pair,
    metric: str,
    now: datetime,
    *,
    window: float,
    labels_after: float | None,
    since: datetime,
    until: datetime | None = None,
) -> Seen:
    """Read what became of the entities that came between ``since`` and ``until``.

    Args:
        pair: ``version`` is b, ``previous`` a.
        window: seconds from an entity's first row on in which its rows count.

    Raises:
        StorageError: the lake cannot be read.
    """
    end = now - GRACE if until is None else min(until, now - GRACE)
    table = (
        joined(lake, as_of=now, since=since)
        .filter(pl.col("of").is_null() & pl.col("arm").is_in(ARMS) & (pl.col("at") < end))
        .filter(pl.col("version").is_in([pair.version, pair.previous]))
        .select(*_KEPT)
        .bottom_k(_MOST_ROWS, by=["at", "prediction_id"])
        .sort("at", "prediction_id")
        .collect(engine="streaming")
    )
    if not table.height:
        return Seen(labels_after=labels_after)
    table = table.with_columns(
        pl.coalesce("entity", "prediction_id").rank("dense").alias("who"),
        (pl.col("version") == pair.version).alias("b"),
        pl.when(pl.col("entity").is_null()).then(0.0).otherwise(window).alias("window"),
    ).with_columns(
        pl.col("at").first().over("who").alias("first"),
        pl.col("b").first().over("who").alias("arm"),
    )
    firsts = table.filter(pl.col("who").is_first_distinct())
    places = np.empty(firsts.height, np.int64)
    places[firsts["who"].to_numpy() - 1] = np.arange(firsts.height)
    seen = Seen(
        first=_micros(firsts["first"]),
        of_b=firsts["arm"].to_numpy(),
        crossed=int((table["arm"] != table["b"]).sum()),
        labels_after=labels_after,
        cut=table.height >= _MOST_ROWS,
    )
    if labels_after is None:
        return seen
    own = table.filter(pl.col("arm") == pl.col("b"))
    counted = _count(own, pair, metric, now, labels_after)
    rows = replace(counted[0], entity=places[counted[0].entity - 1])
    return replace(seen, rows=rows, old=counted[1], labelled=counted[2])


def _count(
    table: pl.DataFrame, pair: Pair, metric: str, now: datetime, labels_after: float
) -> tuple[Rows, tuple[int, int], tuple[int, int]]:
    """The rows that count by now; entities that are old enough, and those with a label, by arm."""
    wait = timedelta(seconds=labels_after)
    length = (pl.col("window") * 1e6).cast(pl.Duration("us"))
    in_time = pl.col("outcome").is_not_null() & (pl.col("delay") <= wait)
    old = table.with_columns(
        (pl.col("first") + length).alias("whole"),
        pl.when(in_time).then(pl.col("outcome")).alias("outcome"),
    ).filter((pl.col("at") <= pl.col("whole")) & (pl.col("whole") + wait <= now))
    values = np.full(old.height, np.nan)
    positive = np.zeros(old.height, bool)
    for version in (pair.version, pair.previous):
        own = (old["version"] == version).to_numpy()
        if own.any():
            answers = Answers.of(old.filter(pl.Series(own)), pair.classes[version])
            values[own] = row_values(answers, metric)
            positive[own] = answers.outcome == 1
    told = np.isfinite(values)
    who, arm = old["who"].to_numpy().astype(np.int64), old["b"].to_numpy()
    since = _micros(old["whole"]) + int(labels_after * 1e6)
    rows = Rows(values[told], positive[told], who[told], since[told])
    return rows, _entities(who, arm), _entities(who[told], arm[told])


def _entities(who: Numbers, of_b: Flags) -> tuple[int, int]:
    return len(np.unique(who[~of_b])), len(np.unique(who[of_b]))


def _micros(moments: pl.Series) -> Numbers:
    return np.asarray(moments.dt.epoch("us").to_numpy(), np.int64)
