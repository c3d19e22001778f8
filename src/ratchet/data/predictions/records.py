"""What the prediction log holds: answered rows, requests that failed, and labels that came back.

Only the shapes and their JSON. Serving and the feedback endpoint write them, compaction
brings them into the lake. Many rows that came together are one record, column by column: that
takes a quarter of the bytes, and of the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import chain, repeat
from math import isfinite
from typing import Any, Final, Protocol

import msgspec

from ratchet.data.coded import CodedColumn, PackedScores
from ratchet.errors import DataError

Label = str | int | float | bool

EARLIEST: Final = -62_135_596_800_000_000
LATEST: Final = 253_402_300_799_999_999
"""The years 1 to 9999, in microseconds since 1970."""


class Served(msgspec.Struct, tag="served", omit_defaults=True):
    """One answered row.

    Attributes:
        id: the prediction's id, unique across processes.
        at: when it was answered, microseconds since 1970 in UTC.
        version: the version of the model that answered.
        arm: champion, challenger, the name of an experiment's arm, or shadow.
        features: the row as it was served, after columns were dropped or hashed.
        scores: of the classes in their order, or the one estimate of a regression.
        label: the class that was decided; None for a regression.
        entity: the row's entity, if it has one.
        micros: time in the server for the request.
        of: the prediction that a shadow row shadows.
        request: the id of the request it came with.
    """

    id: str
    at: int
    version: int
    arm: str
    features: dict[str, Any]
    scores: list[float]
    label: Label | None
    entity: str | None = None
    micros: int = 0
    of: str | None = None
    request: str | None = None


class Batch(msgspec.Struct, tag="batch", omit_defaults=True):
    """Rows that one version answered together: what ``Served`` says of each, by column.

    Everything that is a list has an item for each row, in one order. ValueError where they are
    not equally long, or two columns have one name.

    Attributes:
        names: of the features.
        values: of each feature in the order of ``names``, one for each row.
        labels: None for a regression.
        entities: None where no row has one; ``of`` likewise.
        request: of each row, or one for all.
    """

    at: int
    version: int
    arm: str
    names: Sequence[str]
    values: Sequence[Sequence[Any] | CodedColumn]
    ids: Sequence[str]
    scores: Sequence[Sequence[float]] | PackedScores
    labels: Sequence[Label | None] | None = None
    entities: Sequence[str | None] | None = None
    micros: int = 0
    of: Sequence[str | None] | None = None
    request: str | Sequence[str | None] | None = None

    def __post_init__(self) -> None:
        check_shape(self)

    def rows(self) -> Iterator[Served]:
        """Each row as a record of its own."""
        columns = map(plain, self.values)
        rows = zip(*columns, strict=True) if self.values else repeat(())
        given = (self.labels, self.entities, self.of, self.request)
        others = (repeat(each) if each is None or type(each) is str else each for each in given)
        # What is endless is cut by the ids; the lengths of the others were compared.
        for own, row, scores, label, entity, of, request in zip(
            self.ids, rows, plain(self.scores), *others, strict=False
        ):
            yield Served(
                id=own,
                at=self.at,
                version=self.version,
                arm=self.arm,
                features=dict(zip(self.names, row, strict=True)),
                scores=list(scores),
                label=label,
                entity=entity,
                micros=self.micros,
                of=of,
                request=request,
            )


class Shape(Protocol):
    """A batch, however its values are held."""

    names: Sequence[str]
    values: Sequence[Any]
    ids: Sequence[str]
    scores: Any
    labels: Sequence[Any] | None
    entities: Sequence[Any] | None
    of: Sequence[Any] | None
    request: str | Sequence[str | None] | None


def plain(column: Sequence[Any] | CodedColumn | PackedScores) -> Sequence[Any]:
    """The values of a column."""
    return column.values() if isinstance(column, CodedColumn | PackedScores) else column


def check_shape(batch: Shape) -> None:
    """ValueError where the parts of a batch do not fit together."""
    request = None if isinstance(batch.request, str) else batch.request
    given = (batch.scores, batch.labels, batch.entities, batch.of, request, *batch.values)
    rows = len(batch.ids)
    if any(each is not None and len(each) != rows for each in given):
        raise ValueError("the columns of a batch are not equally long")
    if not len(set(batch.names)) == len(batch.names) == len(batch.values):
        raise ValueError("a batch has as many columns as names, all different")


class Failed(msgspec.Struct, tag="failed", omit_defaults=True):
    """A request that a version could not answer.

    Attributes:
        error: the fault's code.
        entity: of its rows, where that is one and the same.
    """

    id: str
    at: int
    version: int
    arm: str
    error: str
    micros: int = 0
    entity: str | None = None


class Feedback(msgspec.Struct, tag="feedback", omit_defaults=True):
    """What came of a prediction.

    It names the prediction by its id, or by its entity and the ``time`` it speaks of (then
    the newest prediction at or before that time is meant). Times are microseconds since 1970.

    Attributes:
        key: what makes sending it again harmless; see ``feedback_key``.
        at: when it was accepted.
        label: the true class, or the true number.
        observed: when the outcome became known; None = when it was accepted.
        source: how it came here.
    """

    key: str
    at: int
    label: Label
    prediction: str | None = None
    entity: str | None = None
    time: int | None = None
    observed: int | None = None
    source: str = "api"


Record = Served | Batch | Failed | Feedback

_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Record)
_SAFE: Final = frozenset({str, int, bool, type(None)})


def encode(record: Record) -> bytes:
    """The record as JSON (UTF-8); equal records give equal bytes.

    Raises DataError (``unloggable``) for what would not come back as it went in: a number
    that is not finite (JSON has none: it would silently become null), text that is not
    Unicode, a value that is no JSON value.
    """
    try:
        if type(record) is Served:
            _refuse_non_finite(record.features, record.scores)
        elif type(record) is Batch:
            _refuse_non_finite(
                dict(zip(record.names, map(plain, record.values), strict=True)),
                chain(*plain(record.scores)),
            )
        elif type(record) is Feedback:
            _refuse_feedback(record)
        return _encoder.encode(record)
    except (UnicodeEncodeError, TypeError, ValueError, RecursionError) as error:
        raise _unloggable(type(record).__name__.lower(), str(error)) from None


def decode(payload: bytes) -> Record:
    """The record of ``encode``'s bytes. Raises DataError (``not_a_record``)."""
    try:
        record: Record = _decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise DataError(
            "A record of the prediction log cannot be read", why=str(error), code="not_a_record"
        ) from None
    return record


def feedback_key(
    label: Label,
    *,
    prediction: str | None = None,
    entity: str | None = None,
    time: int | None = None,
    observed: int | None = None,
) -> str:
    """The key (32 hex digits) of feedback that came without one.

    The same label for the same thing at the same moment is one and the same feedback,
    however often it is sent; ``1``, ``1.0``, ``"1"`` and ``true`` are different labels.
    """
    facts = _encoder.encode([prediction, entity, time, label, observed])
    return blake2b(facts, digest_size=16).hexdigest()


def _refuse_non_finite(features: Mapping[str, Any], scores: Iterable[float]) -> None:
    for score in scores:
        if not isfinite(score):
            raise _unloggable("scores", "one of them is not a finite number")
    for name, value in features.items():
        if type(value) not in _SAFE and not _is_finite(value):
            raise _unloggable(name, "it is not a finite number")


def _refuse_feedback(record: Feedback) -> None:
    _refuse_non_finite({"label": record.label}, ())
    for name, moment in (("time", record.time), ("observed", record.observed)):
        if moment is not None and not EARLIEST <= moment <= LATEST:
            raise _unloggable(name, "it is not a moment between the years 1 and 9999")


def _is_finite(value: Any) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, Mapping):
        return all(_is_finite(item) for item in value.values())
    if isinstance(value, list | tuple):
        return all(_is_finite(item) for item in value)
    return True


def _unloggable(name: str, why: str) -> DataError:
    return DataError(
        f'"{name}" cannot be written to the prediction log',
        why=why,
        fix="Use finite numbers, text, booleans or null, and moments of this era",
        code="unloggable",
    )
