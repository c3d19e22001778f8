from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from backtest_world import DATA, DAY, make_frame
from ratchet.backtest.settings import Pace, parse_period, read_duration, read_policies
from ratchet.backtest.stream import make_stream
from ratchet.errors import ConfigError, DataError, UsageError
from ratchet.gates.settings import GatesSettings

FRAME = make_frame([0.0] * 20, rows=100)


def test_periods_are_cut_at_midnight() -> None:
    stream = make_stream(FRAME, DATA, Pace(DAY, DAY))
    assert stream.periods == 20
    assert stream.ends[0] == datetime(2026, 1, 2, tzinfo=UTC)
    assert np.diff(stream.bounds).tolist() == [100] * 20
    assert stream.rows_of(3) == slice(300, 400)


@pytest.mark.parametrize(("delay", "known"), [(0, 1000), (1, 901), (2.5, 751), (30, 0)])
def test_a_label_counts_from_its_delay_on(delay: float, known: int) -> None:
    stream = make_stream(FRAME, DATA, Pace(DAY, DAY))
    late = make_stream(FRAME, DATA, Pace(DAY, timedelta(days=min(delay, 2.5)), 0.2))
    if delay <= 2.5:
        assert late.known(9) == known
    else:
        with pytest.raises(DataError, match="periods are left"):
            make_stream(FRAME, DATA, Pace(DAY, timedelta(days=delay)))
    assert stream.known(9) == 901


def test_the_first_model_is_made_of_the_first_share() -> None:
    stream = make_stream(FRAME, DATA, Pace(DAY, DAY, 0.2))
    assert stream.known(stream.first) >= 400 > stream.known(stream.first - 1)
    assert stream.served == range(stream.first + 1, 20)
    assert stream.points == range(stream.first, 19)


def test_rows_are_put_in_order() -> None:
    mixed = FRAME.sample(fraction=1.0, shuffle=True, seed=1)
    stream = make_stream(mixed, DATA, Pace(DAY, DAY))
    assert stream.frame.equals(FRAME)


def test_rows_without_a_label_are_left_out_and_told() -> None:
    empty = pl.Series(np.arange(FRAME.height) % 10 == 0)
    holed = FRAME.with_columns(FRAME["y"].set(empty, None))
    stream = make_stream(holed, DATA, Pace(DAY, DAY))
    assert stream.rows == 1800
    assert stream.notes == ("200 rows without a label were left out",)


@pytest.mark.parametrize("text", ["0d", "0", "0rows", "0h", "-1d", "-5rows", "0.0d"])
def test_a_period_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_period(text)
    assert "--period" in refused.value.what
    assert "500rows" in refused.value.fix


def test_periods_of_rows_need_no_time() -> None:
    untimed = DATA.model_copy(update={"time": None, "exclude": ("at",)})
    stream = make_stream(FRAME, untimed, Pace(150, DAY))
    assert stream.periods == 13
    assert np.diff(stream.bounds).tolist() == [150] * 12 + [200]
    assert "__order" not in stream.roles.features(stream.schema)
    assert 150 * 5 - 150 <= stream.known(4) <= 150 * 5 - 148  # a day is 150 rows
    with pytest.raises(DataError, match="column that says when"):
        make_stream(FRAME, untimed, Pace(DAY, DAY))


def test_a_period_is_chosen_where_none_is_given() -> None:
    assert make_stream(make_frame([0.0] * 30, rows=300), DATA, Pace()).period == "1 day"
    assert make_stream(make_frame([0.0] * 60, rows=100), DATA, Pace()).period == "2 days"


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (FRAME.head(0), "no rows"),
        (FRAME.head(500), "periods are left"),
        (FRAME.with_columns(at=pl.lit(None, pl.Datetime("us"))), "is missing in 2,000"),
        (FRAME.with_columns(at=pl.lit("soon")), "is no date"),
        (FRAME.drop("at"), 'no column "at"'),
    ],
)
def test_rows_that_cannot_be_replayed(frame: pl.DataFrame, said: str) -> None:
    with pytest.raises(DataError, match=said):
        make_stream(frame, DATA, Pace(DAY, DAY))


def test_periods_as_they_are_written() -> None:
    assert parse_period("7d") == timedelta(days=7)
    assert parse_period("500") == parse_period("500rows") == parse_period("500 rows") == 500
    assert read_duration("0d", "--delay", "14d") == timedelta(0)
    for wrong in ("soon", "0rows", "-3"):
        with pytest.raises(UsageError):
            parse_period(wrong)


def test_policy_files(tmp_path) -> None:
    gates = GatesSettings.model_validate({"champion": {"margin": 0.01}})
    one, two = tmp_path / "eager.yaml", tmp_path / "calm.yaml"
    one.write_text("triggers:\n  new_rows: 500\n", encoding="utf-8")
    two.write_text(
        "name: quiet\ntriggers: {max_age: null}\ngates: {champion: {margin: 0.005}}\n",
        encoding="utf-8",
    )
    eager, quiet = read_policies([one, two], gates)
    assert (eager.name, eager.triggers.new_rows, eager.gates) == ("eager", 500, gates)
    assert (quiet.name, quiet.gates.champion.margin) == ("quiet", 0.005)
    with pytest.raises(UsageError, match="Two policies"):
        read_policies([one, one], gates)
    with pytest.raises(UsageError, match="no policy file"):
        read_policies([tmp_path / "none.yaml"], gates)
    one.write_text("triggers:\n  new_row: 500\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="new_row"):
        read_policies([one], gates)
