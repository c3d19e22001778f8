"""From the bytes of the prediction log to columns of the lake's tables.

What is stored as JSON is cut out of the record as it is, never parsed and written again.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Any, Final

import msgspec
import numpy as np
import polars as pl

from ratchet.data.coded import CodedColumn, PackedScores
from ratchet.data.predictions.records import EARLIEST, LATEST, check_shape, plain
from ratchet.data.predictions.tables import FAILURES, FEEDBACK, PREDICTIONS

_Moment = Annotated[int, msgspec.Meta(ge=EARLIEST, le=LATEST)]
_Count = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Served(msgspec.Struct, tag="served", gc=False):
    id: str
    at: _Moment
    version: _Count
    arm: str
    features: msgspec.Raw
    scores: list[float]
    label: msgspec.Raw
    entity: str | None = None
    micros: _Count = 0
    of: str | None = None
    request: str | None = None


class _Coded(CodedColumn, gc=False):
    of: Sequence[msgspec.Raw]


class _Batch(msgspec.Struct, tag="batch", gc=False):
    at: _Moment
    version: _Count
    arm: str
    names: Sequence[str]
    values: Sequence[Sequence[msgspec.Raw] | _Coded]
    ids: Sequence[str]
    scores: Sequence[list[float]] | PackedScores
    labels: Sequence[msgspec.Raw] | None = None
    entities: Sequence[str | None] | None = None
    micros: _Count = 0
    of: Sequence[str | None] | None = None
    request: str | Sequence[str | None] | None = None

    def __post_init__(self) -> None:
        check_shape(self)

    def columns(self) -> tuple[Sequence[Any], ...]:
        """The rows by column, as ``PREDICTIONS`` names them."""
        rows = len(self.ids)
        absent, request = [None] * rows, self.request
        return (
            self.ids,
            [self.at] * rows,
            [self.version] * rows,
            [self.arm] * rows,
            self.entities or absent,
            [None if text == "null" else text for text in _texts(self.labels or ())] or absent,
            plain(self.scores),
            self._features(),
            [self.micros] * rows,
            self.of or absent,
            [request] * rows if request is None or isinstance(request, str) else request,
        )

    def _features(self) -> list[str]:
        """Each row's features as one JSON text."""
        if not self.values:
            return ["{}"] * len(self.ids)
        heads = (str(msgspec.json.encode(name), "utf-8").replace("%", "%%") for name in self.names)
        written = "{" + ",".join(f"{head}:%s" for head in heads) + "}"
        columns = (
            [*map(_texts(column.of).__getitem__, column.at)]
            if isinstance(column, _Coded)
            else _texts(column)
            for column in self.values
        )
        return [written % row for row in zip(*columns, strict=True)]


class _Failed(msgspec.Struct, tag="failed", gc=False):
    id: str
    at: _Moment
    version: _Count
    arm: str
    error: str
    micros: _Count = 0
    entity: str | None = None


class _Feedback(msgspec.Struct, tag="feedback", gc=False):
    key: str
    at: _Moment
    label: msgspec.Raw
    prediction: str | None = None
    entity: str | None = None
    time: _Moment | None = None
    observed: _Moment | None = None
    source: str = "api"


_HELD: Final = 8_192
"""Answered rows held as lists; of more, which take several times the memory, frames are made."""
_decoder: Final = msgspec.json.Decoder(_Served | _Batch | _Failed | _Feedback)


class Rows:
    """The rows of one segment, by table.

    Attributes:
        unread: payloads that are no records of this version of Ratchet.
    """

    def __init__(self, payloads: Sequence[bytes]) -> None:
        self._served: tuple[list[Any], ...] = tuple([] for _ in PREDICTIONS)
        self._frames: list[pl.DataFrame] = []
        self._failed: list[_Failed] = []
        self._feedback: list[_Feedback] = []
        self.unread = 0
        kinds: dict[Any, Any] = {
            _Served: self._add,
            _Batch: self._expand,
            _Failed: self._failed.append,
            _Feedback: self._feedback.append,
        }
        for payload in payloads:
            try:
                record = _decoder.decode(payload)
                if not payload.isascii():
                    payload.decode()  # what is cut out as JSON was not looked at
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self.unread += 1
                continue
            kinds[type(record)](record)
            if len(self._served[0]) >= _HELD:
                self._settle()

    def predictions(self) -> pl.DataFrame:
        """The answered rows, with the columns of ``PREDICTIONS``, in the order of the log."""
        self._settle()
        return pl.concat(self._frames, rechunk=False)

    def _add(self, row: _Served) -> None:
        for column, value in zip(
            self._served,
            (
                row.id,
                row.at,
                row.version,
                row.arm,
                row.entity,
                _text(row.label),
                row.scores,
                str(row.features, "utf-8"),
                row.micros,
                row.of,
                row.request,
            ),
            strict=True,
        ):
            column.append(value)

    def _expand(self, batch: _Batch) -> None:
        for column, values in zip(self._served, batch.columns(), strict=True):
            column += values

    def _settle(self) -> None:
        """Make a frame of the answered rows that are held."""
        if not self._served[0] and self._frames:
            return
        columns: dict[str, Any] = dict(zip(PREDICTIONS, self._served, strict=True))
        columns |= {"at": _moments(columns["at"]), "scores": _lists(columns["scores"])}
        frame = pl.DataFrame(columns, schema=PREDICTIONS)
        self._frames.append(frame)
        for column in self._served:
            column.clear()

    def feedback(self) -> pl.DataFrame:
        """The labels, with the columns of ``FEEDBACK``."""
        rows = self._feedback
        return pl.DataFrame(
            {
                "key": [r.key for r in rows],
                "at": _moments([r.at for r in rows]),
                "label": [_text(r.label) for r in rows],
                "prediction_id": [r.prediction for r in rows],
                "entity": [r.entity for r in rows],
                "time": _moments([r.time for r in rows]),
                "observed": _moments([r.at if r.observed is None else r.observed for r in rows]),
                "source": [r.source for r in rows],
            },
            schema=FEEDBACK,
        )

    def failures(self) -> pl.DataFrame:
        """The requests that failed, with the columns of ``FAILURES``."""
        rows = self._failed
        return pl.DataFrame(
            {
                "id": [r.id for r in rows],
                "at": _moments([r.at for r in rows]),
                "version": [r.version for r in rows],
                "arm": [r.arm for r in rows],
                "error": [r.error for r in rows],
                "micros": [r.micros for r in rows],
                "entity": [r.entity for r in rows],
            },
            schema=FAILURES,
        )


def _texts(values: Sequence[msgspec.Raw]) -> list[str]:
    """The JSON of each value: a fifth of the time of a call for each."""
    texts = str(b"\n".join(values), "utf-8").split("\n") if values else []
    # No line ends in a JSON text, but it may between the parts of a value that is a list.
    return texts if len(texts) == len(values) else [str(value, "utf-8") for value in values]


def _lists(scores: Sequence[Sequence[float]]) -> Any:
    """Lists of one length as a series: Polars takes 4 us for each list that it is given."""
    width = len(scores[0]) if scores else 0
    if not width or any(len(each) != width for each in scores):
        return scores
    flat = np.fromiter(chain.from_iterable(scores), np.float64, width * len(scores))
    return pl.Series(flat).reshape((len(scores), width)).cast(PREDICTIONS["scores"])


def _moments(values: Sequence[int | None]) -> pl.Series:
    return pl.Series(values, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))


def _text(value: msgspec.Raw) -> str | None:
    text = str(value, "utf-8")
    return None if text == "null" else text
