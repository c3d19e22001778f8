"""How one version answers the rows that the codec in front of it reads."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec.structs import astuple

from ratchet.errors import DataError
from ratchet.features.columns import ColumnPath
from ratchet.serving.asked import Asked, Columns, Table
from ratchet.serving.http import ProblemError

if TYPE_CHECKING:
    from ratchet.data.task import Label
    from ratchet.features.encoders.slots import Matrix
    from ratchet.packaging.composite import Scores
    from ratchet.serving.codec import Codec
    from ratchet.serving.resident import Resident

SLOW = 8e-6
"""Seconds of work for a row of a model that nothing is known of."""
FEW = 16
"""Rows encoded one by one: measured, a table of 19 columns costs as much as 20 rows."""


class UnansweredError(Exception):
    """The version gives no score; ``code`` says why, and no value is in it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def columns_of(asked: Sequence[Asked]) -> Columns:
    """The values of rows by column, in the order of their codec's ``names``."""
    if isinstance(asked, Table):
        return asked.columns
    values = list(chain.from_iterable(map(astuple, [each.row for each in asked])))
    width = len(values) // len(asked)
    return [values[place::width] for place in range(width)]


class Lane:
    """A version's way from checked rows to scores and labels; safe to use from several threads.

    Args:
        resident: the version.
        codec: what reads the rows; the version reads each column as the codec does.

    Attributes:
        version: its number; ``text`` is the same as text.
        names: of the rows' columns, in their order; those of ``optional`` a row may lack.
        code: makes codes of columns of texts that the codec knows.
        pace: seconds of work for each of many rows, as the last ones took.
    """

    def __init__(self, resident: Resident, codec: Codec) -> None:
        model = resident.model
        self.version, self.text = resident.version, str(resident.version)
        self.model, self.classes = model, model.classes
        self._composite = model.composite
        self._threshold = model.threshold
        interval = model.decision.interval
        self.pace = SLOW
        self._ends = None if interval is None else (interval.low, interval.high)
        self.has_interval = interval is not None
        held = {each.name: each.kind for each in codec.columns}
        # Computing features is Polars' work; and a column that this version reads as another
        # kind than the codec does is the recipe's own to judge, value by value.
        self._by_record = self._composite.derives or any(
            held.get(column.name, column.kind) != column.kind for column in model.signature.inputs
        )
        self.code = codec.by_column.code
        self.names, self.optional = codec.names, codec.names[len(codec.columns) :]
        names = [each.name for each in codec.columns]
        self._paths = [ColumnPath(each.encoders, names) for each in self._composite.recipes]

    def score(self, asked: Sequence[Asked], columns: Columns | None = None) -> list[list[float]]:
        """As ``matrix``, a list for each row."""
        rows: list[list[float]] = self.matrix(asked, columns).tolist()
        return rows

    def matrix(self, asked: Sequence[Asked], columns: Columns | None = None) -> Scores:
        """The scores of rows (n, k) in the order of ``classes``, or the estimates (n, 1).

        Args:
            columns: the rows' values by column, if somebody has them already.

        Raises:
            UnansweredError: a score is not finite.
            ProblemError: 422 for a value that this version cannot read.
        """
        try:
            if self._by_record:
                scores = self._score_records([each.record for each in asked])
            else:
                scores = self._composite.score_encoded(self._encode(asked, columns))
        except DataError as error:
            raise ProblemError(
                422, error.name, "A value cannot be read by the model", why=error.what
            ) from None
        if not (isfinite(sum(scores[0])) if len(scores) == 1 else np.isfinite(scores).all()):
            raise UnansweredError("score_not_finite")
        return scores

    def learn(self, rows: int, seconds: float) -> None:
        """Note how long rows took. One that was held up does not count for much."""
        self.pace += 0.2 * (seconds / rows - self.pace)

    def labels(self, scores: Sequence[list[float]]) -> list[Label | None]:
        """The decided classes; None each for regression."""
        classes, threshold = self.classes, self._threshold
        if not classes:
            return [None] * len(scores)
        if threshold is not None:
            return [classes[row[1] >= threshold] for row in scores]
        return [classes[row.index(max(row))] for row in scores]

    def labels_of(self, scores: Scores) -> list[Label | None]:
        """As ``labels``, of many rows."""
        if not self.classes:
            return [None] * len(scores)
        decided = (
            scores.argmax(axis=1) if self._threshold is None else scores[:, 1] >= self._threshold
        )
        return [*map(self.classes.__getitem__, decided.tolist())]

    def interval(self, scores: list[float]) -> tuple[float, float] | None:
        """The ends around an estimate, where the model gives them."""
        ends = self._ends
        return None if ends is None else (scores[0] + ends[0], scores[0] + ends[1])

    def _encode(self, asked: Sequence[Asked], columns: Columns | None) -> list[Matrix]:
        if len(asked) == 1:
            values = astuple(asked[0].row)
            return [path.row(values) for path in self._paths]
        if len(asked) <= FEW:
            rows = [astuple(each.row) for each in asked]
            return [np.concatenate([path.row(row) for row in rows]) for path in self._paths]
        if columns is None:
            columns = columns_of(asked)
        return [path.table(columns, len(asked)) for path in self._paths]

    def _score_records(self, records: list[dict[str, Any]]) -> Scores:
        if len(records) == 1:
            return self._composite.score_one(records[0])
        return self.model.predict(records).scores
