"""From the bytes of the prediction log to columns of the lake's tables.

What is stored as JSON is cut out of the record as it is, never parsed and written again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
import polars as pl

from ratchet.data.predictions.records import EARLIEST, LATEST
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


class _Failed(msgspec.Struct, tag="failed", gc=False):
    id: str
    at: _Moment
    version: _Count
    arm: str
    error: str
    micros: _Count = 0


class _Feedback(msgspec.Struct, tag="feedback", gc=False):
    key: str
    at: _Moment
    label: msgspec.Raw
    prediction: str | None = None
    entity: str | None = None
    time: _Moment | None = None
    observed: _Moment | None = None
    source: str = "api"


_decoder: Final = msgspec.json.Decoder(_Served | _Failed | _Feedback)


class Rows:
    """The rows of one segment, by table.

    Attributes:
        unread: payloads that are no records of this version of Ratchet.
    """

    def __init__(self, payloads: Sequence[bytes]) -> None:
        self._served: list[_Served] = []
        self._failed: list[_Failed] = []
        self._feedback: list[_Feedback] = []
        self.unread = 0
        kinds: dict[Any, Any] = {
            _Served: self._served.append,
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

    def predictions(self) -> pl.DataFrame:
        """The answered rows, with the columns of ``PREDICTIONS``."""
        rows = self._served
        return pl.DataFrame(
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
            },
            schema=FAILURES,
        )


def _moments(values: Sequence[int | None]) -> pl.Series:
    return pl.Series(values, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))


def _text(value: msgspec.Raw) -> str | None:
    text = str(value, "utf-8")
    return None if text == "null" else text
