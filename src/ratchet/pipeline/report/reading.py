"""The facts of a report from what the steps wrote, as JSON values. Pure: no file is opened here.

Every function takes the JSON of a step and gives a part of ``ReportFacts``. What an older step did
not write yet is simply missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ratchet.pipeline.report.facts import (
    CandidateFacts,
    CheckFacts,
    ComparisonFacts,
    DataFacts,
    FaultFacts,
    FeatureFacts,
    GateFacts,
    MemberFacts,
    MetricFacts,
    PartFacts,
    SearchFacts,
    SliceFacts,
    StepFacts,
    ThresholdFacts,
    TrialFacts,
)
from ratchet.pipeline.report.plot_facts import (
    BarFacts,
    ClassFacts,
    ImportanceFacts,
)

Json = Mapping[str, Any]
Pairs = tuple[tuple[str, str], ...]

_PARTS = ("train", "validation", "test")


def label_text(label: Any) -> str:
    """A class or a cell as text."""
    if isinstance(label, bool):
        return str(label).lower()
    return f"{label:.10g}" if isinstance(label, float) else str(label)


def read_params(raw: Json) -> Pairs:
    """Parameters as text; numbers with the digits that count."""
    return tuple((name, label_text(_rounded(value))) for name, value in raw.items())


def _rounded(value: Any) -> Any:
    return f"{value:.5g}" if isinstance(value, float) else value


def read_steps(raw: Sequence[Json]) -> tuple[StepFacts, ...]:
    """``steps`` of ``run --json``."""
    return tuple(
        StepFacts(step["name"], step["status"], step["seconds"], step.get("detail") or "")
        for step in raw
    )


def read_fault(raw: Json | None) -> FaultFacts | None:
    """``error`` of ``run --json``."""
    if not raw:
        return None
    return FaultFacts(*(str(raw.get(key) or "") for key in ("what", "why", "fix", "where")))


def read_data(ingest: Json, split: Json | None) -> DataFacts:
    """Facts of the ingest and split steps; a run that stopped early has no split."""
    cut = split or {}
    rows: Json = cut.get("rows", {})
    shares, target = cut.get("classes", {}), cut.get("target", {})
    starts, spans = cut.get("boundaries", {}), cut.get("spans", {})
    until = cut.get("trained_until") or ""
    parts = []
    for name, count in rows.items():
        if not count:
            continue
        first, last = spans.get(name, (starts.get(name, ""), ""))
        if not last and name == "test" and starts:
            last = ingest.get("newest") or ""
        if not last and name != "test" and starts and not rows.get("validation"):
            last = until
        parts.append(
            PartFacts(
                name,
                count,
                tuple(shares.get(name, {}).items()),
                str(first),
                str(last),
                tuple(target.get(name, {}).items()),
            )
        )
    return DataFacts(
        table=ingest["table"],
        version=ingest["version"],
        rows=ingest["rows"],
        digest=ingest["digest"],
        change=ingest.get("change") or "",
        reason=ingest.get("reason") or "",
        columns=len(ingest.get("columns", ())) or None,
        newest=ingest.get("newest") or "",
        method=cut.get("method", ""),
        seed=cut.get("seed"),
        parts=tuple(sorted(parts, key=lambda part: _PARTS.index(part.name))),
        duplicates=cut.get("duplicates", 0),
        left_out=cut.get("left_out", 0),
    )


def read_check(raw: Json) -> CheckFacts:
    """A result of ``checks.json``."""
    observed = raw.get("observed")
    return CheckFacts(
        name=raw["name"],
        column=raw.get("column") or "",
        severity=raw["severity"],
        passed=raw["passed"],
        message=raw["message"],
        expected=raw.get("expected") or "",
        observed="" if observed is None else label_text(observed),
        failing=raw.get("failing"),
        rows=raw.get("rows"),
        examples=tuple(label_text(row) for row in raw.get("examples", ())),
    )


def read_metric(name: str, raw: Json) -> MetricFacts:
    """An estimate of ``metrics.json`` or ``slices.json``."""
    return MetricFacts(
        name,
        raw["value"],
        raw.get("low"),
        raw.get("high"),
        raw.get("method") or "",
        raw.get("note") or "",
    )


def read_metrics(raw: Json) -> tuple[MetricFacts, ...]:
    """All estimates of ``metrics.json``."""
    return tuple(read_metric(name, found) for name, found in raw["estimates"].items())


def read_classes(raw: Json) -> tuple[ClassFacts, ...]:
    """The per-class report of ``metrics.json``."""
    return tuple(
        ClassFacts(
            label_text(row["label"]), row["precision"], row["recall"], row["f1"], row["support"]
        )
        for row in raw["report"]
    )


def read_candidate(raw: Json, best: str, held_out: Json, seconds: Json) -> CandidateFacts:
    """A record of train's ``candidates.json`` with its held-out metrics and its time."""
    name = raw["name"]
    test: Json = held_out.get(name, {}).get("test", {})
    return CandidateFacts(
        name=name,
        algorithm=raw["algorithm"],
        status=raw["status"],
        chosen=name == best,
        cv=tuple((metric, mean, spread) for metric, (mean, spread) in raw["cv"].items()),
        test=tuple(test.items()),
        seconds=seconds.get(name),
        params=read_params(raw["params"]),
        error=raw.get("error") or "",
        notes=tuple(raw.get("notes", ())),
    )


def read_members(members: Sequence[Json], trained: Sequence[Json]) -> tuple[MemberFacts, ...]:
    """The models of an ensemble, heaviest first.

    Args:
        members: name, algorithm and weight of each.
        trained: name and parameters of each, rounds beside them.
    """
    params = {record["name"]: record["params"] for record in trained}
    made = (
        MemberFacts(
            part["name"],
            part["algorithm"],
            part["weight"],
            read_params(params.get(part["name"], {})),
        )
        for part in members
    )
    return tuple(sorted(made, key=lambda member: (-member.weight, member.name)))


def read_threshold(raw: Json | None) -> ThresholdFacts | None:
    """``threshold`` of train's facts; None unless there are two classes."""
    if raw is None:
        return None
    return ThresholdFacts(
        raw["value"], raw["objective"], tuple(raw["expected"].items()), raw.get("note") or ""
    )


def read_search(raw: Any, metric: str, budget: float | None) -> SearchFacts | None:
    """``trials.json``: a list of trial records, or an object with ``trials``."""
    told: Json = raw if isinstance(raw, Mapping) else {"trials": raw}
    if not told["trials"]:
        return None
    metric = told.get("metric") or told["trials"][0].get("metric") or metric
    trials = tuple(_read_trial(trial, metric) for trial in told["trials"])
    return SearchFacts(metric, trials, told.get("budget") or budget)


def _read_trial(raw: Json, metric: str) -> TrialFacts:
    scores = raw.get("folds") or raw.get("scores") or ()
    values = (fold.get(metric) if isinstance(fold, Mapping) else fold for fold in scores)
    return TrialFacts(
        number=raw["number"],
        candidate=raw.get("candidate") or raw["algorithm"],
        status=raw["status"],
        mean=raw["mean"],
        seconds=raw["seconds"],
        started=raw["started"],
        params=read_params(raw["params"]),
        scores=tuple(value for value in values if value is not None),
        origin=raw.get("origin") or "",
        error=raw.get("error") or "",
    )


def read_comparison(raw: Json, version: str, judged: Json) -> ComparisonFacts:
    """``comparison.json``, with what the gate made of it."""
    found, note = raw["comparison"], raw.get("rows") or ""
    if found is None:
        return ComparisonFacts(version, problem=raw["problem"], note=note)
    return ComparisonFacts(
        version,
        found["metric"],
        found["new"],
        found["old"],
        found["difference"],
        found["low"],
        found["high"],
        found["lower"],
        found["upper"],
        found["confidence"],
        found["margin"],
        judged.get("verdict") or found["verdict"],
        found["n"],
        judged.get("rows_needed") or found["rows_needed"],
        raw["problem"] or found["reason"],
        note,
        raw.get("use") or 1,
    )


def read_gate(raw: Json) -> GateFacts:
    """A result of ``gates.json``."""
    return GateFacts(
        raw["name"],
        raw["group"],
        raw["passed"],
        raw["reason"],
        raw["value"],
        raw["threshold"],
        raw["where"],
    )


def read_slices(raw: Sequence[Json], metric: str) -> tuple[SliceFacts, ...]:
    """``slices.json`` in the metric that chooses."""
    return tuple(
        SliceFacts(
            part["column"],
            label_text(part["label"]),
            part["rows"],
            part["share"],
            read_metric(metric, part["estimates"][metric]),
            part["difference"],
            part["worse"],
        )
        for part in raw
        if metric in part["estimates"]
    )


def read_importance(raw: Sequence[Json], metric: str) -> ImportanceFacts | None:
    """``importance.json``."""
    if not raw:
        return None
    return ImportanceFacts(
        metric, tuple(BarFacts(bar["name"], bar["value"], bar.get("se")) for bar in raw)
    )


def read_features(raw: Sequence[Json]) -> tuple[FeatureFacts, ...]:
    """The notes of ``features.json``."""
    return tuple(
        FeatureFacts(
            note["name"], note["kind"], note.get("description") or "", tuple(note["sources"])
        )
        for note in raw
    )
