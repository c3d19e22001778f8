"""Everything a run report can tell, as plain values.

Only ``RunFacts`` is always there. Every other part is None or empty until a step has left what it
needs; a part without facts has no heading on the page. Labels are text already: a class may be a
number in the data, but the page shows words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ratchet.pipeline.report.plot_facts import (
    ClassFacts,
    CurvesFacts,
    ExplanationFacts,
    ImportanceFacts,
)

Outcome = Literal["passed", "promoted", "candidate", "rejected", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class StepFacts:
    """How one step went; ``status`` as in ``run --json``."""

    name: str
    status: str
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FaultFacts:
    """The error that ended a run."""

    what: str
    why: str = ""
    fix: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Which run it was and what it ended in.

    Attributes:
        started: ISO time.
        seconds: wall time so far; None while the run goes on.
        outcome: as the run's; ``passed`` before the model is registered.
        reason: why, in a sentence.
        version: the version that the run registered.
        champion: the version that served before the run.
        uri: where MLflow keeps the registered version.
        update: how the model was made: ``retune``, ``refit`` or ``incremental``.
        climbed: cheaper ways that were tried first, and why each was not enough.
    """

    project: str
    run_id: str
    outcome: Outcome
    reason: str
    started: str = ""
    seconds: float | None = None
    trigger: str = ""
    description: str = ""
    version: str | None = None
    champion: str | None = None
    uri: str = ""
    update: str = ""
    climbed: tuple[tuple[str, str], ...] = ()
    fault: FaultFacts | None = None
    steps: tuple[StepFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What is predicted: the target, its classes (negative first), the metric that chooses."""

    kind: str
    target: str
    classes: tuple[str, ...] = ()
    metric: str = ""


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """A measured value with its interval; None where it is not defined."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    method: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """One model of an ensemble and its weight, all of which sum to 1."""

    name: str
    algorithm: str
    weight: float
    params: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ThresholdFacts:
    """The score from which the positive class is decided, and what it was chosen for.

    ``expected`` is what it comes to on out-of-fold scores, for the positive class: ``precision``,
    ``recall``, ``f1`` and so on.
    """

    value: float
    objective: str = ""
    expected: tuple[tuple[str, float], ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The chosen model, measured on the test rows.

    Attributes:
        name: the candidate's name.
        algorithm: its algorithm; ``ensemble`` for several.
        reason: why it was chosen.
        params: of the final fit, name and value as text.
        members: of an ensemble, heaviest first; empty for a single model.
        metrics: in report order.
        confidence: of every interval.
        rows: test rows measured on.
        calibration: the method, or empty.
        uncalibrated: why there is none.
        learned: which of the training rows it learned from, and why; empty where that goes
            without saying.
        interval: of a regression: its coverage, and what is added to an estimate at either end.
        form: what it ships as (``onnx``, ``lightgbm`` ...).
        size: bytes of the bundle.
        digest: of the bundle.
        refused: candidates or forms that could not be shipped, and why.
        notes: what training had to say about it.
    """

    name: str
    algorithm: str
    reason: str = ""
    params: tuple[tuple[str, str], ...] = ()
    members: tuple[MemberFacts, ...] = ()
    metrics: tuple[MetricFacts, ...] = ()
    confidence: float = 0.95
    rows: int | None = None
    threshold: ThresholdFacts | None = None
    calibration: str = ""
    uncalibrated: str = ""
    learned: str = ""
    interval: tuple[float, float, float] | None = None
    form: str = ""
    size: int | None = None
    digest: str = ""
    refused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ComparisonFacts:
    """The new model against the one that serves, on the same rows.

    ``difference``, its two-sided interval ``low`` to ``high`` and its one-sided bounds ``lower``
    and ``upper`` are improvements: positive is better, whatever the metric. ``problem`` says why
    nothing could be compared, ``note`` which rows these are, and ``use`` counts the decisions that
    were made on them.
    """

    version: str
    metric: str = ""
    new: float | None = None
    old: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    lower: float | None = None
    upper: float | None = None
    confidence: float = 0.95
    margin: float = 0.0
    verdict: str = ""
    rows: int | None = None
    rows_needed: int | None = None
    problem: str = ""
    note: str = ""
    use: int = 1


@dataclass(frozen=True, slots=True)
class PartFacts:
    """One part of the split.

    Attributes:
        shares: class and its share of the rows; empty for regression.
        first: the earliest time in it, where there is a time column.
        last: the latest.
        summary: of a numeric target: name (``mean``, ``median`` ...) and value.
    """

    name: str
    rows: int
    shares: tuple[tuple[str, float], ...] = ()
    first: str = ""
    last: str = ""
    summary: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class DataFacts:
    """The snapshot the run worked on and how it was cut."""

    table: str
    version: int
    rows: int
    digest: str
    change: str = ""
    reason: str = ""
    columns: int | None = None
    newest: str = ""
    method: str = ""
    seed: int | None = None
    parts: tuple[PartFacts, ...] = ()
    duplicates: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """One check's verdict; ``examples`` are ids or numbers of failing rows."""

    name: str
    column: str
    severity: str
    passed: bool
    message: str
    expected: str = ""
    observed: str = ""
    failing: int | None = None
    rows: int | None = None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CandidateFacts:
    """One candidate: cross-validation (metric, mean, standard deviation) and test values."""

    name: str
    algorithm: str
    status: str
    chosen: bool = False
    cv: tuple[tuple[str, float, float], ...] = ()
    test: tuple[tuple[str, float | None], ...] = ()
    seconds: float | None = None
    params: tuple[tuple[str, str], ...] = ()
    error: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrialFacts:
    """One configuration of the search.

    ``started`` is in seconds since the search began; ``status`` is ``finished``, ``pruned``,
    ``stopped`` or ``failed``; ``mean`` is its score over the folds it was given, ``scores`` those
    folds' own. ``candidate`` is a name, as in the project file; ``origin`` says where the
    configuration came from (``defaults``, ``warm``, ``portfolio``, ``search``).
    """

    number: int
    candidate: str
    status: str
    mean: float | None
    seconds: float
    started: float
    params: tuple[tuple[str, str], ...] = ()
    scores: tuple[float, ...] = ()
    origin: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class SearchFacts:
    """The search: what it improved, how long it had, and every trial."""

    metric: str
    trials: tuple[TrialFacts, ...]
    budget: float | None = None


@dataclass(frozen=True, slots=True)
class GateFacts:
    """One gate's verdict; value and threshold in the metric's unit, seconds, bytes or rows."""

    name: str
    group: str
    passed: bool
    reason: str
    value: float | None = None
    threshold: float | None = None
    where: str = "default"


@dataclass(frozen=True, slots=True)
class SliceFacts:
    """A part of the test rows, and the chosen metric on it."""

    column: str
    label: str
    rows: int
    share: float
    metric: MetricFacts
    difference: float | None
    worse: bool


@dataclass(frozen=True, slots=True)
class FeatureFacts:
    """One column of the model's matrix."""

    name: str
    kind: str
    description: str = ""
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReproductionFacts:
    """What it takes to make the same model again."""

    command: str = ""
    seed: int | None = None
    code: str = ""
    config_digest: str = ""
    libraries: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """The whole report. Parts that a run did not reach are None or empty.

    ``unexplained`` says why there is no ``explanation``.
    """

    run: RunFacts
    task: TaskFacts | None = None
    model: ModelFacts | None = None
    comparison: ComparisonFacts | None = None
    data: DataFacts | None = None
    checks: tuple[CheckFacts, ...] = ()
    candidates: tuple[CandidateFacts, ...] = ()
    search: SearchFacts | None = None
    gates: tuple[GateFacts, ...] = ()
    slices: tuple[SliceFacts, ...] = ()
    curves: CurvesFacts | None = None
    confusion: tuple[tuple[int, ...], ...] = ()
    classes: tuple[ClassFacts, ...] = ()
    importance: ImportanceFacts | None = None
    explanation: ExplanationFacts | None = None
    unexplained: str = ""
    features: tuple[FeatureFacts, ...] = ()
    reproduction: ReproductionFacts | None = None

    def to_json(self) -> dict[str, Any]:
        """The facts as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> ReportFacts:
        """The facts that ``to_json`` made.

        Raises:
            pydantic.ValidationError: ``raw`` is something else.
        """
        from pydantic import TypeAdapter

        return TypeAdapter(cls).validate_python(raw)
