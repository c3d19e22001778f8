"""Rows that travel with a bundle: common values only, and scores to be compared elsewhere."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from packaging_models import blend_of, content_of, export, make_rows, train

from ratchet.data.schema import Column, TableSchema
from ratchet.errors import DataError
from ratchet.packaging.bundle import PARITY, write_bundle
from ratchet.packaging.composite import open_exported
from ratchet.packaging.model import Model
from ratchet.packaging.rehearsal import ROWS, make_rehearsal
from ratchet.packaging.rehearsal import make_rows as rehearsal_rows


def columns_of(frame: pl.DataFrame) -> tuple[Column, ...]:
    return TableSchema.from_polars(frame.schema).columns


def frame() -> pl.DataFrame:
    n = 400
    rng = np.random.default_rng(3)
    return pl.DataFrame(
        {
            "salary": [9_999_999.0, *rng.uniform(10, 20, n - 1)],
            "age": rng.integers(18, 80, n),
            "town": ["Only Mine", *rng.choice(["Rome", "Paris"], n - 1)],
            "member": rng.random(n) < 0.5,
            "born": [date(1990, 1, 1) + timedelta(days=i) for i in range(n)],
            "seen": [datetime(2026, 1, 1) + timedelta(hours=i) for i in range(n)],
            "note": [None if i % 3 else "yes" for i in range(n)],
            "empty": pl.Series([None] * n, dtype=pl.String),
            "odd": [float("nan"), float("inf"), *rng.random(n - 2)],
        }
    )


def test_rows_hold_common_values_and_nothing_that_is_somebodys_alone() -> None:
    made = frame()
    rows = rehearsal_rows(columns_of(made), made)
    assert len(rows) == ROWS
    json.dumps(rows, allow_nan=False)
    by_name = {name: [row[name] for row in rows] for name in made.columns}
    assert set(by_name["town"]) == {"Rome", "Paris"}
    assert max(by_name["salary"]) < 20
    assert set(by_name["member"]) == {True, False}
    assert set(by_name["note"]) == {"yes", None}
    assert set(by_name["empty"]) == {None}
    assert all(isinstance(age, int) for age in by_name["age"])
    assert date.fromisoformat(by_name["born"][0]) > date(1990, 1, 1)
    assert datetime.fromisoformat(by_name["seen"][0]) > datetime(2026, 1, 1)
    assert len(set(by_name["salary"])) == ROWS
    ranks = np.argsort(np.argsort([by_name["salary"], by_name["age"]], axis=1), axis=1)
    assert abs(np.corrcoef(ranks)[0, 1]) < 0.6, "columns are put together anew"


def test_rows_are_the_same_every_time() -> None:
    assert rehearsal_rows(columns_of(frame()), frame()) == rehearsal_rows(
        columns_of(frame()), frame()
    )


def test_texts_that_are_all_different_are_not_told_but_the_first() -> None:
    made = pl.DataFrame({"name": [f"person {i:04}" for i in range(300)]})
    rows = rehearsal_rows(columns_of(made), made)
    assert {row["name"] for row in rows} == {None}


@pytest.mark.parametrize("algorithm", ["logistic_regression", "lightgbm"])
def test_a_bundle_scores_its_own_rows_as_it_did(algorithm: str, tmp_path: Path) -> None:
    trained = train(algorithm)
    exported = export(blend_of(trained), tmp_path, trained.frame)
    rehearsal = make_rehearsal(open_exported(exported), trained.frame)
    assert len(rehearsal["rows"]) == len(rehearsal["scores"]) == ROWS
    content = content_of(trained, exported)
    with_rows = write_bundle(tmp_path / "with", replace(content, rehearsal=rehearsal))
    again = write_bundle(tmp_path / "again", replace(content, rehearsal=rehearsal))
    assert again.digest == with_rows.digest
    parity = Model.load(with_rows.path).rehearse()
    assert parity is not None
    assert (parity.rows, parity.max_difference, parity.passed) == (ROWS, 0.0, True)
    assert Model.load(write_bundle(tmp_path / "without", content).path).rehearse() is None
    rehearsal["scores"][3] = [score + 2e-6 for score in rehearsal["scores"][3]]
    other = Model.load(write_bundle(tmp_path / "other", replace(content, rehearsal=rehearsal)).path)
    found = other.rehearse()
    assert found is not None
    assert not found.passed
    file = with_rows.path / PARITY
    loaded = Model.load(with_rows.path)
    file.write_bytes(file.read_bytes().replace(b"0", b"1", 1))
    with pytest.raises(DataError, match=PARITY):
        loaded.rehearse()


def test_a_row_the_model_refuses_is_left_out(tmp_path: Path) -> None:
    trained = train("logistic_regression")
    opened = open_exported(export(blend_of(trained), tmp_path, trained.frame))

    class Picky:
        inputs = opened.inputs
        asked = 0

        def score_one(self, record: object) -> np.ndarray:
            self.asked += 1
            if self.asked == 2:
                raise DataError("a function of the project refuses it")
            return np.array([[0.4, float("inf") if self.asked == 5 else 0.6]])

    made = make_rehearsal(Picky(), make_rows())  # type: ignore[arg-type]
    assert len(made["rows"]) == len(made["scores"]) == ROWS - 2
