"""What was tried: the candidates beside each other, and the search trial by trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import (
    Column,
    badge,
    card,
    chip,
    figure,
    named,
    params_text,
    table,
    unfold,
)
from ratchet.pipeline.report.facts import CandidateFacts, ReportFacts, SearchFacts, TrialFacts
from ratchet.pipeline.report.markup import Child, Html, join, tag
from ratchet.pipeline.report.plot import (
    Axis,
    Frame,
    chart,
    legend,
    line,
    nice_axis,
    note,
    spot,
)

CANDIDATES = "Candidates"
SEARCH = "Search history"
_MOST_TRIALS = 300
_COLOURS = 8
_ORIGINS = {"warm": "from an earlier run", "search": "found by the search"}
# Trials worse than this quantile would press all others into a line at the top.
_SHOWN_SHARE = 0.85
_SECOND = {"binary": "log_loss", "multiclass": "accuracy", "regression": "mae"}


def candidates(facts: ReportFacts) -> list[Html | None]:
    """Cross-validation, test value and cost of each; the chosen one first."""
    found = facts.candidates
    if not found:
        return []
    metric = facts.task.metric if facts.task else ""
    sign = -1 if words.better(metric) == "lower" else 1
    ordered = sorted(found, key=lambda one: (not one.chosen, *_rank(one, metric, sign)))
    second = _SECOND.get(facts.task.kind if facts.task else "", "")
    known = {name for one in found for name, _, _ in one.cv}
    shown = [name for name in dict.fromkeys((metric, second)) if name in known]
    tested = [name for name in shown if any(name in dict(one.test) for one in found)]
    columns = [Column("Candidate", "name")]
    columns += [Column(f"{words.metric_title(name)}, CV", "number") for name in shown]
    columns += [Column(f"{words.metric_title(name)}, test", "number") for name in tested]
    columns += [Column("Time", "number"), Column("", "short")]
    rows = [_candidate(one, shown, tested) for one in ordered]
    lead = "Chosen on the training rows alone; test values are told, never used to choose."
    return [
        tag("p", lead, class_="lead"),
        card(table("Candidates", columns, rows), style="flush"),
    ]


def _rank(one: CandidateFacts, metric: str, sign: int) -> tuple[bool, float]:
    mean = next((mean for name, mean, _ in one.cv if name == metric), None)
    return mean is None, -sign * (mean or 0.0)


def _candidate(one: CandidateFacts, shown: Sequence[str], tested: Sequence[str]) -> list[Child]:
    name: list[str] = [named(one.name)]
    if one.algorithm not in (one.name, ""):
        name.append(chip(words.algorithm_title(one.algorithm)))
    if one.error:
        name.append(tag("span", one.error, class_="sub bad" if one.status == "failed" else "sub"))
    name += [tag("span", said, class_="sub") for said in one.notes]
    cv = {metric: (mean, spread) for metric, mean, spread in one.cv}
    row: list[Child] = [join(name)]
    row += [_spread(cv.get(metric)) for metric in shown]
    test = dict(one.test)
    row += [words.figure(test.get(metric)) for metric in tested]
    row.append(words.duration(one.seconds))
    mark: Child = None
    if one.chosen:
        mark = badge("good", "Chosen")
    elif one.status == "failed":
        mark = badge("bad", "Failed")
    elif one.status == "dropped":
        mark = badge("none", "Dropped")
    row.append(mark)
    return row


def _spread(pair: tuple[float, float] | None) -> Child:
    if pair is None:
        return words.NONE
    return join([words.figure(pair[0]), tag("span", f" ± {words.figure(pair[1])}", class_="muted")])


def search(facts: ReportFacts) -> list[Html | None]:
    """Every trial over time with the best so far, and a table of the best."""
    found = facts.search
    if found is None or not found.trials:
        return []
    made: list[Html | None] = [tag("p", _story(found), class_="lead")]
    scored = [trial for trial in found.trials if trial.mean is not None]
    styles = _styles(scored)
    if scored:
        made.append(_history(found, scored, styles))
    best = _ordered(found)
    shown = best[:_MOST_TRIALS]
    left = len(best) - len(shown)
    title = f"All {len(best):,} trials" if not left else f"The best {len(shown)} trials"
    more = tag("p", f"{left:,} more were tried.", class_="hint") if left else None
    made.append(unfold(title, _table(found, shown), more))
    return made


def _story(found: SearchFacts) -> str:
    tally: dict[str, int] = {}
    for trial in found.trials:
        tally[trial.status] = tally.get(trial.status, 0) + 1
    said = ", ".join(
        f"{number:,} {status}"
        for status, number in sorted(tally.items(), key=lambda pair: (pair[0] != "finished", pair))
    )
    ended = max(trial.started + trial.seconds for trial in found.trials)
    budget = f" of a budget of {words.duration(found.budget)}" if found.budget else ""
    many = words.counted(len(found.trials), "trial")
    return f"{many} ({said}) in {words.duration(ended)}{budget}."


def _styles(trials: Sequence[TrialFacts]) -> dict[str, str]:
    """A colour for each candidate, in order of appearance."""
    names = dict.fromkeys(trial.candidate for trial in sorted(trials, key=lambda t: t.number))
    return {name: f"c{min(place, _COLOURS - 1) + 1}" for place, name in enumerate(names)}


def _history(found: SearchFacts, scored: Sequence[TrialFacts], styles: Mapping[str, str]) -> Html:
    lower = words.better(found.metric) == "lower"
    steps = _best_so_far(scored, lower=lower)
    end = max(trial.started + trial.seconds for trial in found.trials)
    title = words.metric_title(found.metric)
    x = nice_axis(0.0, max(end, found.budget or 0.0, 1e-3), "Seconds since the search began")
    frame = Frame(x, _range(scored, title, lower=lower), 300)
    layers = [_trial(frame, trial, styles[trial.candidate]) for trial in scored]
    if steps:
        layers.append(line(frame, [*steps, (end, steps[-1][1])], "strong", steps=True))
        shift = (4.0, 16.0 if lower else -8.0)
        best = words.figure(steps[-1][1])
        layers.append(note(frame, (end, steps[-1][1]), best, shift=shift, style="strong"))
    used = [(style, words.algorithm_title(name)) for name, style in styles.items()]
    names = [*used, ("hollow", "pruned or stopped")] if _unfinished(scored) else used
    drawn = chart(
        frame,
        layers,
        key="history",
        title=f"{title} of every trial over time",
        description=_described(scored, steps, title),
    )
    drawn = tag("div", _legend(names), drawn)
    hint = "Each dot is one configuration, scored on rows it did not learn from. The line is the "
    hint += "best so far; dots at the edge lie beyond it."
    return figure(f"{title} over time", drawn, below=hint, wide=True)


def _legend(names: Sequence[tuple[str, str]]) -> Html:
    full = [entry for entry in names if entry[0] != "hollow"]
    made = [legend(full, "disc")]
    if len(full) != len(names):
        made = [legend([*full], "disc"), legend([("c8", "pruned or stopped")], "ring")]
    return tag("div", made, class_="legends")


def _unfinished(trials: Sequence[TrialFacts]) -> bool:
    return any(trial.status != "finished" for trial in trials)


def _described(
    scored: Sequence[TrialFacts], steps: Sequence[tuple[float, float]], title: str
) -> str:
    if not steps:
        return f"{len(scored)} trials, none of them finished."
    first, last = steps[0], steps[-1]
    return (
        f"{len(scored)} scored trials; the best {title} went from {words.figure(first[1])} at "
        f"{words.duration(first[0])} to {words.figure(last[1])} at {words.duration(last[0])}."
    )


def _best_so_far(trials: Sequence[TrialFacts], *, lower: bool) -> list[tuple[float, float]]:
    """Where the best finished score improved: (seconds at its end, score)."""
    steps: list[tuple[float, float]] = []
    for trial in sorted(trials, key=lambda t: t.started + t.seconds):
        if trial.mean is None or trial.status != "finished":
            continue
        if not steps or (trial.mean < steps[-1][1] if lower else trial.mean > steps[-1][1]):
            steps.append((trial.started + trial.seconds, trial.mean))
    return steps


def _range(trials: Sequence[TrialFacts], title: str, *, lower: bool) -> Axis:
    """A scale for the better part of the trials; the worst are held at its edge."""
    values = sorted((t.mean for t in trials if t.mean is not None), reverse=not lower)
    worst = values[min(round(len(values) * _SHOWN_SHARE), len(values) - 1)]
    low, high = sorted((values[0], worst))
    return nice_axis(low, high, title, pad=0.06)


def _trial(frame: Frame, trial: TrialFacts, style: str) -> Html:
    assert trial.mean is not None
    end = trial.started + trial.seconds
    params = ", ".join(f"{words.name(name)} {words.name(value)}" for name, value in trial.params)
    said = (
        f"Trial {trial.number}: {words.algorithm_title(trial.candidate)}, "
        f"{words.figure(trial.mean)}, {trial.status}, {words.duration(trial.seconds)}"
    )
    hollow = "" if trial.status == "finished" else " hollow"
    title = f"{said}\n{params}" if params else said
    return spot(frame, (end, trial.mean), style + hollow, title, 4)


def _ordered(found: SearchFacts) -> list[TrialFacts]:
    sign = 1 if words.better(found.metric) == "lower" else -1
    return sorted(
        found.trials,
        key=lambda t: (t.status != "finished", t.mean is None, sign * (t.mean or 0.0), t.number),
    )


def _table(found: SearchFacts, trials: Sequence[TrialFacts]) -> Html:
    columns = (
        Column("Trial", "number"),
        Column("Algorithm", "name"),
        Column(words.metric_title(found.metric), "number"),
        Column("Time", "number"),
        Column("Status", "text"),
        Column("Parameters", "words"),
    )
    rows = []
    for trial in trials:
        said: list[str] = [trial.status]
        if trial.origin:
            said.append(tag("span", _ORIGINS.get(trial.origin, trial.origin), class_="sub"))
        if trial.error:
            said.append(tag("span", trial.error, class_="sub bad"))
        rows.append(
            (
                f"{trial.number}",
                words.algorithm_title(trial.candidate),
                words.figure(trial.mean),
                words.duration(trial.seconds),
                join(said),
                params_text(trial.params),
            )
        )
    return table("Trials, the best first", columns, rows)
