"""The drift page: everything it has to say, and nothing of the data as markup."""

import numpy as np
import polars as pl
import pytest

from html_reader import Page
from ratchet.data.schema import kind_of
from ratchet.monitoring.drift import DriftRules, Thresholds, compare_frames, score_window
from ratchet.monitoring.multivariate import ToldApart
from ratchet.monitoring.pictures import (
    LevelPicture,
    NumberPicture,
    picture_between,
    picture_of,
)
from ratchet.monitoring.profile import answer_columns, build_profile
from ratchet.pipeline.report.drift import DriftPage, render_drift

ROWS = 2_000
EVIL = "<script>alert(1)</script>"


def frame(shift, seed=0):
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "spend": np.exp(rng.normal(shift, 3, ROWS)),
            "age": rng.integers(18, 80, ROWS) + int(10 * shift),
            "stars": rng.integers(1, 6, ROWS),
            EVIL: rng.choice(["a", "b", EVIL] if shift else ["a", "b"], ROWS),
            "gone": pl.Series(rng.normal(size=ROWS)).clip(0),
            "day": pl.Series(np.arange(ROWS)).cast(pl.Date),
        }
    )


def page_of(before, after, **given):
    report = compare_frames(before, after)
    pictures = {
        column.column: picture_between(
            column.column, column.kind, before[column.column], after[column.column]
        )
        for column in report.columns
    }
    return render_drift(DriftPage(report, pictures, "old.csv", "new.csv", **given))


@pytest.fixture(scope="module")
def source():
    told = ToldApart(0.81, 0.79, 0.83, True, (("spend", 0.7), (EVIL, 0.3)), (ROWS, ROWS))
    return page_of(frame(0), frame(1, seed=1), told=told)


def test_the_page_is_whole_and_needs_nothing_else(source):
    page = Page(source)
    assert len(page.values("id")) == len(set(page.values("id")))
    assert page.names.count("figure") == 6
    assert "script" not in page.names
    for attribute in ("src", "href"):
        assert all(value.startswith("#") for value in page.values(attribute))
    assert "prefers-color-scheme:dark" in source


def test_text_of_the_data_is_text(source):
    page = Page(source)
    assert EVIL not in source
    assert EVIL in page.text


def test_the_page_says_what_drifted_and_how_far(source):
    text = Page(source).text
    report = compare_frames(frame(0), frame(1, seed=1))
    moved = sum(column.drifted for column in report.columns)
    assert f"{moved} columns no longer look like the reference" in text
    assert f"{moved} of 5" in text
    assert "Time moves on by itself" in text
    assert "not calibrated" in text
    assert "AUC 0.810 (0.790 to 0.830)" in text
    assert f"{report['age'].ks.value:.3f}" in text


def test_a_quiet_page_says_so():
    text = Page(page_of(frame(0), frame(0))).text
    assert "The new rows look like the reference" in text
    assert "No drift" in text


def test_a_page_from_a_profile_tells_scores_importance_and_past_windows():
    before, after = frame(0).drop("day"), frame(1, seed=1).drop("day", "gone")
    kinds = {name: kind_of(dtype) for name, dtype in before.schema.items()}
    scores = np.random.default_rng(0).dirichlet([1, 1, 1], ROWS)
    answers = answer_columns(("x", "y", "z"), scores, ["x"] * ROWS)
    profile = build_profile(before, kinds, answers=answers, importance={"age": 3.0, "spend": 1.0})
    window = profile.window()
    window.fold(after.with_columns(**answers))
    rules = DriftRules(thresholds=Thresholds({"age": 0.06}, windows=12))
    report = score_window(profile, window, rules)
    pictures = {name: picture_of(profile, window, name) for name in profile.columns}
    known = {name: picture for name, picture in pictures.items() if picture is not None}
    text = Page(render_drift(DriftPage(report, known, "version 3", "last week"))).text
    assert "Score of x" in text
    assert "Decided class" in text
    assert "Importance" in text
    assert "limit 0.060 from past windows" in text
    assert "Not in the new rows: gone" in text
    assert "1 of " in text


def test_pictures_hold_all_rows():
    before, after = frame(0), frame(1, seed=1)
    for name in before.columns:
        kind = kind_of(before[name].dtype)
        picture = picture_between(name, kind, before[name], after[name])
        for shares, beyond in ((picture.before, 0), (picture.after, 1)):
            outside = picture.beyond[beyond] if isinstance(picture, NumberPicture) else 0.0
            assert sum(shares) + outside == pytest.approx(1.0)
            assert outside < 0.02


def test_pictures_are_of_the_kind_that_fits():
    before, after = frame(0), frame(1, seed=1)
    pictures = {
        name: picture_between(name, kind_of(before[name].dtype), before[name], after[name])
        for name in before.columns
    }
    assert pictures["spend"].log
    assert isinstance(pictures["stars"], LevelPicture)
    assert pictures["stars"].names == ("1", "2", "3", "4", "5")
    assert pictures["stars"].ordered
    assert not pictures["age"].log
    # Whole numbers: every bar holds as many of them.
    assert set(np.diff(pictures["age"].edges)) == {2.0}
    assert EVIL in pictures[EVIL].names


def test_one_corrupt_value_does_not_hide_the_others():
    values = np.random.default_rng(0).normal(size=ROWS)
    broken = values.copy()
    broken[0] = 1e12
    column = pl.Series("x", values)
    profile = build_profile(column.to_frame(), {"x": "number"})
    window = profile.window()
    window.fold(pl.DataFrame({"x": broken}))
    for picture in (
        picture_of(profile, window, "x"),
        picture_between("x", "number", column, pl.Series("x", broken)),
    ):
        assert picture.edges[-1] < 10


def test_a_side_without_values_has_no_picture_of_numbers():
    empty = pl.Series("x", [None, None], dtype=pl.Float64)
    full = pl.Series("x", [1.0, 2.0])
    assert picture_between("x", "number", empty, full) is None
    levels = picture_between(
        "x", "string", pl.Series("x", ["a", None]), pl.Series("x", [None, None], dtype=pl.String)
    )
    assert levels.names == ("a", "(missing)")
    assert levels.after == (0.0, 1.0)
