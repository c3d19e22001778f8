"""Drift of columns: the plain cases that are often got wrong, rules, ranks and reasons."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from ratchet.data.schema import kind_of
from ratchet.errors import DataError, UsageError
from ratchet.monitoring.drift import DriftRules, Thresholds, compare_frames, score_window
from ratchet.monitoring.profile import answer_columns, build_profile
from ratchet.monitoring.rules import Finding, parse_limits, significant_columns

ROWS = 20_000


def from_profile(before, after, rules=None, **given):
    kinds = {name: kind_of(dtype) for name, dtype in before.schema.items()}
    profile = build_profile(before, kinds, **given)
    window = profile.window()
    window.fold(after)
    return score_window(profile, window, rules)


def from_frames(before, after, rules=None):
    return compare_frames(before, after, rules)


BOTH = pytest.mark.parametrize("drift", [from_profile, from_frames], ids=["profile", "frames"])


def plain_case(name):
    rng = np.random.default_rng(3)
    usual = rng.normal(size=ROWS)
    moved = rng.normal(1, 1, ROWS)
    if name == "one corrupt value":
        moved[7] = 1e9
    elif name == "corrupt value in the reference":
        usual[7] = 1e9
    elif name == "tiny scale":
        usual, moved = 1e-4 * rng.random(ROWS), 1e-4 * rng.random(ROWS) + 5e-5
    elif name == "goes missing":
        moved = np.where(rng.random(ROWS) < 0.9, np.nan, rng.normal(size=ROWS))
    elif name == "comes to be there":
        usual = np.where(rng.random(ROWS) < 0.9, np.nan, usual)
        moved = rng.normal(size=ROWS)
    elif name == "lognormal":
        usual, moved = np.exp(rng.normal(0, 3, ROWS)), np.exp(rng.normal(1, 3, ROWS))
    elif name == "discrete":
        usual = rng.choice(5, ROWS, p=[0.1, 0.1, 0.2, 0.3, 0.3])
        moved = rng.choice(5, ROWS, p=[0.3, 0.2, 0.2, 0.2, 0.1])
    elif name == "infinite":
        moved = np.where(rng.random(ROWS) < 0.1, np.inf, rng.normal(size=ROWS))
    elif name == "constant":
        usual, moved = np.full(ROWS, 3.0), np.full(ROWS, 3.1)
    elif name == "boolean":
        usual, moved = rng.random(ROWS) < 0.3, rng.random(ROWS) < 0.5
    elif name == "a new level":
        usual, moved = rng.choice(["a", "b"], ROWS), rng.choice(["a", "b", "c"], ROWS)
    elif name == "a level goes":
        usual, moved = rng.choice(["a", "b", "c"], ROWS), rng.choice(["a", "b"], ROWS)
    return [
        pl.DataFrame({"x": values, "quiet": rng.normal(size=ROWS)}) for values in (usual, moved)
    ]


PLAIN = [
    "shift",
    "one corrupt value",
    "corrupt value in the reference",
    "tiny scale",
    "goes missing",
    "comes to be there",
    "lognormal",
    "discrete",
    "infinite",
    "constant",
    "boolean",
    "a new level",
    "a level goes",
]


@BOTH
@pytest.mark.parametrize("case", PLAIN)
def test_a_large_change_is_found_whatever_the_column(drift, case):
    report = drift(*plain_case(case))
    assert report["x"].drifted
    assert not report["quiet"].drifted
    assert report.drifted
    assert report["x"].rank == 1
    assert "x (" in report.reason
    json.dumps(report.to_json(), allow_nan=False)


@BOTH
@pytest.mark.parametrize("case", PLAIN)
def test_equal_rows_never_drift(drift, case):
    before = plain_case(case)[0]
    after = before.sample(fraction=1.0, shuffle=True, seed=1)
    report = drift(before, after)
    assert not report.drifted
    for column in report.columns:
        assert column.value == pytest.approx(0.0, abs=1e-12)


@BOTH
def test_one_corrupt_value_alone_is_no_drift(drift):
    rng = np.random.default_rng(0)
    before, after = rng.normal(size=ROWS), rng.normal(size=ROWS)
    after[3] = 1e9
    report = drift(pl.DataFrame({"x": before}), pl.DataFrame({"x": after}))
    # The Wasserstein distance sees nothing else, and so it does not decide.
    assert report["x"].wasserstein > 1_000
    assert not report.drifted


@BOTH
def test_half_the_range_of_a_tiny_column_is_more_than_one_deviation(drift):
    found = drift(*plain_case("tiny scale"))["x"]
    assert found.wasserstein == pytest.approx(1.73, abs=0.03)
    assert found.combined == pytest.approx(0.7 * found.ks.value + 0.3)


@BOTH
def test_a_window_of_few_rows_is_not_called_drift_for_being_small(drift):
    alarms = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        before = pl.DataFrame({f"x{i}": rng.normal(size=2_000) for i in range(10)})
        before = before.with_columns(c=pl.Series(rng.integers(0, 60, 2_000).astype(str)))
        after = pl.DataFrame({f"x{i}": rng.normal(size=60) for i in range(10)})
        after = after.with_columns(c=pl.Series(rng.integers(0, 60, 60).astype(str)))
        alarms += drift(before, after).drifted
    assert alarms <= 3


@BOTH
def test_time_and_identifiers_are_shown_and_not_judged(drift):
    def frame(start):
        ids = range(start, start + 2_000)
        return pl.DataFrame(
            {
                "day": pl.Series(ids).cast(pl.Date),
                "name": [f"customer {i}" for i in ids],
                "number": pl.Series(ids),
                "x": np.random.default_rng(0).normal(size=2_000),
            }
        )

    report = drift(frame(0), frame(2_000))
    assert not report.drifted
    assert [report[name].unjudged for name in ("day", "name", "number")] == [
        "time",
        "identifier",
        "identifier",
    ]
    assert report["day"].ks.high == 1.0
    assert report.columns[0].column == "x"
    assert report.share == 0.0


def two_columns(small, large):
    rng = np.random.default_rng(0)
    before = pl.DataFrame({"much": rng.normal(size=ROWS), "some": rng.normal(size=ROWS)})
    after = pl.DataFrame({"much": rng.normal(large, 1, ROWS), "some": rng.normal(small, 1, ROWS)})
    return before, after


def test_columns_are_ranked_by_drift_times_importance():
    frames = two_columns(0.5, 2.0)
    assert from_profile(*frames).columns[0].column == "much"
    report = from_profile(*frames, importance={"some": 9.0, "much": 1.0})
    assert report.columns[0].column == "some"
    assert report["some"].importance == pytest.approx(0.9)
    assert report.importance_share == pytest.approx(1.0)
    assert from_profile(*frames).importance_share is None


def test_answers_come_first_and_do_not_count_as_inputs():
    before, after = two_columns(0.0, 2.0)
    scores = np.column_stack([np.full(ROWS, 0.5), np.linspace(0, 1, ROWS)])
    answers = answer_columns(("no", "yes"), scores, ["no"] * ROWS)
    report = from_profile(before, after.with_columns(**answers), answers=answers)
    assert [column.column for column in report.columns[:3]] == ["__label", "__score", "much"]
    assert report.share == 0.5
    assert report["__score"].importance is None


def test_missing_columns_are_named_and_left_out():
    before, after = two_columns(0.0, 2.0)
    report = from_profile(before, after.drop("much"))
    assert report.absent == ("much",)
    assert [column.column for column in report.columns] == ["some"]
    assert compare_frames(before, after.drop("much")).absent == ("much",)


def test_a_limit_of_ones_own_takes_the_place_of_that_of_its_kind_alone():
    frames = two_columns(0.3, 2.0)
    quiet = DriftRules(fixed={"ks": 0.9})
    assert not from_profile(*frames, quiet).drifted
    strict = from_profile(*frames, DriftRules(fixed={"psi": 0.05, "ks": 0.9}))
    assert strict["some"].statistic == "psi"
    assert strict["some"].drifted
    # What is not named keeps its limit: missing values, and the distances of text.
    for rules in (DriftRules(fixed={"ks": 0.1}), DriftRules(fixed={"ks": 1.0, "psi": 9.0})):
        gone = from_frames(*plain_case("goes missing"), rules)
        assert gone["x"].drifted
        assert gone["x"].statistic == "missing"
        fresh = from_profile(*plain_case("a new level"), rules)
        assert fresh["x"].drifted
        assert fresh["x"].statistic == "js"
    assert not from_frames(*plain_case("goes missing"), DriftRules(fixed={"missing": 0.95})).drifted
    loose = DriftRules(fixed={"ks": 1.0, "missing": 1.0})
    assert not from_frames(*plain_case("goes missing"), loose).drifted
    # A limit for levels says nothing of numbers.
    assert from_frames(*frames, DriftRules(fixed={"new": 0.0}))["much"].statistic == "ks"
    known = Thresholds({"much": 0.5, "some": 0.05}, windows=12)
    mixed = from_profile(*frames, DriftRules(thresholds=known, fixed={"psi": 9.0}))
    assert mixed["some"].threshold == 0.05
    assert mixed.calibrated
    own = from_profile(*frames, DriftRules(thresholds=known, fixed={"ks": 0.9}))
    assert own["some"].threshold == 0.9
    assert not own.calibrated


def test_a_share_of_columns_can_be_asked_for():
    frames = two_columns(0.0, 2.0)
    assert from_profile(*frames, DriftRules(share=0.5)).drifted
    report = from_profile(*frames, DriftRules(share=0.6))
    assert not report.drifted
    assert "50% of the inputs, less than 60%" in report.reason
    assert not from_profile(*two_columns(0.0, 0.0), DriftRules(share=0.0)).drifted


def test_thresholds_from_past_windows_are_used_and_told():
    frames = two_columns(0.3, 0.3)
    rules = DriftRules(thresholds=Thresholds({"much": 0.5, "some": 0.05}, windows=12))
    report = from_profile(*frames, rules)
    assert report.calibrated
    assert (report["much"].drifted, report["some"].drifted) == (False, True)
    assert report["some"].threshold == 0.05
    assert report.alarming
    part = DriftRules(thresholds=Thresholds({"much": 0.5}, windows=12))
    assert not from_profile(*frames, part).calibrated


def test_missing_shares_that_past_windows_had_are_no_drift():
    before, after = plain_case("goes missing")
    usual = DriftRules(thresholds=Thresholds({}, missing={"x": 0.95}, windows=12))
    assert not from_profile(before, after, usual)["x"].drifted


def test_all_values_are_asked_where_the_profile_leaves_it_open():
    frames = two_columns(0.0, 0.3)
    kinds = {"much": "number", "some": "number"}
    profile = build_profile(frames[0], kinds)
    window = profile.window()
    window.fold(frames[1])
    found = score_window(profile, window)["much"].ks
    assert found.low < found.high
    asked = []

    def exact(name):
        asked.append(name)
        return found.high

    between = (found.low + found.high) / 2
    rules = DriftRules(thresholds=Thresholds({"much": between, "some": 0.2}))
    report = score_window(profile, window, rules, exact=exact)
    assert asked == ["much"]
    assert report["much"].drifted
    assert report["much"].ks.low == report["much"].ks.high == found.high
    unknown = score_window(profile, window, rules, exact=lambda name: None)
    assert not unknown["much"].drifted
    # Far from the limit nobody is asked.
    clear = DriftRules(thresholds=Thresholds({"much": 0.9, "some": 0.2}))
    score_window(profile, window, clear, exact=exact)
    assert asked == ["much"]


def test_an_empty_window_is_no_drift():
    frame = two_columns(0.0, 0.0)[0]
    profile = build_profile(frame, {"much": "number", "some": "number"})
    report = score_window(profile, profile.window())
    assert not report.drifted
    assert report.columns == ()
    assert report.absent == ("much", "some")
    assert report.reason == "there is no column that could drift"


def test_tables_that_cannot_be_compared_are_refused():
    frame = two_columns(0.0, 0.0)[0]
    for reference, current, columns in (
        (frame.clear(), frame, None),
        (frame, frame.clear(), None),
        (frame, frame.rename({"much": "a", "some": "b"}), None),
        (frame, frame, ["nothing"]),
    ):
        with pytest.raises(DataError):
            compare_frames(reference, current, columns=columns)


def numbers(rows=2_000, seed=0):
    return pl.Series("x", np.random.default_rng(seed).normal(size=rows))


TEXTS = pl.Series("x", [f"text {place}" for place in range(2_000)])


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (numbers(), TEXTS, "x (was number, is string; 100.0% of the values do not fit)"),
        (numbers(), numbers().cast(pl.String), "x (was number, is string)"),
        (
            numbers(),
            numbers(1_000).cast(pl.String).append(TEXTS[:1_000]),
            "x (was number, is string; 50.0% of the values do not fit)",
        ),
        (pl.Series("x", range(2_000)), TEXTS, "was integer, is string; 100.0%"),
        (pl.Series("x", [True, False] * 50), pl.Series("x", [1, 0] * 50), "was boolean, is int"),
        (pl.Series("x", range(100)).cast(pl.Date), TEXTS, "was date, is string; 100.0%"),
        (
            pl.Series("x", range(100)).cast(pl.Date),
            pl.Series("x", ["soon", "1970-01-03", "1970-01-04 10:00", None] * 9),
            "was date, is string; 33.3%",
        ),
        (TEXTS, numbers(), "x (was string, is number)"),
    ],
    ids=[
        "text",
        "text of numbers",
        "half",
        "identifier",
        "boolean",
        "date",
        "some dates",
        "numbers",
    ],
)
def test_a_column_of_another_kind_is_drift_in_its_own_words(before, after, told):
    report = compare_frames(before.to_frame("x"), after.to_frame("x"))
    assert report.drifted
    assert report["x"].drifted
    assert report["x"].kind == kind_of(before.dtype)
    assert told in report.reason
    json.dumps(report.to_json(), allow_nan=False)


def test_what_only_looks_like_another_kind_is_none():
    quiet = numbers(seed=1)
    for before, after in (
        (pl.Series([1, 2, 3] * 500), pl.Series([1.0, 2.0, 3.0] * 500)),
        # One odd value makes a file's numbers text; without it they are numbers again.
        (pl.Series([*("1", "2", "3") * 500, "A"]), pl.Series([1, 2, 3] * 500)),
    ):
        report = compare_frames(before.to_frame("x"), after.to_frame("x"))
        assert not report.drifted, report.reason
    empty = pl.Series("x", [None] * 2_000)
    for before, after in ((empty, quiet), (quiet, empty)):
        found = compare_frames(before.to_frame("x"), after.to_frame("x"))["x"]
        assert (found.statistic, found.drifted) == ("missing", True)
        assert found.now == found.kind == "number"


@BOTH
@pytest.mark.parametrize(
    "values",
    [
        pl.Series("x", range(2_000)),
        pl.Series("x", range(2_000)).cast(pl.Date),
        TEXTS,
        numbers(),
    ],
    ids=["identifier", "date", "names", "numbers"],
)
def test_what_goes_missing_is_drift_whatever_is_judged_of_its_values(drift, values):
    before = values.to_frame("x").with_columns(quiet=numbers(seed=1))
    for share in (0.5, 1.0):
        gone = pl.Series(np.random.default_rng(2).random(2_000) < share)
        after = before.with_columns(x=pl.when(gone).then(None).otherwise("x"))
        report = drift(before, after)
        assert report["x"].drifted
        assert report.drifted
        assert report["x"].rank == 1
        assert f"x (missing 0.0% to {gone.mean():.1%})" in report.reason
    assert not drift(before, before).drifted


def test_in_a_window_values_of_another_kind_are_missing():
    before = numbers().to_frame("x")
    profile = build_profile(before, {"x": "number"})
    window = profile.window()
    window.fold(TEXTS.to_frame("x"))
    report = score_window(profile, window)
    assert "x (missing 0.0% to 100.0%)" in report.reason
    assert report.alarming


def test_a_column_that_is_gone_is_drift_and_a_new_one_is_told():
    before, after = two_columns(0.0, 0.0)
    less = after.drop("much").with_columns(more=pl.lit(1))
    report = compare_frames(before, less)
    assert report.drifted
    assert (report.lost, report.added) == (("much",), ("more",))
    assert report.reason == "1 of 2 columns gone: much"
    assert report.share == 0.5
    assert compare_frames(before, less, DriftRules(share=0.5)).drifted
    assert not compare_frames(before, less, DriftRules(share=0.6)).drifted
    both = compare_frames(before, two_columns(2.0, 0.0)[1].drop("much"))
    assert both.reason.startswith("1 of 1 columns drifted: some (KS")
    assert both.reason.endswith("; 1 of 2 columns gone: much")
    only = compare_frames(before, less, columns=["some"])
    assert (only.drifted, only.lost, only.added) == (False, (), ())
    # A log may leave columns out: those of a window say nothing.
    assert not from_profile(before, less).drifted


def test_so_few_rows_that_nothing_can_be_told_are_named():
    one = [pl.DataFrame({"x": [value]}) for value in (1.0, 9.0)]
    report = compare_frames(*one)
    assert not report.drifted
    assert "x (KS 1, limit 0.1, no more than chance gives)" in report.reason
    assert "too few rows to tell: 1 against 1, 30 each are needed" in report.reason
    assert "too few" not in compare_frames(*two_columns(0.0, 0.0)).reason


def test_benjamini_and_hochberg():
    values = {"a": 0.001, "b": 0.02, "c": 0.03, "d": 0.9}
    assert significant_columns(values, 0.05) == {"a", "b", "c"}
    assert significant_columns({"a": 0.04, "b": 0.9}, 0.05) == frozenset()
    assert significant_columns({}, 0.05) == frozenset()


def test_limits_are_read():
    assert parse_limits(["ks=0.1", "missing = 0.02"]) == {"ks": 0.1, "missing": 0.02}
    assert parse_limits(["ks=1", "psi=2", "wasserstein=3"]) == {
        "ks": 1.0,
        "psi": 2.0,
        "wasserstein": 3.0,
    }
    for text in ("ks", "ks=", "kss=1", "ks=-1", "ks=nan", "psi=inf", "ks=2", "new=1.1", "kind=1"):
        with pytest.raises(UsageError):
            parse_limits([text])


def test_strength_is_a_multiple_of_the_limit():
    assert Finding("ks", 0.3, 0.1).strength == pytest.approx(3.0)
    assert Finding("ks", 0.0, 0.0).strength == 0.0
    assert Finding("ks", 0.3, 0.0).drifted
    assert not Finding("ks", 0.3, 0.1, significant=False).drifted


def test_a_report_is_found_by_column():
    report = from_frames(*two_columns(0.0, 2.0))
    with pytest.raises(KeyError):
        report["nothing"]
    assert replace(report["much"], threshold=float("inf")).strength == 0.0
