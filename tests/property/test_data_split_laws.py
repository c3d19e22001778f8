"""Laws of the split: a partition, no leak, stable, of the asked size."""

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ratchet.data.duplicates import drop_duplicates
from ratchet.data.roles import Roles
from ratchet.data.settings import SplitSettings
from ratchet.data.split import assign
from ratchet.data.task import Task
from ratchet.errors import DataError

ROLES: dict[str, Roles] = {
    "hash": Roles("y", id="id"),
    "group": Roles("y", id="id", group="group"),
    "time": Roles("y", id="id", time="time"),
    "stratified": Roles("y", exclude=("id",)),
}
TASK = Task("multiclass", ("a", "b", "c"))


@st.composite
def tables(draw: st.DrawFn) -> pl.DataFrame:
    """Few distinct values, so that ties, repeats and small groups are the rule."""
    n = draw(st.integers(5, 60))
    column = st.lists(st.integers(0, draw(st.integers(1, 40))), min_size=n, max_size=n)
    return pl.DataFrame(
        {
            "id": [f"c{i}" for i in draw(column)],
            "group": draw(column),
            "time": draw(column),
            "x": draw(column),
            "y": [draw(st.sampled_from("abc")) for _ in range(n)],
        }
    )


SPLITS = st.builds(
    SplitSettings,
    test=st.sampled_from([0.1, 0.2, 0.5]),
    validation=st.sampled_from([0.0, 0.1, 0.3]),
    seed=st.integers(0, 1000),
)


def split(frame: pl.DataFrame, method: str, given_: SplitSettings) -> pl.Series:
    chosen = given_.model_copy(update={"by": method})
    try:
        return assign(frame, ROLES[method], chosen, TASK)
    except DataError as error:
        assume(error.name != "split_impossible")
        raise


def sides(frame: pl.DataFrame, parts: pl.Series, columns: list[str]) -> int:
    """On how many sides the rows with equal ``columns`` are found, at most."""
    found = frame.with_columns(parts).group_by(columns).agg(pl.col("__part").n_unique())
    return int(found["__part"].max())  # type: ignore[arg-type]


@pytest.mark.parametrize("method", list(ROLES))
@given(tables(), SPLITS)
@settings(max_examples=50, deadline=None)
def test_a_partition_without_a_leak(
    method: str, frame: pl.DataFrame, given_: SplitSettings
) -> None:
    parts = split(frame, method, given_)
    assert parts.len() == frame.height
    assert set(parts) <= {0, 1, 2}
    assert {0, 2} <= set(parts)
    assert (1 in set(parts)) == (given_.validation > 0)
    together = {
        "hash": ["id"],
        "group": ["group"],
        "time": ["time"],
        "stratified": ["group", "time", "x"],
    }
    assert sides(frame, parts, together[method]) == 1
    assert sides(frame, parts, frame.columns) == 1
    if method == "time":
        for part in (0, 1):
            older, newer = (frame.filter(side)["time"] for side in (parts <= part, parts > part))
            if older.len() and newer.len():
                assert older.max() < newer.min()  # type: ignore[operator]


@pytest.mark.parametrize("method", list(ROLES))
@given(tables(), SPLITS, st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_the_order_of_the_rows_does_not_matter(
    method: str, frame: pl.DataFrame, given_: SplitSettings, random: Any
) -> None:
    parts = split(frame, method, given_)
    order = list(range(frame.height))
    random.shuffle(order)
    assert split(frame[order], method, given_).to_list() == parts[order].to_list()


@pytest.mark.parametrize("method", ["hash", "group"])
@given(tables(), tables(), SPLITS)
@settings(max_examples=25, deadline=None)
def test_added_rows_move_no_row(
    method: str, frame: pl.DataFrame, more: pl.DataFrame, given_: SplitSettings
) -> None:
    before = split(frame, method, given_)
    after = split(pl.concat([frame, more]), method, given_)
    assert after.head(frame.height).to_list() == before.to_list()


@pytest.mark.parametrize("method", ["stratified"])
@given(tables(), SPLITS)
@settings(max_examples=50, deadline=None)
def test_every_class_is_seen_in_training(
    method: str, frame: pl.DataFrame, given_: SplitSettings
) -> None:
    parts = split(frame, method, given_)
    assert set(frame.filter(parts == 0)["y"]) == set(frame["y"])


@pytest.mark.parametrize("method", ["hash", "group", "stratified", "time"])
def test_shares_are_those_asked(method: str) -> None:
    """20 seeds, 4,000 rows, 2,000 groups: within 5 standard errors, or exact where promised."""
    n, rng = 4000, np.random.default_rng(5)
    frame = pl.DataFrame(
        {
            "id": [f"c{i}" for i in range(n)],
            "group": rng.permutation(n) // 2,
            "time": rng.permutation(n),
            "x": rng.normal(size=n),
            "y": rng.choice(["a", "b", "c"], n, p=(0.7, 0.25, 0.05)),
        }
    )
    error = {"hash": math.sqrt(0.16 / n), "group": math.sqrt(0.16 / (n / 2))}.get(method, 0.0)
    parts = [
        split(frame, method, SplitSettings(validation=0.1, seed=seed)).to_numpy()
        for seed in range(20)
    ]
    for found in parts:
        assert abs((found == 2).mean() - 0.2) <= 5 * error + 2 / n
        assert abs((found == 1).mean() - 0.1) <= 5 * error + 2 / n
    shares = np.mean([(found == 2).mean() for found in parts])
    assert abs(shares - 0.2) <= 5 * error / math.sqrt(20) + 2 / n
    if method == "time":
        assert (parts[0] == parts[1]).all()
    else:
        both = ((parts[0] == 2) & (parts[1] == 2)).mean()
        assert abs(both - 0.04) < 0.02  # another seed is another draw, 4 % by chance in both


@given(tables(), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_numbers_are_divided_without_a_leak_and_in_any_order(
    frame: pl.DataFrame, seed: int
) -> None:
    """The target is a number; rows with equal features stay together."""
    roles, numbers = Roles("x", exclude=("id", "y")), Task("regression", ())
    wanted = SplitSettings(by="stratified", test=0.3, seed=seed)
    try:
        parts = assign(frame, roles, wanted, numbers)
    except DataError as error:
        assume(error.name != "split_impossible")
        raise
    assert {0, 2} == set(parts)
    assert sides(frame, parts, ["group", "time"]) == 1
    assert assign(frame.reverse(), roles, wanted, numbers).to_list() == parts.to_list()[::-1]


@given(tables())
@settings(deadline=None)
def test_duplicates_are_what_polars_calls_so(frame: pl.DataFrame) -> None:
    for columns in (["x"], ["x", "y"], frame.columns):
        part = frame.select(columns)
        kept, count = drop_duplicates(part)
        assert kept.equals(part.unique(keep="first", maintain_order=True))
        assert count == part.height - kept.height
