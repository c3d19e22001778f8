"""The report as a page: whole, self-contained, accessible, and silent about what is not known."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from html_reader import Page
from ratchet.pipeline.report.facts import (
    ComparisonFacts,
    ReportFacts,
    RunFacts,
    SearchFacts,
    TrialFacts,
)
from ratchet.pipeline.report.page import render_report
from ratchet.pipeline.report.plot_facts import (
    CurvesFacts,
)
from ratchet.pipeline.report.style import SHEET
from ratchet.pipeline.report.verdict import headline
from report_samples import SAMPLES, binary, multiclass, regression, rejected_by_checks

ALL = pytest.mark.parametrize("name", SAMPLES)


@pytest.fixture(scope="module")
def pages() -> dict[str, tuple[str, Page]]:
    made = {name: render_report(sample()) for name, sample in SAMPLES.items()}
    return {name: (source, Page(source)) for name, source in made.items()}


@ALL
def test_it_needs_nothing_but_itself(pages: dict[str, tuple[str, Page]], name: str) -> None:
    source, page = pages[name]
    assert len(source.encode()) < 1_000_000
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(page.names)
    assert all(link.startswith("#") for link in page.values("href"))
    assert "url(" not in source
    assert "@import" not in source
    policy = [attrs for _, attrs in page.tags if attrs.get("http-equiv")]
    assert policy[0]["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert source.index("Content-Security-Policy") < source.index("<style")


@ALL
def test_everything_that_is_pointed_at_is_there_once(
    pages: dict[str, tuple[str, Page]], name: str
) -> None:
    _, page = pages[name]
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    pointed = [link[1:] for link in page.values("href")]
    pointed += [part for value in page.values("aria-labelledby") for part in value.split()]
    assert set(pointed) <= set(ids)


@ALL
def test_tables_and_pictures_can_be_heard(pages: dict[str, tuple[str, Page]], name: str) -> None:
    source, page = pages[name]
    assert page.names.count("table") == page.names.count("caption")
    assert all("scope" in attrs for tag, attrs in page.tags if tag == "th")
    boxes = [attrs for _, attrs in page.tags if attrs.get("class") == "scroll"]
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in boxes)
    for tag, attrs in page.tags:
        if tag == "svg" and attrs.get("class") != "in":
            named = attrs.get("role") == "img" and attrs.get("aria-labelledby")
            assert named or attrs.get("aria-hidden") == "true"
    assert '<html lang="en">' in source
    assert page.names.count("h1") == 1
    assert "main" in page.names


@ALL
def test_no_heading_is_empty_and_no_value_is_a_programmers(
    pages: dict[str, tuple[str, Page]], name: str
) -> None:
    source, page = pages[name]
    assert not re.search(r"<h([123])[^>]*></h\1>", source)
    assert not re.search(r"</h2></section>", source)
    assert not re.search(r"<(tbody|ul|dl)[^>]*></\1>", source)
    assert not {"nan", "NaN", "inf"} & set(page.text.split())
    assert not {"None", "True", "False"} & {text.strip() for text in page.texts}


def test_the_same_facts_give_the_same_page() -> None:
    assert render_report(binary()) == render_report(binary())


@ALL
def test_the_facts_survive_their_way_through_json(name: str) -> None:
    import json

    facts = SAMPLES[name]()
    again = ReportFacts.from_json(json.loads(json.dumps(facts.to_json(), allow_nan=False)))
    assert again == facts
    assert render_report(again) == render_report(facts)


def test_a_run_with_nothing_but_an_end_has_a_report() -> None:
    page = Page(render_report(ReportFacts(RunFacts("p", "r", "rejected", "the data is too old"))))
    assert page.names.count("h2") == 1
    assert "The data is too old." in page.text


def test_each_part_has_a_heading_only_with_facts() -> None:
    full = Page(render_report(binary())).text
    for part, heading in (
        ("data", "The data"),
        ("checks", "Checks"),
        ("candidates", "Candidates"),
        ("search", "Search history"),
        ("gates", "Gates"),
        ("slices", "Slices"),
        ("features", "Features"),
    ):
        assert heading in full
        field = getattr(binary(), part)
        without = replace(binary(), **{part: () if isinstance(field, tuple) else None})
        source = render_report(without)
        assert f">{heading}</h2>" not in source


@pytest.mark.parametrize(
    ("outcome", "champion", "version", "said"),
    [
        ("promoted", "1", "2", "Version 2 takes the place of version 1"),
        ("promoted", None, "1", "Version 1 is the first champion"),
        ("passed", "1", None, "The new model passed all its gates"),
        ("candidate", "1", "2", "Version 2 passed and waits to be promoted"),
        ("skipped", "1", None, "Nothing changed: version 1 keeps serving"),
        ("failed", "1", None, "The run failed; version 1 keeps serving"),
        ("failed", None, None, "The run failed"),
    ],
)
def test_the_headline_says_what_happened(
    outcome: str, champion: str | None, version: str | None, said: str
) -> None:
    facts = binary()
    run = replace(facts.run, outcome=outcome, champion=champion, version=version)
    assert headline(replace(facts, run=run)) == said


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("worse", "Worse than version 1, which keeps serving"),
        ("non_inferior", "As good as version 1, but not proven better, which keeps serving"),
        ("not_enough_evidence", "Not proven better than version 1, which keeps serving"),
    ],
)
def test_a_rejection_by_the_champion_says_how_they_compare(verdict: str, said: str) -> None:
    facts = multiclass()
    assert facts.comparison is not None
    compared = replace(facts.comparison, verdict=verdict)
    assert headline(replace(facts, comparison=compared)) == said


def test_a_rejection_by_checks_or_other_gates_is_told_as_such() -> None:
    nothing = "The data failed its checks: nothing was trained; version 1 keeps serving"
    assert headline(rejected_by_checks()) == nothing
    facts = multiclass()
    gates = tuple(replace(gate, passed=gate.name != "size") for gate in facts.gates)
    assert headline(replace(facts, gates=gates)) == (
        "The gate “Bundle size” said no; version 1 keeps serving"
    )
    gates = tuple(replace(gate, passed=gate.group != "budget") for gate in facts.gates)
    assert headline(replace(facts, gates=gates)) == "3 of 9 gates said no; version 1 keeps serving"


def test_the_picture_of_the_difference_has_its_margin_only_if_there_is_one() -> None:
    def margins(facts: ReportFacts) -> int:
        return Page(render_report(facts)).texts.count("margin")

    facts = binary()
    assert facts.comparison is not None
    assert margins(facts) == 1
    gates = tuple(
        replace(gate, threshold=0.0) if gate.name == "champion" else gate for gate in facts.gates
    )
    compared = replace(facts.comparison, margin=0.0)
    assert margins(replace(facts, gates=gates, comparison=compared)) == 0


def test_why_nothing_was_compared_is_told() -> None:
    problem = "the champion knows other classes: a, b"
    facts = replace(binary(), comparison=ComparisonFacts("1", problem=problem))
    text = Page(render_report(facts)).text
    assert f"It was not compared with version 1: {problem}." in text


def test_the_search_draws_the_best_so_far_of_finished_trials() -> None:
    def trial(number: int, mean: float | None, status: str = "finished") -> TrialFacts:
        return TrialFacts(number, "lightgbm", status, mean, 1.0, float(number))

    trials = (trial(0, 0.5), trial(1, 0.3), trial(2, 0.2, "pruned"), trial(3, None, "failed"))
    facts = replace(binary(), search=SearchFacts("log_loss", trials, 60.0))
    text = Page(render_report(facts)).text
    assert "the best Log loss went from 0.5000 at 1.0 s to 0.3000 at 2.0 s" in text
    assert "4 trials (2 finished, 1 failed, 1 pruned) in 4.0 s of a budget of 1 min" in text
    higher = replace(facts, search=SearchFacts("roc_auc", trials, 60.0))
    assert (
        "the best ROC-AUC went from 0.5000 at 1.0 s to 0.5000" in Page(render_report(higher)).text
    )


def test_a_regression_is_told_as_one() -> None:
    page = Page(render_report(regression()))
    assert "True values against estimates" in page.text
    assert "−61,204 to +74,914" in page.text
    assert "Confusion matrix" not in page.text
    assert "Calibration" not in page.text


@pytest.mark.parametrize(
    ("why", "said"),
    [("not examined", "Not examined"), ("none, as set", "None, as set"), ("", "None needed")],
)
def test_why_scores_are_not_calibrated_is_told(why: str, said: str) -> None:
    made = binary()
    assert made.model is not None
    model = replace(made.model, calibration="", uncalibrated=why)
    assert f"Calibration {said}" in Page(render_report(replace(made, model=model))).text


def test_more_trials_than_a_page_bears_are_counted() -> None:
    trials = tuple(
        TrialFacts(n, "lightgbm", "finished", 0.5 + n * 1e-5, 0.1, n * 0.1) for n in range(1000)
    )
    source = render_report(replace(binary(), search=SearchFacts("roc_auc", trials)))
    page = Page(source)
    assert "The best 300 trials" in page.text
    assert "700 more were tried." in page.text
    assert len(source.encode()) < 1_000_000


def test_a_thousand_classes_keep_the_page_small() -> None:
    source = render_report(multiclass(1000))
    assert len(source.encode()) < 1_000_000
    assert "The 12 largest of 1000 classes." in Page(source).text


def test_one_constant_feature_and_flat_curves_are_drawn() -> None:
    facts = binary()
    assert facts.explanation is not None
    flat = tuple(
        replace(feature, values=(1.0,) * 5, effects=(0.0,) * 5, importance=0.0)
        for feature in facts.explanation.features[:1]
    )
    made = replace(
        facts,
        explanation=replace(facts.explanation, features=flat),
        curves=CurvesFacts(scatter=((1.0, 1.0),)),
    )
    Page(render_report(made))
    Page(render_report(replace(regression(), curves=CurvesFacts(residuals=((2.0, 0.0),)))))


def test_dark_and_light_have_the_same_colours_and_text_can_be_read() -> None:
    light, dark = (
        dict(re.findall(r"--([\w-]+):(#\w+)", block))
        for block in re.findall(r":root\{(.*?)\}", SHEET, re.DOTALL)
    )
    assert light.keys() == dark.keys()
    assert "<" not in SHEET
    for colours in (light, dark):
        for ink in ("ink", "soft", "accent", "good", "bad", "warn"):
            for ground in ("bg", "card", "sunk"):
                assert _contrast(colours[ink], colours[ground]) >= 4.5
        for tone in ("good", "bad", "warn", "info"):
            assert _contrast(colours[tone], colours[f"{tone}-bg"]) >= 4.5
        for place in range(1, 9):
            assert _contrast(colours[f"c{place}"], colours["card"]) >= 3


def _contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    digits = colour.removeprefix("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
