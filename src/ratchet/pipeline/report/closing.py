"""The end of the page: features, how to make the model again, and what the words mean."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import (
    Column,
    card,
    code,
    facts_list,
    named,
    share_bar,
    table,
    unfold,
)
from ratchet.pipeline.report.facts import FeatureFacts, ReportFacts, StepFacts
from ratchet.pipeline.report.markup import Child, Html, tag

FEATURES = "Features"
REPRODUCTION = "How it was made"
GLOSSARY = "Words"
_MOST_SHOWN = 15
_MOST_IN_GROUP = 12
_MOST_FEATURES = 500

_MEANINGS = (
    ("champion", "Champion", "The model version that serves."),
    (
        "interval",
        "Interval",
        "Where the true value lies with the given confidence, had there been endless test rows.",
    ),
    (
        "margin",
        "Margin",
        "The loss against the champion that counts as no loss; 0 demands a proven gain.",
    ),
    (
        "cv",
        "CV",
        "Cross-validation on the training rows: mean and standard deviation over the folds.",
    ),
    (
        "slice",
        "Slice",
        "A part of the test rows, such as one category of a column or a quarter of a number.",
    ),
    (
        "parity",
        "Parity",
        "The bundle scores rows exactly as the model did in training.",
    ),
    (
        "shap",
        "SHAP value",
        "How much a feature's value moved one row's score away from the average score.",
    ),
    (
        "calibrated",
        "Calibrated",
        "Of rows with a score of 70%, about 70% belong to the class.",
    ),
    (
        "pruned",
        "Pruned",
        "Given up after some folds, because it could not become the best any more.",
    ),
)


def features(facts: ReportFacts) -> list[Html | None]:
    """Every column of the model's matrix and how it is made."""
    found = facts.features
    if not found:
        return []
    made = len({name for feature in found for name in feature.sources})
    said = f"{words.counted(len(found), 'feature')}"
    said += f" from {words.counted(made, 'column')}." if made else "."
    groups = _grouped(found)
    shown, rest = groups[:_MOST_SHOWN], groups[_MOST_SHOWN:_MOST_FEATURES]
    parts: list[Html | None] = [
        tag("p", said, class_="lead"),
        card(_features(shown), style="flush"),
    ]
    if rest:
        left = len(groups) - _MOST_FEATURES
        below = tag("p", f"{left:,} more are in the recipe.", class_="hint") if left > 0 else None
        parts.append(unfold(f"{len(groups) - _MOST_SHOWN} more", _features(rest), below))
    return parts


def _grouped(found: Sequence[FeatureFacts]) -> list[tuple[FeatureFacts, ...]]:
    """Features of one kind from the same columns together, such as all of a one-hot encoding."""
    groups = groupby(found, key=lambda feature: (feature.sources, feature.kind))
    return [tuple(group) for _, group in groups]


def _features(groups: Sequence[tuple[FeatureFacts, ...]]) -> Html:
    columns = (
        Column("Feature", "name"),
        Column("Kind", "text"),
        Column("How it is made", "words"),
    )
    rows: list[Sequence[Child]] = []
    for group in groups:
        first, kind = group[0], group[0].kind
        if len(group) == 1:
            how = "as it is" if first.description == first.name else first.description
            rows.append((named(first.name), kind, how))
            continue
        name = named(" × ".join(first.sources) or first.name)
        names = [words.name(feature.name, 60) for feature in group[:_MOST_IN_GROUP]]
        more = f" and {len(group) - len(names)} more" if len(names) < len(group) else ""
        rows.append((name, f"{kind}, {len(group)} features", ", ".join(names) + more))
    return table("Features", columns, rows)


def reproduction(facts: ReportFacts) -> list[Html | None]:
    """Seed, code, settings, libraries, steps, and the command to run it again."""
    made: list[Html | None] = []
    found = facts.reproduction
    if found is not None:
        digest = facts.data.digest if facts.data else ""
        pairs = facts_list(
            (
                ("Seed", None if found.seed is None else str(found.seed)),
                ("Code", code(found.code) if found.code else None),
                (
                    "Settings digest",
                    code(found.config_digest[:16]) if found.config_digest else None,
                ),
                ("Data digest", code(digest[:16]) if digest else None),
                ("Run", code(facts.run.run_id)),
                ("Model in MLflow", code(facts.run.uri) if facts.run.uri else None),
            )
        )
        again = None
        if found.command:
            again = tag(
                "div",
                tag("h3", "Run it again"),
                tag("pre", code(found.command), tabindex=0, aria_label="Command"),
                class_="again",
            )
        made.append(card(pairs, again))
    if facts.run.steps:
        made.append(card(_steps(facts.run.steps), style="flush"))
    if found is not None and found.libraries:
        made.append(unfold(f"Libraries ({len(found.libraries)})", _libraries(found.libraries)))
    return made


def _steps(steps: Sequence[StepFacts]) -> Html:
    longest = max((step.seconds for step in steps), default=0.0) or 1.0
    columns = (
        Column("Step", "name"),
        Column("Status", "short"),
        Column("Time", "number"),
        Column("", "bar"),
        Column("What it found", "words"),
    )
    rows: list[Sequence[Child]] = []
    for step in steps:
        ran = step.status != "not run"
        rows.append(
            (
                step.name,
                step.status,
                words.duration(step.seconds) if ran else words.NONE,
                share_bar(step.seconds / longest, "c8") if ran else None,
                step.detail,
            )
        )
    return table("The steps of the run", columns, rows)


def _libraries(libraries: Sequence[tuple[str, str]]) -> Html | None:
    return facts_list((name, code(version)) for name, version in libraries)


def glossary(facts: ReportFacts) -> list[Html | None]:
    """The words that this page uses and a reader may not know."""
    if facts.model is None:
        return []
    used = _used(facts)
    pairs = [(title, meaning) for key, title, meaning in _MEANINGS if key in used]
    pairs += [
        (words.metric_title(metric.name), words.metric_meaning(metric.name))
        for metric in facts.model.metrics
        if words.metric_meaning(metric.name)
    ]
    if not pairs:
        return []
    entries = [tag("div", tag("dt", word), tag("dd", meaning)) for word, meaning in pairs]
    return [card(tag("dl", entries, class_="glossary"))]


def _used(facts: ReportFacts) -> set[str]:
    used = set()
    if facts.run.champion:
        used.add("champion")
    if facts.comparison is not None and facts.comparison.difference is not None:
        used.add("margin")
    if facts.model is not None and any(metric.low is not None for metric in facts.model.metrics):
        used.add("interval")
    if any(candidate.cv for candidate in facts.candidates):
        used.add("cv")
    if facts.slices:
        used.add("slice")
    if any(gate.name == "parity" for gate in facts.gates):
        used.add("parity")
    if facts.explanation is not None:
        used.add("shap")
    if facts.curves is not None and facts.curves.calibration:
        used.add("calibrated")
    if facts.search is not None and any(t.status == "pruned" for t in facts.search.trials):
        used.add("pruned")
    return used
