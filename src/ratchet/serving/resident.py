"""A model version, loaded and proven: what a request is answered with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.errors import DataError
from ratchet.features.encoders.lookup import LookupEncoder
from ratchet.packaging.model import Model

if TYPE_CHECKING:
    from ratchet.data.task import Label
    from ratchet.ledger.traffic import Pinned
    from ratchet.serving.site import Site

Stamp = Mapping[str, tuple[int, int, int]]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Resident:
    """A version that answers. Its parts were loaded together and never change.

    Attributes:
        version: its number.
        model: the bundle, loaded.
        pinned: what the ledger's record says it is.
    """

    version: int
    model: Model
    pinned: Pinned

    @property
    def digest(self) -> str:
        """The bundle's digest."""
        return self.model.digest

    @property
    def classes(self) -> tuple[Label, ...]:
        """The classes in the order of the scores; none for regression."""
        return self.model.classes


def load_resident(site: Site, pinned: Pinned) -> Resident:
    """Load a version's bundle, and see that it is the one the record means and that it answers.

    Every file's digest is compared while it is read, the bundle's with the record's, and so are
    threshold and inputs. A typical row is scored, which also warms the runtime; then the rows
    that the bundle holds with the scores they had when it was made.

    Raises:
        DataError: a file is missing or altered, it is another bundle, or it scores otherwise.
        MissingExtraError, StorageError: a runtime is not installed; a file cannot be read.
    """
    path = site.state / pinned.bundle_path
    model = Model.load(path)
    if problem := _differs(model, pinned):
        raise DataError(
            f"The bundle is not the one that version {pinned.version} was registered with",
            why=problem,
            fix="restore the bundle from the registry, or roll back",
            where=str(path),
            code="bundle_replaced",
        )
    _warm(model)
    _rehearse(model)
    return Resident(pinned.version, model, pinned)


def known_texts(model: Model) -> dict[str, tuple[str, ...]]:
    """The texts of each column that the model learned something about, and the empty one."""
    known: dict[str, dict[str, None]] = {}
    for recipe in model.composite.recipes:
        for encoder in recipe.encoders:
            if isinstance(encoder, LookupEncoder) and encoder.source.view == "text":
                own = known.setdefault(encoder.source.column, {"": None})
                own.update(dict.fromkeys(encoder.categories))
    return {name: tuple(texts) for name, texts in known.items()}


def stamp_of(path: Path) -> Stamp:
    """What tells whether the files of a folder changed; empty when there is none."""
    try:
        found = {each.name: each.stat() for each in path.iterdir()}
    except OSError:
        return {}
    return {name: (s.st_ino, s.st_size, s.st_mtime_ns) for name, s in found.items()}


def _differs(model: Model, pinned: Pinned) -> str:
    if model.digest != pinned.bundle_digest:
        return f"its digest is {model.digest[:12]}, not {pinned.bundle_digest[:12]}"
    if pinned.threshold is not None and model.threshold != pinned.threshold:
        return f"it decides from {model.threshold} on, not from {pinned.threshold}"
    if pinned.schema_digest not in (None, model.signature.inputs_digest):
        return "it reads other columns"
    return ""


def _warm(model: Model) -> None:
    """Score a typical row in both ways; the first answers of a runtime are slow."""
    example = model.signature.example
    scores = [*model.score_one(example), *model.predict([example]).scores.ravel().tolist()]
    if not all(map(math.isfinite, scores)):
        raise DataError(
            "The model gives no number for a typical row",
            why="a score is infinite or not a number",
            where=str(model.path),
            code="bundle_unsound",
        )


def _rehearse(model: Model) -> None:
    """Score the bundle's own rows, where it holds some, as it did when it was made."""
    parity = model.rehearse()
    if parity is not None and not parity.passed:
        raise DataError(
            "The model scores otherwise here than where it was packaged",
            why=f"of {parity.rows} rows a score differs by {parity.max_difference:.1e}",
            fix="install the libraries that the bundle's requirements.txt names",
            where=str(model.path),
            code="bundle_scores_differ",
        )
