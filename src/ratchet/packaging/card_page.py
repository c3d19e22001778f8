"""The model card: what a model is, what it was made of, how good it is, and where it ends.

Made of facts alone, so that it is never out of date. No dates: the same model has the same card.
Sections follow Mitchell et al., "Model Cards for Model Reporting", FAT* 2019; a section without
facts is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ratchet.packaging.card import (
    CardData,
    CardFacts,
    CardFeature,
    CardGate,
    CardMember,
    CardMetric,
    CardSlice,
)
from ratchet.packaging.predictions import class_name
from ratchet.training.scoring import LOWER_IS_BETTER

_FEW_ROWS = 100
_MOST_FEATURES = 200


def render_card(facts: CardFacts) -> str:
    """The card as Markdown, ended by a line break."""
    sections = (
        ("", _opening(facts)),
        ("Intended use", [_text(facts.description)] if facts.description else []),
        ("Data", _data(facts.data)),
        ("Features", _features(facts.features)),
        ("Algorithm", _algorithm(facts)),
        ("Decision", _deciding(facts)),
        ("Performance", _performance(facts)),
        ("Per class", _per_class(facts)),
        ("Slices", _slices(facts)),
        ("Gates", _gates(facts.gates)),
        ("Limits", [f"- {_text(limit)}" for limit in _limits(facts)]),
        ("Environment", _environment(facts.environment or {})),
    )
    parts = []
    for title, lines in sections:
        if lines:
            heading = [f"## {title}", ""] if title else []
            parts.append("\n".join([*heading, *lines]))
    return "\n\n".join(parts) + "\n"


def _opening(facts: CardFacts) -> list[str]:
    classes = ", ".join(_code(class_name(label)) for label in facts.classes)
    target = _code(facts.data.target)
    lines = [f"# {_text(facts.name)}", ""]
    if facts.task == "regression":
        lines.append(f"Estimates {target}, a number.")
    elif facts.task == "binary":
        positive = _code(class_name(facts.classes[1]))
        lines.append(f"Predicts whether {target} is {positive} (classes: {classes}).")
        if facts.threshold is not None:
            lines[-1] += f" Decides for it from a score of {facts.threshold:g} on."
    else:
        lines.append(f"Predicts which of {len(facts.classes)} classes {target} is: {classes}.")
    return lines


def _data(data: CardData) -> list[str]:
    rows = [
        ("Table", _text(data.snapshot)),
        ("Content digest", f"`{data.digest}`"),
        ("Rows", f"{data.rows:,}"),
        ("Parts", ", ".join(f"{name} {rows:,}" for name, rows in data.parts.items())),
        ("Split", _text(data.split)),
        ("Target", _code(data.target)),
        ("Raw columns read", "" if data.columns is None else str(data.columns)),
        ("Learned from", _text(data.window)),
        ("Time span", "" if data.span is None else f"{data.span[0]} to {data.span[1]}"),
        (
            "Classes in training",
            ", ".join(f"{_text(name)} {share:.2%}" for name, share in (data.shares or {}).items()),
        ),
        ("Target in training", _range(data.target_range)),
    ]
    return _table(("", ""), [row for row in rows if row[1]])


def _features(features: Sequence[CardFeature]) -> list[str]:
    rows = [(_code(f.name), _text(f.kind), _text(f.description)) for f in features[:_MOST_FEATURES]]
    lines = _table(("feature", "kind", "how it is made"), rows)
    left = len(features) - _MOST_FEATURES
    return [*lines, "", f"And {left} more; recipe.json has them all."] if left > 0 else lines


def _range(values: tuple[float, float, float] | None) -> str:
    if values is None:
        return ""
    least, middle, greatest = map(_number, values)
    return f"{least} to {greatest}, half of it up to {middle}"


def _algorithm(facts: CardFacts) -> list[str]:
    shipped = f", shipped as {_text(facts.form)}" if facts.form else ""
    if len(facts.members) > 1:
        what = "estimates" if facts.task == "regression" else "scores"
        rows = [_member(each) for each in facts.members]
        return [
            f"The weighted mean of the {what} of {len(facts.members)} models.",
            "",
            *_table(("model", "algorithm", "weight", "shipped as", "parameters"), rows),
        ]
    lines = [f"`{facts.algorithm}`{shipped}."]
    rows = [(_code(name), _text(str(value))) for name, value in sorted(facts.params.items())]
    return [*lines, "", *_table(("parameter", "value"), rows)] if rows else lines


def _member(member: CardMember) -> tuple[str, ...]:
    params = ", ".join(f"{name} {value}" for name, value in sorted((member.params or {}).items()))
    names = (_text(member.name), _code(member.algorithm))
    return (*names, f"{member.weight:.3f}", _text(member.form), _text(params))


def _deciding(facts: CardFacts) -> list[str]:
    """What becomes of the scores: calibration, threshold, interval."""
    lines = [f"Scores are calibrated: {_text(facts.calibration)}."] if facts.calibration else []
    chosen = facts.deciding
    if chosen is not None and facts.threshold is not None:
        sentence = f"The threshold {facts.threshold:g} was chosen for {_text(chosen.objective)}"
        expected = ", ".join(f"{name} {_number(v)}" for name, v in (chosen.expected or {}).items())
        sentence += f"; on the rows that chose it: {expected}." if expected else "."
        lines.append(f"{sentence} {_text(chosen.note)}".rstrip())
    if facts.interval is not None:
        low, high = facts.interval.low, facts.interval.high
        lines.append(
            f"An interval comes with every estimate: from {_signed(low)} to {_signed(high)} around "
            f"it, made to hold {facts.interval.coverage:.0%} of new values."
        )
    return [line for text in lines for line in (text, "")][:-1]


def _performance(facts: CardFacts) -> list[str]:
    lines: list[str] = []
    if facts.metrics:
        test = facts.data.parts.get("test")
        lines.append(
            f"On {'' if test is None else f'{test:,} '}test rows that took no part in training, "
            f"with {facts.confidence:.0%} intervals:"
        )
        rows = [(metric.name, _estimate(metric)) for metric in facts.metrics]
        lines += ["", *_table(("metric", "test"), rows)]
    if facts.cross_validation:
        lines += [""] if lines else []
        folds = f" in {facts.folds} folds" if facts.folds else ""
        lines.append(f"Cross-validation on the training rows{folds}:")
        rows = [
            (name, f"{_number(mean)} ± {_number(spread)}")
            for name, (mean, spread) in facts.cross_validation.items()
        ]
        lines += ["", *_table(("metric", "mean ± standard deviation"), rows)]
    return lines


def _per_class(facts: CardFacts) -> list[str]:
    rows = [
        (_text(class_name(c.label)), *map(_number, (c.precision, c.recall, c.f1)), f"{c.rows:,}")
        for c in facts.per_class
    ]
    return _table(("class", "precision", "recall", "F1", "test rows"), rows)


def _slices(facts: CardFacts) -> list[str]:
    rows = [
        (_text(part.name), f"{part.rows:,}", part.metric.name, _estimate(part.metric))
        for part in facts.slices
    ]
    return _table(("test rows where", "rows", "metric", "value"), rows)


def _gates(gates: Sequence[CardGate]) -> list[str]:
    rows = [
        (
            _text(gate.name),
            "passed" if gate.passed else "not passed",
            _text(gate.value),
            _text(gate.threshold),
            _text(gate.reason),
        )
        for gate in gates
    ]
    return _table(("gate", "", "value", "threshold", "reason"), rows)


def _limits(facts: CardFacts) -> list[str]:
    """What the facts themselves say about where the model ends, then what was given."""
    limits = []
    if facts.data.target_range is not None:
        least, _, greatest = map(_number, facts.data.target_range)
        limits.append(f"It has seen targets from {least} to {greatest}, and none beyond.")
    if facts.data.span is not None:
        limits.append(
            f"It has seen rows from {facts.data.span[0]} to {facts.data.span[1]}; "
            "later rows may behave otherwise."
        )
    few = [c for c in facts.per_class if c.rows < _FEW_ROWS]
    if few:
        names = ", ".join(f"{class_name(c.label)} ({c.rows})" for c in few)
        limits.append(f"Measured on fewer than {_FEW_ROWS} test rows of: {names}.")
    if facts.per_class:
        worst = min(facts.per_class, key=lambda c: c.recall)
        limits.append(
            f"It misses {1 - worst.recall:.0%} of the rows of class {class_name(worst.label)}, "
            "more than of any other."
        )
    worst_slice = _worst(facts.slices)
    if worst_slice is not None:
        extreme = "Highest" if worst_slice.metric.name in LOWER_IS_BETTER else "Lowest"
        limits.append(
            f"{extreme} {worst_slice.metric.name} where {worst_slice.name}: "
            f"{_estimate(worst_slice.metric)} on {worst_slice.rows:,} rows."
        )
    limits.append(
        "A category that training did not see, and a column that is not sent, are answered as "
        "recipe.json says."
    )
    return [*limits, *facts.limits]


def _worst(slices: Iterable[CardSlice]) -> CardSlice | None:
    def value(part: CardSlice) -> float:
        found = part.metric.value or 0.0
        return -found if part.metric.name in LOWER_IS_BETTER else found

    return min((part for part in slices if part.metric.value is not None), key=value, default=None)


def _environment(environment: Mapping[str, str]) -> list[str]:
    rows = [(_text(name), f"`{value}`") for name, value in environment.items() if value]
    return _table(("", ""), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table; nothing without rows."""
    if not rows:
        return []
    return [
        f"| {' | '.join(head)} |",
        f"|{'|'.join(' --- ' for _ in head)}|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _estimate(metric: CardMetric) -> str:
    if metric.value is None:
        return "undefined"
    if metric.low is None or metric.high is None:
        return _number(metric.value)
    return f"{_number(metric.value)} ({_number(metric.low)} to {_number(metric.high)})"


def _number(value: float | None) -> str:
    if value is None:
        return "undefined"
    if abs(value) >= 1000:
        return f"{value:,.1f}"
    return f"{value:.4f}" if value == 0 or abs(value) >= 0.001 else f"{value:.3g}"


def _signed(value: float) -> str:
    return f"{'+' if value >= 0 else ''}{_number(value)}"


def _code(value: str) -> str:
    """A name as it is, in code type; names may hold anything."""
    return f"`{_text(value).replace('`', chr(39))}`"


def _text(value: str) -> str:
    """Text on one line that cannot end a table cell or begin a heading."""
    return " ".join(value.split()).replace("|", "\\|")
