"""The steps in their order. Everything a step reads comes from a step before it."""

from __future__ import annotations

from ratchet.pipeline.step import Step
from ratchet.pipeline.steps import (
    evaluate,
    features,
    gate,
    ingest,
    package,
    register,
    report,
    split,
    train,
    validate,
)

STEPS: tuple[Step, ...] = (
    ingest.STEP,
    validate.STEP,
    split.STEP,
    features.STEP,
    train.STEP,
    evaluate.STEP,
    package.STEP,
    gate.STEP,
    report.STEP,
    register.STEP,
)
