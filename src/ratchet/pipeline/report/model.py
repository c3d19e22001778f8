"""The chosen model: what it is, how it decides, and every metric with its interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import (
    Column,
    card,
    chip,
    code,
    facts_list,
    grouped_table,
    interval_bar,
    named,
    params_text,
    share_bar,
    table,
    unfold,
)
from ratchet.pipeline.report.facts import (
    MetricFacts,
    ModelFacts,
    ReportFacts,
    RunFacts,
    TaskFacts,
    ThresholdFacts,
)
from ratchet.pipeline.report.markup import Child, Html, join, tag
from ratchet.pipeline.report.plot import nice_axis

TITLE = "The model"
_ERRORS = ("rmse", "mae", "median_ae")
_UPDATES = {
    "retune": "a new search",
    "refit": "the serving model's recipe and parameters, trained anew",
    "incremental": "going on training the serving model",
}


def model(facts: ReportFacts) -> list[Html | None]:
    """What is shipped and how good it is."""
    found, task = facts.model, facts.task
    if found is None:
        return []
    lead = tag("p", _lead(found, task), class_="lead")
    made: list[Html | None] = [lead, card(_about(facts, found), *_members(found))]
    if found.metrics:
        made.append(card(_metrics(found, task), style="flush"))
        made.append(_ground(found))
    if found.params and not found.members:
        made.append(unfold(f"Parameters ({len(found.params)})", params_text(found.params)))
    return made


def _lead(found: ModelFacts, task: TaskFacts | None) -> Html:
    if found.members:
        named = [words.algorithm_said(member.algorithm) for member in found.members]
        kinds = words.listed(list(dict.fromkeys(named)))
        what = f"The weighted mean of {len(found.members)} models: {kinds}"
    else:
        what = words.algorithm_title(found.algorithm)
    if task is None:
        return join([what, "."])
    target = code(words.name(task.target, 60))
    if task.kind == "binary" and len(task.classes) == 2:
        positive = code(words.name(task.classes[1], 40))
        return join([what, ". It predicts whether ", target, " is ", positive, "."])
    if task.kind == "regression":
        return join([what, ". It predicts the number ", target, "."])
    return join([what, f". It predicts which of {len(task.classes)} classes ", target, " is."])


def _about(facts: ReportFacts, found: ModelFacts) -> Html | None:
    task = facts.task
    form = " + ".join(words.form_title(kind) for kind in found.form.split(" + ") if kind)
    if form and found.size is not None:
        form += f", {words.size(found.size)}"
    return facts_list(
        (
            ("Chosen because", found.reason),
            ("Made by", _update(facts.run)),
            ("Learned from", found.learned or None),
            ("Decision", _decision(found.threshold, task) if found.threshold else None),
            ("Interval of an estimate", _interval(found)),
            ("Calibration", _calibration(found, task)),
            ("Ships as", form),
            ("Bundle digest", code(found.digest[:12]) if found.digest else None),
            ("Passed over", join(_lines(found.refused)) if found.refused else None),
            ("Notes", join(_lines(found.notes)) if found.notes else None),
        )
    )


def _update(run: RunFacts) -> Child:
    """Which rung of the ladder made the model; nothing where there was only one."""
    if not run.update or (run.update == "retune" and not run.climbed):
        return None
    said = [_UPDATES.get(run.update, run.update)]
    below = [
        tag("span", f"{way} was not enough: {reason}", class_="sub") for way, reason in run.climbed
    ]
    return join([*said, *below])


def _lines(texts: Iterable[str]) -> list[Html]:
    return [tag("div", one) for one in texts]


def _decision(threshold: ThresholdFacts, task: TaskFacts | None) -> Child:
    positive = words.name(task.classes[1], 40) if task and len(task.classes) == 2 else "positive"
    made: list[Child] = [f"{positive} from a score of {threshold.value:.4g} on"]
    if threshold.objective and threshold.objective != f"a score of {threshold.value:g}":
        made.append(tag("span", f"Chosen for {threshold.objective}", class_="sub"))
    if threshold.expected:
        shown = ", ".join(
            f"{words.spoken(name)} {words.figure(value, 3)}" for name, value in threshold.expected
        )
        made.append(tag("span", f"Out of fold: {shown}", class_="sub"))
    if threshold.note:
        made.append(tag("span", threshold.note, class_="sub"))
    return join(part for part in made if isinstance(part, str))


def _interval(found: ModelFacts) -> Child:
    if found.interval is None:
        return None
    coverage, low, high = found.interval
    said = f"{words.signed(low)} to {words.signed(high)}"
    below = tag("span", f"holds {words.percent(coverage)} of new rows", class_="sub")
    return join([said, below])


def _calibration(found: ModelFacts, task: TaskFacts | None) -> str:
    if task is not None and task.kind == "regression":
        return ""
    return (found.calibration or found.uncalibrated or "none needed").capitalize()


def _members(found: ModelFacts) -> list[Html]:
    if not found.members:
        return []
    columns = (
        Column("Member", "name"),
        Column("Weight", "number"),
        Column("", "bar"),
        Column("Parameters", "words"),
    )
    rows = [
        (
            join([named(member.name), _algorithm_chip(member.name, member.algorithm)]),
            words.percent(member.weight),
            share_bar(member.weight),
            params_text(member.params),
        )
        for member in found.members
    ]
    return [table("Members of the ensemble and their weights", columns, rows)]


def _algorithm_chip(name: str, algorithm: str) -> Html:
    return chip(words.algorithm_title(algorithm)) if algorithm != name else Html("")


def _metrics(found: ModelFacts, task: TaskFacts | None) -> Html:
    level = words.confidence(found.confidence)
    columns = (
        Column("Metric", "name"),
        Column("Value", "number"),
        Column(f"{level} interval", "number"),
        Column("", "bar"),
    )
    chosen = task.metric if task else ""
    groups = [
        (title, [_row(metric, chosen, ends) for metric in metrics])
        for title, metrics, ends in _groups(found, task)
    ]
    return grouped_table("Metrics on the test rows", columns, groups)


Ends = tuple[float, float]


def _groups(
    found: ModelFacts, task: TaskFacts | None
) -> Iterable[tuple[str, Sequence[MetricFacts], Ends | None]]:
    """Metrics that are shares stand on one scale, errors on another; losses on none."""
    chosen = task.metric if task else ""
    metrics = sorted(found.metrics, key=lambda m: (m.name != chosen, words.place(m.name)))
    shares = [metric for metric in metrics if words.bounded(metric.name)]
    others = [metric for metric in metrics if not words.bounded(metric.name)]
    ends = _scale(shares)
    ranked = [metric for metric in shares if not words.from_labels(metric.name)]
    decided = [metric for metric in shares if words.from_labels(metric.name)]
    if task is not None and task.kind == "regression":
        errors = [metric for metric in metrics if metric.name in _ERRORS]
        rest = [metric for metric in metrics if metric.name not in _ERRORS]
        yield "Errors, in the unit of the target; lower is better", errors, _scale(errors)
        yield "Without a unit", rest, None
        return
    at = f"Decisions at a threshold of {found.threshold.value:.4g}" if found.threshold else ""
    yield "Ranking, whatever the threshold", ranked, ends
    yield at or "Decisions", decided, ends
    yield "Probabilities; lower is better", others, None


def _scale(metrics: Sequence[MetricFacts]) -> Ends | None:
    known = [value for m in metrics for value in (m.low, m.value, m.high) if value is not None]
    if not known:
        return None
    axis = nice_axis(min(known), max(known), pad=0.04)
    return max(axis.low, 0.0), axis.high if max(known) > 1 else min(axis.high, 1.0)


def _row(metric: MetricFacts, chosen: str, ends: Ends | None) -> Sequence[Child]:
    name: list[Child] = [words.metric_title(metric.name)]
    if metric.name == chosen:
        name.append(chip("main", "info"))
    name.append(tag("span", metric.note, class_="sub") if metric.note else None)
    interval, bar = words.NONE, None
    if metric.low is not None and metric.high is not None:
        interval = f"{words.figure(metric.low)} to {words.figure(metric.high)}"
        if ends is not None and metric.value is not None and ends[1] > ends[0]:
            places = ((v - ends[0]) / (ends[1] - ends[0]) for v in (metric.low, metric.value))
            low, value = places
            high = (metric.high - ends[0]) / (ends[1] - ends[0])
            bar = interval_bar(low, value, high, "c1")
    value_ = tag("b", words.figure(metric.value))
    return join(part for part in name if isinstance(part, str)), value_, interval, bar


def _ground(found: ModelFacts) -> Html | None:
    if found.rows is None:
        return None
    methods = list(dict.fromkeys(metric.method for metric in found.metrics if metric.method))
    said = f"Measured on {found.rows:,} test rows that had no part in training or choosing."
    if methods:
        said += f" Intervals: {words.listed(methods)}."
    return tag("p", said, class_="hint under")
