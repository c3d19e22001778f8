"""Split, sample, duplicates: what a user can rely on, on small tables."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from ratchet.data.duplicates import drop_duplicates, repeated_rows
from ratchet.data.roles import Roles
from ratchet.data.sampling import sample_rows
from ratchet.data.settings import SplitSettings
from ratchet.data.split import assign, choose_method
from ratchet.data.split_report import SplitReport, report_split
from ratchet.data.task import Task
from ratchet.errors import DataError

TASK = Task("binary", ("No", "Yes"))


def table(n: int, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "id": [f"c{i}" for i in range(n)],
            "a": rng.normal(size=n),
            "day": [
                dt.date(2024, 1, 1) + dt.timedelta(days=int(d)) for d in rng.integers(0, 100, n)
            ],
            "shop": rng.integers(0, 60, n),
            "y": np.where(rng.random(n) < 0.25, "Yes", "No"),
        }
    )


def test_auto_takes_time_then_group_then_id() -> None:
    auto = SplitSettings()
    assert choose_method(auto, Roles("y", id="id", time="day", group="shop")) == "time"
    assert choose_method(auto, Roles("y", id="id", group="shop")) == "group"
    assert choose_method(auto, Roles("y", id="id")) == "hash"
    assert choose_method(auto, Roles("y")) == "stratified"
    assert choose_method(SplitSettings(by="stratified"), Roles("y", time="day")) == "stratified"


def test_stratified_is_exact_in_every_class() -> None:
    frame = table(1000)
    settings = SplitSettings(test=0.2, validation=0.1)
    roles = Roles("y", exclude=("id",))
    parts = assign(frame, roles, settings, TASK)
    assert parts.name == "__part"
    assert parts.dtype == pl.UInt8
    for label in TASK.classes:
        rows = parts.filter(frame["y"] == label)
        assert (rows == 2).sum() == round(0.2 * rows.len())
        assert (rows >= 1).sum() == round(0.3 * rows.len())


def test_rare_classes_are_seen_in_training() -> None:
    frame = pl.DataFrame({"a": range(104), "y": ["a"] * 100 + ["b"] * 3 + ["c"]})
    task = Task("multiclass", ("a", "b", "c"))
    for seed in range(20):
        parts = assign(frame, Roles("y"), SplitSettings(test=0.6, validation=0.3, seed=seed), task)
        train = frame.filter(parts == 0)["y"].unique().to_list()
        assert set(train) == {"a", "b", "c"}


def test_equal_features_stay_together_even_with_other_labels() -> None:
    frame = pl.DataFrame({"a": [i // 4 for i in range(400)], "y": ["Yes", "No", "No", "No"] * 100})
    parts = assign(frame, Roles("y"), SplitSettings(), TASK)
    sides = frame.with_columns(parts).group_by("a").agg(pl.col("__part").n_unique())
    assert sides["__part"].max() == 1
    assert 0.15 < (parts == 2).mean() < 0.25  # type: ignore[operator]


def test_time_puts_the_newest_last_and_never_cuts_a_moment() -> None:
    frame = table(1000)
    parts = assign(frame, Roles("y", time="day"), SplitSettings(validation=0.1), TASK)
    days = [frame.filter(parts == part)["day"] for part in range(3)]
    assert days[0].max() < days[1].min()  # type: ignore[operator]
    assert days[1].max() < days[2].min()  # type: ignore[operator]
    assert abs((parts == 2).mean() - 0.2) < 0.02  # type: ignore[operator]
    report = report_split(frame, parts, Roles("y", time="day"), SplitSettings(), TASK)
    assert dict(report.boundaries) == {
        "validation": str(days[1].min()),
        "test": str(days[2].min()),
    }


def test_time_may_be_a_number() -> None:
    frame = pl.DataFrame({"week": [3, 1, 2, 4, 5], "y": ["No", "Yes", "No", "Yes", "No"]})
    parts = assign(frame, Roles("y", time="week"), SplitSettings(), TASK)
    assert parts.to_list() == [0, 0, 0, 0, 2]


def test_a_crowd_at_the_newest_moment_is_all_test() -> None:
    frame = pl.DataFrame({"day": [1] * 6 + [2] * 4, "y": ["No", "Yes"] * 5})
    parts = assign(frame, Roles("y", time="day"), SplitSettings(test=0.1), TASK)
    assert parts.to_list() == [0] * 6 + [2] * 4


@pytest.mark.parametrize(
    ("frame", "roles", "by", "code"),
    [
        (pl.DataFrame({"t": [1, None], "y": ["a", "b"]}), {"time": "t"}, "time", "time_missing"),
        (pl.DataFrame({"t": ["1", "2"], "y": ["a", "b"]}), {"time": "t"}, "time", "time_kind"),
        (pl.DataFrame({"t": [1, 1], "y": ["a", "b"]}), {"time": "t"}, "time", "split_impossible"),
        (pl.DataFrame({"g": [1, None], "y": ["a", "b"]}), {"group": "g"}, "group", "group_missing"),
        (pl.DataFrame({"g": [1, 1], "y": ["a", "b"]}), {"group": "g"}, "group", "split_impossible"),
        (
            pl.DataFrame({"a": [1] * 9, "y": ["No", "Yes", "No"] * 3}),
            {},
            "auto",
            "split_impossible",
        ),
        (pl.DataFrame({"id": [1, 2], "y": ["a", "b"]}), {"id": "id"}, "hash", "split_impossible"),
        (pl.DataFrame({"a": [1, 2, 3], "y": ["No", None, "Yes"]}), {}, "auto", "target_missing"),
    ],
)
def test_splits_that_cannot_be_made(
    frame: pl.DataFrame, roles: dict[str, str], by: str, code: str
) -> None:
    settings = SplitSettings.model_validate({"by": by})
    with pytest.raises(DataError) as caught:
        assign(frame, Roles("y", **roles), settings, TASK)
    assert caught.value.name == code
    assert caught.value.fix


def test_rows_without_an_id_go_by_their_content() -> None:
    frame = table(400).with_columns(id=pl.lit(None, dtype=pl.String))
    parts = assign(frame, Roles("y", id="id"), SplitSettings(), TASK)
    assert 40 < (parts == 2).sum() < 120


def test_regression_is_split_without_classes() -> None:
    frame = table(500).with_columns(y=pl.col("a"))
    roles, task = Roles("y", exclude=("id",)), Task("regression", ())
    parts = assign(frame, roles, SplitSettings(), task)
    assert (parts == 2).sum() == 100
    assert report_split(frame, parts, roles, SplitSettings(), task).classes == ()


def test_the_report_adds_up_and_survives_json() -> None:
    frame = table(1000)
    roles = Roles("y", id="id")
    parts = assign(frame, roles, SplitSettings(), TASK)
    report = report_split(frame, parts, roles, SplitSettings(), TASK)
    assert report.method == "hash"
    assert sum(dict(report.rows).values()) == 1000
    for part, shares in report.classes:
        code = ("train", "validation", "test").index(part)
        share = (frame.filter(parts == code)["y"] == "Yes").mean()
        assert dict(shares)["Yes"] == pytest.approx(share)
        assert sum(dict(shares).values()) == pytest.approx(1)
    assert SplitReport.from_json(report.to_json()) == report


def test_the_split_is_the_same_forever() -> None:
    """A changed hash would move rows between training and test for everybody."""
    frame = pl.DataFrame({"id": [f"c{i}" for i in range(20)], "y": ["No", "Yes"] * 10})
    parts = assign(frame, Roles("y", id="id"), SplitSettings(), TASK)
    assert parts.to_list() == PINNED


PINNED = [0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0]


def test_a_sample_is_stable_nested_and_independent_of_the_split() -> None:
    frame, roles = table(4000), Roles("y", id="id")
    small, large = (sample_rows(frame, share, roles, 42) for share in (0.2, 0.5))
    assert set(small["id"]) < set(large["id"])
    assert abs(small.height - 800) < 80
    assert (
        sample_rows(frame.reverse(), 0.2, roles, 42)["id"].to_list() == small["id"].to_list()[::-1]
    )
    assert sample_rows(frame, 1.0, roles, 42) is frame
    assert set(sample_rows(frame, 0.2, roles, 1)["id"]) != set(small["id"])
    test_share = (assign(small, roles, SplitSettings(), TASK) == 2).mean()
    assert abs(test_share - 0.2) < 0.06  # type: ignore[operator]
    no_id = sample_rows(frame, 0.2, Roles("y"), 42)
    assert abs(no_id.height - 800) < 80


def test_duplicates_keep_the_first() -> None:
    frame = pl.DataFrame(
        {"a": [1, 2, 1, None, 2, None], "b": ["x", "y", "x", None, "z", None]}, strict=False
    )
    assert repeated_rows(frame).to_list() == [False, False, True, False, False, True]
    kept, count = drop_duplicates(frame)
    assert count == 2
    assert kept.rows() == [(1, "x"), (2, "y"), (None, None), (2, "z")]
    again, none = drop_duplicates(kept)
    assert none == 0
    assert again is kept


NUMBERS = Task("regression", ())


def prices(n: int) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    return table(n).with_columns(y=pl.Series(np.exp(rng.normal(size=n))))


def test_numbers_are_divided_tenth_by_tenth() -> None:
    """Each part has its share of the largest targets, which a plain draw may miss."""
    frame = prices(1000)
    roles = Roles("y", exclude=("id",))
    for seed in range(10):
        parts = assign(frame, roles, SplitSettings(seed=seed), NUMBERS)
        assert abs((parts == 2).sum() - 200) <= 5
        order = frame["y"].rank("ordinal").to_numpy() - 1
        tenths = np.bincount((order // 100).astype(int)[parts.to_numpy() == 2])
        assert (abs(tenths - 20) <= 1).all()


def test_numbers_that_repeat_or_are_few_are_divided_too() -> None:
    mostly_zero = prices(400).with_columns(y=pl.when(pl.col("y") < 1.5).then(0.0).otherwise("y"))
    parts = assign(mostly_zero, Roles("y", exclude=("id",)), SplitSettings(), NUMBERS)
    assert abs((parts == 2).sum() - 80) <= 3
    above = parts.filter(mostly_zero["y"] > 0)
    assert abs((above == 2).mean() - 0.2) < 0.05  # type: ignore[operator]
    few = assign(prices(10), Roles("y", exclude=("id",)), SplitSettings(), NUMBERS)
    assert sorted(few.unique()) == [0, 2]
    alike = prices(50).with_columns(y=pl.lit(1.0))
    assert (assign(alike, Roles("y", exclude=("id",)), SplitSettings(), NUMBERS) == 2).sum() == 10


def test_the_report_of_numbers_says_where_they_lie() -> None:
    frame = prices(500)
    settings = SplitSettings(validation=0.1)
    parts = assign(frame, Roles("y", time="day"), settings, NUMBERS)
    report = report_split(frame, parts, Roles("y", time="day"), settings, NUMBERS)
    assert report.classes == ()
    told = {part: dict(found) for part, found in report.target}
    assert list(told) == ["train", "validation", "test"]
    test = frame.filter(parts == 2)["y"]
    assert told["test"]["mean"] == pytest.approx(test.mean())
    assert told["test"]["std"] == pytest.approx(test.std(ddof=0))
    assert told["test"]["median"] == pytest.approx(test.median())
    assert (told["test"]["min"], told["test"]["max"]) == (test.min(), test.max())
    assert SplitReport.from_json(report.to_json()) == report
    assert report.trained_until == str(frame.filter(parts != 2)["day"].max())


def test_a_report_of_an_older_release_is_read() -> None:
    raw = {"method": "hash", "seed": 1, "rows": {"train": 8}, "classes": {}, "boundaries": {}}
    assert SplitReport.from_json(raw).trained_until is None


def test_until_when_training_rows_go_is_said_whatever_divides() -> None:
    frame = table(300)
    roles = Roles("y", id="id", time="day")
    settings = SplitSettings(by="hash", validation=0.1)
    parts = assign(frame, roles, settings, TASK)
    report = report_split(frame, parts, roles, settings, TASK)
    assert report.trained_until == str(frame.filter(parts != 2)["day"].max())
    assert report.boundaries == ()
    without = report_split(frame, parts, Roles("y", id="id"), settings, TASK)
    assert without.trained_until is None


def parted(values: list[object]) -> pl.DataFrame:
    return pl.DataFrame({"x": range(len(values)), "part": values, "y": ["No", "Yes"] * 3})


def test_a_column_may_say_each_rows_part() -> None:
    frame = parted(["train", " Train", "TEST", "validation", "test", "train"])
    settings = SplitSettings(column="part", validation=0.3)
    assert choose_method(settings, Roles("y", id="id", time="day")) == "column"
    parts = assign(frame, Roles("y", exclude=("part",)), settings, TASK)
    assert parts.to_list() == [0, 0, 2, 1, 2, 0]
    # A share for validation is no promise that a column would have to keep.
    frame = parted(["train"] * 4 + ["test"] * 2)
    assert assign(frame, Roles("y"), settings, TASK).to_list() == [0, 0, 0, 0, 2, 2]


@pytest.mark.parametrize(
    ("values", "code", "said"),
    [
        (
            ["train", "test", "dev", "train", None, "test"],
            "split_unknown",
            'in 2 rows: nothing, "d',
        ),
        (["train"] * 6, "split_impossible", "no row for test"),
        (["test"] * 6, "split_impossible", "no row for train"),
        ([1, 2, 1, 2, 1, 2], "split_unknown", "in 6 rows"),
    ],
)
def test_a_column_that_names_no_part_is_refused(values: list[object], code: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        assign(parted(values), Roles("y"), SplitSettings(column="part"), TASK)
    assert caught.value.name == code
    assert said in str(caught.value)


def test_a_split_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(DataError, match="no column"):
        assign(table(10), Roles("y"), SplitSettings(column="part"), TASK)
