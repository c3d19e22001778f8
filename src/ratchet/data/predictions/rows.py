"""From the bytes of the prediction log to columns of the lake's tables.

What is stored as JSON is cut out of the record as it is, never parsed and written again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Annotated, Any, Final

import msgspec
import polars as pl

from ratchet.data.predictions.records import EARLIEST, LATEST, check_shape
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


class _Batch(msgspec.Struct, tag="batch", gc=False):
    at: _Moment
    version: _Count
    arm: str
    names: Sequence[str]
    values: Sequence[Sequence[msgspec.Raw]]
    ids: Sequence[str]
    scores: Sequence[list[float]]
    labels: Sequence[msgspec.Raw] | None = None
    entities: Sequence[str | None] | None = None
    micros: _Count = 0
    of: Sequence[str | None] | None = None
    request: str | Sequence[str | None] | None = None

    def __post_init__(self) -> None:
        check_shape(self)

    def rows(self) -> Iterator[_Served]:
        """Each row as its own record would be."""
        heads = (msgspec.json.encode(name).replace(b"%", b"%%") + b":%b" for name in self.names)
        written = b"{" + b",".join(heads) + b"}"
        rows = zip(*self.values, strict=True) if self.values else repeat(())
        at, version, arm, micros = self.at, self.version, self.arm, self.micros
        request = self.request
        for own, row, scores, label, entity, of, asked in zip(
            self.ids,
            rows,
            self.scores,
            self.labels or repeat(_NULL),
            self.entities or repeat(None),
            self.of or repeat(None),
            repeat(request) if request is None or isinstance(request, str) else request,
            strict=False,
        ):
            features = msgspec.Raw(written % row)
            yield _Served(own, at, version, arm, features, scores, label, entity, micros, of, asked)


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


_NULL: Final = msgspec.Raw(b"null")
_HELD: Final = 8_192
"""Answered rows held as objects; of more, which take several times the memory, columns are made."""
_decoder: Final = msgspec.json.Decoder(_Served | _Batch | _Failed | _Feedback)


class Rows:
    """The rows of one segment, by table.

    Attributes:
        unread: payloads that are no records of this version of Ratchet.
    """

    def __init__(self, payloads: Sequence[bytes]) -> None:
        self._served: list[_Served] = []
        self._frames: list[pl.DataFrame] = []
        self._failed: list[_Failed] = []
        self._feedback: list[_Feedback] = []
        self.unread = 0
        kinds: dict[Any, Any] = {
            _Served: self._served.append,
            _Batch: self._expand,
            _Failed: self._failed.append,
            _Feedback: self._feedback.append,
        }
        for payload in payloads:
            try:
                record = _decoder.decode(payload)
            except (msgspec.DecodeError, RecursionError):
                self.unread += 1
                continue
            kinds[type(record)](record)
            if len(self._served) >= _HELD:
                self._settle()

    def predictions(self) -> pl.DataFrame:
        """The answered rows, with the columns of ``PREDICTIONS``, in the order of the log."""
        self._settle()
        return pl.concat(self._frames, rechunk=False)

    def _expand(self, batch: _Batch) -> None:
        self._served += batch.rows()

    def _settle(self) -> None:
        """Make columns of the answered rows that are held."""
        rows = self._served
        if not rows and self._frames:
            return
        frame = pl.DataFrame(
            {
                "prediction_id": [r.id for r in rows],
                "at": _moments([r.at for r in rows]),
                "version": [r.version for r in rows],
                "arm": [r.arm for r in rows],
                "entity": [r.entity for r in rows],
                "label": [_text(r.label) for r in rows],
                "scores": [r.scores for r in rows],
                "features": [str(r.features, "utf-8") for r in rows],
                "micros": [r.micros for r in rows],
                "of": [r.of for r in rows],
                "request": [r.request for r in rows],
            },
            schema=PREDICTIONS,
        )
        self._frames.append(frame)
        rows.clear()

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


def _moments(values: Sequence[int | None]) -> pl.Series:
    return pl.Series(values, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))


def _text(value: msgspec.Raw) -> str | None:
    text = str(value, "utf-8")
    return None if text == "null" else text
