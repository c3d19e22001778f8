"""One fit of one candidate, whose failure is a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ratchet import clock
from ratchet.training.deadline import NEVER, Deadline, StoppedError
from ratchet.training.entrant import Entrant
from ratchet.training.fitted import Fitted, Matrix, Proba, Targets, TrainingRows
from ratchet.training.progress import UNSEEN, Progress
from ratchet.training.scoring import score_all
from ratchet.training.warned import WarningNotes


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """What came of a fit: an error, else scores of unseen rows, or the model.

    ``stopped``: its time was up, which is no fault of the candidate. ``rows`` were learned from.
    """

    seconds: float
    notes: tuple[str, ...]
    error: str = ""
    rounds: int | None = None
    proba: Proba | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    fitted: Fitted | None = None
    stopped: bool = False
    rows: int = 0


def try_fit(
    entrant: Entrant,
    rows: TrainingRows,
    validation: TrainingRows | None,
    *,
    seed: int,
    threads: int,
    notes: WarningNotes,
    score: tuple[Matrix, Targets] | None = None,
    deadline: Deadline = NEVER,
    progress: Progress = UNSEEN,
) -> Attempt:
    """Fit a candidate; given ``score`` rows (X, y) score them and let the model go, else keep it.

    Libraries raise what they like, and one candidate must not end the others: this is the one
    place that catches it.
    """
    started = clock.monotonic()
    # Only what trains for long, epoch by epoch, can be followed.
    followed = {"progress": progress} if getattr(entrant.algorithm, "follows", False) else {}
    try:
        fitted = entrant.algorithm.fit(
            rows,
            params=entrant.params,
            seed=seed,
            threads=threads,
            validation=validation,
            deadline=deadline,
            start=entrant.saved,
            **followed,
        )
        proba = None if score is None else _finite(fitted.predict(score[0]))
    except StoppedError:
        return Attempt(clock.monotonic() - started, notes.take(), stopped=True, rows=len(rows.y))
    except Exception as error:  # noqa: BLE001 - reported as the candidate's failure, see above
        return Attempt(clock.monotonic() - started, notes.take(), error=_sentence(error))
    scored = score is not None and proba is not None
    return Attempt(
        clock.monotonic() - started,
        notes.take(),
        rounds=fitted.rounds,
        proba=proba,
        scores=score_all(score[1], proba) if score is not None and proba is not None else {},
        fitted=None if scored else fitted,
        rows=len(rows.y),
    )


def _finite(proba: Proba) -> Proba:
    if not np.isfinite(proba).all():
        raise ValueError("its scores are not all numbers")
    return proba


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:500]}" if text else type(error).__name__
