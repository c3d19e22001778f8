"""A promoted version, until the labels of its first predictions are in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ratchet.rollout.canary import TESTS, Back, Finding, Hold, Verdict, Widen, quality_findings

if TYPE_CHECKING:
    from ratchet.ledger.rollouts import Rollout
    from ratchet.rollout.evidence import Evidence

COHORT = timedelta(days=1)
"""The first predictions are those of the steps, and of so long after the promotion."""

_FEW = 200


def judge_watch(
    rollout: Rollout, evidence: Evidence, now: datetime
) -> tuple[Verdict, tuple[Finding, ...]]:
    """Whether it is worse: ``Back``; whether the watch is over: ``Widen``; or neither: ``Hold``.

    The tests are those of the canary, with the level they had there: they go on. They see the
    predictions of the steps, of either version, and those since, which the champion before it
    answers along unseen.
    """
    assert rollout.promoted is not None
    rules, quality = rollout.rules, evidence.quality
    level = rules["alpha"] / len(TESTS)
    findings = tuple(quality_findings(quality, level, rules["margin"]))
    against = [finding.says for finding in findings if finding.against]
    if against:
        return Back("; ".join(against)), findings
    labels = len(quality.paired) + int(quality.chosen.sum())
    told = "; ".join(finding.says for finding in findings if finding.value is not None)
    if now >= rollout.promoted + timedelta(seconds=rules["watch_for"]):
        return Widen(told or f"watched for as long as it may be, with {labels:,} labels"), findings
    age = evidence.settled.get("labels_after")
    if age is None:
        return Hold("no labels yet"), findings
    span = max(COHORT, timedelta(seconds=rules["hold"]))
    over = rollout.promoted + span + timedelta(seconds=age)
    if now < over:
        return Hold(
            f"labels of its first predictions are in at {over:%Y-%m-%d %H:%M} UTC"
        ), findings
    if labels < _FEW:
        return Hold(f"{labels:,} of {_FEW:,} labels"), findings
    return Widen(f"no worse: {told}" if told else "the labels do not speak against it"), findings
