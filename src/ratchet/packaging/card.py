"""The facts that a model card tells; ``card_page`` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratchet.data.task import Label
    from ratchet.packaging.decision import Interval


@dataclass(frozen=True, slots=True)
class CardMetric:
    """A measured value with its interval; None where it is not defined."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class CardClass:
    """One class on the test rows."""

    label: Label
    precision: float
    recall: float
    f1: float
    rows: int


@dataclass(frozen=True, slots=True)
class CardSlice:
    """A part of the test rows, such as ``Contract = Two year``."""

    name: str
    rows: int
    metric: CardMetric


@dataclass(frozen=True, slots=True)
class CardFeature:
    """A column of the model's matrix: what kind of number it is and how it is made."""

    name: str
    kind: str
    description: str


@dataclass(frozen=True, slots=True)
class CardGate:
    """A gate and what it found."""

    name: str
    passed: bool
    value: str
    threshold: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CardMember:
    """One model of an ensemble: its share in the mean, and the form it is shipped in."""

    name: str
    algorithm: str
    weight: float
    form: str = ""
    params: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CardThreshold:
    """What the decision threshold was chosen for.

    Attributes:
        objective: as ``ratchet.training.threshold.Threshold`` tells it.
        expected: what it came to on the rows that chose it.
        note: what could not be had.
    """

    objective: str
    expected: Mapping[str, float] | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class CardData:
    """What the model was made of.

    Attributes:
        snapshot: the table's name. Its version, where the rows were found, is no part of a card:
            the same rows have the same one; the digest says which they are.
        digest: the data's content digest.
        rows: of the snapshot.
        parts: part to rows (``train``, ``validation``, ``test``).
        split: how the parts were cut.
        target: the column predicted.
        shares: class to its share of the training rows.
        target_range: least, middle and greatest value of a number in the training rows.
        span: first and last value of the time column, where there is one.
        columns: number of raw columns read.
        window: which of the training rows were learned from, and why; empty where that goes
            without saying.
    """

    snapshot: str
    digest: str
    rows: int
    target: str
    parts: Mapping[str, int]
    split: str = ""
    shares: Mapping[str, float] | None = None
    span: tuple[str, str] | None = None
    columns: int | None = None
    target_range: tuple[float, float, float] | None = None
    window: str = ""


@dataclass(frozen=True, slots=True)
class CardFacts:
    """Everything a card tells. Only the first group is always there.

    ``members`` are told of an ensemble; ``calibration`` says how scores are calibrated and what
    that was worth; ``deciding`` what the threshold was chosen for; ``interval`` goes with
    estimates.
    """

    name: str
    task: str
    classes: tuple[Label, ...]
    algorithm: str
    params: Mapping[str, Any]
    data: CardData
    threshold: float | None = None
    description: str = ""
    form: str = ""
    features: tuple[CardFeature, ...] = ()
    confidence: float = 0.95
    metrics: tuple[CardMetric, ...] = ()
    cross_validation: Mapping[str, tuple[float, float]] | None = None
    folds: int | None = None
    per_class: tuple[CardClass, ...] = ()
    slices: tuple[CardSlice, ...] = ()
    gates: tuple[CardGate, ...] = ()
    limits: tuple[str, ...] = ()
    environment: Mapping[str, str] | None = None
    members: tuple[CardMember, ...] = ()
    calibration: str = ""
    deciding: CardThreshold | None = None
    interval: Interval | None = None
