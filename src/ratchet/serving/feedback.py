"""What came of predictions: the body of ``/v1/feedback`` to records of the log."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from ratchet import clock
from ratchet.data.predictions.records import Feedback, feedback_key
from ratchet.errors import DataError
from ratchet.features.values import canonical_value
from ratchet.serving.http import ProblemError
from ratchet.serving.problems import UNREADABLE, not_json, path_of, words_of

if TYPE_CHECKING:
    from ratchet.data.task import Label
    from ratchet.serving.privacy import Privacy

Known = dict[tuple[bool, "Label"], "Label"]

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - naive means UTC, as canonical values are
_MICROSECOND: Final = timedelta(microseconds=1)
_AHEAD: Final = 300_000_000
"""Microseconds that the clock of who tells may go before ours."""
_LONGEST: Final = 500
_SHOWN: Final = 20


class Told(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A label as it is sent: of a prediction, or of an entity and a time."""

    label: str | int | float | bool
    prediction_id: str | UnsetType = UNSET
    entity: str | int | UnsetType = UNSET
    time: str | UnsetType = UNSET
    key: str | UnsetType = UNSET
    observed_at: str | UnsetType = UNSET


class _Many(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    feedback: list[Told]


_one: Final = msgspec.json.Decoder(Told)
_many: Final = msgspec.json.Decoder(_Many)


def read_feedback(
    body: bytes, privacy: Privacy, *, labels: Known | None, numbers: bool
) -> tuple[list[Feedback], bool]:
    """The labels in a body, and whether it held a single one.

    Args:
        body: ``{"prediction_id", "label"}``, ``{"entity", "time", "label"}``, or a list of such
            objects as ``{"feedback": [...]}``; ``key`` and ``observed_at`` are optional.
        privacy: what becomes of an entity before it is written.
        labels: the classes; None where nothing says what a label may be.
        numbers: whether a label is a number and not a class.

    Raises:
        ProblemError: 400 where it is no JSON, 422 naming the field for everything else.
    """
    single = True
    try:
        items = [_one.decode(body)]
    except msgspec.ValidationError as first:
        single = False
        items = _decode_many(body, first)
    except UNREADABLE as error:
        raise not_json(error, body) from None
    at = clock.micros()
    records = []
    for place, item in enumerate(items):
        where = "" if single else f"feedback[{place}]."
        label = _label(item.label, labels, where, numbers=numbers)
        records.append(_record(item, label, at, where, privacy))
    return records, single


def _decode_many(body: bytes, first: msgspec.ValidationError) -> list[Told]:
    """The items of a list; a body that is none is what ``first`` said of it."""
    try:
        return _many.decode(body).feedback
    except msgspec.ValidationError as second:
        # The deeper of the two knows what was meant.
        error = second if "feedback" in path_of(second) else first
        raise ProblemError(
            422,
            "wrong_form",
            "The feedback cannot be read",
            why=words_of(error),
            field=path_of(error),
            fix='send {"prediction_id": …, "label": …} or {"entity": …, "time": …, "label": …}, '
            'or a list of such objects as {"feedback": […]}',
        ) from None
    except UNREADABLE as error:
        raise not_json(error, body) from None


def _record(item: Told, label: Label, at: int, where: str, privacy: Privacy) -> Feedback:
    prediction = _text(item.prediction_id, f"{where}prediction_id")
    entity = _text(item.entity, f"{where}entity")
    time = _past(item.time, at, f"{where}time")
    observed = _past(item.observed_at, at, f"{where}observed_at")
    if (prediction is None) == (entity is None):
        raise ProblemError(
            422,
            "wrong_form",
            "Feedback is about a prediction_id, or about an entity and a time",
            field=where.rstrip("."),
        )
    if entity is not None and privacy.drops_entity:
        raise ProblemError(
            422,
            "entity_not_logged",
            "Feedback by entity finds no prediction",
            why="serving.log.drop leaves the entity out of the log",
            fix="give the prediction_id; or hash the column, which keeps it joinable",
            field=f"{where}entity",
        )
    entity = privacy.entity(entity)
    if entity is not None and time is None:
        raise ProblemError(
            422,
            "missing_time",
            "Feedback about an entity needs the time it speaks of",
            fix="the newest prediction at or before that time is meant",
            field=f"{where}time",
        )
    key = _text(item.key, f"{where}key") or feedback_key(
        label, prediction=prediction, entity=entity, time=time, observed=observed
    )
    return Feedback(key, at, label, prediction, entity, time, observed)


def _label(given: Any, labels: Known | None, where: str, *, numbers: bool) -> Label:
    """The label as the model knows it."""
    field = f"{where}label"
    if isinstance(given, float) and not isfinite(given):
        raise ProblemError(422, "unknown_label", "The label is not a finite number", field=field)
    if numbers:
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise ProblemError(422, "unknown_label", "The label must be a number", field=field)
        return given
    if isinstance(given, str) and len(given) > _LONGEST:
        raise ProblemError(422, "unknown_label", "The label is too long", field=field)
    if labels is None:
        return given  # type: ignore[no-any-return]
    known = labels.get((isinstance(given, bool), given))
    if known is None:
        shown = ", ".join(
            msgspec.json.encode(each).decode() for each in [*labels.values()][:_SHOWN]
        )
        raise ProblemError(
            422,
            "unknown_label",
            "The label is none of the model's classes",
            fix=f"the classes are {shown}" + (" and more" if len(labels) > _SHOWN else ""),
            field=field,
        )
    return known


def _text(value: str | int | UnsetType, field: str) -> str | None:
    if value is UNSET:
        return None
    text = value if isinstance(value, str) else str(value)
    if not 0 < len(text) <= _LONGEST:
        raise ProblemError(
            422, "wrong_type", f"It must hold 1 to {_LONGEST} characters", field=field
        )
    return text


def _past(value: str | UnsetType, at: int, field: str) -> int | None:
    """A moment that has been: what is to come would be joined to predictions not made yet."""
    moment = _moment(value, field)
    if moment is not None and moment > at + _AHEAD:
        raise ProblemError(
            422,
            "time_in_the_future",
            "The time has not come yet",
            fix="send when the label was observed, and the time of the prediction it speaks of; "
            "times without a zone are taken as UTC",
            field=field,
        )
    return moment


def _moment(value: str | UnsetType, field: str) -> int | None:
    """Microseconds since 1970 of ISO text; without a zone it is UTC."""
    if value is UNSET:
        return None
    try:
        moment: datetime = canonical_value(value, "datetime", field)
    except (DataError, OverflowError):
        raise ProblemError(
            422, "wrong_type", "It must hold a time such as 2026-11-21T02:49:00Z", field=field
        ) from None
    return (moment - _EPOCH) // _MICROSECOND
