"""Ratchet's own protocol: ``/v1/predict`` and ``/v1/feedback``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from ratchet.packaging.predictions import class_name
from ratchet.serving.feedback import read_feedback
from ratchet.serving.http import Answer, Request, Routes
from ratchet.serving.parts import MOST
from ratchet.serving.pieces import PIECE, let_go, read_by_pieces
from ratchet.serving.protocols.objects import object_maker

if TYPE_CHECKING:
    from ratchet.data.task import Label
    from ratchet.serving.answers import Answered
    from ratchet.serving.service import Service


class RatchetProtocol:
    """The two paths, in front of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._encode = msgspec.json.Encoder().encode

    def add_to(self, routes: Routes) -> None:
        """Answer ``/v1/predict`` and ``/v1/feedback``."""
        routes.add("POST", "/v1/predict", self.predict, "predict", at_once=self.predict_at_once)
        routes.add("POST", "/v1/feedback", self.feedback, "feedback")

    async def predict(self, request: Request) -> Answer:
        """Rows, or ids to be looked up, to predictions."""
        service = self._service
        codec, body = service.desk.codec, request.body
        if request.asks is not None:
            question = request.asks
        elif len(body) <= PIECE:
            question = codec.decode(body, service.max_rows)
        else:
            question = await read_by_pieces(codec, body, service.max_rows)
        asked = question.asked if not question.ids else await service.rows(question, codec)
        answers = await service.predict(asked, request)
        if question.single:
            return Answer(200, self._encode(_shape(answers)[0]))
        parts = [self._encode(_shape(answers[:MOST]))[1:-1]]
        for start in range(MOST, len(answers), MOST):
            await asyncio.sleep(0)  # many take a while, and others wait
            parts.append(self._encode(_shape(answers[start : start + MOST]))[1:-1])
        request.asks = None
        await let_go(asked)
        await let_go(answers)
        return Answer(200, b'{"predictions":[' + b",".join(parts) + b"]}")

    def predict_at_once(self, request: Request) -> Answer | None:
        """As ``predict``, where nothing is to be waited for; None where something is."""
        service, body = self._service, request.body
        if len(body) > PIECE:
            return None
        request.asks = question = service.desk.codec.decode(body, service.max_rows)
        answers = None if question.ids else service.predict_at_once(question.asked, request)
        if answers is None:
            return None
        shaped = _shape(answers)
        return Answer(200, self._encode(shaped[0] if question.single else {"predictions": shaped}))

    async def feedback(self, request: Request) -> Answer:
        """Labels of earlier predictions; sending one again changes nothing."""
        service = self._service
        serving = service.residence.now
        items, _ = read_feedback(
            request.body,
            service.privacy,
            labels=None if serving is None else service.desk.labels,
            numbers=serving is not None and not serving.champion.classes,
        )
        accepted = await service.feedback(items)
        return Answer(200, self._encode({"accepted": accepted}))


class _Class(msgspec.Struct, gc=False):
    """An answer with classes, as it is sent."""

    prediction_id: str
    label: Any
    probabilities: Any
    model_version: int
    arm: str


class _Number(msgspec.Struct, gc=False, omit_defaults=True):
    """An estimate, as it is sent."""

    prediction_id: str
    prediction: float
    model_version: int
    arm: str
    interval: dict[str, float] | None = None


def _shape(answers: Sequence[Answered]) -> list[_Class | _Number]:
    """Answers as they are sent."""
    shaped: list[_Class | _Number] = []
    before: tuple[Label, ...] = ()
    make: Callable[..., Any] = dict
    for each in answers:
        classes = each.classes
        if classes is not before:
            before, make = classes, _maker(classes, tuple(map(type, classes)))
        if classes:
            scores = make(*each.scores)
            shaped.append(_Class(each.prediction_id, each.label, scores, each.version, each.arm))
        else:
            ends = each.interval
            interval = None if ends is None else {"low": ends[0], "high": ends[1]}
            shaped.append(
                _Number(each.prediction_id, each.scores[0], each.version, each.arm, interval)
            )
    return shaped


@lru_cache(maxsize=64)
def _maker(classes: tuple[Label, ...], types: tuple[type, ...]) -> Callable[..., Any]:
    """A function from the scores of ``classes`` to an object by class name.

    Their types belong to the key: 1, 1.0 and true are equal, and would share an entry.
    """
    return object_maker(tuple(map(class_name, classes)), numbers=True)
