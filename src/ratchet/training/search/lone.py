"""A model without any comparison: one algorithm, or no time to compare several."""

from __future__ import annotations

from collections.abc import Sequence

from ratchet.training.algorithms.catalogue import Candidate
from ratchet.training.blend import Blend
from ratchet.training.entrant import enter
from ratchet.training.results import CandidateResult, Trained, TrialRecord
from ratchet.training.search.finals import FinalFit, Order, member_of
from ratchet.training.search.opening import quickness
from ratchet.training.search.setting import Setting, all_failed
from ratchet.training.select import choose_best
from ratchet.training.threshold import Threshold

NO_TIME = "the time was up before it could be compared"


def fit_one(
    setting: Setting, candidates: Sequence[Candidate], records: tuple[TrialRecord, ...]
) -> Trained:
    """The defaults of the likely best of ``candidates``, trained on all rows by the deadline.

    Raises:
        RatchetError: it failed.
        DataError: the recipe cannot be learned.
    """
    table = setting.table
    ordered = sorted(
        candidates,
        key=lambda item: (not item.algorithm.interruptible, quickness(item.algorithm.name)),
    )
    first = ordered[0]
    entrant = enter(first, table.task, len(table.y), table.columns, cross_validated=False)
    finals = setting.finals(0)
    # What it would take on more rows than memory holds is not known: only without a limit they are.
    finals.fit([Order(first.name, entrant, 1.0, whole=not setting.timed)], setting.pool)
    fit = finals.made[first.name]
    results = tuple(
        _result(item, fit)
        if item is first
        else CandidateResult(item.name, item.algorithm.name, {}, "dropped", NO_TIME)
        for item in candidates
    )
    if fit.attempt.fitted is None:
        raise all_failed([(first.name, fit.attempt.error)])
    notes = () if len(candidates) == 1 else (f"{first.name} was trained without a comparison",)
    return Trained(
        candidates=results,
        choice=choose_best(results, setting.job.metric),
        blends=(_blend(first.name, fit, setting),),
        trials=records,
        seconds=setting.seconds,
        notes=(*notes, *finals.remarks),
    )


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
