"""Numbers, times and names as the report shows them, and the markup that holds them."""

from __future__ import annotations

import pytest

from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import prose
from ratchet.pipeline.report.markup import Html, join, tag, text
from ratchet.pipeline.report.plot import Axis, Frame, line, nice_axis


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        (0.0, "0"),
        (0.84321, "0.8432"),
        (-0.00092, "−0.0009"),
        (1e-7, "1.00e-07"),
        (12.3456, "12.35"),
        (900.25, "900.2"),
        (48_211.4, "48,211"),
        (7, "7"),
        (1e20, "1.00e+20"),
        (float("inf"), "inf"),
    ],
)
def test_a_figure_has_the_digits_that_count(value: float | None, said: str) -> None:
    assert words.figure(value) == said


def test_a_signed_figure_shows_its_sign() -> None:
    assert words.signed(0.0213) == "+0.0213"
    assert words.signed(-0.0213) == "−0.0213"
    assert words.signed(0.0) == "0"


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.0, "0%"),
        (0.0004, "<0.1%"),
        (0.296, "29.6%"),
        (0.5, "50%"),
        (0.9996, ">99.9%"),
        (1, "100%"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, said: str) -> None:
    assert words.percent(share) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "<0.01 s"),
        (0.62, "0.62 s"),
        (9.96, "10.0 s"),
        (12.4, "12 s"),
        (59.7, "1 min"),
        (62.4, "1 min 2 s"),
        (3599.8, "1 h"),
        (3840, "1 h 4 min"),
    ],
)
def test_a_duration_is_told_in_two_units_at_most(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


def test_a_moment_is_told_in_utc() -> None:
    assert words.moment("2026-11-21T08:19:21+02:00") == "21 Nov 2026, 06:19 UTC"
    assert words.moment("2025-06-30") == "30 Jun 2025"
    assert words.moment("week 3") == "week 3"
    assert words.moment("") == ""


def test_a_long_name_is_cut_in_the_middle_and_a_blank_one_is_seen() -> None:
    assert words.name("  ") == "(blank)"
    assert words.name("a\nb") == "a b"
    cut = words.name("a_name_that_begins_like_all_others_1", 20)
    assert len(cut) <= 20
    assert cut.startswith("a_name")
    assert cut.endswith("_1")


def test_metrics_and_gates_have_names_even_when_nobody_knows_them() -> None:
    assert words.metric_title("roc_auc") == "ROC-AUC"
    assert words.metric_said("log_loss") == "log loss"
    assert words.metric_title("lift_at_10") == "Lift at 10"
    assert words.gate_title("minimum.roc_auc") == "Minimum ROC-AUC"
    assert words.gate_title("minimum.log_loss") == "Maximum Log loss"
    assert words.gate_figure("latency_p95", 0.0000145) == "0.0145 ms"
    assert words.gate_figure("parity", 1e-6) == "1e-06"


def test_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "<b>&\"'") == "<p>&lt;b&gt;&amp;&quot;&#x27;</p>"
    assert tag("p", tag("b", "x"), None, ["<", Html("<i></i>")]) == "<p><b>x</b>&lt;<i></i></p>"
    assert tag("td", class_='a"b', data_x=None, open=True) == '<td class="a&quot;b" open></td>'
    assert join(["<", Html("<hr>")], "&") == "&lt;&amp;<hr>"


def test_what_a_page_cannot_hold_is_replaced() -> None:
    assert text("a\x00b\ud800c\x1b[31m\ufffe") == "a�b�c�[31m�"
    assert text("line\nbreak\ttab") == "line\nbreak\ttab"


def test_names_between_backticks_are_code_and_an_odd_one_is_left_alone() -> None:
    assert prose("`a<` is bad") == "<code>a&lt;</code> is bad"
    assert prose("it`s") == "it`s"


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (0.0, 1.0),
        (-0.0051, 0.0019),
        (0.83, 0.8301),
        (1e-9, 3e-9),
        (14_999, 500_001),
        (5.0, 5.0),
        (3e6, 3.1e6),
    ],
)
def test_an_axis_has_round_marks_within_its_ends(low: float, high: float) -> None:
    axis = nice_axis(low, high, pad=0.1)
    assert axis.low <= low <= high <= axis.high
    assert 2 <= len(axis.marks) <= 8
    assert all(axis.low <= mark <= axis.high for mark, _ in axis.marks)
    assert len({shown for _, shown in axis.marks}) == len(axis.marks)


def test_an_axis_of_nonsense_is_still_an_axis() -> None:
    assert nice_axis(float("nan"), float("inf")).low == 0.0


def test_values_beyond_an_axis_are_held_at_its_edge() -> None:
    frame = Frame(Axis(0, 10), Axis(0, 1), 100)
    assert frame.across(-3) == "0%"
    assert frame.across(25) == "100%"
    assert frame.down(2) == "0"
    assert frame.place((5, 0.25)) == "500 75"


def test_stairs_hold_a_value_until_the_next() -> None:
    frame = Frame(Axis(0, 2), Axis(0, 1), 100)
    assert 'd="M0 100L500 100L500 0"' in line(frame, [(0, 0), (1, 1)], "c1", steps=True)
    assert 'd="M0 100L500 0"' in line(frame, [(0, 0), (1, 1)], "c1")
    assert line(frame, [], "c1") == ""
