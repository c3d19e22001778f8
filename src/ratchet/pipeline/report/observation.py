"""The page of one look at what serves: performance over time, labels, drift."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import (
    Column,
    badge,
    card,
    chip,
    figures,
    glossary,
    grouped_table,
    interval_bar,
    named,
    prose,
    table,
    tile,
    tiles,
    unfold,
)
from ratchet.pipeline.report.markup import Child, Html, tag
from ratchet.pipeline.report.observation_plots import coverage_plot, lag_plot, performance_plot
from ratchet.pipeline.report.shell import heading, render_page

if TYPE_CHECKING:
    from ratchet.monitoring.monitor import Observation, VersionDrift
    from ratchet.monitoring.standing import ArmPerformance, Performance
    from ratchet.monitoring.weighing import Reading

_ANSWERS = {"__score": "Score", "__label": "Decided class"}
_MOST_COLUMNS = 15
_MOST_COHORTS = 60
_WORDS = (
    (
        "Cohort",
        (
            "The predictions of one version in one period. It is mature when nearly all labels it "
            "will ever have are there; before that it decides nothing."
        ),
    ),
    (
        "Realised",
        (
            "The metric on the labels that are there. Labels that came early count for the slower "
            "ones of their kind, so that quick outcomes are not over-represented."
        ),
    ),
    (
        "Bounds",
        "The least and the largest value that are possible, whatever the missing labels will be.",
    ),
    (
        "Estimated",
        (
            "The metric to be expected from the scores alone. It follows a change of the data, and "
            "is blind to a change of what becomes of them: an early warning, never a verdict."
        ),
    ),
    (
        "Baseline",
        "What the version, or the better of the two promoted before it, did when it was new.",
    ),
)


def render_observation(found: Observation, project: str) -> str:
    """The page as HTML that needs nothing else: no network, no script."""
    moment = words.moment(found.at.isoformat())
    parts = [
        _verdict(found),
        *_performance(found),
        *_labels(found),
        *_drift(found),
        _parts(found),
        glossary(_WORDS),
    ]
    top = heading(project, f"Watched {moment}")
    return render_page(f"{project}: watched {moment}", parts, top=top)


def _leading(found: Observation) -> ArmPerformance | None:
    if found.performance is None or found.champion is None:
        return None
    return found.performance.of(found.champion)


def _verdict(found: Observation) -> Html:
    arm, drift = _leading(found), found.drift_of(found.champion)
    style, label, said = "info", "Watching", "Nothing can be said of performance yet"
    if found.champion is None:
        said = "No model serves"
    elif arm is not None and arm.recent is not None:
        value = f"{words.metric_title(arm.metric)} is {words.figure(arm.recent.value)}"
        style, label, said = "good", "Holding", f"{value} on the newest mature labels"
        if arm.drop is not None and arm.baseline is not None:
            usual = words.figure(arm.baseline.value)
            if (arm.z or 0) > 2.33 and arm.drop > arm.margin:
                style, label, said = "bad", "Worse", f"{value}, and was {usual}"
            else:
                said += f"; the baseline is {usual}"
    if drift is not None and drift.alarm and style != "bad":
        style, label = "warn", "Data drifted"
    if _failing(found) and style in ("good", "info"):
        style, label = "warn", "Labels fail"
    reason = "" if drift is None else drift.reason
    return tag(
        "section",
        tag(
            "div",
            badge(style, label),
            tag("h2", said),
            tag("p", prose(words.sentence(reason)), class_="reason") if reason else None,
            [tag("p", words.sentence(note), class_="hint") for note in found.notes],
            class_=f"card hero {style}",
        ),
        _tiles(found, arm, drift),
        id="verdict",
    )


def _failing(found: Observation) -> bool:
    labels = None if found.performance is None else found.performance.labels
    return labels is not None and (labels.falling or labels.growing)


def _tiles(found: Observation, arm: ArmPerformance | None, drift: VersionDrift | None) -> Html:
    rows = 0 if found.performance is None else found.performance.rows
    champion = "none" if found.champion is None else f"version {found.champion}"
    return tiles(
        tile("Serves", champion, f"{words.count(rows)} predictions looked at"),
        None
        if arm is None
        else tile(
            f"{words.metric_title(arm.metric)}, realised",
            words.figure(None if arm.recent is None else arm.recent.value),
            "no mature labels yet" if arm.recent is None else _interval(arm.recent),
        ),
        None
        if arm is None
        else tile(
            f"{words.metric_title(arm.metric)}, estimated",
            words.figure(None if arm.estimated.reading is None else arm.estimated.reading.value),
            _trust(arm),
        ),
        None
        if drift is None or drift.report is None
        else tile(
            "Columns that drifted",
            words.count(sum(column.drifted for column in drift.report.columns)),
            f"of {len(drift.report.columns)}, in {words.counted(drift.rows, 'prediction')}",
            "bad" if drift.alarm else "warn" if drift.report.drifted else "",
        ),
    )


def _interval(reading: Reading) -> str:
    return f"{words.figure(reading.low)} to {words.figure(reading.high)}"


def _trust(arm: ArmPerformance) -> str:
    told = arm.estimated
    if told.reason:
        return told.reason
    if told.muted and told.error is not None:
        return f"muted: it was off by {words.figure(told.error.error)}"
    if told.error is None:
        return "not yet held against labels"
    return f"was off by {words.figure(told.error.error)} in {told.error.cohorts} cohorts"


def _section(key: str, title: str, *children: Child) -> Html:
    return tag("section", tag("h2", title, id=f"{key}-h"), *children, id=key)


def _performance(found: Observation) -> Iterator[Html]:
    performance = found.performance
    if performance is None or not performance.arms:
        return
    drawn = [performance_plot(performance, arm) for arm in performance.arms]
    made: list[Child] = [figures(drawn), card(_arms(performance), style="flush")]
    if performance.pairs:
        made.append(card(_pairs(performance), style="flush"))
    yield _section("performance", "Performance", *made)
    cohorts = sorted(performance.cohorts, key=lambda one: one.start, reverse=True)[:_MOST_COHORTS]
    metric = {(arm.version, arm.arm): arm.metric for arm in performance.arms}
    rows: list[Sequence[Child]] = []
    for one in cohorts:
        name = metric[(one.version, one.arm)]
        value, guess = one.metrics.get(name), one.estimated.get(name)
        ends = one.bounds.get(name)
        rows.append(
            (
                tag("span", words.moment(one.start.isoformat())),
                f"{one.version}, {one.arm}",
                badge("good", "mature") if one.mature else badge("none", "not yet"),
                words.count(one.predictions),
                words.percent(one.coverage),
                words.figure(None if value is None else value.value),
                "" if value is None else _interval(value),
                words.figure(None if guess is None else guess.value),
                "" if ends is None else f"{words.figure(ends[0])} to {words.figure(ends[1])}",
            )
        )
    columns = (
        Column("Cohort", "name"),
        Column("Version"),
        Column("Labels", "short"),
        Column("Predictions", "number"),
        Column("Labelled", "number"),
        Column("Realised", "number"),
        Column("Interval", "short"),
        Column("Estimated", "number"),
        Column("Bounds", "short"),
    )
    yield tag(
        "section",
        unfold(f"All cohorts ({len(cohorts)} newest)", table("Cohorts", columns, rows)),
    )


def _arms(performance: Performance) -> Html:
    columns = (
        Column("Version", "name"),
        Column("Realised", "number"),
        Column("", "bar"),
        Column("Rows", "number"),
        Column("Baseline", "number"),
        Column("Drop", "number"),
        Column("Estimated", "number"),
        Column("Mature cohorts", "number"),
    )
    values = [value for arm in performance.arms for value in _ends(arm)]
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = (high - low) * 0.1 or 0.05
    low, high = low - room, high + room

    def share(value: float) -> float:
        return (value - low) / (high - low)

    rows: list[Sequence[Child]] = []
    for arm in performance.arms:
        recent, base = arm.recent, arm.baseline
        bar = None
        if recent is not None:
            bar = interval_bar(
                share(recent.low),
                share(recent.value),
                share(recent.high),
                "c1",
                None if base is None else share(base.value),
            )
        rows.append(
            (
                [f"{arm.version}", chip(arm.arm)],
                words.figure(None if recent is None else recent.value),
                bar,
                words.count(None if recent is None else recent.rows),
                words.figure(None if base is None else base.value),
                words.figure(arm.drop),
                words.figure(
                    None if arm.estimated.reading is None else arm.estimated.reading.value
                ),
                f"{arm.mature} of {arm.mature + arm.immature}",
            )
        )
    return table("Versions and arms", columns, rows)


def _ends(arm: ArmPerformance) -> list[float]:
    found = [] if arm.recent is None else [arm.recent.low, arm.recent.high]
    return found if arm.baseline is None else [*found, arm.baseline.value]


def _pairs(performance: Performance) -> Html:
    columns = (
        Column("Shadow against what was answered", "name"),
        Column("Better by", "number"),
        Column("Interval", "short"),
        Column("Rows", "number"),
        Column("Found"),
    )
    rows: list[Sequence[Child]] = []
    for pair in performance.pairs:
        told = pair.comparison
        ends = "" if told.low is None else f"{words.signed(told.low)} to {words.signed(told.high)}"
        rows.append(
            (
                f"Version {pair.version} against version {pair.against}",
                words.signed(told.difference),
                ends,
                words.count(told.n),
                told.reason or words.spoken(told.verdict),
            )
        )
    return table("Shadows", columns, rows)


def _labels(found: Observation) -> Iterator[Html]:
    performance = found.performance
    if performance is None:
        return
    lag, labels = performance.lag, performance.labels
    said = "No label came yet."
    if lag.labelled:
        said = f"{words.count(lag.labelled)} of {words.count(lag.rows)} predictions have a label."
    if lag.settled:
        said += f" {words.percent(lag.eventual)} of predictions ever get one."
    elif lag.labelled:
        said += " How many ever will is not known yet."
    warnings = []
    if labels.falling and labels.expected is not None:
        warnings.append(
            f"Fewer labels come: {words.count(labels.labelled)} of the newest predictions have one,"
            f" {words.count(round(labels.expected))} were to be expected."
        )
    if labels.growing:
        warnings.append(
            f"Labels take longer: {_days(labels.delay)} until half of them are there, "
            f"where it took {_days(labels.usual_delay)}."
        )
    told = [tag("p", badge("warn", "Look at this"), f" {one}") for one in warnings]
    yield _section(
        "labels",
        "Labels",
        tag("p", said, class_="lead"),
        told,
        figures([coverage_plot(performance), lag_plot(performance)]),
    )


def _days(seconds: float | None) -> str:
    """A delay of labels as people think of it."""
    if seconds is not None and seconds >= 172_800:
        return f"{seconds / 86_400:.1f} days"
    return words.duration(seconds)


def _drift(found: Observation) -> Iterator[Html]:
    if not found.drift:
        return
    columns = (
        Column("Column", "name"),
        Column("", "short"),
        Column("Decided by", "short"),
        Column("Value", "number"),
        Column("Limit", "number"),
        Column("Missing", "short"),
        Column("Importance", "number"),
    )
    groups: list[tuple[str, list[Sequence[Child]]]] = []
    for one in found.drift:
        span = f"{words.moment(one.since.isoformat())} to {words.moment(one.until.isoformat())}"
        title = f"Version {one.version}: {words.counted(one.rows, 'prediction')}, {span}"
        if one.report is None:
            groups.append((title, [(one.reason, "", "", "", "", "", "")]))
            continue
        rows: list[Sequence[Child]] = []
        for column in one.report.columns[:_MOST_COLUMNS]:
            before, after = (words.percent(share) for share in column.missing)
            rows.append(
                (
                    _ANSWERS.get(column.column) or named(column.column),
                    badge("warn", "drifted") if column.drifted else column.unjudged,
                    words.spoken(column.statistic),
                    words.figure(column.value),
                    words.figure(column.threshold),
                    after if before == after else f"{before} to {after}",
                    words.percent(column.importance),
                )
            )
        groups.append((title, rows))
    made = grouped_table("Drift by version and column", columns, groups)
    yield _section("drift", "Data", card(made, style="flush"))


def _parts(found: Observation) -> Html | None:
    arm = _leading(found)
    if arm is None or not arm.parts:
        return None
    columns = (
        Column("Part of the rows", "name"),
        Column("Rows", "number"),
        Column(words.metric_title(arm.metric), "number"),
        Column("Interval", "short"),
        Column("Against all", "number"),
        Column("", "short"),
    )
    rows: list[Sequence[Child]] = []
    for one in arm.parts:
        ends = "" if one.low is None else f"{words.figure(one.low)} to {words.figure(one.high)}"
        rows.append(
            (
                [named(one.column), f" {words.name(one.label, 40)}"],
                words.count(one.rows),
                words.figure(one.value),
                ends,
                words.signed(one.difference),
                badge("warn", "weaker") if one.worse else "",
            )
        )
    return _section(
        "parts", "Where it is weak", card(table("Parts of the rows", columns, rows), style="flush")
    )
