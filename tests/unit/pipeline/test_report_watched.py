"""The pages of a look at what serves and of an experiment: their sentences and their words."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from ratchet.ledger.experiments import Experiment
from ratchet.monitoring.counting import Folded
from ratchet.monitoring.monitor import Observation, VersionDrift
from ratchet.pipeline.report.experiment import render_experiment
from ratchet.pipeline.report.observation import render_observation
from ratchet.rollout.comparison import Comparison
from ratchet.rollout.experiment_rows import Seen
from ratchet.rollout.ratio import Ratio

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


def look() -> str:
    drift = VersionDrift(1, AT, AT, 3, None, 0, alarm=False, reason="3 predictions are too few")
    notes = ("version 2 has no profile",)
    return render_observation(Observation(AT, 1, (), Folded(), (drift,), None, notes), "churn")


def experiment(**changes: object) -> str:
    values: dict[str, object] = {
        "experiment_id": "x", "seq": 3, "changed": AT, "name": "cheaper", "status": "running",
        "a": 1, "b": 2, "share": 50.0, "metric": "accuracy", "salt": "s", "record": 2,
        "rules": {
            "alpha": 0.05, "window": 86_400.0, "labels_after": None, "least_days": 7, "days": 14,
            "margin": 0.01,
        },
        "started": AT, "ends": AT + timedelta(days=14), "stopped": None, "decided": None,
        "verdict": None, "evidence": {}, "by": "anna", "reason": "to see", **changes,
    }  # fmt: skip
    now = Comparison(Ratio(50, 50, 0.5, 0.0), "the ratio is off", None, None, (0, 0), (0, 0), 0)
    return render_experiment(Experiment(**values), now, (), Seen(), "churn")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("page", "sentences"),
    [
        (look(), ("3 predictions are too few.", "Version 2 has no profile.")),
        (experiment(), ("The ratio is off.",)),
        (experiment(status="stopped", stopped=AT, reason="no budget"), ("No budget.",)),
    ],
)
def test_what_is_said_is_said_in_sentences(page: str, sentences: tuple[str, ...]) -> None:
    for sentence in sentences:
        assert f">{sentence}</p>" in page


@pytest.mark.parametrize(("page", "words"), [(look(), 5), (experiment(), 3)])
def test_the_words_are_explained_once_in_a_section_with_its_name(page: str, words: int) -> None:
    (section,) = re.findall(r'<section id="words"[^>]*>.*?</section>', page, re.DOTALL)
    assert 'aria-labelledby="words-h"' in section
    assert '<h2 id="words-h">Words</h2>' in section
    assert section.count("<dt>") == section.count("<dd>") == words
