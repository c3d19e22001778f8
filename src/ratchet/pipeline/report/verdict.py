"""The answer first: what the run ended in, why, and the difference from the champion."""

from __future__ import annotations

from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import badge, card, code, figure, prose, tile, tiles
from ratchet.pipeline.report.facts import ComparisonFacts, GateFacts, ReportFacts
from ratchet.pipeline.report.markup import Html, join, tag
from ratchet.pipeline.report.plot import Axis, Frame, Point, chart, nice_axis, rule, spot

_BADGES = {
    "passed": ("good", "Passed its gates"),
    "promoted": ("good", "Promoted"),
    "candidate": ("info", "Passed, waiting"),
    "rejected": ("warn", "Rejected"),
    "skipped": ("none", "Skipped"),
    "failed": ("bad", "Failed"),
}
_AGAINST = {
    "superior": "Better than {0}, but another gate said no",
    "non_inferior": "As good as {0}, but not proven better",
    "worse": "Worse than {0}",
    "not_enough_evidence": "Not proven better than {0}",
}
_PROVEN = {
    "superior": ("good", "Proven better"),
    "non_inferior": ("info", "Not worse, within the margin"),
    "worse": ("bad", "Proven worse"),
    "not_enough_evidence": ("warn", "Not enough evidence"),
}


def verdict(facts: ReportFacts) -> Html:
    """Outcome, reason, and the numbers that matter."""
    run = facts.run
    style, label = _BADGES[run.outcome]
    made = [badge(style, label), tag("h2", headline(facts), id="verdict-h")]
    if run.fault is None:
        made.append(tag("p", prose(words.sentence(run.reason)), class_="reason"))
    else:
        made += _fault(facts)
    if run.description:
        made.append(tag("p", run.description, class_="hint"))
    numbers = _numbers(facts)
    below = tiles(*numbers) if numbers else None
    picture = comparison(facts)
    return tag(
        "section",
        card(*made, style=f"hero {style}"),
        below,
        picture,
        id="verdict",
        aria_labelledby="verdict-h",
    )


def headline(facts: ReportFacts) -> str:
    """What happened, in a few words."""
    run = facts.run
    new = f"Version {run.version}" if run.version else "The new model"
    old = f"version {run.champion}" if run.champion else ""
    if run.outcome == "promoted":
        return f"{new} takes the place of {old}" if old else f"{new} is the first champion"
    if run.outcome == "passed":
        return "The new model passed all its gates"
    if run.outcome == "candidate":
        return f"{new} passed and waits to be promoted" if facts.model else "The run stopped early"
    if run.outcome == "skipped":
        return f"Nothing changed: {old} keeps serving" if old else "Nothing changed"
    if run.outcome == "failed":
        return "The run failed" + (f"; {old} keeps serving" if old else "")
    return _rejection(facts, old)


def _rejection(facts: ReportFacts, old: str) -> str:
    stays = f"; {old} keeps serving" if old else ""
    if facts.model is None:
        failed = any(not check.passed and check.severity == "error" for check in facts.checks)
        what = "The data failed its checks" if failed else "The data is not fit to train on"
        return f"{what}: nothing was trained{stays}"
    failures = [gate for gate in facts.gates if not gate.passed]
    if len(failures) == 1 and failures[0].name == "champion" and old:
        known = facts.comparison.verdict if facts.comparison else ""
        text = _AGAINST.get(known, "Not proven better than {0}").format(old)
        return f"{text}, which keeps serving"
    if len(failures) == 1:
        return f"The gate “{words.gate_title(failures[0].name)}” said no{stays}"
    if failures:
        return f"{len(failures)} of {len(facts.gates)} gates said no{stays}"
    return f"The new model was rejected{stays}"


def _fault(facts: ReportFacts) -> list[Html]:
    fault = facts.run.fault
    assert fault is not None
    at = next((step.name for step in facts.run.steps if step.status == "failed"), "")
    what = f"Step {at}: {fault.what}" if at else fault.what
    made = [tag("p", prose(words.sentence(what)), class_="reason")]
    if fault.why:
        made.append(tag("p", prose(words.sentence(fault.why)), class_="hint"))
    if fault.fix or fault.where:
        where = join([" ", code(fault.where)]) if fault.where else None
        fix = tag("b", "To fix it: ") if fault.fix else tag("b", "Where: ")
        made.append(tag("p", fix, prose(fault.fix), where, class_="fix"))
    return made


def _numbers(facts: ReportFacts) -> list[Html]:
    made = []
    model, task = facts.model, facts.task
    if model is not None and task is not None:
        chosen = next((m for m in model.metrics if m.name == task.metric), None)
        if chosen is not None and chosen.value is not None:
            below = None
            if chosen.low is not None and chosen.high is not None:
                level = words.confidence(model.confidence)
                below = f"{level}: {words.figure(chosen.low)} to {words.figure(chosen.high)}"
            title = f"{words.metric_title(chosen.name)} on test rows"
            made.append(tile(title, words.figure(chosen.value), below))
    found = facts.comparison
    if found is not None and found.difference is not None:
        style = _PROVEN.get(found.verdict, ("none", ""))
        below = style[1] or words.metric_title(found.metric)
        label = f"Against version {found.version}"
        made.append(tile(label, words.signed(found.difference), below, style[0]))
    if facts.gates:
        passed = sum(gate.passed for gate in facts.gates)
        style_ = "good" if passed == len(facts.gates) else "bad"
        made.append(tile("Gates passed", f"{passed} of {len(facts.gates)}", None, style_))
    elif facts.checks:
        passed = sum(check.passed for check in facts.checks)
        made.append(tile("Checks passed", f"{passed} of {len(facts.checks)}"))
    if facts.data is not None:
        test = next((part.rows for part in facts.data.parts if part.name == "test"), None)
        below = f"{words.count(test)} of them to test on" if test else facts.data.change
        made.append(tile("Rows", words.count(facts.data.rows), below))
    if facts.run.seconds is not None:
        search = f"{len(facts.search.trials):,} trials" if facts.search else None
        made.append(tile("Run time", words.duration(facts.run.seconds), search))
    return made


def comparison(facts: ReportFacts) -> Html | None:
    """The difference from the champion as a picture, or why there is none."""
    found = facts.comparison
    if found is None:
        return None
    if found.difference is None or found.low is None or found.high is None:
        if not found.problem:
            return None
        text = f"It was not compared with version {found.version}: {found.problem}."
        return card(tag("p", text), style="plain")
    gate = next((gate for gate in facts.gates if gate.name == "champion"), None)
    title = f"{words.metric_title(found.metric)}: difference from version {found.version}"
    return figure(title, _picture(found, gate), below=_story(found, gate), wide=True)


def _story(found: ComparisonFacts, gate: GateFacts | None) -> str:
    new, old = words.figure(found.new), words.figure(found.old)
    text = f"{new} against {old} on the same {words.count(found.rows)} rows. "
    level = words.confidence(found.confidence)
    if gate is not None and gate.value is not None and gate.threshold is not None:
        told = "above" if gate.passed else "not above"
        limit = words.figure(gate.threshold or 0.0)
        text += (
            f"What is proven is a difference of at least {words.signed(gate.value)}, "
            f"which is {told} the limit of {limit}"
        )
        text += f" (version {found.version}'s value less the margin). " if found.margin else ". "
    else:
        text += f"With {level} confidence at least {words.signed(found.lower)}. "
    if found.note:
        text += f"{words.sentence(found.note)} "
    if found.use > 1:
        text += f"It is decision {found.use} on these rows, so it takes more to prove a gain. "
    if found.verdict == "not_enough_evidence" and found.rows_needed:
        text += f"A difference like this would be proven with about {found.rows_needed:,} rows. "
    return text.strip()


def _picture(found: ComparisonFacts, gate: GateFacts | None) -> Html:
    assert found.low is not None
    assert found.high is not None
    assert found.difference is not None
    limit = gate.threshold if gate is not None and gate.threshold is not None else -found.margin
    bound = gate.value if gate is not None and gate.value is not None else found.lower
    marks = [found.low, found.high, 0.0, limit]
    if bound is not None:
        marks.append(bound)
    axis = nice_axis(min(marks), max(marks), most=6, pad=0.12)
    frame = Frame(axis, Axis(0.0, 1.0), 108)
    style = _PROVEN.get(found.verdict, ("none", ""))[0]
    layers = [
        _zone(frame, axis.low, limit, "bad"),
        _zone(frame, limit, axis.high, "good"),
        tag("text", "← worse", x=8, y=frame.height - 8, class_="note soft"),
        tag("text", "better →", x="100%", dx=-8, y=frame.height - 8, class_="note soft end"),
        rule(frame, x=0.0, style="strong"),
    ]
    if limit:
        layers += [rule(frame, x=limit, style="bad"), _label(frame, limit, "margin", 14)]
    level = words.confidence(found.confidence)
    layers += [
        _label(frame, 0.0, "no difference", 30),
        _interval(frame, found.low, found.high),
        spot(frame, (found.difference, 0.48), "", f"difference {words.signed(found.difference)}"),
    ]
    if bound is not None:
        layers.append(_bound(frame, bound))
    inside = [tag("g", layers, class_=style)]
    description = (
        f"Difference {words.signed(found.difference)}, {level} interval "
        f"{words.signed(found.low)} to {words.signed(found.high)}; 0 is no difference, "
        f"{words.figure(limit)} is the limit."
    )
    drawn = chart(
        frame,
        inside,
        key="difference",
        title=f"Difference in {words.metric_title(found.metric)} with its interval",
        description=description,
    )
    return tag("div", drawn, class_="flat")


def _zone(frame: Frame, low: float, high: float, style: str) -> Html:
    wide = (frame.x.share(high) - frame.x.share(low)) * 100
    return tag(
        "rect",
        x=frame.across(low),
        y=0,
        width=f"{max(wide, 0):.1f}%",
        height=frame.height,
        class_=f"zone {style}",
    )


def _label(frame: Frame, at: float, said: str, y: int) -> Html:
    return tag(
        "text",
        said,
        x=frame.across(at),
        y=y,
        dx=6 if frame.x.share(at) < 0.75 else -6,
        text_anchor="start" if frame.x.share(at) < 0.75 else "end",
        class_="note soft",
    )


def _interval(frame: Frame, low: float, high: float) -> Html:
    y = frame.down(0.48)
    return tag("line", x1=frame.across(low), x2=frame.across(high), y1=y, y2=y, class_="span")


def _bound(frame: Frame, bound: float) -> Html:
    """The bound that decides: a tick on the interval, with its value."""
    point: Point = (bound, 0.48)
    at, y = frame.across(bound), float(frame.down(point[1]))
    tick = tag("line", x1=at, x2=at, y1=y - 8, y2=y + 8, class_="span")
    right = frame.x.share(bound) < 0.7
    said = tag(
        "text",
        f"at least {words.signed(bound)}",
        x=at,
        y=y + 22,
        text_anchor="start" if right else "end",
        class_="note strong",
    )
    return join([tick, said])
