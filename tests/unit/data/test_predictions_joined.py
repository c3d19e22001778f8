from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from ratchet.data.lake import Lake
from ratchet.data.predictions.coverage import label_coverage
from ratchet.data.predictions.joined import features_frame, joined
from ratchet.data.predictions.upkeep import merge_small_files
from ratchet.data.schema import TableSchema
from ratchet.errors import DataError, StorageError
from served_rows import at, labelled, put, served


def outcomes_of(frame: pl.LazyFrame) -> dict[str, str | None]:
    return dict(frame.select("prediction_id", "outcome").collect().iter_rows())


def test_a_prediction_has_what_became_of_it(tmp_path: Path) -> None:
    lake = put(tmp_path, [served("a"), served("b", 1, label="no"), labelled("a", "yes", 5)])
    frame = joined(lake).sort("prediction_id").collect()
    assert frame["outcome"].to_list() == ['"yes"', None]
    assert frame["observed"].to_list() == [at(5), None]
    assert frame["delay"].to_list() == [timedelta(hours=5), None]
    assert frame["label"].to_list() == ['"yes"', '"no"']
    assert frame["scores"][0].to_list() == [0.3, 0.7]
    assert frame.columns[:4] == ["prediction_id", "at", "version", "arm"]


def test_a_lake_without_predictions_has_no_rows(tmp_path: Path) -> None:
    frame = joined(Lake(str(tmp_path / "none"))).collect()
    assert frame.height == 0
    assert {"prediction_id", "outcome", "observed", "delay"} <= set(frame.columns)


def test_what_was_observed_later_is_not_known_yet(tmp_path: Path) -> None:
    lake = put(tmp_path, [served("a"), labelled("a", 1, 50, observed=10), served("b", 20)])
    assert outcomes_of(joined(lake, as_of=at(9.99))) == {"a": None}
    assert outcomes_of(joined(lake, as_of=at(10))) == {"a": "1"}
    assert outcomes_of(joined(lake, as_of=at(20))) == {"a": "1", "b": None}


def test_a_moment_without_a_zone_is_utc(tmp_path: Path) -> None:
    lake = put(tmp_path, [served("a"), labelled("a", 1, 2)])
    assert outcomes_of(joined(lake, as_of=datetime(2026, 11, 1, 14))) == {"a": "1"}
    assert outcomes_of(joined(lake, as_of=datetime(2026, 11, 1, 13, 59))) == {"a": None}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([("x", 1, None), ("y", 2, None)], "y"),
        ([("x", 1, 8), ("y", 2, 3)], "x"),  # x became known last
        ([("x", 1, 3), ("y", 2, 3)], "y"),  # the same moment: accepted last
        ([("x", 1, None), ("y", 2, None), ("x", 3, None)], "x"),  # and back again
    ],
)
def test_the_label_that_became_known_last_wins(
    tmp_path: Path, said: list[tuple[str, float, float | None]], expected: str
) -> None:
    rows = [labelled("a", label, hours, observed=seen) for label, hours, seen in said]
    for order, name in ((rows, "straight"), (rows[::-1], "backward")):
        lake = put(tmp_path / name, [served("a"), *order])
        assert outcomes_of(joined(lake)) == {"a": f'"{expected}"'}


def test_a_key_sent_again_is_the_same_feedback(tmp_path: Path) -> None:
    lake = put(
        tmp_path,
        [
            served("a"),
            labelled("a", "x", 1, key="k"),
            labelled("a", "y", 2, key="k"),
            served("b"),
            # The server's own key is the same for the same words: back to x is no repetition.
            labelled("b", "x", 1, key="kx"),
            labelled("b", "y", 2, key="ky"),
            labelled("b", "x", 3, key="kx"),
        ],
    )
    assert outcomes_of(joined(lake)) == {"a": '"x"', "b": '"x"'}


def test_saying_it_again_does_not_make_it_later(tmp_path: Path) -> None:
    said = [labelled("a", "x", hours) for hours in (3, 30, 60)]
    lake = put(tmp_path, [served("a"), *said])
    assert joined(lake).collect()["delay"].to_list() == [timedelta(hours=3)]


def test_feedback_by_entity_means_the_newest_prediction_at_or_before_its_time(
    tmp_path: Path,
) -> None:
    predictions = [served(f"p{hours}", hours, entity="C1") for hours in (0, 10, 20)]
    lake = put(
        tmp_path,
        [
            *predictions,
            served("other", 12, entity="C2"),
            labelled(None, 1, 90, entity="C1", time=10),
            labelled(None, 2, 91, entity="C1", time=19.9),
            labelled(None, 3, 92, entity="C1", time=25),
            labelled(None, 4, 93, entity="C1", time=-1),
            labelled(None, 5, 15, entity="C2"),
        ],
    )
    assert outcomes_of(joined(lake)) == {"p0": None, "p10": "2", "p20": "3", "other": "5"}
    coverage = label_coverage(lake, as_of=at(100))
    assert coverage.unmatched == 1
    assert coverage.examples[0].label == "4"


def test_a_prediction_after_the_feedback_cannot_be_meant(tmp_path: Path) -> None:
    lake = put(
        tmp_path,
        [
            served("old", 0, entity="C"),
            served("new", 10, entity="C"),
            labelled(None, "x", 5, entity="C", time=20),
        ],
    )
    assert outcomes_of(joined(lake, as_of=at(6))) == {"old": '"x"'}
    assert outcomes_of(joined(lake)) == {"old": '"x"', "new": None}


def test_a_shadow_has_the_outcome_of_what_it_shadows(tmp_path: Path) -> None:
    lake = put(
        tmp_path,
        [
            served("a", 0, entity="C"),
            served("s", 1, arm="shadow", version=2, of="a", entity="C"),
            labelled(None, "no", 9, entity="C", time=2),
        ],
    )
    assert outcomes_of(joined(lake)) == {"a": '"no"', "s": '"no"'}
    assert outcomes_of(joined(lake, arm="shadow")) == {"s": '"no"'}
    assert outcomes_of(joined(lake, version=1)) == {"a": '"no"'}
    assert label_coverage(lake, as_of=at(100)).days[0].predictions == 1


def test_a_span_of_time_reads_only_the_files_of_its_days(tmp_path: Path) -> None:
    rows = [served(f"p{day}", day * 24) for day in range(6)]
    lake = put(tmp_path, rows)
    for other in (tmp_path / "predictions").glob("day=2026-11-0[12]/*.parquet"):
        other.unlink()
    found = joined(lake, since=at(48), as_of=at(96)).collect()["prediction_id"].to_list()
    assert sorted(found) == ["p2", "p3", "p4"]


def test_a_missing_file_is_a_damaged_lake(tmp_path: Path) -> None:
    lake = put(tmp_path, [served("a")])
    next((tmp_path / "predictions").glob("*/*.parquet")).unlink()
    with pytest.raises(StorageError) as caught:
        joined(lake)
    assert caught.value.name == "lake_damaged"


def test_merged_files_hold_the_same_rows(tmp_path: Path) -> None:
    for number in range(33):
        lake = put(tmp_path, [served(f"p{number}", number / 10), labelled(f"p{number}", 1, 11)])
    before = joined(lake).sort("prediction_id").collect()
    assert merge_small_files(lake.place("predictions")) == 1
    assert merge_small_files(lake.place("feedback")) == 1
    assert joined(lake).sort("prediction_id").collect().equals(before)
    assert joined(lake, since=at(3), as_of=at(3.1)).collect().height == 2


def test_a_folder_with_a_blank_in_its_name(tmp_path: Path) -> None:
    lake = put(tmp_path / "my lake ö", [served("a"), labelled("a", 1, 1)])
    assert outcomes_of(joined(lake)) == {"a": "1"}


SCHEMA = TableSchema.of(
    {
        "n": "number", "i": "integer", "s": "string", "b": "boolean", "d": "date",
        "t": "datetime", "gone": "number",
    }
)  # fmt: skip


def test_served_values_become_typed_columns(tmp_path: Path) -> None:
    whole = {"n": 1, "i": 3.0, "s": 'ö "q"', "b": True, "d": "2026-11-21", "extra": [1]}
    other = {"n": 0.1, "i": 2**60 + 1, "s": "", "b": None, "d": "2026-11-21T23:59:00"}
    moments = {"t": "2026-11-21T02:49+01:00", "i": None}
    lake = put(
        tmp_path,
        [
            served("a", features=whole | {"t": "2026-11-21T02:49:00.5"}),
            served("b", features=other | {"t": "2026-11-21T02:49:00Z"}),
            served("c", features=moments),
        ],
    )
    frame = features_frame(joined(lake).sort("prediction_id").collect(), SCHEMA)
    assert frame.schema == SCHEMA.polars()
    assert frame["n"].to_list() == [1.0, 0.1, None]
    assert frame["i"].to_list() == [3, 2**60 + 1, None]
    assert frame["s"].to_list() == ['ö "q"', "", None]
    assert frame["b"].to_list() == [True, None, None]
    assert frame["d"].to_list() == [date(2026, 11, 21)] * 2 + [None]
    assert frame["t"].to_list() == [
        datetime(2026, 11, 21, 2, 49, 0, 500_000),
        datetime(2026, 11, 21, 2, 49),
        datetime(2026, 11, 21, 1, 49),
    ]
    assert frame["gone"].null_count() == 3


@pytest.mark.parametrize(
    ("column", "value"), [("n", "x"), ("i", 1.5), ("i", 2**64), ("b", "maybe"), ("d", "soon")]
)
def test_a_value_of_another_kind_is_no_silent_null(
    tmp_path: Path, column: str, value: object
) -> None:
    lake = put(tmp_path, [served("a"), served("bad", features={column: value})])
    with pytest.raises(DataError, match=f'"{column}".*bad') as caught:
        features_frame(joined(lake).sort("prediction_id").collect(), SCHEMA)
    assert caught.value.name == "type_mismatch"


def test_coverage_and_delay_by_day(tmp_path: Path) -> None:
    predictions = [served(f"d{day}-{n}", 24 * day + n / 10) for day in range(3) for n in range(10)]
    late = [labelled(f"d0-{n}", 1, 1 + n / 10 + n) for n in range(10)]
    some = [labelled(f"d1-{n}", 1, 26 + n / 10) for n in range(4)]
    lake = put(tmp_path, [*predictions, *late, *some, labelled("nobody", 1, 3)])
    found = label_coverage(lake, as_of=at(100))
    assert [(day.day.day, day.predictions, day.labelled) for day in found.days] == [
        (1, 10, 10), (2, 10, 4), (3, 10, 0),
    ]  # fmt: skip
    assert [day.coverage for day in found.days] == [1.0, 0.4, 0.0]
    assert found.days[0].delay == pytest.approx(5.5 * 3600)
    assert found.days[0].slow == pytest.approx(9 * 3600, abs=3601)
    assert found.days[1].delay == pytest.approx(2 * 3600)
    assert found.days[2].delay is None
    assert (found.unmatched, found.examples[0].prediction) == (1, "nobody")
    early = label_coverage(lake, as_of=at(26.05), since=datetime(2026, 11, 2, tzinfo=UTC))
    assert [(day.predictions, day.labelled) for day in early.days] == [(10, 1)]
