"""Chooses and learns how a text column becomes numbers: codes, one-hot, means or shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ratchet.features.encoders.lookup import LookupEncoder
from ratchet.features.encoders.slots import NAN, Codes, Floats, Slot
from ratchet.features.encoders.target import cross_fit, learn_means
from ratchet.features.frame import codes_of, read_texts
from ratchet.features.scaling import Scale, learn_scale

_REST, _MOST, _FEW_ROWS = 0.1, 50_000, 200


@dataclass(frozen=True, slots=True)
class Categories:
    """The categories of a text slot on the training rows.

    Args:
        slot: the text slot.
        names: the 50,000 most frequent, most frequent first, equals by name.
        counts: training rows of each.
        distinct: how many categories there are in all.
        missing: training rows without a value.
        rows: training rows.
        texts: the values.
    """

    slot: Slot
    names: tuple[str, ...]
    counts: tuple[int, ...]
    distinct: int
    missing: int
    rows: int
    texts: pl.Series

    @classmethod
    def of(cls, series: pl.Series, slot: Slot) -> Categories:
        """Counts the categories of a canonical column."""
        texts = read_texts(series)
        table = texts.alias("text").value_counts(name="count")
        table = table.filter(pl.col("text").is_not_null() & (pl.col("text") != ""))
        distinct, present = table.height, int(table["count"].sum())
        if distinct > _MOST:
            table = table.top_k(_MOST, by=["count", "text"], reverse=[False, True])
        table = table.sort("count", "text", descending=[True, False])
        return cls(
            slot=slot,
            names=tuple(table["text"].to_list()),
            counts=tuple(table["count"].to_list()),
            distinct=distinct,
            missing=len(texts) - present,
            rows=len(texts),
            texts=texts,
        )

    def frequent(self, rare: int, most: int) -> int | None:
        """How many categories stand for themselves; they come first.

        Those with ``rare`` rows, or 1 % of the training rows where that is less. None if
        they are more than ``most``, or if more than a tenth of the rows has another
        one: then too much would be lost in grouping the rest.
        """
        least = min(rare, max(1, self.rows // 100))
        number = sum(count >= least for count in self.counts)
        present = self.rows - self.missing
        rest = present - sum(self.counts[:number])
        return number if number <= most and rest <= _REST * present else None

    def repeated(self) -> int:
        """How many categories are worth a row in a table: those seen twice or more.

        One seen once tells next to nothing, and free text would end up in the
        recipe word by word. With few rows, all are.
        """
        if self.rows < _FEW_ROWS:
            return len(self.names)
        return sum(count > 1 for count in self.counts)

    def often_missing(self, share: float) -> bool:
        """Whether missing is frequent enough to be told apart."""
        return self.missing > 0 and self.missing >= share * self.rows


def code_encoder(
    found: Categories, kept: int, *, impute: bool, indicator: float, categorical: bool
) -> LookupEncoder:
    """A code for each of the ``kept`` most frequent categories, in that order.

    The rest share the next code where there are any, and unseen categories join
    them; otherwise unseen is missing. Missing is NaN; imputed, it has its own
    code where training often had it, else that of the most frequent category.
    """
    others = kept < found.distinct
    missing = NAN
    if impute:
        missing = float(kept + others) if found.often_missing(indicator) else 0.0
    unseen = float(kept) if others else (0.0 if impute else NAN)
    return LookupEncoder(
        columns=(found.slot.column,),
        source=found.slot,
        categories=found.names[:kept],
        rows=tuple((float(code),) for code in range(kept)),
        unseen=(unseen,),
        missing=(missing,),
        categorical=categorical,
        label="code",
    )


def onehot_encoder(
    found: Categories, kept: int, *, impute: bool, indicator: float
) -> LookupEncoder:
    """A 0/1 column for each of the ``kept`` most frequent categories.

    One more for the rest and unseen ones where training had a rest, and one for
    missing where training often had it. Otherwise unseen has 0 everywhere, and so has
    missing, or, imputed, the most frequent category's 1.
    """
    column = found.slot.column
    labels = [f"{column}={name}" for name in found.names[:kept]]
    others = kept < found.distinct
    labels += [f"{column}=(other)"] * others
    told = found.often_missing(indicator) or not labels
    labels += [f"{column}=(missing)"] * told
    unit = np.eye(len(labels))
    zeros = (0.0,) * len(labels)
    missing = tuple(unit[-1].tolist()) if told else tuple(unit[0].tolist()) if impute else zeros
    return LookupEncoder(
        columns=tuple(labels),
        source=found.slot,
        categories=found.names[:kept],
        rows=tuple(tuple(row) for row in unit[:kept].tolist()),
        unseen=tuple(unit[kept].tolist()) if others else zeros,
        missing=missing,
        label="one-hot",
    )


def share_encoder(found: Categories, *, scale: bool) -> LookupEncoder:
    """Each category's share of the training rows; unseen has 0, and so has one seen once."""
    listed = found.repeated()
    rest = found.rows - found.missing - sum(found.counts[:listed])
    counts = np.array([*found.counts[:listed], 0.0, found.missing])
    weights = np.array([*found.counts[:listed], rest, found.missing], dtype=np.float64)
    change = learn_scale(counts / found.rows, weights) if scale else Scale()
    shares = change.apply(counts / found.rows)
    return _table(found, (f"frequency({found.slot.column})",), shares, "share")


def mean_encoder(
    found: Categories, labels: Floats, names: Sequence[str], folds: Codes, *, scale: bool
) -> tuple[LookupEncoder, Floats]:
    """The target's shrunken mean per category, one column per label column.

    Args:
        found: the categories.
        labels: (rows, columns): the target, or a 0/1 column per class.
        names: the feature's names.
        folds: the fold of each row.
        scale: standardise, by what the training rows are given.

    Returns:
        The encoder, and what the training rows are given: (rows, columns), each
        row learned from the other folds. Missing is a category; so are all that
        were seen once, together, and unseen ones join them.
    """
    listed = found.repeated()
    places = listed + 2
    codes = codes_of(found.texts, pl.Enum(found.names[:listed]), listed)
    table = np.empty((places, labels.shape[1]))
    crossed = np.empty_like(labels, dtype=np.float64)
    for column in range(labels.shape[1]):
        y = np.ascontiguousarray(labels[:, column])
        table[:, column], _ = learn_means(codes, y, places)
        crossed[:, column] = cross_fit(codes, y, places, folds)
        if scale:
            change = learn_scale(crossed[:, column])
            table[:, column] = change.apply(table[:, column])
            crossed[:, column] = change.apply(crossed[:, column])
    return _table(found, tuple(names), table, "target mean"), crossed


def _table(
    found: Categories, columns: tuple[str, ...], values: np.ndarray[Any, Any], label: str
) -> LookupEncoder:
    """A look-up of the first categories; ``values`` ends with unseen and missing."""
    rows = [tuple(row) for row in values.reshape(len(values), -1).tolist()]
    return LookupEncoder(
        columns=columns,
        source=found.slot,
        categories=found.names[: len(rows) - 2],
        rows=tuple(rows[:-2]),
        unseen=rows[-2],
        missing=rows[-1],
        label=label,
    )
