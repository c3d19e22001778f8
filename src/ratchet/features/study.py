"""Decides, column by column, what the training rows become.

Only what is needed is computed: a booster that takes raw numbers makes no
medians, and no fold is drawn without a target encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from ratchet.data.schema import Kind
from ratchet.features.categories import (
    Categories,
    code_encoder,
    mean_encoder,
    onehot_encoder,
    share_encoder,
)
from ratchet.features.encoders.encoder import Encoder
from ratchet.features.encoders.numeric import NumericEncoder
from ratchet.features.encoders.slots import Codes, Floats, Slot, View
from ratchet.features.encoding import Encoding
from ratchet.features.frame import read_numbers
from ratchet.features.generate import (
    band_encoders,
    log_encoders,
    product_encoders,
    square_encoders,
)
from ratchet.features.names import unique_names
from ratchet.features.scaling import learn_scale
from ratchet.features.settings import FeaturesSettings

_DAY = 86_400e6


@dataclass(frozen=True, slots=True)
class Learned:
    """An encoder and, where it saw labels, what it gives each training row instead.

    ``crossed`` is (rows, columns): learned without the row itself.
    """

    encoder: Encoder
    crossed: Floats | None = None


class Study:
    """The training rows of one fit.

    Args:
        table: the rows in canonical types, with the computed features.
        kinds: the feature columns and their kinds, in order.
        labels: (rows, columns): the target, or a 0/1 column per class.
        label_names: what is put behind a target encoding's name, per label column.
        folds: the fold of each row, drawn when first asked for.
        encoding: how the algorithm wants its numbers.
        settings: the ``features`` section.
        seed: of sampling.
    """

    def __init__(
        self,
        *,
        table: pl.DataFrame,
        kinds: Mapping[str, Kind],
        labels: Floats,
        label_names: Sequence[str],
        folds: Callable[[], Codes],
        encoding: Encoding,
        settings: FeaturesSettings,
        seed: int,
    ) -> None:
        self.table = table
        self.kinds = kinds
        self.labels = labels
        self.label_names = label_names
        self.folds = folds
        self.impute = encoding.missing == "impute"
        self.onehot = encoding.categories == "onehot"
        self.scale = encoding.scale
        self.limits = settings.encoding
        self.onehot_max = encoding.onehot_max or self.limits.onehot_max
        self.above = encoding.high_cardinality or self.limits.high_cardinality
        self.generate = settings.generate
        self.seed = seed
        self._categories: dict[str, Categories] = {}

    def learn(self) -> tuple[Learned, ...]:
        """Every encoder in the order of the matrix; each column name is there once."""
        found: list[Learned] = []
        for column, kind in self.kinds.items():
            if kind == "string":
                found.append(self._category(column))
            elif kind in ("date", "datetime"):
                found += [Learned(encoder) for encoder in self._dates(column, kind)]
            else:
                encoder = NumericEncoder((column,), (Slot(column, "number", kind),))
                found.append(Learned(self._numeric(encoder, told=True)))
        found += self._generated({name for item in found for name in item.encoder.columns})
        names = iter(unique_names(name for item in found for name in item.encoder.columns))
        unique = [tuple(next(names) for _ in item.encoder.columns) for item in found]
        return tuple(
            replace(item, encoder=replace(item.encoder, columns=columns))
            for item, columns in zip(found, unique, strict=True)
        )

    def _values(self, slot: Slot) -> Floats:
        return read_numbers(self.table[slot.column], slot)

    def _numeric(self, encoder: NumericEncoder, *, told: bool = False) -> NumericEncoder:
        """``encoder`` with what it learns: fill, indicator (where ``told``) and scale."""
        boolean = encoder.sources[0].kind == "boolean" and encoder.term == "value"
        scale = self.scale and not boolean
        if not (self.impute or scale):
            return encoder
        values = encoder.compute([self._values(slot) for slot in encoder.sources])
        absent = np.isnan(values)
        missing = int(absent.sum())
        if self.impute:
            present = values[~absent] if missing else values
            fill = float(np.median(present)) if len(present) else 0.0
            fill = float(fill > 0.5) if boolean else fill
            encoder = replace(encoder, fill=fill)
            enough = missing >= self.limits.missing_indicator * len(values)
            if told and enough and 0 < missing < len(values):
                name = encoder.columns[0]
                encoder = replace(encoder, columns=(name, f"{name} is missing"))
            if missing:
                values = np.where(absent, fill, values)
        if scale:
            change = learn_scale(values)
            encoder = replace(encoder, mean=change.mean, deviation=change.deviation)
        return encoder

    def _found(self, column: str) -> Categories:
        if column not in self._categories:
            slot = Slot(column, "text", self.kinds[column])
            self._categories[column] = Categories.of(self.table[column], slot)
        return self._categories[column]

    def _category(self, column: str) -> Learned:
        found = self._found(column)
        most = self.onehot_max if self.onehot else self.limits.codes_max
        kept = found.frequent(self.limits.rare, most)
        share = self.limits.missing_indicator
        if self.onehot and kept is not None:
            return Learned(onehot_encoder(found, kept, impute=self.impute, indicator=share))
        if kept is not None or self.above == "codes":
            kept = min(len(found.names), self.limits.codes_max) if kept is None else kept
            encoder = code_encoder(
                found,
                kept,
                impute=self.impute,
                indicator=share,
                categorical=not self.onehot,
            )
            return Learned(encoder)
        if self.above == "frequency":
            return Learned(share_encoder(found, scale=self.scale))
        return self._means(column)

    def _means(self, column: str) -> Learned:
        names = [f"target({column}){name}" for name in self.label_names]
        encoder, crossed = mean_encoder(
            self._found(column), self.labels, names, self.folds(), scale=self.scale
        )
        return Learned(encoder, crossed)

    def _dates(self, column: str, kind: Kind) -> list[NumericEncoder]:
        """The parts of a date column, and the days since its first training date."""
        if self.generate.dates is False:
            return []
        views: list[View] = ["year", "month", "weekday"]
        if kind == "datetime":
            views.append("hour")
        parts = [
            NumericEncoder((f"{column}.{view}",), (Slot(column, view, kind),)) for view in views
        ]
        if self.generate.dates == "auto":
            parts = [part for part in parts if _changes(self._values(part.sources[0]))]
        slot = Slot(column, "instant", kind)
        instants = self._values(slot)
        origin = 0.0 if np.isnan(instants).all() else float(np.nanmin(instants))
        unit = _DAY if kind == "datetime" else 1.0
        days = NumericEncoder((f"{column}.days",), (slot,), "since", origin=origin, unit=unit)
        return [*(self._numeric(part) for part in parts), self._numeric(days, told=True)]

    def _generated(self, taken: set[str]) -> list[Learned]:
        """What ``features.generate`` adds; nothing that is there already under its name."""
        rule = self.generate
        slots = {
            column: Slot(column, "number", kind)
            for column, kind in self.kinds.items()
            if kind in ("integer", "number", "boolean")
        }
        usual = {column: slot for column, slot in slots.items() if slot.kind != "boolean"}

        def chosen(listed: object) -> dict[str, Slot]:
            return slots if isinstance(listed, tuple) else usual

        pairs = rule.interactions.columns if rule.interactions else None
        numeric = [
            *square_encoders(rule.squares, chosen(rule.squares), self._values),
            *log_encoders(rule.logs, chosen(rule.logs), self._values),
            *product_encoders(
                rule.interactions, chosen(pairs), self._values, self.labels, self.seed
            ),
        ]
        bands = band_encoders(
            rule.bins,
            slots,
            self._values,
            onehot=self.onehot,
            impute=self.impute,
            scale=self.scale,
        )
        found = [Learned(self._numeric(encoder)) for encoder in numeric]
        found += [Learned(encoder) for encoder in bands]
        found += [Learned(share_encoder(self._found(c), scale=self.scale)) for c in rule.frequency]
        found += [self._means(c) for c in rule.target]
        return [item for item in found if item.encoder.columns[0] not in taken]


def _changes(values: Floats) -> bool:
    """Whether a column has two distinct values or more."""
    present = values[~np.isnan(values)]
    return bool(len(present)) and bool((present != present[0]).any())
