"""The page of an experiment: its verdict, the difference over time, and whether to trust it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import (
    Column,
    badge,
    card,
    facts_list,
    figures,
    glossary,
    prose,
    table,
    tile,
    tiles,
)
from ratchet.pipeline.report.experiment_plots import arrival_plot, difference_plot
from ratchet.pipeline.report.markup import Child, Html, tag
from ratchet.pipeline.report.shell import heading, render_page

if TYPE_CHECKING:
    from ratchet.ledger.experiments import Experiment
    from ratchet.rollout.comparison import Comparison, Estimate
    from ratchet.rollout.experiment_rows import Seen

_TITLES = {
    "auc": "ROC AUC",
    "conversion": "Conversion",
    "absolute_error": "Absolute error",
    "squared_error": "Squared error",
}
_WORDS = (
    (
        "Entity",
        (
            "Who is assigned: all of its rows go to one version. It counts once, whatever the "
            "number of its rows, when their labels are old enough."
        ),
    ),
    (
        "Interval",
        (
            "Holds at all looks together: that it ever misses the true difference has at most the "
            "chance that was set. So looking often does no harm."
        ),
    ),
    (
        "Sample ratio",
        (
            "Whether entities came as the split asks for. If not, something decides who is seen, "
            "and the versions cannot be compared: no result is shown."
        ),
    ),
)


def render_experiment(
    found: Experiment,
    now: Comparison,
    path: Sequence[Estimate],
    seen: Seen,
    project: str,
) -> str:
    """The page as HTML that needs nothing else: no network, no script."""
    since = words.moment(found.started.isoformat())
    title = metric_title(found.metric)
    drawn = [difference_plot(found, now, path, title), arrival_plot(found, seen)]
    parts: list[Html | None] = [
        _verdict(found, now, title),
        _section("difference", "Over time", figures(drawn)) if any(drawn) else None,
        _section("versions", "Versions", card(_versions(found, now, title), style="flush")),
        _section("trust", "Whether to trust it", card(_trust(now), style="flush")),
        _section("rules", "What it goes by", card(_rules(found))),
        glossary(_WORDS),
    ]
    name = f"{project}: experiment {found.name}"
    return render_page(name, parts, top=heading(name, f"Since {since}"))


def metric_title(metric: str) -> str:
    """A metric's name as people read it."""
    return _TITLES.get(metric) or words.metric_title(metric)


def _section(key: str, title: str, *children: Child) -> Html:
    return tag("section", tag("h2", title, id=f"{key}-h"), *children, id=key)


def _verdict(found: Experiment, now: Comparison, title: str) -> Html:
    style, label, said = _said(found, now)
    result = now.estimate
    closed = None if result is None else result.low
    ends = "" if result is None or closed is None else _ends(result)
    power = found.rules.get("power", {})
    reason = now.blocked if found.open else found.reason
    return tag(
        "section",
        tag(
            "div",
            badge(style, label),
            tag("h2", said),
            tag("p", prose(words.sentence(reason)), class_="reason") if reason else None,
            class_=f"card hero {style}",
        ),
        tiles(
            tile(
                f"{title}, better by",
                words.signed(None if result is None else result.better),
                ends or "no interval yet",
            ),
            tile(
                "Entities that count",
                words.count(0 if result is None else result.entities),
                f"of {words.count(now.ratio.a + now.ratio.b)} that came",
            ),
            tile(
                "Planned",
                words.count(power.get("needed")),
                f"to see a difference of {words.figure(found.rules['margin'])}",
            ),
            tile(
                "Ends" if found.stopped is None else "Ended",
                words.moment((found.stopped or found.ends).date().isoformat()),
                f"{found.rules['days']:g} days at the most",
            ),
        ),
        id="verdict",
    )


def _said(found: Experiment, now: Comparison) -> tuple[str, str, str]:
    if now.blocked:
        return "bad", "Not comparable", "The result may not be read"
    if found.verdict == "better":
        done = " and was promoted" if found.status == "applied" else ""
        return "good", "Better", f"Version {found.b} is better{done}"
    if found.verdict == "worse":
        return "bad", "Worse", f"Version {found.b} is worse, and was stopped"
    if found.verdict is not None:
        return "none", "Not enough evidence", "Neither version is proven better"
    if found.status == "stopped":
        return "none", "Stopped", "It was stopped without a verdict"
    if found.status == "waiting":
        return "info", "Waiting", "Labels of the last answers are still to come"
    proven = now.proven
    return "info", "Running", f"So far {proven}" if proven else "Nothing is proven yet"


def _ends(result: Estimate) -> str:
    return f"{words.signed(result.low)} to {words.signed(result.high)}"


def _versions(found: Experiment, now: Comparison, title: str) -> Html:
    columns = (
        Column("Version", "name"),
        Column("Share", "number"),
        Column("Came", "number"),
        Column("Old enough", "number"),
        Column("With label", "number"),
        Column(title, "number"),
        Column("Standard error", "number"),
    )
    result = now.estimate
    arms = (None, None) if result is None else (result.a, result.b)
    shares = (100 - found.share, found.share)
    came = (now.ratio.a, now.ratio.b)
    rows: list[Sequence[Child]] = []
    for place, version in enumerate((found.a, found.b)):
        arm = arms[place]
        rows.append(
            (
                f"Version {version}, {'champion' if place == 0 else 'tried'}",
                f"{shares[place]:g}%",
                words.count(came[place]),
                words.count(now.old[place]),
                words.count(now.labelled[place]),
                words.figure(None if arm is None else arm.value),
                words.figure(None if arm is None else arm.error),
            )
        )
    return table("The two versions", columns, rows)


def _trust(now: Comparison) -> Html:
    columns = (Column("Question", "name"), Column("", "short"), Column("Found"))
    ratio = now.ratio
    came = f"{ratio.a:,} and {ratio.b:,}; e-value {_power_of_ten(ratio.log_e)}, blocks at 1,000"
    if ratio.p is not None:
        came += f"; chi-squared p {words.figure(ratio.p)}, blocks under 0.001"
    labels = " and ".join(f"{x:,} of {n:,}" for x, n in zip(now.labelled, now.old, strict=True))
    apart = bool(now.blocked) and not ratio.mismatch
    rows: list[Sequence[Child]] = [
        ("Entities came as asked for", _mark(not ratio.mismatch), came),
        ("Labels come alike", _mark(not apart), labels),
        (
            "Each entity had one version",
            badge("good", "yes") if not now.crossed else badge("warn", "not all"),
            f"{words.counted(now.crossed, 'row')} answered by the other one, left out",
        ),
    ]
    return table("Whether the versions can be compared", columns, rows)


def _mark(fine: bool) -> Html:
    return badge("good", "yes") if fine else badge("bad", "no")


def _power_of_ten(log_e: float) -> str:
    from math import exp

    return f"{exp(log_e):,.1f}" if log_e < 11 else f"over {exp(min(log_e, 600)):.0e}"


def _rules(found: Experiment) -> Html | None:
    rules = found.rules
    wait = found.evidence.get("labels_after", rules["labels_after"])
    return facts_list(
        (
            ("Chance of a wrong verdict", words.percent(rules["alpha"])),
            ("An entity's rows count for", words.duration(rules["window"])),
            ("A label is in after", "not known yet" if wait is None else words.duration(wait)),
            ("Nothing good is concluded before", f"{rules['least_days']:g} days"),
            ("Winner is promoted", "by itself" if rules.get("apply") else "by hand"),
            ("Last step by", found.by),
        )
    )
