"""The next model from the one that serves, without a search: refitted, or trained further."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ratchet.errors import RatchetError
from ratchet.features.recipe import Encoding, Recipe
from ratchet.training.algorithms.catalogue import CLASS_KEY, resolve_candidates
from ratchet.training.algorithms.port import EARLY_STOPPING, Algorithm
from ratchet.training.deadline import Deadline, out_of_time
from ratchet.training.ensemble import Ensemble
from ratchet.training.entrant import Entrant
from ratchet.training.previous import Previous, PreviousMember
from ratchet.training.results import Trained
from ratchet.training.search.arena import Arena
from ratchet.training.search.conclusion import Concluding
from ratchet.training.search.contenders import find_contenders
from ratchet.training.search.setting import Setting, all_failed
from ratchet.training.search.standings import Standings
from ratchet.training.search.trial import Trial

FOR_FOLDS = 0.7
"""The share of the time that comparing on folds may take; the rest is the final fits'."""


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A member of the serving model as it is trained again; ``recipe`` is kept, if there is one."""

    entrant: Entrant
    weight: float
    recipe: Recipe | None


def renew(setting: Setting, previous: Previous, *, incremental: bool) -> Trained:
    """The serving model's configurations and weights on these rows.

    They are cross-validated once: out-of-fold scores, calibration and threshold are learned anew.
    ``incremental`` keeps the recipes and goes on from the saved models; members that cannot go on
    are left out, and named in the notes.

    Raises:
        RatchetError: ``not_incremental``: no member can go on; ``no_candidate``: all failed.
        ConfigError: ``out_of_time``: the folds could not be scored in the time there was.
        DataError: the rows cannot be cut into folds, or a recipe cannot be learned.
    """
    make = _further if incremental else _again
    made = [(member, make(member, setting)) for member in previous.members]
    parts = [part for _, part in made if part is not None]
    left_out = [member.name for member, part in made if part is None]
    if not parts:
        raise _not_incremental(left_out)
    notes = tuple(f"{name} cannot be trained further and was left out" for name in left_out)
    folds = setting.job.settings.folds_for(max(2, len(parts))) or 2
    recipes = {part.entrant.encoding: part.recipe for part in parts if part.recipe is not None}
    arena = setting.arena(folds, recipes=recipes)
    standings = _cross_validate(setting, arena, [part.entrant for part in parts])
    contenders = find_contenders(standings, arena, setting.job.metric)
    if not contenders:
        raise _nothing_made([trials[0] for trials in standings.trials], incremental=incremental)
    weights = {part.entrant.name: part.weight for part in parts}
    kept = [weights[contender.name] for contender in contenders]
    conclusion = Concluding(
        arena,
        standings,
        setting.finals(folds),
        setting,
        weights=_weights(kept),
        method=previous.calibration or "none",
    ).conclude()
    return Trained(
        candidates=conclusion.candidates,
        choice=conclusion.choice,
        blends=conclusion.blends,
        trials=tuple(
            trial.record(setting.job.metric) for trials in standings.trials for trial in trials
        ),
        seconds=setting.seconds,
        notes=notes + conclusion.notes,
    )


def _cross_validate(setting: Setting, arena: Arena, entrants: Sequence[Entrant]) -> Standings:
    standings = Standings(len(entrants), setting.job.metric)
    at = setting.started + FOR_FOLDS * (setting.deadline.at - setting.started)
    trials = [
        Trial(
            number=place + 1,
            candidate=place,
            entrant=entrant,
            origin="warm",
            started=0.0,
            rows=arena.rows,
            folds=len(arena.folds),
        )
        for place, entrant in enumerate(entrants)
    ]

    def job(trial: Trial, number: int) -> None:
        if not trial.error and not trial.stopped:
            trial.attempts[number] = arena.try_fold(trial, number, Deadline(at))

    futures = [
        setting.pool.submit(job, trial, number)
        for number in range(len(arena.folds))
        for trial in trials
    ]
    for future in futures:
        future.result()
    for trial in trials:
        whole = len(trial.attempts) == len(arena.folds) and not trial.stopped
        trial.status = "failed" if trial.error else "finished" if whole else "stopped"
        standings.add(trial)
    return standings


def _again(member: PreviousMember, setting: Setting) -> _Part:
    """Its configuration, rounds included, with a recipe learned anew."""
    entrant = Entrant(
        name=member.name,
        algorithm=_algorithm(member, setting),
        params=member.params,
        encoding=Encoding(**member.recipe["encoding"]),
        usual_rounds=member.rounds,
    )
    return _Part(entrant, member.weight, None)


def _further(member: PreviousMember, setting: Setting) -> _Part | None:
    """Its saved model and its recipe; new rounds stop early. None if it cannot go on."""
    algorithm = _algorithm(member, setting)
    if not algorithm.continues or member.saved is None:
        return None
    table = setting.table
    params = dict(member.params)
    usual = algorithm.defaults(table.task, len(table.y), table.columns)
    if algorithm.rounds_parameter is not None and EARLY_STOPPING in usual:
        params[EARLY_STOPPING] = usual[EARLY_STOPPING]
        params[algorithm.rounds_parameter] = usual[algorithm.rounds_parameter]
    recipe = Recipe.from_json(member.recipe)
    entrant = Entrant(
        name=member.name,
        algorithm=algorithm,
        params=params,
        encoding=recipe.encoding,
        usual_rounds=max(1, (member.rounds or 10) // 10),
        saved=member.saved,
        known_rounds=member.rounds or 0,
    )
    return _Part(entrant, member.weight, recipe)


def _algorithm(member: PreviousMember, setting: Setting) -> Algorithm:
    """The member's algorithm, by what the project file says of its name."""
    given = setting.job.settings.algorithms.get(member.candidate, {})
    path = {CLASS_KEY: given[CLASS_KEY]} if CLASS_KEY in given else {}
    (candidate,) = resolve_candidates({member.candidate: path}, setting.table.task.kind)
    return candidate.algorithm


def _weights(kept: Sequence[float]) -> Ensemble | None:
    if len(kept) < 2:
        return None
    total = sum(kept)
    return Ensemble(
        weights=tuple(weight / total for weight in kept),
        scores=(),
        singles=(),
        gain=0.0,
        se=0.0,
        worthwhile=True,
        reason="the weights of the serving model",
    )


def _nothing_made(trials: Sequence[Trial], *, incremental: bool) -> RatchetError:
    """The error for when no member was scored: a fault of theirs, or too little time for them."""
    late = [trial.entrant.name for trial in trials if not trial.error]
    if not late:
        return all_failed([(trial.entrant.name, trial.error) for trial in trials])
    what = "train the serving model further" if incremental else "refit the serving model"
    return out_of_time(
        f"There was too little time to {what}",
        f"the time was up before the folds of {', '.join(late)} were scored",
    )


def _not_incremental(names: Sequence[str]) -> RatchetError:
    return RatchetError(
        "The serving model cannot be trained further",
        why=f"{', '.join(names)}: the algorithm cannot go on, or its saved state is gone",
        fix="set training.update to refit or auto",
        where="training.update",
        code="not_incremental",
    )
