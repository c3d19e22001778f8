"""What a long fit tells while it runs, and where it keeps what a killed one needs to go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training rows, as it ended.

    Losses are log losses, or for regression squared errors in standard units of the target;
    accuracies are shares of rows, None for regression. What needs validation rows is None without
    them. ``seconds`` are since the fit began, those before an interruption included.
    """

    number: int
    of: int
    train_loss: float
    validation_loss: float | None
    train_accuracy: float | None
    validation_accuracy: float | None
    seconds: float


OnEpoch = Callable[[Epoch], None]


@dataclass(frozen=True, slots=True)
class Progress:
    """How a fit is followed.

    ``folder`` is where checkpoints are kept, each in a file named by what is trained on what
    (rows, parameters, seed, threads), so that one of another fit is never gone on from; None: the
    fit begins anew when it is interrupted. Its owner removes the folder when the run has ended.
    ``on_epoch`` is called in the thread of the fit after every epoch; epochs that an interrupted
    fit had told already are not told again.
    """

    folder: Path | None = None
    on_epoch: OnEpoch | None = None


UNSEEN = Progress()
"""Nobody looks on, and nothing is kept."""


def unseen(name: str) -> Progress:
    """Nobody looks on, whatever is trained."""
    return UNSEEN
