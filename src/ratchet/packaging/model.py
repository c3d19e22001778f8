"""A bundle, loaded for scoring.

Needs NumPy and the runtimes of the members' forms; Polars is loaded for tables, and where a
recipe computes features. No scikit-learn, pandas or MLflow, and no pickle.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet.errors import DataError
from ratchet.packaging import bundle as files
from ratchet.packaging.bundle import Bundle
from ratchet.packaging.composite import Composite, OpenMember, open_composite
from ratchet.packaging.composition import COMPOSITION, Composition, composition_of_format_1
from ratchet.packaging.contents import Contents
from ratchet.packaging.decision import Decision
from ratchet.packaging.parity import Parity, compare_scores
from ratchet.packaging.predictions import Predictions, decide
from ratchet.packaging.signature import Signature
from ratchet.packaging.tables import Record, from_records, read_table

if TYPE_CHECKING:
    import polars as pl

    from ratchet.data.task import Label
    from ratchet.features.recipe import Recipe
    from ratchet.training.calibrate import Calibration


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
        composite: Composite,
        signature: Signature,
        decision: Decision,
        metadata: Mapping[str, Any],
    ) -> None:
        self._bundle, self._composite = bundle, composite
        self._signature, self._decision, self._metadata = signature, decision, metadata
        self._columns = tuple(column.name for column in composite.inputs)

    @classmethod
    def load(cls, path: str | Path, *, verify: bool = True) -> Model:
        """Load the bundle in the folder ``path``.

        Args:
            path: the folder.
            verify: compare every file's digest with the manifest; the bytes that were
                compared are the ones used.

        Raises:
            DataError: it is no bundle, or was altered, or a runtime cannot read its model.
            MissingExtraError: a runtime is not installed.
        """
        bundle = files.read_manifest(Path(path))
        contents = Contents(bundle, verify=verify)
        metadata = contents.json(files.METADATA)
        composition = (
            Composition.from_json(contents.json(COMPOSITION))
            if COMPOSITION in bundle.files
            else composition_of_format_1(metadata)
        )
        # Models are verified as they are opened: they are large, and read once.
        models = {part.file for part in composition.members}
        contents.hold(name for name in bundle.files if name not in models)
        return cls(
            bundle,
            open_composite(composition, contents.take),
            Signature.from_json(contents.json(files.SIGNATURE)),
            Decision.from_json(contents.json(files.DECISION)),
            metadata,
        )._checked()

    def _checked(self) -> Model:
        """Self, when the scores are as many as the decision needs."""
        given, wanted = self._composite.outputs, len(self.classes) or 1
        if given != wanted:
            raise DataError(
                "The bundle's parts do not belong together",
                why=f"a row has {given} scores, and the decision is made from {wanted}",
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
    def members(self) -> tuple[OpenMember, ...]:
        """What it is made of: each member with its recipe and scorer."""
        return self._composite.members

    @property
    def composite(self) -> Composite:
        """Members, recipes and the way from rows to scores."""
        return self._composite

    @property
    def calibration(self) -> Calibration | None:
        """What the mean of the members' scores goes through, if anything."""
        return self._composite.composition.calibration

    @property
    def task(self) -> str:
        """``binary``, ``multiclass`` or ``regression``."""
        return self._decision.task

    @property
    def classes(self) -> tuple[Label, ...]:
        """The classes in the order of the scores; with two (negative, positive).

        None for regression.
        """
        return self._decision.classes

    @property
    def threshold(self) -> float | None:
        """With two classes: the positive one is decided from this score on."""
        return self._decision.threshold

    @property
    def decision(self) -> Decision:
        """How scores become an answer."""
        return self._decision

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What it was made of."""
        return self._metadata

    def metrics(self) -> dict[str, Any]:
        """What was measured of it."""
        raw: dict[str, Any] = json.loads(files.read_file(self._bundle, files.METRICS))
        return raw

    def rehearse(self) -> Parity | None:
        """The bundle's own rows scored here, against the scores they had where it was made.

        None: the bundle is an earlier one that holds no such rows.

        Raises:
            DataError: the file was altered.
        """
        if files.PARITY not in self._bundle.files:
            return None
        raw = json.loads(files.read_file(self._bundle, files.PARITY))
        given = [self.score_one(row) for row in raw["rows"]]
        return compare_scores(np.array(raw["scores"]), np.array(given))

    def profile(self) -> bytes | None:
        """The reference profile's bytes; None: the bundle is an earlier one that holds none.

        Raises:
            DataError: the file was altered.
        """
        if files.PROFILE not in self._bundle.files:
            return None
        return files.read_file(self._bundle, files.PROFILE)

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

        For regression the estimates (n, 1).

        Raises:
            DataError: a value is of another kind than in training.
        """
        return self._composite.score(frame)

    def score_batches(self, frames: Iterable[Any]) -> Iterator[npt.NDArray[np.float64]]:
        """Scores (n, k) of one frame after the other, none kept.

        Raises:
            DataError: as ``score``; or what is given is no frame.
        """
        for frame in frames:
            yield self.score(read_table(frame, self._columns))

    def score_one(self, record: Record) -> tuple[float, ...]:
        """Scores (k,) of one raw row, the fast way.

        Raises:
            DataError: a value is of another kind than in training.
        """
        return tuple(self._composite.score_one(record)[0].tolist())

    def describe(self) -> dict[str, Any]:
        """The model in JSON values, for screens and APIs."""
        composition, decision = self._composite.composition, self._decision.to_json()
        features = [name for recipe in self._composite.recipes for name in recipe.feature_names]
        return {
            "algorithm": self._metadata["algorithm"],
            "form": ", ".join(composition.kinds),
            "members": [asdict(part) for part in composition.members],
            "calibration": None if self.calibration is None else self.calibration.method,
            "digest": self.digest,
            "size": self._bundle.size,
            "threshold": self.threshold,
            "objective": decision["objective"],
            "interval": decision["interval"],
            "features": list(dict.fromkeys(features)),
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
        if not records:
            scores = np.empty((0, self._composite.outputs))
        elif self._composite.derives and len(records) > 1:
            # Computing features is Polars' work, best done once for all.
            scores = self.score(from_records(records, self._composite.inputs))
        else:
            # Measured: 10 us a record, 13 by way of a frame.
            scores = self._composite.score_encoded(
                [
                    np.concatenate([_vector(recipe, *each) for each in enumerate(records)])
                    for recipe in self._composite.recipes
                ]
            )
        return decide(scores, self._decision, absent)

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


def _vector(recipe: Recipe, place: int, record: Record) -> npt.NDArray[np.float32]:
    """The encoded record; an error tells which one it is."""
    try:
        return recipe.vector(record)
    except DataError as error:
        raise DataError(
            error.what,
            why=error.why,
            fix=error.fix,
            where=f"record {place}, {error.where}",
            code=error.name,
        ) from error
