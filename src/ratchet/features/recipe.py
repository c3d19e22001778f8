"""The recipe: what training learned about turning raw rows into numbers.

A recipe is fitted once on training rows and never changes. It encodes tables
(:meth:`Recipe.matrix`) and single rows (:meth:`Recipe.vector`) to float32 with
the same bits, and travels as JSON. Reading one and encoding rows needs NumPy
only; Polars is loaded for tables, and where features are computed by
expressions or functions.

Defined answers:

- an absent column is a column of missing values; other columns are ignored; the
  order of columns does not matter;
- a value of another kind than in training is refused (``values.py``);
- missing (null, NaN, infinity, an empty text) stays NaN or is imputed, as the
  encoding says; an unseen category joins the rare ones where training had some,
  otherwise it counts as missing (codes) or as none of the columns (one-hot);
- NaN and infinity computed by a feature are missing; numbers beyond float32
  are held at its limit; integers beyond 2**24 lose their last digits there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.data.schema import Column
from ratchet.errors import DataError
from ratchet.features.derived import Derivation
from ratchet.features.encoders.encoder import Encoder, encoder_from_json
from ratchet.features.encoders.slots import Floats, Matrix
from ratchet.features.encoding import Encoding
from ratchet.features.row import RowPath, canonical_row

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from ratchet.data.roles import Roles
    from ratchet.data.schema import TableSchema
    from ratchet.data.task import Task
    from ratchet.features.derive import Engine
    from ratchet.features.describe import FeatureNote
    from ratchet.features.frame import FramePath
    from ratchet.features.settings import FeaturesSettings

__all__ = ["Encoding", "Recipe", "fit_recipe"]

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """A fitted encoding of raw rows; :func:`fit_recipe` and :meth:`from_json` make one.

    Args:
        inputs: the raw columns it reads, with their kinds.
        derivation: the features computed before encoding.
        encoders: what each feature becomes, in the order of the matrix.
        encoding: what the algorithm had asked for.
    """

    inputs: tuple[Column, ...]
    derivation: Derivation
    encoders: tuple[Encoder, ...]
    encoding: Encoding
    _engine: Engine | None = field(init=False, repr=False, compare=False)
    _rows: RowPath = field(init=False, repr=False, compare=False)
    _frames: list[FramePath] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        engine = None
        if self.derivation.features:
            # Built at once: a fault in a feature belongs to loading, not to the first request.
            from ratchet.features.derive import Engine

            engine = Engine(self.derivation, {item.name: item.kind for item in self.inputs})
        derive = self._derive_row if engine is not None else None
        object.__setattr__(self, "_engine", engine)
        object.__setattr__(self, "_rows", RowPath(self.encoders, derive))
        object.__setattr__(self, "_frames", [])

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the matrix's columns, in order; each is there once."""
        return tuple(name for encoder in self.encoders for name in encoder.columns)

    @property
    def categorical(self) -> tuple[int, ...]:
        """The positions of columns that hold codes without order."""
        flags = [encoder.categorical for encoder in self.encoders for _ in encoder.columns]
        return tuple(position for position, flag in enumerate(flags) if flag)

    def matrix(self, frame: pl.DataFrame) -> Matrix:
        """The float32 matrix (rows, features) of a raw table.

        Raises:
            DataError: a column holds values of another kind than in training.
        """
        return self.frame_path().matrix(frame)

    def vector(self, record: Mapping[str, Any]) -> Matrix:
        """The float32 matrix (1, features) of one raw row.

        Raises:
            DataError: a value is of another kind than in training.
        """
        return self._rows.vector(record)

    def derive(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """A raw row with its computed features; recipes of one :attr:`derivation` share it.

        Raises:
            DataError: a value is of another kind than in training.
        """
        return {**record, **self._derive_row(record)} if self._engine is not None else record

    def encode(self, record: Mapping[str, Any]) -> Matrix:
        """As :meth:`vector`, of a row that :meth:`derive` made.

        Raises:
            DataError: a value is of another kind than in training.
        """
        return self._rows.encode(record)

    def describe(self) -> tuple[FeatureNote, ...]:
        """What each column of the matrix is, for a model card."""
        from ratchet.features.describe import describe_features

        return describe_features(self.encoders, self.derivation)

    def to_json(self) -> dict[str, Any]:
        """The recipe as JSON; :meth:`from_json` makes an equal one of it."""
        return {
            "format": _FORMAT,
            "inputs": [[item.name, item.kind] for item in self.inputs],
            "derivation": self.derivation.to_json(),
            "encoders": [encoder.to_json() for encoder in self.encoders],
            "encoding": asdict(self.encoding),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        """The recipe that :meth:`to_json` wrote.

        Runs the stored functions file, where there is one.

        Raises:
            DataError: it was written by a later Ratchet, or was changed.
        """
        if data.get("format") != _FORMAT:
            raise DataError(
                f"The recipe has format {data.get('format')!r}, and this Ratchet reads {_FORMAT}",
                fix="Load the model with the version of Ratchet that wrote it, or a newer one",
                code="recipe_format",
            )
        return cls(
            inputs=tuple(Column(name, kind) for name, kind in data["inputs"]),
            derivation=Derivation.from_json(data["derivation"]),
            encoders=tuple(encoder_from_json(item) for item in data["encoders"]),
            encoding=Encoding(**data["encoding"]),
        )

    def frame_path(self) -> FramePath:
        """How it encodes tables."""
        if not self._frames:
            from ratchet.features.frame import FramePath

            inputs = [(item.name, item.kind) for item in self.inputs]
            self._frames.append(FramePath(inputs, self._engine, self.encoders))
        return self._frames[0]

    def _derive_row(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        engine = self._engine
        return engine.apply_row(canonical_row(record, engine.inputs)) if engine else {}


def fit_recipe(
    frame: pl.DataFrame,
    codes_y: np.ndarray[Any, np.dtype[np.int32]] | Floats,
    *,
    roles: Roles,
    schema: TableSchema,
    settings: FeaturesSettings,
    encoding: Encoding,
    task: Task,
    seed: int,
    root: Path,
) -> tuple[Recipe, Matrix]:
    """Learns a recipe on training rows, and encodes them.

    Args:
        frame: the training rows and no others, in canonical types.
        codes_y: their labels: class numbers in the order of ``task.classes``, or
            the target itself for regression.
        roles: which columns are features.
        schema: the table's columns and kinds.
        settings: the ``features`` section.
        encoding: how the algorithm wants its numbers.
        task: what is predicted.
        seed: of the folds of target encodings, and of sampling.
        root: the project's folder.

    Returns:
        The recipe and the float32 matrix (rows, features) of the training rows.
        The matrix is ``recipe.matrix(frame)`` except in target-encoded columns:
        there each row has what was learned without it.

    Raises:
        ConfigError: the settings do not fit the table.
        DataError: no feature is left.
    """
    from ratchet.features.fit import Fit

    fit = Fit(
        roles=roles,
        schema=schema,
        settings=settings,
        encoding=encoding,
        task=task,
        seed=seed,
        root=root,
    )
    learned = fit.learn(frame, codes_y)
    recipe = Recipe(learned.inputs, learned.derivation, learned.encoders, encoding)
    return recipe, learned.matrix
