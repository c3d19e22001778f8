"""What moves the model's scores: importance, SHAP values of many rows, and three features closely.

Dots are placed here, deterministically: the same facts give the same page.
"""

from __future__ import annotations

from collections.abc import Sequence

from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import (
    Column,
    card,
    figure,
    figures,
    named,
    share_bar,
    table,
    unfold,
)
from ratchet.pipeline.report.facts import (
    ReportFacts,
)
from ratchet.pipeline.report.markup import Html, join, tag
from ratchet.pipeline.report.plot import Axis, Frame, Point, chart, cloud, nice_axis, rule
from ratchet.pipeline.report.plot_facts import (
    BarFacts,
    EffectFacts,
    ExplanationFacts,
    ImportanceFacts,
)

TITLE = "What moves the scores"
_MOST_BARS = 15
_MOST_ROWS = 15
_CLOSE = 3
_STRIP = 30
_RAMP = 5
_MOST_CATEGORIES = 8


def explanation(facts: ReportFacts) -> list[Html | None]:
    """SHAP where there is one, else the loss by shuffling."""
    made: list[Html | None] = []
    found, shuffled = facts.explanation, facts.importance
    if found is not None and found.features:
        made += [tag("p", _lead(found), class_="lead"), _beeswarm(found), _close_ups(found)]
    if shuffled is not None and shuffled.bars:
        if not made:
            made.append(tag("p", _shuffled(shuffled), class_="lead"))
            made += _importance(shuffled, None)
            if facts.unexplained:
                made.append(tag("p", f"No SHAP values: {facts.unexplained}.", class_="hint under"))
        else:
            made += _importance(shuffled, _shuffled(shuffled))
    return made


def _lead(found: ExplanationFacts) -> str:
    about = f" for {words.name(found.label, 40)}" if found.label else ""
    unit = f", in {found.unit}" if found.unit else ""
    return (
        f"SHAP values of {words.counted(found.rows, 'test row')} ({found.method}): how much each "
        f"feature moved the score{about}{unit}."
    )


def _shuffled(found: ImportanceFacts) -> str:
    title = words.metric_said(found.metric)
    verb = "rises" if words.better(found.metric) == "lower" else "falls"
    return f"How much {title} {verb} on test rows when the values of one column are shuffled."


def _importance(found: ImportanceFacts, lead: str | None) -> list[Html | None]:
    bars = sorted(found.bars, key=lambda bar: -bar.value)
    ends = [bar.value + (bar.se or 0.0) for bar in bars] + [0.0]
    low, high = min(0.0, *(bar.value for bar in bars)), max(ends) or 1.0
    telling = [bar for bar in bars if _rounded(bar.value, high)] or bars
    shown = telling[:_MOST_BARS]
    rest = [bar for bar in bars if bar not in shown]
    heading = None if lead is None else tag("h3", "Loss by shuffling")
    under = None if lead is None else tag("p", lead, class_="hint")
    made: list[Html | None] = [card(heading, under, _bars(shown, low, high))]
    if rest:
        summary = f"{words.counted(len(rest), 'other column')}"
        made.append(unfold(summary, _bars(rest, low, high)))
    return made


def _bars(bars: Sequence[BarFacts], low: float, high: float) -> Html:
    wide = (high - low) or 1.0
    start = -low / wide
    columns = (
        Column("Column", "name"),
        Column("", "bar"),
        Column("Loss", "number"),
        Column("± standard error", "number"),
    )
    rows = []
    for bar in bars:
        style = "c1" if bar.value > 0 else "c8"
        rows.append(
            (
                named(bar.name),
                share_bar(bar.value / wide, style, start=start),
                words.figure(_rounded(bar.value, high)),
                words.NONE if bar.se is None else words.figure(_rounded(bar.se, high)),
            )
        )
    return table("Importance of columns", columns, rows)


def _rounded(value: float, largest: float) -> float:
    """0 for what is next to nothing beside the largest."""
    least = 5e-5 if largest >= 5e-3 else largest * 1e-3
    return value if abs(value) >= least else 0.0


def _beeswarm(found: ExplanationFacts) -> Html:
    largest = max(feature.importance for feature in found.features) or 1.0
    moving = [one for one in found.features if one.importance >= largest * 1e-3]
    shown = (moving or found.features)[:_MOST_ROWS]
    effects = [effect for feature in shown for effect in feature.effects]
    x = nice_axis(min([*effects, 0.0]), max([*effects, 0.0]), most=6, pad=0.02)
    rows = [
        _swarm_row(feature, x, f"swarm-{place}", feature.importance / largest)
        for place, feature in enumerate(shown)
    ]
    rows.append(tag("div", tag("div", class_="name"), tag("div", class_="mean"), _scale(x)))
    ramp = tag(
        "span",
        [tag("i", class_=f"v{step}") for step in range(1, _RAMP + 1)],
        class_="ramp",
        aria_hidden="true",
    )
    key = tag(
        "p", "Value of the feature: low", ramp, "high; grey for words and blanks.", class_="hint"
    )
    more = len(found.features) - len(shown)
    below = "Each dot is a row: to the right the feature raised its score, to the left it lowered "
    below += "it. The bar and its number are the mean size of the effect."
    if more > 0:
        below += f" {words.counted(more, 'other feature')} moved it less."
    return figure(
        "Effect of each feature", key, tag("div", rows, class_="swarm"), below=below, wide=True
    )


def _swarm_row(feature: EffectFacts, x: Axis, key: str, importance: float) -> Html:
    mean = tag("div", words.figure(feature.importance, 3), share_bar(importance), class_="mean")
    name = tag("div", named(feature.name, 60), class_="name")
    return tag("div", name, mean, _strip(feature, x, key))


def _strip(feature: EffectFacts, x: Axis, key: str) -> Html:
    frame = Frame(x, Axis(0.0, 1.0), _STRIP)
    title = f"{words.name(feature.name)}: {words.figure(feature.importance)} on average"
    layers = [rule(frame, x=mark, style="grid") for mark, _ in x.marks]
    layers.append(rule(frame, x=0.0, style="solid"))
    return tag(
        "svg",
        tag("title", title, id=f"{key}-t"),
        layers,
        _dots(frame, feature),
        role="img",
        aria_labelledby=f"{key}-t",
        height=_STRIP,
    )


def _scale(x: Axis) -> Html:
    marks = [
        tag("text", shown, x=f"{x.share(value) * 100:.1f}%", y=14, class_="tick mid")
        for value, shown in x.marks
    ]
    return tag("svg", marks, height=20, aria_hidden="true")


def _dots(frame: Frame, feature: EffectFacts) -> list[Html]:
    """A beeswarm: dots pile up around the middle where there are many."""
    places = _swarm(frame.x, feature.effects)
    groups: dict[int, list[Point]] = {}
    for tone, place in zip(_tones(feature.values), places, strict=False):
        groups.setdefault(tone, []).append(place)
    return [cloud(frame, found, f"v{tone} fine") for tone, found in sorted(groups.items())]


def _swarm(x: Axis, effects: Sequence[float]) -> list[Point]:
    """Where each dot lies: across by its effect, up and down by how many are there already."""
    piles: dict[int, int] = {}
    step = 160
    slots = [round(x.share(effect) * step) for effect in effects]
    for slot in slots:
        piles[slot] = piles.get(slot, 0) + 1
    fullest = max(piles.values(), default=1)
    gap = min(0.14, 0.94 / max(fullest, 1))
    seen: dict[int, int] = {}
    places = []
    for effect, slot in zip(effects, slots, strict=True):
        turn = seen[slot] = seen.get(slot, 0) + 1
        away = turn // 2 * gap * (1 if turn % 2 else -1)
        places.append((effect, min(max(0.5 + away, 0.03), 0.97)))
    return places


def _tones(values: Sequence[float | str | None]) -> list[int]:
    """1 (low) to 5 (high) by rank among the numbers; 0 for text and blanks."""
    numbers = sorted({value for value in values if isinstance(value, int | float)})
    ranks = {value: place for place, value in enumerate(numbers)}
    last = max(len(numbers) - 1, 1)
    return [
        1 + round(ranks[value] / last * (_RAMP - 1)) if isinstance(value, int | float) else 0
        for value in values
    ]


def _close_ups(found: ExplanationFacts) -> Html | None:
    """Effect against value, for the most important features."""
    made = []
    for place, feature in enumerate(found.features[:_CLOSE]):
        drawn = _dependence(feature, found, f"close-{place}")
        if drawn is not None:
            made.append(figure(named(feature.name, 80), drawn, below="Effect at each value"))
    return figures(made)


def _dependence(feature: EffectFacts, found: ExplanationFacts, key: str) -> Html | None:
    pairs = list(zip(feature.values, feature.effects, strict=False))
    numbers = [(float(v), e) for v, e in pairs if isinstance(v, int | float)]
    texts = [(v, e) for v, e in pairs if isinstance(v, str)]
    if not pairs or not (numbers or texts):
        return None
    effects = [effect for _, effect in pairs]
    unit = f"Effect, in {found.unit}" if found.unit else "Effect"
    up = nice_axis(min([*effects, 0.0]), max([*effects, 0.0]), unit, pad=0.05)
    placed, x = _numeric(numbers) if numbers else _categorical(texts)
    frame = Frame(x, up, 250)
    layers = [rule(frame, y=0.0, style="solid"), cloud(frame, placed, "c1")]
    name = words.name(feature.name, 80)
    drawn = chart(
        frame,
        layers,
        key=key,
        title=f"Effect of {name} at each of its values",
        description=f"{len(placed)} rows.",
    )
    blank = len(pairs) - len(numbers) - len(texts)
    said = f"{words.counted(blank, 'row')} without a value not shown." if blank else ""
    return join([drawn, tag("p", said, class_="hint")]) if said else drawn


def _numeric(pairs: Sequence[tuple[float, float]]) -> tuple[list[Point], Axis]:
    """All but the outermost values: one of a million would press all others together."""
    values = sorted(value for value, _ in pairs)
    cut = round(len(values) * 0.005)
    low, high = values[cut], values[len(values) - 1 - cut]
    axis = nice_axis(low, high, pad=0.03)
    return [(value, effect) for value, effect in pairs if axis.holds(value)], axis


def _categorical(pairs: Sequence[tuple[str, float]]) -> tuple[list[Point], Axis]:
    """The most frequent categories beside each other, dots spread a little."""
    tally: dict[str, int] = {}
    for value, _ in pairs:
        tally[value] = tally.get(value, 0) + 1
    shown = sorted(tally, key=lambda value: (-tally[value], value))[:_MOST_CATEGORIES]
    places = {value: place for place, value in enumerate(shown)}
    longest = max(5, 44 // max(len(shown), 1))
    marks = tuple((float(place), words.name(value, longest)) for value, place in places.items())
    axis = Axis(-0.5, len(shown) - 0.5, marks)
    points = [
        # An even spread without chance: the golden ratio's multiples never gather.
        (places[value] + ((row * 0.618034) % 1 - 0.5) * 0.5, effect)
        for row, (value, effect) in enumerate(pairs)
        if value in places
    ]
    return points, axis
