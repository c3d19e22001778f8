"""Windows in the lake: every prediction is counted once, whatever happens in between."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from ratchet.data.lake import Lake
from ratchet.data.predictions.upkeep import merge_small_files
from ratchet.errors import ConflictError
from ratchet.monitoring import counting
from ratchet.monitoring.counting import CROWDED, fold_new
from ratchet.monitoring.profile import LABEL, SCORE, Profile, Window, answer_columns, build_profile
from ratchet.monitoring.windows import TABLE, counted_rows, window_of, window_sums
from served_rows import START, at, put, served

NUMBERS = [float(n % 17) for n in range(400)]
LEVELS = ["x" if n % 3 else "y" for n in range(400)]


@pytest.fixture(scope="module")
def profile() -> Profile:
    frame = pl.DataFrame({"n": NUMBERS, "k": LEVELS})
    scores = pl.Series(NUMBERS).to_numpy() / 20
    both = pl.DataFrame([1 - scores, scores]).to_numpy()
    labels = ["yes" if s > 0.4 else "no" for s in scores]
    answers = answer_columns(("no", "yes"), both, labels)
    return build_profile(frame, {"n": "number", "k": "string"}, answers=answers)


def some(first: int, rows: int, hours: float, **more: Any) -> list[Any]:
    return [
        served(
            f"p{first + n:05d}",
            hours + n / 1000,
            features={"n": NUMBERS[n % 400], "k": LEVELS[n % 400]},
            **more,
        )
        for n in range(rows)
    ]


def everything(lake: Lake, profile: Profile, **more: Any) -> Window:
    ends = {"since": START - timedelta(days=9), "until": START + timedelta(days=99)}
    return window_of(lake, profile, 1, **ends, **more)


def same(first: Window, second: Window) -> bool:
    return first.rows == second.rows and all(
        (held.counts == second.tallies[name].counts).all()
        and held.missing == second.tallies[name].missing
        for name, held in first.tallies.items()
    )


def test_a_fold_counts_what_is_new_and_nothing_twice(tmp_path: Path, profile: Profile) -> None:
    lake = put(tmp_path, some(0, 60, 0.0))
    assert fold_new(lake, lambda _: profile).rows == 60
    assert fold_new(lake, lambda _: profile).rows == 0
    put(tmp_path, some(60, 40, 1.5))
    put(tmp_path, some(100, 30, -30.0))  # a dead writer's, found days later
    assert fold_new(lake, lambda _: profile).rows == 70
    whole = everything(lake, profile)
    assert whole.rows == 130
    assert all(tally.rows == 130 for tally in whole.tallies.values())
    plain = profile.window()
    plain.fold(
        pl.DataFrame(
            {
                "n": [NUMBERS[n] for size in (60, 40, 30) for n in range(size)],
                "k": [LEVELS[n] for size in (60, 40, 30) for n in range(size)],
                SCORE: [0.7] * 130,
                LABEL: ["yes"] * 130,
            }
        )
    )
    assert same(whole, plain)


def test_merged_files_and_merged_hours_change_no_count(tmp_path: Path, profile: Profile) -> None:
    lake = Lake(str(tmp_path))
    rows = 0
    for batch in range(36):
        put(tmp_path, some(rows, 5, batch * 0.1))
        rows += 5
        if batch % 3:
            assert fold_new(lake, lambda _: profile).rows in (5, 10)
    # The small files of the predictions become one, with rows in it that nobody counted yet.
    put(tmp_path, some(rows, 7, 2.0))
    assert merge_small_files(lake.place("predictions")) == 1
    put(tmp_path, some(rows + 7, 3, 2.1))
    assert fold_new(lake, lambda _: profile).rows == 10
    assert everything(lake, profile).rows == rows + 10
    files = len(DeltaTable(lake.place(TABLE)).file_uris())
    assert files < CROWDED
    assert counted_rows(lake, since=START, until=at(9))["rows"].sum() == rows + 10


def test_a_fold_that_dies_before_its_commit_is_done_by_the_next(
    tmp_path: Path, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = put(tmp_path, some(0, 50, 0.0))
    with monkeypatch.context() as patch:

        def die(*_: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(counting.ServedTable, "append", die)
        with pytest.raises(KeyboardInterrupt):
            fold_new(lake, lambda _: profile)
    assert everything(lake, profile).rows == 0
    assert fold_new(lake, lambda _: profile).rows == 50
    assert everything(lake, profile).rows == 50


def test_of_two_at_once_one_counts(
    tmp_path: Path, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = put(tmp_path, some(0, 50, 0.0))
    fold_new(lake, lambda _: profile)
    put(tmp_path, some(50, 20, 1.0))
    counted = counting._Counting.count
    done = []

    def slow(self: Any, frames: Any) -> Any:
        found = counted(self, frames)
        if not done:
            done.append(1)
            assert fold_new(lake, lambda _: profile).rows == 20  # somebody else meanwhile
        return found

    monkeypatch.setattr(counting._Counting, "count", slow)
    with pytest.raises(ConflictError, match="Somebody else writes"):
        fold_new(lake, lambda _: profile)
    assert everything(lake, profile).rows == 70


def test_a_log_that_was_cleaned_up_has_everything_counted_anew(
    tmp_path: Path, profile: Profile
) -> None:
    lake = put(tmp_path, some(0, 50, 0.0))
    fold_new(lake, lambda _: profile)
    put(tmp_path, some(50, 20, 1.0))
    table = DeltaTable(lake.place("predictions"))
    table.create_checkpoint()
    log = Path(lake.place("predictions")) / "_delta_log"
    (log / f"{0:020d}.json").unlink()
    done = fold_new(lake, lambda _: profile)
    assert (done.rows, done.rebuilt) == (70, True)
    assert everything(lake, profile).rows == 70
    assert fold_new(lake, lambda _: profile).rows == 0


def test_windows_are_kept_by_version_arm_and_hour(tmp_path: Path, profile: Profile) -> None:
    rows = [*some(0, 30, 0.0), *some(30, 20, 1.0, arm="challenger"), *some(50, 10, 2.0, version=2)]
    lake = put(tmp_path, rows)
    fold_new(lake, lambda version: profile if version == 1 else None)
    assert everything(lake, profile, arms=["challenger"]).rows == 20
    first, second = window_sums(lake, profile, 1, [(at(0), at(1)), (at(1), at(2))])
    assert (first.rows, second.rows) == (30, 20)
    # A version without a profile has its rows counted, and no window.
    told = counted_rows(lake, since=START, until=at(5))
    assert told.rows() == [
        (1, "challenger", 20, at(1), at(1.019)),
        (1, "champion", 30, at(0), at(0.029)),
        (2, "champion", 10, at(2), at(2.009)),
    ]


def test_nothing_answered_later_is_in_a_window(tmp_path: Path, profile: Profile) -> None:
    lake = put(tmp_path, [*some(0, 30, 0.0), *some(30, 20, 1.0)])
    fold_new(lake, lambda _: profile)
    ends = {"since": START}
    assert window_of(lake, profile, 1, until=at(1.019), **ends).rows == 50
    assert window_of(lake, profile, 1, until=at(1.01), **ends).rows == 30
    assert window_of(lake, profile, 1, until=at(0.01), **ends).rows == 0


def test_columns_that_are_not_logged_are_left_out(tmp_path: Path, profile: Profile) -> None:
    lake = put(tmp_path, some(0, 40, 0.0))
    fold_new(lake, lambda _: profile, unlogged=["k"])
    found = everything(lake, profile)
    assert found.tallies["k"].rows == 0
    assert found.tallies["n"].rows == 40


def test_windows_of_another_table_are_replaced(tmp_path: Path, profile: Profile) -> None:
    lake = put(tmp_path, some(0, 50, 0.0))
    fold_new(lake, lambda _: profile)
    shutil.rmtree(lake.place("predictions"))  # somebody restored the lake from elsewhere
    put(tmp_path, some(0, 20, 0.0))
    done = fold_new(lake, lambda _: profile)
    assert (done.rows, done.rebuilt) == (20, True)
    assert everything(lake, profile).rows == 20
