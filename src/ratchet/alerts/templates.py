"""What is said of each occasion: the headline, what Ratchet did, and what the reader should do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ratchet.alerts.settings import Occasion


@dataclass(frozen=True, slots=True)
class Template:
    """The words of an occasion; ``{run}`` is the run's id, or ``last``.

    Attributes:
        headline: what happened, after the project's name and a colon.
        did: what Ratchet did about it.
        advice: what the reader should do; commands are run in the project's folder.
    """

    headline: str
    did: str
    advice: str


TEMPLATES: Mapping[Occasion, Template] = {
    "promoted": Template(
        "a new model serves",
        "The new version answers all requests; the one before it is kept.",
        "Nothing. See why with `ratchet show {run}`; go back with `ratchet rollback`.",
    ),
    "candidate": Template(
        "a new model passed its gates and waits",
        "The new version is registered; the model before it still answers everything.",
        "Look at it with `ratchet show {run}`, then `ratchet rollout` or `ratchet promote`.",
    ),
    "rejected": Template(
        "the new model was rejected, the old one stays",
        "Nothing that serves was changed.",
        "See which gate said no, and by how much, with `ratchet show {run}`.",
    ),
    "skipped": Template(
        "nothing to train",
        "Nothing was trained, as nothing that a model depends on has changed.",
        "Nothing. `ratchet run --force` trains anyway.",
    ),
    "failed": Template(
        "the run failed, the old model stays",
        "The run was stopped; nothing that serves was changed.",
        "See the step and the error with `ratchet show {run}`; when it is mended, "
        "`ratchet run --resume {run}` goes on where it stopped.",
    ),
    "approval_wanted": Template(
        "a new model waits for approval",
        "The new version is held back; the model before it still answers everything.",
        "Look at it with `ratchet show {run}`, then `ratchet approve` or `ratchet rollout abort`.",
    ),
    "widened": Template(
        "the new model gets more traffic",
        "Its share was raised, as nothing speaks against it so far.",
        "Nothing. `ratchet rollout show` has the evidence; `ratchet rollout abort` stops it.",
    ),
    "inconclusive": Template(
        "the evidence on the new model is not conclusive",
        "The rollout is held where it is; nobody gets the new version who did not have it.",
        "See what is missing with `ratchet rollout show`; decide with `ratchet promote` or "
        "`ratchet rollout abort`.",
    ),
    "rolled_back": Template(
        "the model was rolled back",
        "The model before it answers everything again, with its own threshold and features.",
        "See what spoke against it with `ratchet rollout show` and `ratchet show {run}`.",
    ),
    "drift": Template(
        "the data has drifted",
        "The drift was recorded; the model goes on serving.",
        "See what moved with `ratchet monitor`; hand in labels soon: only they say whether the "
        "model suffers.",
    ),
    "performance": Template(
        "the model does worse than it did",
        "The drop was recorded, and the triggers decide whether to retrain.",
        "See it by week with `ratchet monitor`, and what will be done with `ratchet plan`.",
    ),
    "experiment": Template(
        "an experiment has a result",
        "The result was recorded; who serves was not changed by it.",
        "See it with `ratchet experiment show`.",
    ),
    "unhealthy": Template(
        "something is not healthy",
        "What served before goes on serving where it can.",
        "See everything that is wrong with `ratchet health`.",
    ),
    "recovered": Template(
        "healthy again",
        "It was checked again, and nothing is wrong any more.",
        "Nothing.",
    ),
}

HEADLINES: Mapping[Occasion, str] = {name: each.headline for name, each in TEMPLATES.items()}
