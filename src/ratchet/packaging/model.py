"""A bundle, loaded for scoring.

Needs NumPy and the one runtime of the model's form; Polars is loaded for tables, and where the
recipe computes features. No scikit-learn, pandas or MLflow, and no pickle.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet.errors import DataError
from ratchet.features.recipe import Recipe
from ratchet.packaging import bundle as files
from ratchet.packaging.bundle import Bundle
from ratchet.packaging.predictions import Predictions, decide
from ratchet.packaging.scorers import Scorer, open_scorer
from ratchet.packaging.signature import Decision, Signature
from ratchet.packaging.tables import Record, from_records, read_table

if TYPE_CHECKING:
    import polars as pl

    from ratchet.data.task import Label

BLOCK = 65_536
"""Rows of a table encoded at once: bounds the memory next to the scores."""


class Model:
    """A model version that answers; safe to use from several threads.

    Example:
        >>> model = Model.load("bundle")  # doctest: +SKIP
        >>> model.predict({"tenure": 3, "Contract": "Month-to-month"}).labels  # doctest: +SKIP
        ['Yes']
    """

    def __init__(
        self,
        bundle: Bundle,
        recipe: Recipe,
        scorer: Scorer,
        signature: Signature,
        decision: Decision,
        metadata: Mapping[str, Any],
    ) -> None:
        self._bundle, self._recipe, self._scorer = bundle, recipe, scorer
        self._signature, self._decision, self._metadata = signature, decision, metadata
        self._columns = tuple(column.name for column in recipe.inputs)

    @classmethod
    def load(cls, path: str | Path, *, verify: bool = True) -> Model:
        """Load the bundle in the folder ``path``.

        Args:
            path: the folder.
            verify: compare every file's digest with the manifest; the bytes that were
                compared are the ones used.

        Raises:
            DataError: it is no bundle, or was altered, or its runtime cannot read the model.
            MissingExtraError: the runtime is not installed.
        """
        bundle = files.read_manifest(Path(path))
        if verify:
            contents = {name: files.read_file(bundle, name) for name in bundle.files}

        def read(name: str) -> bytes:
            return contents[name] if verify else files.read_file(bundle, name, verify=False)

        metadata = json.loads(read(files.METADATA))
        model = metadata["model"]
        return cls(
            bundle,
            Recipe.from_json(json.loads(read(files.RECIPE))),
            open_scorer(model["kind"], read(model["file"])),
            Signature.from_json(json.loads(read(files.SIGNATURE))),
            Decision.from_json(json.loads(read(files.DECISION))),
            metadata,
        )._checked()

    def _checked(self) -> Model:
        """Self, when recipe, model and classes fit each other."""
        features, classes = len(self._recipe.feature_names), len(self.classes)
        if (self._scorer.features, self._scorer.classes) != (features, classes):
            raise DataError(
                "The bundle's parts do not belong together",
                why=f"the recipe makes {features} features for {classes} classes, the model "
                f"takes {self._scorer.features} and gives {self._scorer.classes}",
                where=str(self._bundle.path),
                code="bundle_inconsistent",
            )
        return self

    @property
    def path(self) -> Path:
        """The bundle's folder."""
        return self._bundle.path

    @property
    def digest(self) -> str:
        """The bundle's digest."""
        return self._bundle.digest

    @property
    def signature(self) -> Signature:
        """The columns it reads and the classes it gives."""
        return self._signature

    @property
    def recipe(self) -> Recipe:
        """From raw rows to numbers."""
        return self._recipe

    @property
    def classes(self) -> tuple[Label, ...]:
        """The classes in the order of the scores; with two (negative, positive)."""
        return self._decision.classes

    @property
    def threshold(self) -> float | None:
        """The positive class is decided from this score on; None with more than two classes."""
        return self._decision.threshold

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What it was made of."""
        return self._metadata

    def metrics(self) -> dict[str, Any]:
        """What was measured of it."""
        raw: dict[str, Any] = json.loads(files.read_file(self._bundle, files.METRICS))
        return raw

    def predict(self, data: Any) -> Predictions:
        """Labels and scores of rows.

        Args:
            data: a Polars or pandas frame, a list of records, or one record.

        Raises:
            DataError: none of the model's columns is there, or a value is of another kind.
        """
        if isinstance(data, Mapping):
            data = [data]
        if isinstance(data, list | tuple):
            return self._predict_records(data)
        frame = read_table(data, self._columns)
        absent = self._absent(frame.columns)
        return decide(self.score(frame), self._decision, absent)

    def predict_batches(self, frames: Iterable[Any]) -> Iterator[Predictions]:
        """Predictions of one frame after the other, none kept."""
        for frame in frames:
            yield self.predict(frame)

    def score(self, frame: pl.DataFrame) -> npt.NDArray[np.float64]:
        """Scores float64 (n, k) of the raw rows of a Polars frame, in the order of ``classes``.

        Raises:
            DataError: a value is of another kind than in training.
        """
        scores = np.empty((frame.height, len(self.classes)))
        for start in range(0, frame.height, BLOCK):
            matrix = self._recipe.matrix(frame.slice(start, BLOCK))
            scores[start : start + BLOCK] = self._scorer.score(matrix)
        return scores

    def score_one(self, record: Record) -> tuple[float, ...]:
        """Scores (k,) of one raw row, the fast way.

        Raises:
            DataError: a value is of another kind than in training.
        """
        return tuple(self._scorer.score(self._recipe.vector(record))[0].tolist())

    def describe(self) -> dict[str, Any]:
        """The model in JSON values, for screens and APIs."""
        return {
            "algorithm": self._metadata["algorithm"],
            "form": self._metadata["model"]["kind"],
            "digest": self.digest,
            "size": self._bundle.size,
            "threshold": self.threshold,
            "features": list(self._recipe.feature_names),
            "snapshot": self._metadata["snapshot"],
            **self._signature.to_json(),
        }

    def _predict_records(self, records: list[Record] | tuple[Record, ...]) -> Predictions:
        for place, record in enumerate(records):
            if not isinstance(record, Mapping):
                raise DataError(
                    f"Record {place} is a {type(record).__name__}, not an object",
                    fix="give each row as a mapping from column name to value",
                    where=f"record {place}",
                    code="not_a_record",
                )
        seen = {name for record in records for name in self._columns if name in record}
        absent = self._absent(seen) if records else ()
        if self._recipe.derivation.features and len(records) > 1:
            # Computing features is Polars' work, best done once for all.
            scores = self.score(from_records(records, self._recipe.inputs))
        else:
            # Measured: 10 us a record, 13 by way of a frame.
            rows = [self._vector(place, record) for place, record in enumerate(records)]
            width = len(self._recipe.feature_names)
            matrix = np.concatenate(rows) if rows else np.empty((0, width), np.float32)
            scores = self._scorer.score(matrix)
        return decide(scores, self._decision, absent)

    def _vector(self, place: int, record: Record) -> npt.NDArray[np.float32]:
        try:
            return self._recipe.vector(record)
        except DataError as error:
            raise DataError(
                error.what,
                why=error.why,
                fix=error.fix,
                where=f"record {place}, {error.where}",
                code=error.name,
            ) from error

    def _absent(self, present: Iterable[str]) -> tuple[str, ...]:
        """The model's columns that are not there; DataError when none is."""
        there = set(present)
        absent = tuple(name for name in self._columns if name not in there)
        if self._columns and len(absent) == len(self._columns):
            raise DataError(
                "The data has none of the columns that the model reads",
                why=f"It reads {', '.join(self._columns[:8])}"
                + (" and more" if len(self._columns) > 8 else ""),
                fix="give raw rows with the column names of the training data",
                code="columns_missing",
            )
        return absent
