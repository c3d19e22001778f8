"""A model without any comparison: one algorithm, or no time to compare several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from ratchet.training.algorithms.catalogue import Candidate
from ratchet.training.blend import Blend
from ratchet.training.deadline import MORE_TIME
from ratchet.training.entrant import enter
from ratchet.training.results import NO_TIME, CandidateResult, Trained, TrialRecord
from ratchet.training.search.finals import FinalFit, Finals, Order, member_of
from ratchet.training.search.opening import quickness
from ratchet.training.search.setting import Setting, all_failed
from ratchet.training.select import choose_best
from ratchet.training.threshold import Threshold


def fit_one(
    setting: Setting, candidates: Sequence[Candidate], records: tuple[TrialRecord, ...]
) -> Trained:
    """The defaults of the likely best of ``candidates``, trained on all rows by the deadline.

    One that fails, or failed as it was tried, leaves its place to the next.

    Raises:
        RatchetError: all failed.
        DataError: the recipe cannot be learned.
    """
    faults = {record.candidate: record.error for record in records if record.status == "failed"}
    finals = setting.finals(0)
    for candidate in sorted(candidates, key=lambda item: _place(item, faults)):
        fit = _fit(candidate, setting, finals)
        if fit.attempt.fitted is not None:
            break
        faults[candidate.name] = fit.attempt.error
    else:
        raise all_failed(list(faults.items()))
    name = candidate.name
    results = tuple(
        _result(item, fit) if item.name == name else _untrained(item, faults.get(item.name, ""))
        for item in candidates
    )
    choice = choose_best(results, setting.job.metric)
    alone = f"{name} was trained without a comparison: the time was up; {MORE_TIME}"
    return Trained(
        candidates=results,
        choice=choice,
        blends=(_blend(name, fit, setting),),
        trials=records,
        seconds=setting.seconds,
        notes=(*((alone,) if choice.alone else ()), *finals.remarks),
    )


def _place(candidate: Candidate, faults: Mapping[str, str]) -> tuple[bool, bool, int]:
    """In which order candidates are tried: what is sure to end, and soon, before all else."""
    algorithm = candidate.algorithm
    return candidate.name in faults, not algorithm.interruptible, quickness(algorithm.name)


def _fit(candidate: Candidate, setting: Setting, finals: Finals) -> FinalFit:
    table, name = setting.table, candidate.name
    entrant = enter(candidate, table.task, len(table.y), table.columns, cross_validated=False)
    # What it would take on more rows than memory holds is not known: only without a limit they are.
    finals.fit([Order(name, entrant, 1.0, whole=not setting.timed)], setting.pool)
    return finals.made[name]


def _untrained(candidate: Candidate, fault: str) -> CandidateResult:
    status: Literal["failed", "dropped"] = "failed" if fault else "dropped"
    name = candidate.algorithm.name
    return CandidateResult(candidate.name, name, {}, status, fault or NO_TIME)


def _result(candidate: Candidate, fit: FinalFit) -> CandidateResult:
    attempt = fit.attempt
    return CandidateResult(
        name=candidate.name,
        algorithm=candidate.algorithm.name,
        params=fit.entrant.params,
        status="failed" if attempt.error else "ok",
        error=attempt.error,
        rounds=attempt.rounds,
        seconds=attempt.seconds,
        notes=attempt.notes,
        recipe=None if attempt.error else fit.recipe,
        fitted=attempt.fitted,
    )


def _blend(name: str, fit: FinalFit, setting: Setting) -> Blend:
    binary = setting.table.task.kind == "binary"
    given = setting.job.settings.threshold.value
    value = 0.5 if given is None else given
    return Blend(
        setting.table.task,
        (member_of(name, fit, 1.0),),
        None,
        Threshold(value, f"a score of {value:g}", {}) if binary else None,
    )
