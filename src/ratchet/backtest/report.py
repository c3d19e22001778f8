"""The backtest as one page: what to do, what it costs, and how sure that is."""

from __future__ import annotations

from ratchet.backtest.outcome import Backtest, Line
from ratchet.backtest.plots import frontier_plot, loss_plot, quality_plot, timeline_plot
from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import (
    Column,
    badge,
    card,
    chip,
    figures,
    glossary,
    named,
    prose,
    table,
    tile,
    tiles,
    unfold,
)
from ratchet.pipeline.report.markup import Child, Html, join, tag
from ratchet.pipeline.report.shell import heading, render_page

_MOST_LINES = 5
_WORDS = (
    (
        "How it was replayed",
        (
            "In the order of time: a model answers a period, then labels become known after their "
            "delay, then the policy is asked, with facts as monitoring would have told them then. "
            "What it starts is trained on the labels known then and judged by the gate."
        ),
    ),
    (
        "Kept",
        (
            "The share of the quality of retraining in every period, by the better of doing so "
            "with and without the gate."
        ),
    ),
    (
        "Best in hindsight",
        (
            "The least loss of any schedule with so many retrainings, knowing every later loss. "
            "Regret is what a policy lost beyond the best with no more retrainings than its own."
        ),
    ),
    (
        "Within noise",
        (
            "Differences are paired over periods; neighbouring ones may be alike, which the error "
            "allows for. Beyond 1.96 standard errors a difference is more than noise."
        ),
    ),
    (
        "What is not in it",
        (
            "A search for parameters (each training is the recipe's defaults), ensembles, canaries "
            "(a model that passes serves from the next period on), settings of single schedules."
        ),
    ),
)


def render_backtest(found: Backtest) -> str:
    """The page as HTML that needs nothing else: no network, no script."""
    stream = found.stream
    said = (
        f"Backtest of {words.count(stream.rows)} rows, {len(stream.served)} periods of "
        f"{stream.period}, labels {stream.waits}"
    )
    parts = [_verdict(found), _table(found), _plots(found), _runs(found), glossary(_WORDS)]
    top = heading(found.project, said)
    return render_page(f"{found.project}: backtest", parts, top=top)


def _verdict(found: Backtest) -> Html:
    advice = found.recommendation
    chosen = found.line(advice.policy)
    style, label = ("good", "Recommended") if advice.keeps else ("warn", "Best there is")
    if advice.within_noise:
        style, label = "info", "Within noise"
    said = [words.sentence(reason) for reason in advice.reasons]
    reasons = [tag("p", prose(reason), class_="reason") for reason in said]
    every = next(one for one in found.lines if one.baseline and one.played.runs)
    runs = len(chosen.played.runs)
    numbers = [
        tile("Retrainings", words.count(runs), f"every period: {len(every.played.runs)}"),
        tile("Came to serve", words.count(chosen.played.promotions), _gated(chosen)),
        tile(
            words.metric_title(found.metric),
            words.figure(chosen.quality.value),
            f"{words.percent(chosen.kept_metric)} of every period",
        ),
        tile(
            words.sentence(words.spoken(found.loss)).rstrip("."),
            words.figure(chosen.quality.loss),
            f"{words.percent(chosen.kept_loss)} kept",
        ),
    ]
    if found.unchanged is not None:
        numbers.append(
            tile(
                "Saying the last label",
                words.percent(found.unchanged.delayed),
                f"right; this policy {words.percent(chosen.quality.accuracy)}",
            )
        )
    return tag(
        "section",
        card(
            badge(style, label),
            tag("h2", words.sentence(advice.headline).rstrip("."), id="verdict-h"),
            *reasons,
            *[tag("p", words.sentence(said), class_="hint") for said in found.stream.notes],
            style=f"hero {style}",
        ),
        tiles(*numbers),
        id="verdict",
        aria_labelledby="verdict-h",
    )


def _gated(chosen: Line) -> str:
    failed = len(chosen.played.runs) - chosen.played.promotions
    return f"the gate rejected {failed}" if failed else "the gate rejected none"


def _table(found: Backtest) -> Html:
    costly = any(one.gain is not None for one in found.lines)
    columns = [
        Column("Policy", "name"),
        Column("Retrained", "number"),
        Column("Promoted", "number"),
        Column(words.metric_title(found.metric), "number"),
        Column(words.sentence(words.spoken(found.loss)).rstrip("."), "number"),
        Column("Regret", "number"),
        Column("Against never", "number"),
        Column("CPU", "number"),
    ]
    if found.unchanged is not None:
        columns.insert(6, Column("Accuracy", "number"))
    if costly:
        columns.append(Column("Gain", "number"))
    rows = [_row(found, one, costly) for one in found.lines]
    told = found.unchanged
    hint = None
    if told is not None:
        hint = tag(
            "p",
            f"No model at all: the last label that is known is right in "
            f"{words.percent(told.delayed)} of the rows ({words.percent(told.at_once)} if labels "
            f"were known at once), the commonest class in {words.percent(told.commonest)}.",
            class_="hint under",
        )
    return tag(
        "section",
        tag("h2", "Policies", id="policies-h"),
        tag("p", "All of them on the same rows, with the same models of the past.", class_="lead"),
        card(table("All policies and baselines", columns, rows), style="flush"),
        hint,
        id="policies",
        aria_labelledby="policies-h",
    )


def _row(found: Backtest, one: Line, costly: bool) -> list[Child]:
    quality = one.quality
    name: list[Child] = [tag("span", named(one.name, 40), class_="strong")]
    if one.name == found.recommendation.policy:
        keeps = found.recommendation.keeps
        name.append(chip("recommended", "info") if keeps else chip("best there is", "warn"))
    elif one.baseline:
        name.append(chip("baseline"))
    against = one.against_never
    cells: list[Child] = [
        join(part for part in name if isinstance(part, str)),
        words.count(len(one.played.runs)),
        words.count(one.played.promotions),
        _kept(quality.value, one.kept_metric),
        _kept(quality.loss, one.kept_loss),
        words.figure(one.regret),
        words.NONE
        if not one.played.runs
        else join(
            [
                words.signed(against.value),
                tag("span", f"± {words.figure(against.se)}", class_="sub"),
            ]
        ),
        words.duration(one.played.cpu),
    ]
    if found.unchanged is not None:
        cells.insert(6, words.percent(quality.accuracy))
    if costly:
        cells.append(words.figure(one.gain))
    return cells


def _kept(value: float, share: float) -> Html:
    """A measure, and under it what is kept of it: side by side they ask for too wide a page."""
    return join([words.figure(value), tag("span", f"{words.percent(share)} kept", class_="sub")])


def _plots(found: Backtest) -> Html:
    shown = _shown(found)
    never = next(one for one in found.lines if one.baseline and not one.played.runs)
    saved = [one for one in shown if one is not never]
    return tag(
        "section",
        tag("h2", "Over time", id="time-h"),
        figures(
            [
                quality_plot(found, shown),
                loss_plot(found, saved, never),
                timeline_plot(found),
                frontier_plot(found),
            ]
        ),
        id="time",
        aria_labelledby="time-h",
    )


def _shown(found: Backtest) -> list[Line]:
    """The recommended policy, the baselines, and of the others those that matter most."""
    chosen = found.line(found.recommendation.policy)
    never = next(one for one in found.lines if one.baseline and not one.played.runs)
    every = next(one for one in found.lines if one.baseline and one.played.runs)
    others = [one for one in found.policies if one is not chosen and one.played.runs]
    others.sort(key=lambda one: one.quality.loss)
    return [chosen, never, every, *others[: _MOST_LINES - 3]]


def _runs(found: Backtest) -> Html | None:
    chosen = found.line(found.recommendation.policy)
    if not chosen.played.runs:
        return None
    columns = [
        Column("When", "name"),
        Column("Verdict", "short"),
        Column("Difference", "number"),
        Column("Why"),
        Column("The gate"),
    ]
    rows: list[list[Child]] = []
    for run in chosen.played.runs:
        style, label = ("good", "Promoted") if run.promoted else ("none", "Rejected")
        rows.append(
            [
                found.stream.tell(run.at),
                badge(style, label),
                words.signed(run.difference) if run.difference is not None else words.NONE,
                tag("span", run.reason, class_="small"),
                tag("span", f"{run.verdict.replace('_', ' ')}: {run.judged}", class_="small"),
            ]
        )
    return tag(
        "section",
        tag("h2", f"What {chosen.name} would have done", id="runs-h"),
        card(
            unfold(
                f"{len(rows)} retrainings, one by one",
                table(f"Retrainings of {chosen.name}", columns, rows),
            )
        ),
        id="runs",
        aria_labelledby="runs-h",
    )
